"""The maps of a sample, in every format that is asked for, each with its sidecar."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..files import write_json
from ..measures import MEASURES
from ..stores.measures import MeasureStore
from ..stores.probabilities import ProbabilityStore
from .names import nifti_stem, ome_stem
from .nifti import NiftiMap, nifti_header
from .ome import Channel, write_ome_maps
from .provenance import map_sidecar

Recipe = Mapping[str, Any]


def open_nifti_maps(
    folder: Path, store: ProbabilityStore, recipe: Recipe, measures: Sequence[str], pool: Executor, files: ExitStack
) -> dict[str, NiftiMap]:
    """Create `<sample>_desc-<measure>_map.nii.gz` and its sidecar for each measure; `files` closes them."""
    maps = {}
    for measure in measures:
        stem = nifti_stem(recipe["sample"], measure)
        unit = MEASURES[measure].unit_in(recipe["settings"]["unit"])
        header = nifti_header(
            store.geometry,
            description=f"{measure} [{unit}]",
            intent=MEASURES[measure].symbol,
            highest=_highest(measure, store, recipe),
        )
        write_json(folder / f"{stem}.json", map_sidecar([measure], store, recipe))
        maps[measure] = NiftiMap(files.enter_context((folder / f"{stem}.nii.gz").open("wb")), pool, header)
    return maps


def write_ome_image(
    folder: Path,
    measured: MeasureStore,
    store: ProbabilityStore,
    recipe: Recipe,
    measures: Sequence[str],
    pool: Executor,
) -> None:
    """Create `<sample>_maps.ome.zarr`, its channels the measures, and its sidecar."""
    channels = []
    for measure in measures:
        unit = MEASURES[measure].unit_in(recipe["settings"]["unit"])
        label = measure if unit == "1" else f"{measure} [{unit}]"
        channels.append(Channel(measure, label, MEASURES[measure].colour, _highest(measure, store, recipe)))
    sample = recipe["sample"]
    write_ome_maps(folder / f"{ome_stem(sample)}.ome.zarr", measured, channels, name=sample, pool=pool)
    write_json(folder / f"{ome_stem(sample)}.json", map_sidecar(measures, store, recipe))


def _highest(measure: str, store: ProbabilityStore, recipe: Recipe) -> float:
    unit = recipe["settings"]["unit"]
    return MEASURES[measure].highest(store.kind, unit, len(store.classes), len(store.members))
