"""Rule render_scores: the counts of a sample against its reference, and their figure."""

from typing import TYPE_CHECKING

from volume_entropy.figures.scores import render_scores
from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    render_scores(
        snakemake.input.measures,
        snakemake.input.summary,
        snakemake.output.scores,
        snakemake.output.figure,
        recipe=snakemake.params.recipe,
        kind=snakemake.params.format,
    )
