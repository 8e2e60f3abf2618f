"""Rule render_qc: the quality-control figure of one sample."""

from typing import TYPE_CHECKING

from volume_entropy.memory import collect_seldom

collect_seldom()

from volume_entropy.figures.qc import render_qc
from volume_entropy.joblog import leave, logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    render_qc(
        snakemake.input.measures,
        snakemake.input.summary,
        snakemake.params.recipe["paths"]["image"],
        snakemake.output.figure,
        sample=snakemake.wildcards.sample,
        settings=snakemake.params.recipe["figures"],
        thumbnail=snakemake.output.thumbnail,
    )
leave()
