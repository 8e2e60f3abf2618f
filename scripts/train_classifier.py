"""Rule train_classifier: one network is trained on the training split of the images."""

from typing import TYPE_CHECKING

from volume_entropy.classification.learning import train_classifier
from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    train_classifier(
        snakemake.params.recipe,
        snakemake.input.images,
        snakemake.output.network,
        snakemake.output.curves,
        snakemake.output.figure,
        threads=snakemake.threads,
    )
