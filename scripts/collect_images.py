"""Rule collect_images: a folder of PNG files becomes one file of arrays, with splits and standardisation."""

from typing import TYPE_CHECKING

from volume_entropy.classification.stages import collect_images
from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], [snakemake.params.recipe["folder"]]):
    collect_images(snakemake.params.recipe, snakemake.output.images, snakemake.output.rejected, snakemake.output.figure)
