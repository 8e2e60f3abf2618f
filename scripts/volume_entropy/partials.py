"""Partial sums: what a block adds to the numbers of its sample, as integers that merge in any order.

Totals are in units of 2⁻⁴⁰ of the measure, squares in units of 2⁻⁸⁰.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .kernels.sums import DROPPED_BITS, LIMB_BITS

if TYPE_CHECKING:
    from .scoring.blocks import ScoreSums

Integers = NDArray[np.int64]


@dataclass
class Placed:
    """Integers of a part of an axis, or of the grid of boxes, and the index where that part begins."""

    start: tuple[int, ...]
    values: Integers


# For z, y and x.
Slices = tuple[list[Placed], list[Placed], list[Placed]]


@dataclass
class MeasureSums:
    """What one measure adds up to.

    Attributes
    ----------
    total, domain_total, domain_squares
        Over the whole field; over the domain, of the values and of their squares.
    n_high
        Domain voxels above the threshold.
    maximum
        Over the domain, 0 if it is empty.
    bins, counts
        Histogram of the domain, sorted, absent bins left out. Bin 0 holds the value 0, bin 1 + b the float32 values
        with the top 20 bits b.
    slices
        Domain totals of the slices along z, y and x, as limbs (n, 2); see `from_limbs`.
    patches
        Domain totals of boxes, (z, y, x).
    class_totals
        Domain totals by predicted class or region.
    """

    total: int
    domain_total: int
    domain_squares: int
    n_high: int
    maximum: float
    bins: Integers
    counts: Integers
    slices: Slices
    patches: list[Placed]
    class_totals: list[int] = field(default_factory=list)


@dataclass
class MemberCounts:
    """Domain voxels that members agree on, by class or region.

    Attributes
    ----------
    voxels
        (member, class) voxels predicted by each member.
    intersection, union
        (class,) voxels that all members, or any member, predict.
    pairs
        (class, member, member) voxels that both members predict; filled where the first is less than the second.
    """

    voxels: Integers
    intersection: Integers
    union: Integers
    pairs: Integers

    def __add__(self, other: "MemberCounts") -> "MemberCounts":
        return MemberCounts(
            self.voxels + other.voxels,
            self.intersection + other.intersection,
            self.union + other.union,
            self.pairs + other.pairs,
        )


@dataclass
class Extremes:
    """Least and greatest value and sum over classes that were read; infinite where there was none."""

    minimum: float = math.inf
    maximum: float = -math.inf
    sum_minimum: float = math.inf
    sum_maximum: float = -math.inf

    def __or__(self, other: "Extremes") -> "Extremes":
        return Extremes(
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            min(self.sum_minimum, other.sum_minimum),
            max(self.sum_maximum, other.sum_maximum),
        )


@dataclass
class Flagged:
    """Some voxels of a block: its first voxel (z, y, x), its shape, and a bit a voxel."""

    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, start: tuple[int, int, int], flags: NDArray[np.bool_]) -> "Flagged":
        """Pack flags (z, y, x)."""
        depth, height, width = flags.shape
        return cls(start, (depth, height, width), np.packbits(flags))

    @property
    def flags(self) -> NDArray[np.bool_]:
        """(z, y, x)."""
        n_voxels = math.prod(self.shape)
        return np.unpackbits(self.bits, count=n_voxels).view(np.bool_).reshape(self.shape)

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """Where the block lies in the volume."""
        z, y, x = (slice(first, first + n) for first, n in zip(self.start, self.shape, strict=True))
        return z, y, x


@dataclass
class SampleSums:
    """What a set of blocks adds up to.

    Attributes
    ----------
    counts
        Voxels by what they are: `field`, `domain`, `empty`, `invalid`, `renormalised`; by what makes them invalid:
        `nan`, `negative`, `above_one`, `bad_sum`; and values other than 0 and 1, `not_binary`.
    extremes
        Of the probabilities as they were read, by member.
    expected_voxels
        By class or region: sum of the mean probability over the domain.
    class_voxels
        By class or region: domain voxels that are predicted as it.
    slice_counts
        Domain voxels of the slices along z, y and x.
    members
        None with one member.
    measures
        By name.
    scores
        Against the reference: one for all classes, or one a region; empty where there is no reference.
    atlas
        By label of the atlas: domain voxels, then the total of each of `measures.MAIN` that there is.
    blanks
        Of blocks that have such: voxels that are NaN in every class of every member; see `outside`.
    """

    counts: Counter[str]
    extremes: list[Extremes]
    expected_voxels: list[int]
    class_voxels: list[int]
    slice_counts: Slices
    members: MemberCounts | None
    measures: dict[str, MeasureSums]
    scores: list["ScoreSums"] = field(default_factory=list)
    atlas: dict[int, list[int]] = field(default_factory=dict)
    blanks: list[Flagged] = field(default_factory=list)


@dataclass
class RoleSums:
    """Voxels, and totals of each measure, by role (see `reductions.roles`)."""

    counts: list[int]
    totals: dict[str, list[int]]

    def __add__(self, other: "RoleSums") -> "RoleSums":
        totals = {name: add(values, other.totals[name]) for name, values in self.totals.items()}
        return RoleSums(add(self.counts, other.counts), totals)


def merge(parts: Sequence[SampleSums]) -> SampleSums:
    """Add up the blocks of `parts`; any order and any grouping give the same numbers."""
    out, *others = parts
    if not others:
        return out
    # The measures apart, all at once: for their histograms, every time costs as much.
    measures = {name: _merge_measures([part.measures[name] for part in parts]) for name in out.measures}
    for part in others:
        out = SampleSums(
            counts=out.counts + part.counts,
            extremes=[a | b for a, b in zip(out.extremes, part.extremes, strict=True)],
            expected_voxels=add(out.expected_voxels, part.expected_voxels),
            class_voxels=add(out.class_voxels, part.class_voxels),
            slice_counts=_join([out.slice_counts, part.slice_counts]),
            members=None if out.members is None or part.members is None else out.members + part.members,
            measures=measures,
            scores=[a + b for a, b in zip(out.scores, part.scores, strict=True)],
            atlas=_merge_labels(out.atlas, part.atlas),
            blanks=out.blanks + part.blanks,
        )
    return out


def _merge_labels(one: dict[int, list[int]], other: dict[int, list[int]]) -> dict[int, list[int]]:
    merged = dict(one)
    for label, row in other.items():
        merged[label] = add(merged[label], row) if label in merged else row
    return merged


def _merge_measures(parts: Sequence[MeasureSums]) -> MeasureSums:
    bins, counts = merge_histograms([(part.bins, part.counts) for part in parts])
    return MeasureSums(
        total=sum(part.total for part in parts),
        domain_total=sum(part.domain_total for part in parts),
        domain_squares=sum(part.domain_squares for part in parts),
        n_high=sum(part.n_high for part in parts),
        maximum=max(part.maximum for part in parts),
        bins=bins,
        counts=counts,
        slices=_join([part.slices for part in parts]),
        patches=_as_one([patch for part in parts for patch in part.patches]),
        class_totals=[sum(totals) for totals in zip(*(part.class_totals for part in parts), strict=True)],
    )


def merge_histograms(parts: Sequence[tuple[Integers, Integers]]) -> tuple[Integers, Integers]:
    """Add up histograms without their empty bins: (bin,) sorted numbers of bins, (bin, …) counts.

    By a table of all bins: sorting two took 17 ms for each block of a volume with values everywhere, this takes 1.
    """
    size = max((int(bins[-1]) + 1 for bins, _ in parts if bins.size), default=0)
    table = np.zeros((size, *parts[0][1].shape[1:]), np.int64)
    present = np.zeros(size, np.bool_)
    for bins, counts in parts:
        table[bins] += counts
        present[bins] = True
    found = np.flatnonzero(present)
    return found, table[found]


def _join(parts: Sequence[Slices]) -> Slices:
    z, y, x = ([placed for part in parts for placed in part[axis]] for axis in range(3))
    return _as_one(z), _as_one(y), _as_one(x)


def _as_one(parts: Sequence[Placed]) -> list[Placed]:
    """Add up parts in the box around them, so that sums of any number of blocks need no more room than their places."""
    axes = range(len(parts[0].start))
    start = tuple(min(part.start[axis] for part in parts) for axis in axes)
    stop = [max(part.start[axis] + part.values.shape[axis] for part in parts) for axis in axes]
    shape = (*(last - first for first, last in zip(start, stop, strict=True)), *parts[0].values.shape[len(start) :])
    moved = [Placed(tuple(a - b for a, b in zip(part.start, start, strict=True)), part.values) for part in parts]
    return [Placed(start, assemble(moved, shape))]


def add(one: Sequence[int], other: Sequence[int]) -> list[int]:
    """Add two lists element by element."""
    return [a + b for a, b in zip(one, other, strict=True)]


def assemble(parts: Sequence[Placed], shape: tuple[int, ...]) -> Integers:
    """Put placed parts into one array; where they overlap (the boxes of neighbouring blocks), they are added."""
    out = np.zeros(shape, np.int64)
    for part in parts:
        place = zip(part.start, part.values.shape, strict=False)
        out[tuple(slice(first, first + n) for first, n in place)] += part.values
    return out


def from_limbs(limbs: Integers) -> list[int]:
    """Make Python integers of rows of two limbs, (n, 2)."""
    return [(int(high) << LIMB_BITS) + int(low) for high, low in limbs]


def bin_values(bins: Integers) -> NDArray[np.float32]:
    """Return the least values of histogram bins: exact for 0 and round values, at most 2⁻¹¹ below any other."""
    return (np.maximum(bins - 1, 0) << DROPPED_BITS).astype(np.int32).view(np.float32)
