"""Rule convert: one sample's probability files become one Zarr store, or a store that says why they cannot."""

from pathlib import Path
from typing import TYPE_CHECKING

from volume_entropy.memory import collect_seldom

collect_seldom()

from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.joblog import leave, logged_to, logger
from volume_entropy.samples import sample_of
from volume_entropy.stores.probabilities import write_rejection

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

recipe, store = snakemake.params.recipe, snakemake.output.store
# Not every source is an input; see `existing_sources`.
with logged_to(snakemake.log[0], [path for path, _, _, readable in recipe["sources"] if readable]):
    try:
        storage = snakemake.config["storage"]
        convert_sample(
            sample_of(recipe),
            Path(store),
            recipe=recipe,
            chunk=storage["chunk"],
            in_place=not storage["keep_probabilities"],
        )
    except DataError as error:
        logger.warning("rejected: %s. %s", error.message, error.remedy)
        write_rejection(store, error.rejection("convert"), recipe)
leave()
