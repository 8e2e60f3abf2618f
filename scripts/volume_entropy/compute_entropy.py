"""The stage compute_entropy: a sample's probability store becomes its measure store, its maps and its summary."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from . import __version__
from .errors import DataError, Rejection
from .files import replaced_when_whole, write_json
from .joblog import logger, phase, processed
from .measures import SCHEMA_VERSION, default_measures, summarised_measures
from .memory import reuse_freed_arrays
from .stores.probabilities import ProbabilityStore, open_probabilities
from .stores.sealed import StoreError, open_sealed, write_rejection

if TYPE_CHECKING:
    from .partials import RoleSums, SampleSums
    from .summary import Field

STAGE = "compute_entropy"
MemberStream = Callable[[], Iterator[NDArray[Any]]]
# The scheduler that is no address.
THREADS = "threads"


def compute_sample(
    store_path: Path,
    *,
    recipe: Mapping[str, Any],
    measures_path: Path,
    summary_path: Path,
    maps_dir: Path,
    threads: int,
    scheduler: str = THREADS,
    stream: MemberStream | None = None,
) -> None:
    """Compute one sample: measures of every voxel, maps, summary; or pass its rejection on.

    Peak memory: `threads` blocks (all classes of one member each) and a constant. The bytes of maps and summary depend
    on the probabilities and the recipe alone.

    Parameters
    ----------
    store_path
        The sealed probability store.
    recipe
        `sample`, `sources`, `revision`, and `settings`: those that the store was made with, and `unit`, `measures`,
        `threshold`, `maps`.
    measures_path
        The measure store to write (a folder).
    summary_path
        The JSON file to write.
    maps_dir
        The folder of maps to write; empty for a rejected sample.
    threads
        Blocks that are processed at the same time.
    scheduler
        `threads` of this process; or the address of a Dask scheduler, `tcp://host:port`, whose workers process the
        blocks instead. They must see the stores under the same paths.
    stream
        Gives the members, (class, z, y, x) each, that the store names and does not hold. All blocks are then open at
        the same time: memory grows with the volume, and hardly with the members.

    Raises
    ------
    StoreError
        The store is damaged, or was made from other sources or with other settings than the recipe has.
    """
    reuse_freed_arrays()
    recipe = json.loads(json.dumps(recipe))
    store = open_probabilities(store_path)
    require_recipe(store_path, store, recipe)
    rejection = store if isinstance(store, Rejection) else None
    if isinstance(store, ProbabilityStore):
        try:
            _compute(store, recipe, measures_path, summary_path, maps_dir, threads, scheduler, stream)
        except DataError as error:
            rejection = error.rejection(STAGE)
    if rejection is not None:
        logger.warning("rejected: %s. %s", rejection.message, rejection.remedy)
        write_rejection(measures_path, rejection, recipe)
        with replaced_when_whole(maps_dir) as temporary:
            temporary.mkdir()
        reason = {"sample": recipe["sample"], "status": "rejected", **asdict(rejection)}
        write_json(summary_path, {**reason, **_provenance(recipe)})


def require_recipe(path: Path, store: ProbabilityStore | Rejection, recipe: Mapping[str, Any]) -> None:
    """Refuse a store that was made from other sources, or with other settings, than the recipe names.

    Raises
    ------
    StoreError
        Naming what differs; the numbers of such a store would be stale.
    """
    made_with = store.recipe if isinstance(store, ProbabilityStore) else open_sealed(path).attributes["recipe"]
    made_with = json.loads(json.dumps(made_with))
    for key in ("sample", "sources", "revision"):
        if made_with.get(key) != recipe.get(key):
            raise StoreError(path, f"it was made with {key} {made_with.get(key)}, asked for is {recipe.get(key)}")
    for key, value in made_with["settings"].items():
        asked = recipe["settings"].get(key)
        if value != asked:
            raise StoreError(path, f"it was made with {key}: {value}, asked for is {asked}")


def _compute(
    store: ProbabilityStore,
    recipe: Mapping[str, Any],
    measures_path: Path,
    summary_path: Path,
    maps_dir: Path,
    threads: int,
    scheduler: str,
    stream: MemberStream | None,
) -> None:
    with phase("imports"):
        from .summary import Field, summarise

    settings, n_members = recipe["settings"], len(store.members)
    stored = default_measures(n_members, settings["measures"], store.kind)
    summed = summarised_measures(n_members, settings["measures"], store.kind)
    sums = _first_pass(store, recipe, stored, summed, measures_path, threads, scheduler, stream)
    roles = _second_pass(store, recipe, stored, summed, measures_path, maps_dir, threads)
    for name in summed:
        if sum(roles.totals[name][1:]) != sums.measures[name].domain_total:
            raise StoreError(measures_path, f"array {name} does not give the numbers that were written")
    field = Field(
        sample=recipe["sample"],
        shape=store.layout.shape,
        # In mm: the store's is in the unit of the file's header.
        affine=(store.affine * store.geometry["unit_mm"]).tolist(),
        voxel_volume_mm3=store.voxel_volume_mm3,
        classes=store.classes,
        n_members=n_members,
        kind=store.kind,
        unit=settings["unit"],
        content=settings.get("content", "posterior"),
        measures=summed,
    )
    lesions = _lesions(measures_path, settings["lesions"], field) if "lesions" in settings else {}
    write_json(summary_path, {**summarise(field, sums, roles), **lesions, **_provenance(recipe)})
    processed(math.prod(store.layout.shape))


def _lesions(measures_path: Path, asked: Mapping[str, Any], field: "Field") -> dict[str, Any]:
    """Measure connected components, from the measure store alone."""
    from .lesions import measure_lesions
    from .stores.measures import open_measures

    measures = open_measures(measures_path)
    if isinstance(measures, Rejection):
        raise StoreError(measures_path, "it was replaced while it was read")
    with phase("lesions"):
        rows = measure_lesions(
            measures,
            wanted=asked["classes"],
            connectivity=asked["connectivity"],
            n_members=field.n_members,
            affine=field.affine,
        )
    return {"lesions": rows}


def _first_pass(
    store: ProbabilityStore,
    recipe: Mapping[str, Any],
    stored: tuple[str, ...],
    summed: tuple[str, ...],
    measures_path: Path,
    threads: int,
    scheduler: str,
    stream: MemberStream | None,
) -> "SampleSums":
    """Write the measure store; sealed only if the values are probabilities."""
    settings, regions = recipe["settings"], store.kind == "regions"
    from .blocks import BlockSettings
    from .kernels.buffers import count_words
    from .scheduling import run_blocks, stream_blocks
    from .stores.measures import MeasureWriter
    from .validity import require_probabilities

    log2 = 1.0 if settings["unit"] == "bit" else math.log(2.0)
    block = BlockSettings(
        unit=settings["unit"],
        sum_tolerance=settings["sum_tolerance"],
        measures=stored,
        summed=summed,
        threshold=settings["threshold"] * log2,
        with_votes="lesions" in settings and len(store.members) > 1,
    )
    attributes = {
        "classes": store.classes,
        "kind": store.kind,
        "unit": settings["unit"],
        "affine": store.affine.tolist(),
        "geometry": store.geometry,
        "voxel_volume_mm3": store.voxel_volume_mm3,
        "recipe": recipe,
    }
    writer = MeasureWriter(
        measures_path,
        layout=store.layout,
        measures=stored,
        n_regions=len(store.classes) if regions else 0,
        attributes=attributes,
        segmentation_dtype="uint16" if not regions and len(store.classes) > 254 else "uint8",
        with_mask=store.mask is not None,
        n_words=count_words(len(store.members), len(store.classes), store.kind) if block.with_votes else 0,
    )
    where = f"{threads} threads" if scheduler == THREADS else f"the workers of {scheduler}"
    with writer, phase(f"first pass, {store.layout.n_blocks} blocks in {where}"):
        if stream is None:
            sums = run_blocks(
                store.path, writer.location, store.layout.blocks(), block, threads=threads, scheduler=scheduler
            )
        else:
            sums = stream_blocks(store, writer.location, stream(), block, threads=threads)
        store.require_unchanged()
        require_probabilities(
            sums,
            where=_names_of(recipe["sources"]),
            n_stored=len(store.classes) - store.complement,
            complement=store.complement,
            quantum=store.quantum,
            settings=settings,
        )
        sealed: dict[str, Any] = {"counts": dict(sums.counts)}
        if sums.scores:
            from .scoring.files import as_json

            sealed["scores"] = [as_json(task) for task in sums.scores]
        writer.seal(sealed)
    return sums


def _second_pass(
    store: ProbabilityStore,
    recipe: Mapping[str, Any],
    stored: tuple[str, ...],
    summed: tuple[str, ...],
    measures_path: Path,
    maps_dir: Path,
    threads: int,
) -> "RoleSums":
    """Sum what needs neighbouring voxels, and write the maps."""
    from .maps.writing import open_nifti_maps, write_ome_image
    from .slabs import sum_roles
    from .stores.measures import open_measures

    settings, measures = recipe["settings"], open_measures(measures_path)
    if isinstance(measures, Rejection):
        raise StoreError(measures_path, "it was replaced while it was read")
    name = settings["background_class"]
    background = store.classes.index(name) if store.kind == "softmax" and name in store.classes else None
    with (
        phase(f"second pass, {len(stored)} measures, maps as {' and '.join(settings['maps']) or 'no file'}"),
        replaced_when_whole(maps_dir) as temporary,
        ThreadPoolExecutor(threads) as pool,
        ExitStack() as files,
    ):
        temporary.mkdir()
        wanted = settings["maps"]
        maps = open_nifti_maps(temporary, store, recipe, stored, pool, files) if "nifti" in wanted else {}
        sums = sum_roles(measures, summed, maps, background=background)
        if "ome-zarr" in wanted:
            write_ome_image(temporary, measures, store, recipe, stored, pool)
        return sums


def _provenance(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {"recipe": recipe, "library_version": __version__, "schema_version": SCHEMA_VERSION}


def _names_of(sources: list[list[Any]]) -> str:
    """Name the source files in a message: the first name, without its folder, and how many more there are."""
    first, *others = (Path(source[0]).name for source in sources)
    return first if not others else f"{first} and {len(others)} more"
