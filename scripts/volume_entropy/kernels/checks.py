"""Numba kernels that say which voxels of a tile hold probabilities, and between which bounds."""

import numpy as np
from numpy.typing import NDArray

from .compilation import inlined, pasted
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
MOST, LEAST = np.uint32(0xFFFFFFFF), np.uint32(0)
_NONE, _ONE = np.int32(0), np.int32(1)
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
    n_empty, n_filled, n_renormalised = _NONE, _NONE, _NONE
    for v in range(n):
        bits = state_of(sums[SMALLEST + v], sums[LARGEST + v], sums[LARGEST + v] + sums[REST + v], settings)
        state[v] = np.uint8(bits)
        n_empty = np.int32(n_empty + np.int32(bits == _EMPTY))
        n_filled = np.int32(n_filled + np.int32(bits == _FILLED))
        n_renormalised = np.int32(n_renormalised + np.int32(bits == _RENORMALISED))
    return count_states(n, n_empty, n_filled, n_renormalised, counts)


@inlined
def count_states(
    n: int, n_empty: np.int32, n_filled: np.int32, n_renormalised: np.int32, counts: NDArray[np.int64]
) -> np.int64:
    """Add what is known of n voxels to `counts`; return how many are invalid."""
    n_invalid = np.int64(n) - n_empty - n_filled - n_renormalised
    counts[N_EMPTY] += n_empty
    counts[N_INVALID] += n_invalid
    counts[N_RENORMALISED] += n_renormalised
    return n_invalid


@pasted
def less_one(total: np.float32) -> np.uint32:
    """The bits of a float less one: those of 0 become the highest of all."""
    bits: np.uint32 = np.int32(total.view(np.int32) - _ONE).view(np.uint32)
    return bits


@inlined
def widen_extremes(n: int, sums: Floats, extremes: NDArray[np.float64]) -> bool:
    """Widen `extremes` by a tile, as `keep_extremes` says.

    Compared as integers: a reduction of floats to their minimum vectorises only with a promise that there is no NaN,
    and NaN is what must be found.
    """
    lowest, below, high, sum_low, sum_high = MOST, LEAST, LEAST, MOST, LEAST
    for v in range(n):
        bits = np.float32(sums[SMALLEST + v]).view(np.uint32)
        lowest, below = min(lowest, bits), max(below, bits)
        high = max(high, np.float32(sums[LARGEST + v]).view(np.uint32))
        total = np.float32(sums[LARGEST + v] + sums[REST + v])
        sum_low, sum_high = min(sum_low, less_one(total)), max(sum_high, total.view(np.uint32))
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
        The least `less_one` of the sums.
    """
    # NaN, with either sign, shows in a largest value or a sum; -inf only in a smallest value.
    if high >= _INFINITY_BITS or sum_high >= _INFINITY_BITS or below >= _MINUS_INFINITY_BITS:
        return False
    smallest = np.uint32(below if below >= _SIGN else lowest).view(np.float32)
    extremes[VALUE_MINIMUM] = smallest if smallest < extremes[VALUE_MINIMUM] else extremes[VALUE_MINIMUM]
    largest = np.uint32(high).view(np.float32)
    extremes[VALUE_MAXIMUM] = largest if largest > extremes[VALUE_MAXIMUM] else extremes[VALUE_MAXIMUM]
    if sum_high > LEAST:
        least, most = np.uint32(sum_low + 1).view(np.float32), np.uint32(sum_high).view(np.float32)
        extremes[SUM_MINIMUM] = least if least < extremes[SUM_MINIMUM] else extremes[SUM_MINIMUM]
        extremes[SUM_MAXIMUM] = most if most > extremes[SUM_MAXIMUM] else extremes[SUM_MAXIMUM]
    return True
