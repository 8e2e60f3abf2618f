"""Settings and room for the kernels: dtypes, tolerances and which arrays are wanted are decided here."""

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..measures import ONE_BIT
from .entropy import SCRATCH, STRIP, TILE, Scratch, Settings
from .members import Members, Split
from .outputs import Output

# float32 sums of values that were rounded when they were stored: that must not decide what is valid.
ROUNDING_SLACK = 1e-6
# How far below 0 (and, for regions, above 1) a value may be where no tolerance of sums is given.
VALUE_TOLERANCE = 0.01
# A valid sum further from 1 than this times C counts as renormalised; softmax in float32 stays within.
RENORMALISED_PER_CLASS = 1e-6
# The step of integers is tolerated once a class, since some producers round down; but never beyond this, where nothing
# would be left to judge: values further than that from 0 … 1 are on another scale (see `validity`).
LARGEST_ROUNDING = 0.5
# `kernels.single` wants sums as near to 1: 8-bit maps of up to 7 classes are. See `kernels.entropy.entropy_parts`.
NEAR_ONE = 1 / 32
# Of values and of sums, before any was seen; see `kernels.entropy`.
NO_EXTREMES = (math.inf, -math.inf, math.inf, -math.inf)
_CACHE_LINE = 64
_LARGEST_FLOAT = float(np.finfo(np.float32).max)
_SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)

Floats = NDArray[np.float32]
Halves = NDArray[np.uint16] | None


def make_settings(
    *, n_classes: int, kind: str, complement: bool, sum_tolerance: float | None, quantum: float, unit: str
) -> Settings:
    """What the kernels ask of a voxel.

    Parameters
    ----------
    n_classes
        With the complemented background; for `regions` the number of regions.
    sum_tolerance
        How far a sum may be from 1 and a value outside 0 to 1; None: any positive sum is divided out, values above 1
        are fine, and those below 0 by up to 0.01 count as 0.
    quantum
        Step of the stored values, 0 for floats; C steps are always tolerated.

    Raises
    ------
    ValueError
        A complement without a tolerance: 1 - Σp is a probability only on a scale of 1, which is then not checked.
    """
    if complement and sum_tolerance is None:
        raise ValueError("a complement, 1 - Σp, needs a sum_tolerance: without one, sums may be on any scale")
    tolerance = slack_of(VALUE_TOLERANCE if sum_tolerance is None else sum_tolerance, n_classes, quantum)
    tolerance += ROUNDING_SLACK
    value_high = sum_high = 1 + tolerance
    sum_low = 0.0 if complement else 1 - tolerance
    if kind == "regions":
        sum_low, sum_high = -_LARGEST_FLOAT, _LARGEST_FLOAT
    elif sum_tolerance is None:
        value_high = sum_high = _LARGEST_FLOAT
        sum_low = _SMALLEST_NORMAL
    scale = ONE_BIT[unit]
    return Settings(
        np.float32(-tolerance), np.float32(value_high), np.float32(sum_low), np.float32(sum_high),
        np.float32(RENORMALISED_PER_CLASS * n_classes), np.float32(scale),
        np.float32(top_entropy(n_classes, kind) * scale), np.int32(nothing_label(n_classes, kind)),
    )  # fmt: skip


def slack_of(tolerance: float, n_classes: int, quantum: float) -> float:
    """How far values may be outside 0 … 1, and sums from 1: the tolerance, or what rounding integers down loses."""
    return max(tolerance, min(n_classes * quantum, LARGEST_ROUNDING))


def top_entropy(n_classes: int, kind: str) -> float:
    """The highest entropy in bit: log2 C, or one bit a region."""
    return float(n_classes) if kind == "regions" else math.log2(n_classes)


def nothing_label(n_classes: int, kind: str) -> int:
    """The label of voxels without a class."""
    return 65535 if kind == "softmax" and n_classes > 254 else 255


def is_near_one(settings: Settings, complement: bool) -> bool:
    """Whether valid sums are so near to 1 that one member needs no pass to divide them out."""
    low = 1.0 if complement else float(settings.sum_low)
    return low >= 1 - NEAR_ONE and float(settings.sum_high) <= 1 + NEAR_ONE


def rows_and_halves(p: NDArray[Any]) -> tuple[Floats, Halves]:
    """What kernels take: (class, voxel) float32, contiguous; or room for a strip, and the bits of float16."""
    if p.dtype == np.float16:
        halves = np.ascontiguousarray(p, dtype=np.float16).view(np.uint16)
        return np.empty((p.shape[0], STRIP), np.float32), halves
    return np.ascontiguousarray(p, dtype=np.float32), None


def aligned(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array of values that are not set, its first at the start of a cache line.

    A vector of 64 bytes that begins elsewhere lies in two lines: a member takes 7 % more time.
    """
    size = np.dtype(dtype).itemsize * math.prod(shape if isinstance(shape, tuple) else (shape,))
    room = np.empty(size + _CACHE_LINE, np.uint8)
    first = -room.ctypes.data % _CACHE_LINE
    return room[first : first + size].view(dtype).reshape(shape)


def make_scratch() -> Scratch:
    """Room for one tile and strip."""
    return Scratch(
        aligned(SCRATCH, np.float32), aligned(STRIP, np.int32), aligned(STRIP, np.uint8), aligned(STRIP, np.float32)
    )


def make_background(complement: bool) -> Floats | None:
    """Room for one strip of a complemented background, if there is one."""
    return aligned(STRIP, np.float32) if complement else None


def make_members(n_voxels: int, n_classes: int) -> Members:
    """The accumulators of members."""
    mean, state = aligned((n_classes, n_voxels), np.float32), np.zeros(n_voxels, np.uint8)
    spread, entropy, entropy_lost = (aligned(n_voxels, np.float32) for _ in range(3))
    return Members(mean, spread, entropy, entropy_lost, state)


def label_bits(n_classes: int, kind: str) -> int:
    """Bits of a member's label in a word of votes."""
    return 1 if kind == "regions" else max(1, (n_classes - 1).bit_length())


def count_words(n_members: int, n_classes: int, kind: str) -> int:
    """Words that hold the labels of all members of a voxel, of regions those of each."""
    return -(-n_members // (32 // label_bits(n_classes, kind))) * (n_classes if kind == "regions" else 1)


def make_split(n_voxels: int, *, variance: bool) -> Split:
    """Room for the maps that members give."""
    expected_entropy, mutual_information = np.empty((2, n_voxels), np.float32)
    return Split(expected_entropy, mutual_information, np.empty(n_voxels if variance else 0, np.float32))


def make_output(n_voxels: int, n_classes: int, kind: str, *, sums: bool) -> Output:
    """Room for what the kernels write; `sums`: also for the sums by class."""
    shape = (n_classes, n_voxels) if kind == "regions" else (n_voxels,)
    wide = nothing_label(n_classes, kind) == 65535
    return Output(
        np.empty(n_voxels, np.float32),
        np.empty(shape, np.uint16) if wide else np.empty(shape, np.uint8),
        np.zeros(n_classes if sums else 0, np.int64),
        np.zeros(3, np.int64),
        np.array(NO_EXTREMES),
        np.zeros(-(-n_voxels // TILE), np.uint8),
    )
