"""Rule show_passes: for chosen images, a table and a figure of their passes."""

from typing import TYPE_CHECKING

from volume_entropy.classification.stages import show_passes
from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    recipe = snakemake.params.recipe
    show_passes(
        dict(zip(recipe["methods"], snakemake.input.tables, strict=True)),
        snakemake.input.measured,
        snakemake.output.folder,
        show=recipe["show"],
        unit=recipe["unit"],
        sum_tolerance=recipe["sum_tolerance"],
        images=next(iter(snakemake.input.images), None),
    )
