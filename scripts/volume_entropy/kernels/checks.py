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

_INFINITY_BITS = np.int32(0x7F800000)
MOST, LEAST, _NONE = np.int32(0x7FFFFFFF), np.int32(-0x80000000), np.int32(0)
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


@inlined
def widen_extremes(n: int, sums: Floats, extremes: NDArray[np.float64]) -> bool:
    """Widen `extremes` by a tile, as `keep_extremes` says.

    Compared as integers, which order like the floats from 0 up and the other way below: a reduction of floats to their
    minimum vectorises only with a promise that there is no NaN, and NaN is what must be found.
    """
    lowest, below, high, sum_low, sum_high = MOST, LEAST, _NONE, MOST, _NONE
    for v in range(n):
        value = np.float32(sums[SMALLEST + v]).view(np.int32)
        lowest = min(lowest, value)
        below = max(below, value if value < _NONE else LEAST)
        high = max(high, np.float32(sums[LARGEST + v]).view(np.int32))
        value = np.float32(sums[LARGEST + v] + sums[REST + v]).view(np.int32)
        sum_high = max(sum_high, value)
        sum_low = min(sum_low, MOST if value == _NONE else value)
    return keep_extremes(lowest, below, high, sum_low, sum_high, extremes)


@inlined
def keep_extremes(
    lowest: np.int32,
    below: np.int32,
    high: np.int32,
    sum_low: np.int32,
    sum_high: np.int32,
    extremes: NDArray[np.float64],
) -> bool:
    """Widen `extremes` by the bits of a tile's floats; if not all is finite, leave them and return False.

    Parameters
    ----------
    lowest, high, sum_low, sum_high
        The lowest and highest bits, as int32, of the smallest and largest values and of the sums that are not 0.
    below
        The highest bits of those below 0, which are those of the lowest float.
    """
    # -inf and its NaNs are the highest integers of those below 0; a NaN sum can be on either side.
    if sum_low < _NONE or high >= _INFINITY_BITS or sum_high >= _INFINITY_BITS or below >= np.int32(-0x00800000):
        return False
    smallest = np.int32(lowest if lowest >= _NONE else below).view(np.float32)
    extremes[VALUE_MINIMUM] = smallest if smallest < extremes[VALUE_MINIMUM] else extremes[VALUE_MINIMUM]
    largest = np.int32(high).view(np.float32)
    extremes[VALUE_MAXIMUM] = largest if largest > extremes[VALUE_MAXIMUM] else extremes[VALUE_MAXIMUM]
    if sum_high > _NONE:
        least, most = np.int32(sum_low).view(np.float32), np.int32(sum_high).view(np.float32)
        extremes[SUM_MINIMUM] = least if least < extremes[SUM_MINIMUM] else extremes[SUM_MINIMUM]
        extremes[SUM_MAXIMUM] = most if most > extremes[SUM_MAXIMUM] else extremes[SUM_MAXIMUM]
    return True
