"""The stage compute_entropy: a sample's probability store becomes its measure store, its maps and its summary."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .errors import DataError, Rejection, SampleWarning
from .files import replaced_when_whole, write_json
from .joblog import logger, phase, processed
from .maps.names import files_of_maps
from .measures import ONE_BIT, SCHEMA_VERSION, default_measures, summarised_measures
from .memory import reuse_freed_arrays
from .stores.probabilities import ProbabilityStore, open_probabilities
from .stores.sealed import StoreError, open_sealed, write_rejection

if TYPE_CHECKING:
    from .partials import SampleSums
    from .passes import MemberStream
    from .summary import Field

STAGE = "compute_entropy"


def compute_sample(
    store_path: Path,
    *,
    recipe: Mapping[str, Any],
    measures_path: Path,
    summary_path: Path,
    maps_dir: Path,
    threads: int,
    scheduler: str = "threads",
    stream: "MemberStream | None" = None,
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
        write_json(summary_path, {**reason, **_provenance(recipe, maps_dir)})


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
    stream: "MemberStream | None",
) -> None:
    settings, n_members = recipe["settings"], len(store.members)
    summed = summarised_measures(n_members, settings["measures"], store.kind)
    with phase("imports and kernels"):
        from .blocks import BlockSettings, load_kernels
        from .maps.nifti import affine_mm
        from .passes import first_pass, second_pass
        from .scheduling import THREADS
        from .summary import Field, summarise

        block = BlockSettings(
            unit=settings["unit"],
            sum_tolerance=settings["sum_tolerance"],
            measures=default_measures(n_members, settings["measures"], store.kind),
            summed=summed,
            threshold=settings["threshold"] * ONE_BIT[settings["unit"]],
            with_votes="lesions" in settings and n_members > 1,
        )
        if scheduler == THREADS and stream is None:
            load_kernels(store, block)
    sums, remarks = first_pass(store, recipe, block, measures_path, threads, scheduler, stream)
    roles = second_pass(store, recipe, block, measures_path, maps_dir, threads)
    for name in summed:
        if sum(roles.totals[name][1:]) != sums.measures[name].domain_total:
            raise StoreError(measures_path, f"array {name} does not give the numbers that were written")
    field = Field(
        sample=recipe["sample"],
        shape=store.layout.shape,
        # In mm: the store's is in the unit of the file's header.
        affine=affine_mm(store.affine, store.geometry).tolist(),
        voxel_volume_mm3=store.voxel_volume_mm3,
        classes=store.classes,
        n_members=n_members,
        kind=store.kind,
        unit=settings["unit"],
        content=settings.get("content", "posterior"),
        measures=summed,
        warnings=[*store.warnings, *remarks, *_reference_warnings(store, settings, sums)],
    )
    lesions = _lesions(measures_path, settings["lesions"], field) if "lesions" in settings else {}
    write_json(summary_path, {**summarise(field, sums, roles), **lesions, **_provenance(recipe, maps_dir)})
    processed(math.prod(store.layout.shape))


def _reference_warnings(
    store: ProbabilityStore, settings: Mapping[str, Any], sums: "SampleSums"
) -> list[SampleWarning]:
    if not sums.scores or store.reference_classes is None:
        return []
    from .scoring.reference_checks import reference_warnings

    return reference_warnings(sums.scores, settings, store.reference_classes, store.reference_unlisted)


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


def _provenance(recipe: Mapping[str, Any], maps_dir: Path) -> dict[str, Any]:
    """Say what a summary was made from, and with it; the next run compares both with what it finds."""
    made = {"recipe": recipe, "library_version": __version__, "schema_version": SCHEMA_VERSION}
    return {**made, "maps": files_of_maps(maps_dir)}
