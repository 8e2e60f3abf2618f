"""Rule aggregate: the summaries of all samples become the tables of the cohort, and their figure."""

from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.joblog import logged_to, phase
from volume_entropy.model_recipes import read_cohort
from volume_entropy.report.cohort_figure import draw_cohort
from volume_entropy.tables import write_tables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    samples = read_cohort(Path(snakemake.input.samples), snakemake.config["model"])
    folder, group = Path(snakemake.output.figure).parent, snakemake.params.cohort["group"]
    metadata = {sample.id: dict(sample.metadata) for sample in samples.values()}
    write_tables(list(snakemake.input.summaries), metadata, folder, group=group)
    with phase("figure"):
        draw_cohort(folder, snakemake.output.figure, group)
