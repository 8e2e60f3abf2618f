"""Rule aggregate: the summaries of all samples become the tables of the cohort."""

from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.joblog import logged_to
from volume_entropy.model_recipes import read_cohort
from volume_entropy.tables import write_tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    samples = read_cohort(Path(snakemake.input.samples), snakemake.config["model"])
    write_tables(
        list(snakemake.input.summaries),
        {sample.id: dict(sample.metadata) for sample in samples.values()},
        Path(snakemake.output.tables[0]).parent,
        group=snakemake.params.cohort["group"],
    )
