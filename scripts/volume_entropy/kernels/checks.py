"""Numba kernels that say which voxels of a tile hold probabilities, and between which bounds."""

import numpy as np
from numpy.typing import NDArray

from .compilation import inlined
from .entropy import (
    EMPTY,
    FILLED,
    LARGEST,
    N_EMPTY,
    N_INVALID,
    N_RENORMALISED,
    ONE,
    RENORMALISED,
    REST,
    SMALLEST,
    SUM_MAXIMUM,
    SUM_MINIMUM,
    UNEXPLAINED,
    VALUE_MAXIMUM,
    VALUE_MINIMUM,
    ZERO,
    Floats,
    Settings,
    States,
)

_INFINITY_BITS, _SIGN, _MINUS_INFINITY_BITS = np.uint32(0x7F800000), np.uint32(0x80000000), np.uint32(0xFF800000)
_MOST, _LEAST, _NONE, _ONE = np.uint32(0xFFFFFFFF), np.uint32(0), np.int32(0), np.int32(1)
# What `counted` and `widened` start with.
NONE_YET = (_NONE, _NONE, _NONE)
NOTHING_YET = (_MOST, _LEAST, _LEAST, _MOST, _LEAST)
_EMPTY, _FILLED, _UNEXPLAINED = np.int32(EMPTY), np.int32(FILLED), np.int32(UNEXPLAINED)
_RENORMALISED = np.int32(FILLED | RENORMALISED)


@inlined
def state_of(smallest: np.float32, largest: np.float32, total: np.float32, settings: Settings) -> np.int32:
    """The bits of a voxel's state, UNEXPLAINED if it is invalid.

    NaN fails every comparison, so what is asked is whether the voxel is good.
    """
    nothing = total == ZERO
    good = (smallest >= settings.value_low) & (largest <= settings.value_high)
    good = good & (((total >= settings.sum_low) & (total <= settings.sum_high)) | nothing)
    filled = _RENORMALISED if abs(total - ONE) > settings.renormalised else _FILLED
    bits = _EMPTY if nothing else filled
    return bits if good else _UNEXPLAINED


@inlined
def classify(n: int, settings: Settings, sums: Floats, state: States, counts: NDArray[np.int64]) -> np.int64:
    """Fill the state of a tile's voxels and count them; return how many are invalid."""
    n_empty, n_filled, n_renormalised = NONE_YET
    for v in range(n):
        bits = state_of(sums[SMALLEST + v], sums[LARGEST + v], sums[LARGEST + v] + sums[REST + v], settings)
        state[v] = np.uint8(bits)
        n_empty, n_filled, n_renormalised = counted(bits, n_empty, n_filled, n_renormalised)
    return count_states(n, n_empty, n_filled, n_renormalised, counts)


@inlined
def counted(
    bits: np.int32, n_empty: np.int32, n_filled: np.int32, n_renormalised: np.int32
) -> tuple[np.int32, np.int32, np.int32]:
    """What was counted, starting with `NONE_YET`, with a voxel of this state."""
    return (
        np.int32(n_empty + np.int32(bits == _EMPTY)),
        np.int32(n_filled + np.int32(bits == _FILLED)),
        np.int32(n_renormalised + np.int32(bits == _RENORMALISED)),
    )


@inlined
def count_states(
    n: int, n_empty: np.int32, n_filled: np.int32, n_renormalised: np.int32, counts: NDArray[np.int64]
) -> np.int64:
    """Add what was counted of n voxels to `counts`; return how many are invalid."""
    n_invalid = np.int64(n) - n_empty - n_filled - n_renormalised
    counts[N_EMPTY] += n_empty
    counts[N_INVALID] += n_invalid
    counts[N_RENORMALISED] += n_renormalised
    return n_invalid


Bits = tuple[np.uint32, np.uint32, np.uint32, np.uint32, np.uint32]


@inlined
def widened(
    smallest: np.float32, largest: np.float32, total: np.float32, lowest: np.uint32, below: np.uint32, high: np.uint32,
    sum_low: np.uint32, sum_high: np.uint32,
) -> Bits:  # fmt: skip
    """The bits that `keep_extremes` takes, starting with `NOTHING_YET`, with a voxel more.

    Compared as integers: a reduction of floats to their minimum vectorises only with a promise that there is no NaN,
    and NaN is what must be found.
    """
    bits = np.float32(smallest).view(np.uint32)
    lowest, below = min(lowest, bits), max(below, bits)
    high = max(high, np.float32(largest).view(np.uint32))
    # Less one, so that the bits of 0 become the highest of all.
    less_one = np.int32(np.float32(total).view(np.int32) - _ONE).view(np.uint32)
    return lowest, below, high, min(sum_low, less_one), max(sum_high, np.float32(total).view(np.uint32))


@inlined
def widen_extremes(n: int, sums: Floats, extremes: NDArray[np.float64]) -> bool:
    """Widen `extremes` by a tile, as `keep_extremes` says."""
    lowest, below, high, sum_low, sum_high = NOTHING_YET
    for v in range(n):
        lowest, below, high, sum_low, sum_high = widened(
            sums[SMALLEST + v], sums[LARGEST + v], sums[LARGEST + v] + sums[REST + v], lowest, below, high, sum_low,
            sum_high,
        )  # fmt: skip
    return keep_extremes(lowest, below, high, sum_low, sum_high, extremes)


@inlined
def keep_extremes(
    lowest: np.uint32,
    below: np.uint32,
    high: np.uint32,
    sum_low: np.uint32,
    sum_high: np.uint32,
    extremes: NDArray[np.float64],
) -> bool:
    """Widen `extremes` by the bits of a tile's floats; if not all is finite, leave them and return False.

    As uint32 floats from 0 up come in their order, and after them those below 0, from -0 to -inf.

    Parameters
    ----------
    lowest, below
        The least and the most of the bits of the smallest values.
    high, sum_high
        The most of the bits of the largest values, and of the sums.
    sum_low
        The least of the bits of the sums, each less one.
    """
    # NaN, with either sign, shows in a largest value or a sum; -inf only in a smallest value.
    if high >= _INFINITY_BITS or sum_high >= _INFINITY_BITS or below >= _MINUS_INFINITY_BITS:
        return False
    smallest = np.uint32(below if below >= _SIGN else lowest).view(np.float32)
    extremes[VALUE_MINIMUM] = smallest if smallest < extremes[VALUE_MINIMUM] else extremes[VALUE_MINIMUM]
    largest = np.uint32(high).view(np.float32)
    extremes[VALUE_MAXIMUM] = largest if largest > extremes[VALUE_MAXIMUM] else extremes[VALUE_MAXIMUM]
    if sum_high > _LEAST:
        least, most = np.uint32(sum_low + 1).view(np.float32), np.uint32(sum_high).view(np.float32)
        extremes[SUM_MINIMUM] = least if least < extremes[SUM_MINIMUM] else extremes[SUM_MINIMUM]
        extremes[SUM_MAXIMUM] = most if most > extremes[SUM_MAXIMUM] else extremes[SUM_MAXIMUM]
    return True
