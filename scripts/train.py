"""Rule train: images and their references become the weights of one network."""

from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.joblog import logged_to

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with logged_to(snakemake.log[0], snakemake.input):
    from volume_entropy.predict.stages import train_network

    train_network(
        {
            split: list(zip(snakemake.input[f"{split}_images"], snakemake.input[f"{split}_references"], strict=True))
            for split in ("train", "val")
        },
        recipe=snakemake.params.recipe,
        output=Path(snakemake.output.network),
        curves=Path(snakemake.output.curves),
        figure=Path(snakemake.output.figure),
        posterior=Path(snakemake.output.posterior),
        threads=snakemake.threads,
    )
