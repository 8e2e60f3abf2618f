"""The two passes over a sample: one over its probabilities, block by block, one over its measures, slab by slab.

Imported when there is a sample to measure: numba and Dask take a quarter of a second.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocks import BlockSettings
from .errors import Rejection, SampleWarning
from .files import replaced_when_whole
from .joblog import phase
from .kernels.buffers import count_words
from .maps.writing import open_nifti_maps, write_ome_image
from .measures import SCHEMA_VERSION
from .outside import outside_of
from .partials import RoleSums, SampleSums
from .remarks import remarks_on, tails_of
from .scheduling import THREADS, run_blocks, stream_blocks
from .slabs import sum_roles
from .stores.measures import MeasureWriter, open_measures, write_zeros
from .stores.probabilities import ProbabilityStore
from .stores.sealed import StoreError
from .stores.shards import open_array
from .validity import require_probabilities

# Gives the members of a sample, (class, z, y, x) each.
MemberStream = Callable[[], Iterator[NDArray[Any]]]


def first_pass(
    store: ProbabilityStore,
    recipe: Mapping[str, Any],
    block: BlockSettings,
    measures_path: Path,
    threads: int,
    scheduler: str,
    stream: MemberStream | None,
) -> tuple[SampleSums, list[SampleWarning]]:
    """Write the measure store, sealed only if the values are probabilities; and say what should be said of them."""
    settings, regions = recipe["settings"], store.kind == "regions"
    attributes = {
        "classes": store.classes,
        "kind": store.kind,
        "unit": settings["unit"],
        "affine": store.affine.tolist(),
        "geometry": store.geometry,
        "voxel_volume_mm3": store.voxel_volume_mm3,
        "recipe": recipe,
        "schema_version": SCHEMA_VERSION,
    }
    writer = MeasureWriter(
        measures_path,
        layout=store.layout,
        measures=block.measures,
        n_regions=len(store.classes) if regions else 0,
        attributes=attributes,
        segmentation_dtype="uint16" if not regions and len(store.classes) > 254 else "uint8",
        with_mask=store.mask is not None,
        n_words=count_words(len(store.members), len(store.classes), store.kind) if block.with_votes else 0,
    )
    tails = None
    where = f"{threads} threads" if scheduler == THREADS else f"the workers of {scheduler}"
    with writer, phase(f"first pass, {store.layout.n_blocks} blocks in {where}"):
        if stream is None:
            sums = run_blocks(
                store.path, writer.location, store.layout.blocks(), block, threads=threads, scheduler=scheduler
            )
        else:
            tails = tails_of(store) if regions else None
            sums = stream_blocks(store, writer.location, stream(), block, threads=threads, tails=tails)
        store.require_unchanged()
        _empty_the_outside(writer, store, sums, block.measures)
        require_probabilities(
            sums,
            where=_names_of(recipe["sources"]),
            store=store,
            recipe=recipe,
            n_saying=_count_saying(writer, store, recipe, sums) if sums.counts["invalid"] else 0,
        )
        remarks = remarks_on(sums, store, recipe, writer.location, tails)
        sealed: dict[str, Any] = {"counts": dict(sums.counts)}
        if sums.scores:
            from .scoring.files import as_json

            sealed["scores"] = [as_json(task) for task in sums.scores]
        writer.seal(sealed)
    return sums, remarks


def _empty_the_outside(
    writer: MeasureWriter, store: ProbabilityStore, sums: SampleSums, measures: Sequence[str]
) -> None:
    """Make what is NaN outside the field empty, in the measures that were written and in the counts."""
    for block in outside_of(sums.blanks, store.layout.shape, store.read_mask):
        write_zeros(writer.location, block.box, measures, block.flags)
        n_outside = int(block.flags.sum())
        sums.counts.update(empty=n_outside, outside=n_outside, invalid=-n_outside, nan=-n_outside)


def _count_saying(writer: MeasureWriter, store: ProbabilityStore, recipe: Mapping[str, Any], sums: SampleSums) -> int:
    """Count the voxels that say anything, in written measures: a class but the background is above 0, or it is invalid.

    Where one class holds all, the entropy is exactly 0.
    """
    background = 0 if store.complement else _background(store, recipe)
    entropies, labels = (open_array(writer.location / name) for name in ("predictive_entropy", "segmentation"))
    n_saying = sums.counts["invalid"]
    for box in store.layout.blocks():
        entropy, predicted = entropies[box], labels[(..., *box)]
        if store.kind == "regions":
            named = (predicted == 1).any(axis=0)
        else:
            named = predicted != np.iinfo(predicted.dtype).max
            named &= predicted != (-1 if background is None else background)
        n_saying += int(np.count_nonzero((entropy > 0) | (named & (entropy == 0))))
    return n_saying


def _background(store: ProbabilityStore, recipe: Mapping[str, Any]) -> int | None:
    """Index of the class that is no foreground, if there is one."""
    name = recipe["settings"]["background_class"]
    return store.classes.index(name) if store.kind == "softmax" and name in store.classes else None


def second_pass(
    store: ProbabilityStore,
    recipe: Mapping[str, Any],
    block: BlockSettings,
    measures_path: Path,
    maps_dir: Path,
    threads: int,
) -> RoleSums:
    """Sum what needs neighbouring voxels, and write the maps."""
    settings, measures = recipe["settings"], open_measures(measures_path)
    if isinstance(measures, Rejection):
        raise StoreError(measures_path, "it was replaced while it was read")
    background = _background(store, recipe)
    with (
        phase(f"second pass, {len(block.measures)} measures, maps as {' and '.join(settings['maps']) or 'no file'}"),
        replaced_when_whole(maps_dir) as temporary,
        ThreadPoolExecutor(threads) as pool,
        ExitStack() as files,
    ):
        temporary.mkdir()
        wanted = settings["maps"]
        maps = open_nifti_maps(temporary, store, recipe, block.measures, pool, files) if "nifti" in wanted else {}
        sums = sum_roles(measures, block.summed, maps, background=background)
        if "ome-zarr" in wanted:
            write_ome_image(temporary, measures, store, recipe, block.measures, pool)
        return sums


def _names_of(sources: list[list[Any]]) -> str:
    """Name the source files in a message: the first name, without its folder, and how many more there are."""
    first, *others = (Path(source[0]).name for source in sources)
    return first if not others else f"{first} and {len(others)} more"
