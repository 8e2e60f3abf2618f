"""Rule compare_methods: the summaries of all samples become a table and a figure of the methods."""

from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.joblog import logged_to
from volume_entropy.method_tables import compare_methods
from volume_entropy.model_recipes import read_cohort

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    compare_methods(
        [Path(path) for path in snakemake.input.summaries],
        read_cohort(Path(snakemake.input.samples), snakemake.config["model"]),
        Path(snakemake.output.table),
        Path(snakemake.output.figure),
        column=snakemake.params.column,
    )
