"""Rule aggregate_scores: the scores of all samples that have a reference become the tables and figure of the cohort."""

from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.joblog import logged_to
from volume_entropy.scoring.tables import aggregate_scores

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    aggregate_scores(
        list(snakemake.input.scores),
        list(snakemake.input.summaries),
        Path(snakemake.output.figure),
        kind=snakemake.params.format,
    )
