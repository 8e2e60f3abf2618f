"""Rule label_images: one repetition of labelling the most uncertain images first, against random choice."""

from typing import TYPE_CHECKING

from volume_entropy.classification.labelling import label_images
from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    label_images(snakemake.params.recipe, snakemake.input.images, snakemake.output.curve, threads=snakemake.threads)
