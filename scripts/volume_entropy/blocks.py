"""The first pass: one Dask task a block, from the probabilities of all members to stored measures and partial sums."""

import os
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import Rejection
from .kernels.sums import N_ROLES, Labels
from .measures import MAIN, PATCH_EDGE
from .partials import Flagged, MeasureSums, MemberCounts, SampleSums
from .reductions import atlas_sums, domain_counts, label_sums, measure_sums, roles
from .stores.layout import Slices
from .stores.measures import write_measure_block
from .stores.probabilities import ProbabilityStore, open_probabilities
from .voxelwise import BlockMeasures, BlockResult


@dataclass(frozen=True)
class BlockSettings:
    """What a task needs besides its box of voxels.

    Attributes
    ----------
    unit, sum_tolerance
        As in the config.
    measures
        Those that are stored.
    summed
        Those of `measures` whose statistics are wanted.
    threshold
        In `unit`; voxels above it are counted.
    with_votes
        Whether the members' labels are stored, for lesions.
    """

    unit: str
    sum_tolerance: float | None
    measures: tuple[str, ...]
    summed: tuple[str, ...]
    threshold: float
    with_votes: bool = False


def process_block(probabilities: Path, measures: Path, box: Slices, settings: BlockSettings) -> SampleSums:
    """Read a block member by member, compute, store and sum up its measures.

    A function of its arguments alone, all of which can be pickled, so that it can run in any process that sees the
    two stores. Memory: one member's block and the accumulators of its voxels. The box is one block of the layout: one
    task, one shard of each array.
    """
    store = _opened(probabilities, _identity(probabilities))
    if not store.layout.is_block(box):
        raise ValueError(f"{box} is no block of {store.layout}")
    block = open_block(store, box, settings)
    for member in range(len(store.members)):
        block.add(store.read(member, box))
    return finish_block(store, block, measures, box, settings)


def load_kernels(store: ProbabilityStore, settings: BlockSettings) -> None:
    """Load the machine code for a store's blocks, or compile it, by measuring one voxel of no probability.

    Before threads do it, one while the others wait, in what is logged as the time of their pass; those of the second
    pass too.
    """
    block = open_block(store, (slice(0, 1), slice(0, 1), slice(0, 1)), settings)
    for _ in store.members:
        block.add(np.zeros((len(store.classes) - store.complement, 1, 1, 1), store.array.dtype))
    mask = None if store.mask is None else np.ones((1, 1, 1), np.bool_)
    result = block.finish(mask)
    sum_block(result, mask, (0, 0, 0), settings)
    label_sums(result.maps["predictive_entropy"], roles(result.segmentation, None, None, mask, None), N_ROLES)


def open_block(store: ProbabilityStore, box: Slices, settings: BlockSettings) -> BlockMeasures:
    """Give what takes the members of a block, one after the other."""
    z, y, x = box
    return BlockMeasures(
        (z.stop - z.start, y.stop - y.start, x.stop - x.start),
        n_members=len(store.members),
        n_classes=len(store.classes),
        kind=store.kind,
        complement=store.complement,
        sum_tolerance=settings.sum_tolerance,
        quantum=store.quantum,
        unit=settings.unit,
        measures=settings.measures,
    )


def finish_block(
    store: ProbabilityStore, block: BlockMeasures, measures: Path, box: Slices, settings: BlockSettings
) -> SampleSums:
    """Store the measures of a block that has all its members, and sum them up."""
    mask = store.read_mask(box)
    z, y, x = box
    result = block.finish(mask)
    votes = block.votes if settings.with_votes else None
    write_measure_block(measures, box, result.maps, result.segmentation, mask, votes)
    sums = sum_block(result, mask, (z.start, y.start, x.start), settings)
    codes, classes = store.read_reference(box), store.reference_classes
    if codes is not None and classes is not None:
        from .scoring.blocks import Reference

        sums.scores = block.score(Reference(codes, classes, len(store.reference_unlisted)), mask)
    labels = store.read_atlas(box)
    if labels is not None:
        measured = {name: result.maps[name] for name in MAIN if name in result.maps}
        sums.atlas = atlas_sums(measured, _domain(result, mask), labels)
    return sums


def sum_block(
    result: BlockResult, mask: NDArray[np.bool_] | None, start: tuple[int, int, int], settings: BlockSettings
) -> SampleSums:
    """Partial sums of one block.

    Parameters
    ----------
    result
        Measures, (z, y, x) each, and what was counted on the way.
    mask
        (z, y, x), or None.
    start
        First voxel of the block in the volume, (z, y, x).
    """
    domain = _domain(result, mask)
    class_voxels: list[int] = []
    measures: dict[str, MeasureSums] = {}
    for name in settings.summed:
        values = result.maps[name]
        measures[name] = measure_sums(values, domain, start=start, threshold=settings.threshold, edge=PATCH_EDGE)
        class_voxels, measures[name].class_totals = _class_sums(
            values, result.segmentation, None if mask is None else domain, len(result.expected_voxels)
        )
    counts = {
        "field": domain.size,
        "domain": int(np.count_nonzero(domain)),
        "empty": result.n_empty,
        "invalid": result.n_invalid,
        "renormalised": result.n_renormalised,
        "nan": result.n_nan,
        "negative": result.n_negative,
        "above_one": result.n_above_one,
        "bad_sum": result.n_bad_sum,
        "not_binary": result.n_not_binary,
    }
    return SampleSums(
        counts=Counter(counts),
        extremes=result.member_extremes,
        expected_voxels=result.expected_voxels,
        class_voxels=class_voxels,
        slice_counts=domain_counts(domain, start),
        members=_member_counts(result),
        measures=measures,
        blanks=[] if result.blank is None else [Flagged.of(start, result.blank)],
    )


def _domain(result: BlockResult, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    predicted = result.segmentation if result.segmentation.ndim == 3 else result.segmentation[0]
    domain = predicted != np.iinfo(predicted.dtype).max
    return np.asarray(domain if mask is None else domain & mask)


def _class_sums(
    values: NDArray[np.float32], segmentation: Labels, domain: NDArray[np.bool_] | None, n_classes: int
) -> tuple[list[int], list[int]]:
    """Domain voxels and total of each class or region; `domain` is None where it is what is labelled."""
    nothing = np.iinfo(segmentation.dtype).max
    if domain is not None:
        segmentation = np.where(domain, segmentation, segmentation.dtype.type(nothing))
    if segmentation.ndim == 3:
        return label_sums(values, segmentation, n_classes)
    inside = [label_sums(values, region, 2) for region in segmentation]
    return [counts[1] for counts, _ in inside], [totals[1] for _, totals in inside]


def _member_counts(result: BlockResult) -> MemberCounts | None:
    parts = (result.member_voxels, result.intersection, result.union, result.pair_intersection)
    voxels, intersection, union, pairs = parts
    if voxels is None or intersection is None or union is None or pairs is None:
        return None
    return MemberCounts(voxels, intersection, union, pairs)


@lru_cache(maxsize=2)
def _opened(path: Path, identity: tuple[int, int]) -> ProbabilityStore:
    """Open a store once a process: to verify that it is whole costs a look at every shard."""
    store = open_probabilities(path)
    if isinstance(store, Rejection):
        raise TypeError(f"{path} holds a rejection; it has no blocks")
    return store


def _identity(path: Path) -> tuple[int, int]:
    # A store that was made again under the same name is another one.
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns
