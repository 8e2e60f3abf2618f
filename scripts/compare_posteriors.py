"""Rule compare_posteriors: the widths of the posteriors that trainings with several KL weights ended with."""

from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    from volume_entropy.predict.posteriors import write_sweep

    write_sweep(
        snakemake.params.weights,
        [Path(path) for path in snakemake.input.posteriors],
        snakemake.params.prior,
        Path(snakemake.output.table),
        Path(snakemake.output.figure),
    )
