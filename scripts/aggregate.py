"""Rule aggregate: the summaries of all samples become the tables of the cohort."""

from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.joblog import logged_to
from volume_entropy.samples import read_samples
from volume_entropy.tables import write_tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0]):
    samples = read_samples(Path(snakemake.input.samples))
    write_tables(
        list(snakemake.input.summaries),
        {sample.id: dict(sample.metadata) for sample in samples.values()},
        Path(snakemake.output.tables[0]).parent,
        group=snakemake.params.cohort["group"],
    )
