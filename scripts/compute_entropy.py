"""Rule compute_entropy: a probability store becomes measures, maps and the summary of a sample."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

# Snakemake gives OpenBLAS the job's threads. No matrix is multiplied here, and its second thread spins for 60 ms.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from volume_entropy.memory import collect_seldom

collect_seldom()

from volume_entropy.compute_entropy import compute_sample
from volume_entropy.joblog import leave, logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    compute_sample(
        Path(snakemake.input.store),
        recipe=snakemake.params.recipe,
        measures_path=Path(snakemake.output.measures),
        summary_path=Path(snakemake.output.summary),
        maps_dir=Path(snakemake.output.maps),
        threads=snakemake.threads,
        scheduler=snakemake.config["dask"]["scheduler"],
    )
leave()
