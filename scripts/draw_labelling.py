"""Rule draw_labelling: all repetitions of the labelling, as one table and one figure."""

from typing import TYPE_CHECKING

from volume_entropy.classification.labelling import draw_labelling
from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    draw_labelling(list(snakemake.input.curves), snakemake.output.table, snakemake.output.figure)
