"""Numba kernels at both ends of a tile: widening its input to float32, and writing its map, labels and class sums."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import inlined
from .entropy import (
    EMPTY,
    FILLED,
    INFINITY,
    INVALID,
    LARGEST,
    NAN,
    PLOGP,
    PLOGP_LOST,
    REST,
    REST_LOST,
    VALUE_BITS,
    ZERO,
    Floats,
    Integers,
    Labels,
    Settings,
    States,
    entropy_parts,
)

_HALF = np.float32(0.5)
VALUE_SCALE = np.float32(2.0**VALUE_BITS)
_NONE, _EMPTY, _FILLED, _INVALID = np.int32(0), np.int32(EMPTY), np.int32(FILLED), np.int32(INVALID)
_FILLED_OR_INVALID = np.int32(FILLED | INVALID)


class Output(NamedTuple):
    """What the kernels fill.

    Attributes
    ----------
    entropy
        (voxel,) predictive entropy.
    segmentation
        (voxel,) labels, or (region, voxel) flags; or room for the labels of one strip, which nobody asks for.
    expected
        (class,) Σ p̄ · 2³⁰ over the domain; of no classes if nobody asks.
    counts, extremes
        As `kernels` numbers their entries.
    odd
        (tile,) 1 where a voxel is invalid or a value not finite; such a tile is not in `extremes`.
    """

    entropy: Floats
    segmentation: Labels
    expected: NDArray[np.int64]
    counts: NDArray[np.int64]
    extremes: NDArray[np.float64]
    odd: States


@inlined
def widen_half(halves: NDArray[np.uint16], first: int, n: int, rows: Floats) -> None:
    """Fill `rows[:, :n]` with the float16 values whose bits are in `halves[:, first : first + n]`, exactly."""
    for c in range(halves.shape[0]):
        half = halves[c][first : first + n]
        row = rows[c]
        for v in range(n):
            bits = np.int32(half[v])
            magnitude = np.int32(bits & np.int32(0x7FFF))
            shifted = np.int32(magnitude << np.int32(13))
            normal = np.int32(shifted + np.int32(112 << 23)).view(np.float32)
            subnormal = np.float32(magnitude) * np.float32(2.0**-24)
            not_finite = np.int32(shifted | np.int32(0x7F800000)).view(np.float32)
            x = subnormal if magnitude < np.int32(0x0400) else normal
            x = not_finite if magnitude >= np.int32(0x7C00) else x
            row[v] = -x if bits != magnitude else x


@inlined
def labels_at(at: int, n: int, output: Output) -> Labels:
    """Where the labels of voxels `at` to `at + n` go."""
    stop = at + n
    return output.segmentation[at:stop] if stop <= output.segmentation.size else output.segmentation[:n]


@inlined
def value_of(head: np.float32, tail: np.float32, bits: np.int32, settings: Settings) -> np.float32:
    """The entropy in the unit asked for, from `entropy_parts` and a voxel's state: NaN if invalid, 0 if empty."""
    value = (head + tail) * settings.scale
    value = ZERO if value < ZERO else value
    value = settings.most if value > settings.most else value
    value = NAN if np.int32(bits & _INVALID) != _NONE else value
    return ZERO if bits == _EMPTY else value


@inlined
def has_class(bits: np.int32) -> bool:
    """Whether a voxel of this state is neither empty nor invalid."""
    return bool(np.int32(bits & _FILLED_OR_INVALID) == _FILLED)


@inlined
def write_entropy(
    n: int,
    settings: Settings,
    sums: Floats,
    label: Integers,
    state: States,
    entropy: Floats,
    segmentation: Labels,
    total: Floats,
) -> None:
    """Write the entropy and the label of a tile's voxels, and `total`: Σp, infinite where there is no class."""
    nothing = settings.nothing
    for v in range(n):
        bits = np.int32(state[v])
        head, tail = entropy_parts(
            sums[LARGEST + v], sums[REST + v], sums[REST_LOST + v], sums[PLOGP + v], sums[PLOGP_LOST + v]
        )
        entropy[v] = value_of(head, tail, bits, settings)
        good = has_class(bits)
        segmentation[v] = label[v] if good else nothing
        total[v] = sums[LARGEST + v] + sums[REST + v] if good else INFINITY


@inlined
def weigh_domain(total: Floats, mask: NDArray[np.bool_] | None) -> None:
    """Turn `total`, Σp or infinite, into the weights 2³⁰/Σp, 0 where there is no class or outside the mask."""
    for v in range(total.size):
        total[v] = VALUE_SCALE / total[v]
    if mask is not None:
        for v in range(total.size):
            total[v] = total[v] if mask[v] else ZERO


@inlined
def weighted_sum(row: Floats, weight: Floats) -> np.int64:
    """Σ row · weight, each term rounded to an integer; terms that are NaN or negative count as 0."""
    total = np.int64(0)
    for v in range(row.size):
        value = row[v] * weight[v]
        value = value if value > ZERO else ZERO
        total += np.int64(np.int32(value + _HALF))
    return total
