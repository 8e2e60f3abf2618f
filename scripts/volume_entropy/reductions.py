"""Exact sums over a block, as Python integers: the owner of axes, types and checks around the kernels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kernels.sums import (
    HIGH_SQUARES,
    INSIDE,
    LOW_BITS,
    LOW_SQUARES,
    MIXED_SQUARES,
    N_BINS,
    N_SUMS,
    OUTSIDE,
    VALUE_LIMIT,
    Flags,
    Labels,
    Volume,
    count_domain,
    mark_roles,
    sum_labels,
    sum_measure,
)
from .labels import TABLE_SPAN
from .partials import MeasureSums, Placed, Slices, from_limbs


def measure_sums(
    values: Volume, domain: Flags, *, start: tuple[int, int, int], threshold: float, edge: int
) -> MeasureSums:
    """Sum up one measure of one block, all but the sums by class.

    Parameters
    ----------
    values
        (z, y, x); 0 where empty, NaN where invalid.
    domain
        (z, y, x), True in the domain.
    start
        (z, y, x) of the block's first voxel in the volume.
    threshold
        In the measure's unit; domain voxels above it are counted in `n_high`.
    edge
        Of a box, in voxels.

    Raises
    ------
    OverflowError
        A value of 256 or more, which no measure of up to 255 regions or 65 534 classes has.
    """
    values = np.ascontiguousarray(values, np.float32)
    origin = (start[0] % edge, start[1] % edge, start[2] % edge)
    limbs = np.zeros((N_SUMS, 2), np.int64)
    z, y, x = (np.zeros((n, 2), np.int64) for n in values.shape)
    patches = np.zeros([-(-(o + n) // edge) for o, n in zip(origin, values.shape, strict=True)], np.int64)
    bins, counts = np.empty(N_BINS, np.int64), np.zeros(N_BINS, np.int64)
    column, row = np.zeros((2, values.shape[2]), np.int64)
    maximum, n_high, n_bins = sum_measure(
        values, values.view(np.int32), domain, threshold, origin, edge,
        limbs, z, y, x, patches, bins, counts, column, row.view(np.float64), row,
    )  # fmt: skip
    if maximum < 0:
        raise OverflowError(f"a measure has a value of {VALUE_LIMIT} or more; sums in fixed point cannot hold it")
    sums = from_limbs(limbs)
    high, mixed, low = sums[HIGH_SQUARES], sums[MIXED_SQUARES], sums[LOW_SQUARES]
    return MeasureSums(
        total=sums[OUTSIDE] + sums[INSIDE],
        domain_total=sums[INSIDE],
        domain_squares=(high << 2 * LOW_BITS) + (mixed << LOW_BITS + 1) + low,
        n_high=int(n_high),
        maximum=float(maximum),
        # Copies: a view would keep the room for all bins.
        bins=bins[:n_bins].copy(),
        counts=counts[:n_bins].copy(),
        slices=([Placed(start[:1], z)], [Placed(start[1:2], y)], [Placed(start[2:], x)]),
        patches=[Placed(tuple(first // edge for first in start), patches)],
    )


def label_sums(values: Volume, labels: Labels | NDArray[np.uint32], n_labels: int) -> tuple[list[int], list[int]]:
    """Count voxels, and sum `values` in fixed point, for each label 0 … n_labels - 1; other labels are left out."""
    counts = np.zeros(n_labels, np.int64)
    limbs = np.zeros((n_labels, 2), np.int64)
    contiguous: Any = np.ascontiguousarray(labels)
    row = np.empty(values.shape[2], np.int64)
    sum_labels(np.ascontiguousarray(values), contiguous, counts, limbs, row.view(np.float64), row)
    return [int(n) for n in counts], from_limbs(limbs)


def atlas_sums(measures: Mapping[str, Volume], domain: Flags, labels: NDArray[np.int32]) -> dict[int, list[int]]:
    """Count the domain voxels of every label of an atlas but 0, and sum each measure over them in fixed point.

    Parameters
    ----------
    measures
        By name, (z, y, x).
    domain, labels
        (z, y, x).

    Returns
    -------
    By label: the voxels, then the total of each measure in their order.
    """
    inside = np.where(domain, labels, 0)
    low, high = int(inside.min()), int(inside.max())
    if high - low < TABLE_SPAN:
        # A table instead of a sort, which takes a second where there are many voxels.
        present = np.zeros(high - low + 1, np.bool_)
        present[inside - low] = True
        present[-low if low <= 0 <= high else slice(0)] = False
        found = np.flatnonzero(present) + low
        table = np.full(present.size, found.size, np.uint32)
        table[found - low] = np.arange(found.size)
        codes = table[inside - low]
    else:
        found = np.unique(inside)
        found = found[found != 0]
        codes = np.searchsorted(found, inside).clip(max=found.size - 1).astype(np.uint32)
        codes[found[codes] != inside] = found.size
    rows: list[list[int]] = [[] for _ in found]
    for index, values in enumerate(measures.values()):
        counts, totals = label_sums(values, codes, found.size)
        for row, count, total in zip(rows, counts, totals, strict=True):
            row += [count, total] if index == 0 else [total]
    return dict(zip(found.tolist(), rows, strict=True))


def domain_counts(domain: Flags, start: tuple[int, int, int]) -> Slices:
    """Count the domain voxels of every slice of a block along z, y and x."""
    z, y, x = (np.zeros(n, np.int64) for n in domain.shape)
    count_domain(domain, z, y, x)
    return [Placed(start[:1], z)], [Placed(start[1:2], y)], [Placed(start[2:], x)]


def roles(
    segmentation: Labels, below: Labels | None, above: Labels | None, mask: Flags | None, background: int | None
) -> NDArray[np.uint8]:
    """Find the role of every voxel of a z-slab: `DOMAIN` + `FOREGROUND` + `BOUNDARY`, 0 outside the domain.

    Parameters
    ----------
    segmentation
        (z, y, x) predicted class, or (region, z, y, x) of 0 and 1; the largest value of its type where there is no
        prediction.
    below, above
        The planes next to the slab, (y, x) or (region, y, x); None at the end of the volume.
    mask
        (z, y, x), True inside; None if there is no mask.
    background
        Index of the class that is no foreground; None if every class is foreground. Regions have no background class:
        a voxel is foreground where any region is 1, and boundary where any region's mask differs.
    """
    kind = segmentation.dtype.type
    nothing: Any = kind(np.iinfo(kind).max)
    if segmentation.ndim == 4:
        background = 0
    shape = segmentation.shape[-3:]
    volumes = np.ascontiguousarray(segmentation).reshape(-1, *shape)
    before, after = (
        np.full((len(volumes), *shape[1:]), nothing)
        if plane is None
        else np.ascontiguousarray(plane).reshape(-1, *shape[1:])
        for plane in (below, above)
    )
    inside = np.ones(shape, bool) if mask is None else np.ascontiguousarray(mask)
    out, padded = np.zeros(shape, np.uint8), np.empty(shape[2] + 2, kind)
    for region, labels in enumerate(volumes):
        # In the type of the labels: wider constants make the loop four times as wide, and as slow.
        index: Any = nothing if background is None else kind(background)
        mark_roles(labels, before[region], after[region], inside, nothing, index, padded, out)
    return out
