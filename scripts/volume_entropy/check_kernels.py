"""Numba kernels that say which voxels of a tile hold probabilities, and count those that do not."""

import numpy as np
from numpy.typing import NDArray

from .compilation import inlined
from .kernels import (
    ABOVE_ONE,
    BAD_SUM,
    EMPTY,
    FILLED,
    INVALID,
    LARGEST,
    N_ABOVE_ONE,
    N_BAD_SUM,
    N_EMPTY,
    N_INVALID,
    N_NEGATIVE,
    N_NOT_FINITE,
    N_RENORMALISED,
    NEGATIVE,
    NOT_FINITE,
    ONE,
    RENORMALISED,
    REST,
    SMALLEST,
    SUM_MAXIMUM,
    SUM_MINIMUM,
    VALUE_MAXIMUM,
    VALUE_MINIMUM,
    ZERO,
    Floats,
    Settings,
    States,
)

_INFINITY_BITS = np.int32(0x7F800000)
_MOST, _NONE = np.int32(0x7FFFFFFF), np.int32(0)


@inlined
def classify(n: int, settings: Settings, sums: Floats, state: States) -> int:
    """Fill the state of a tile's voxels, with BAD_SUM for every reason to be invalid; return the bits seen."""
    value_low, value_high = settings.value_low, settings.value_high
    sum_low, sum_high, renormalised = settings.sum_low, settings.sum_high, settings.renormalised
    seen = np.int32(0)
    for v in range(n):
        total = sums[LARGEST + v] + sums[REST + v]
        nothing = total == ZERO
        # NaN fails every comparison, so what is asked is whether the voxel is good.
        good = (sums[SMALLEST + v] >= value_low) & (sums[LARGEST + v] <= value_high)
        good = good & (((total >= sum_low) & (total <= sum_high)) | nothing)
        filled = np.int32(FILLED | RENORMALISED) if abs(total - ONE) > renormalised else np.int32(FILLED)
        bits = np.int32(EMPTY) if nothing else filled
        bits = bits if good else np.int32(BAD_SUM)
        state[v] = np.uint8(bits)
        seen = np.int32(seen | bits)
    return seen


@inlined
def give_reasons(rows: Floats, start: int, n: int, settings: Settings, sums: Floats, state: States) -> None:
    """Replace the BAD_SUM of `classify` by all the reasons; the sum is judged where every value is finite."""
    for v in range(n):
        if state[v] & BAD_SUM:
            reasons = 0
            for c in range(rows.shape[0]):
                x = rows[c, start + v]
                if not np.isfinite(x):
                    reasons |= NOT_FINITE
                elif x < settings.value_low:
                    reasons |= NEGATIVE
                elif x > settings.value_high:
                    reasons |= ABOVE_ONE
            total = sums[LARGEST + v] + sums[REST + v]
            if not reasons & NOT_FINITE and total != ZERO and not settings.sum_low <= total <= settings.sum_high:
                reasons |= BAD_SUM
            state[v] = np.uint8(reasons)


@inlined
def tally(state: States, counts: NDArray[np.int64]) -> None:
    """Add a tile's states to `counts`; a voxel counts once a reason."""
    n_empty, n_renormalised, n_invalid = np.int32(0), np.int32(0), np.int32(0)
    for v in range(state.size):
        invalid = (state[v] & np.uint8(INVALID)) != 0
        n_invalid = np.int32(n_invalid + np.int32(invalid))
        n_empty = np.int32(n_empty + np.int32(((state[v] & np.uint8(EMPTY)) != 0) & ~invalid))
        n_renormalised = np.int32(n_renormalised + np.int32(((state[v] & np.uint8(RENORMALISED)) != 0) & ~invalid))
    counts[N_INVALID] += n_invalid
    counts[N_EMPTY] += n_empty
    counts[N_RENORMALISED] += n_renormalised
    if n_invalid > 0:
        for v in range(state.size):
            counts[N_NOT_FINITE] += (state[v] & NOT_FINITE) != 0
            counts[N_NEGATIVE] += (state[v] & NEGATIVE) != 0
            counts[N_ABOVE_ONE] += (state[v] & ABOVE_ONE) != 0
            counts[N_BAD_SUM] += (state[v] & BAD_SUM) != 0


@inlined
def widen_extremes(rows: Floats, start: int, n: int, sums: Floats, extremes: NDArray[np.float64]) -> None:
    """Widen `extremes` by a tile: by its accumulators where all is finite and none negative, else value by value.

    Compared as integers, which order like the floats from 0 up: a reduction of floats to their minimum vectorises only
    with a promise that there is no NaN, and NaN is what must be found.
    """
    low, high, sum_low, sum_high = _MOST, _NONE, _MOST, _NONE
    for v in range(n):
        total = np.float32(sums[LARGEST + v] + sums[REST + v]).view(np.int32)
        low = min(low, np.float32(sums[SMALLEST + v]).view(np.int32))
        high = max(high, np.float32(sums[LARGEST + v]).view(np.int32))
        sum_low = min(sum_low, _MOST if total == _NONE else total)
        sum_high = max(sum_high, total)
    if low >= 0 and sum_low >= 0 and high < _INFINITY_BITS and sum_high < _INFINITY_BITS:
        extremes[VALUE_MINIMUM] = min(extremes[VALUE_MINIMUM], np.float64(np.int32(low).view(np.float32)))
        extremes[VALUE_MAXIMUM] = max(extremes[VALUE_MAXIMUM], np.float64(np.int32(high).view(np.float32)))
        if sum_high > 0:
            extremes[SUM_MINIMUM] = min(extremes[SUM_MINIMUM], np.float64(np.int32(sum_low).view(np.float32)))
            extremes[SUM_MAXIMUM] = max(extremes[SUM_MAXIMUM], np.float64(np.int32(sum_high).view(np.float32)))
    else:
        _widen_by_each(rows, start, n, sums, extremes)


@inlined
def _widen_by_each(rows: Floats, start: int, n: int, sums: Floats, extremes: NDArray[np.float64]) -> None:
    for v in range(n):
        for c in range(rows.shape[0]):
            x = np.float64(rows[c, start + v])
            if np.isfinite(x):
                extremes[VALUE_MINIMUM] = min(extremes[VALUE_MINIMUM], x)
                extremes[VALUE_MAXIMUM] = max(extremes[VALUE_MAXIMUM], x)
        total = np.float64(sums[LARGEST + v] + sums[REST + v])
        if np.isfinite(total) and total > 0:
            extremes[SUM_MINIMUM] = min(extremes[SUM_MINIMUM], total)
            extremes[SUM_MAXIMUM] = max(extremes[SUM_MAXIMUM], total)
