"""Rule measure_images: class probabilities of images, member by member, become the tables of images."""

from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.classification.stages import measure_methods
from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    recipe = snakemake.params.recipe
    measure_methods(
        dict(zip(recipe["methods"], snakemake.input.tables, strict=True)),
        Path(snakemake.output.figure).parent,
        unit=recipe["unit"],
        sum_tolerance=recipe["sum_tolerance"],
        unread=next(iter(snakemake.input.unread), None),
    )
