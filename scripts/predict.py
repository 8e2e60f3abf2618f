"""Rule predict: an image becomes the members of a sample, in a store; or, streamed, its measures right away."""

from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    from volume_entropy.predict.stages import measure_stream, predict_sample

    common = {
        "recipe": snakemake.params.recipe,
        "networks": [Path(path) for path in snakemake.input.networks],
        "chunk": snakemake.config["storage"]["chunk"],
        "threads": snakemake.threads,
    }
    if "store" in snakemake.output.keys():  # noqa: SIM118 - no dict
        predict_sample(Path(snakemake.output.store), **common)
    else:
        measure_stream(
            **common,
            measures_path=Path(snakemake.output.measures),
            summary_path=Path(snakemake.output.summary),
            maps_dir=Path(snakemake.output.maps),
        )
