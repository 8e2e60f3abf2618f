"""Rule predict_images: the members of one method for the images of the test split."""

from typing import TYPE_CHECKING

from volume_entropy.classification.learning import predict_images
from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    predict_images(
        snakemake.params.recipe,
        snakemake.input.images,
        list(snakemake.input.networks),
        snakemake.output.table,
        threads=snakemake.threads,
    )
