"""Numba kernels of samples with one member and few classes: all of a voxel in registers, one loop over voxels.

LLVM unrolls the loop over classes, whose number it knows, and vectorises the one over voxels. Against the general
kernel, for 5 classes of 192³ voxels: 2.1 instead of 3.2 ns a voxel and thread, 1.2 being what it takes to read them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import LEAST, MOST, count_states, keep_extremes, state_of
from .compilation import fma, inlined, kernel
from .entropy import (
    EMPTY,
    FILLED,
    INFINITY,
    ONE,
    RENORMALISED,
    TILE,
    ZERO,
    Floats,
    Scratch,
    Settings,
    entropy_parts,
    log2,
)
from .outputs import VALUE_SCALE, Output, labels_at, value_of, weighted_sum, widen_half
from .single import measure_single

# LLVM unrolls loops up to a size: 10 classes still are, 12 are not, and then nothing is vectorised.
MOST_ROWS = 8
_NONE, _EMPTY, _FILLED = np.int32(0), np.int32(EMPTY), np.int32(FILLED)
_RENORMALISED = np.int32(FILLED | RENORMALISED)


def single_kernel(n_rows: int) -> Callable[..., None]:
    """The kernel for one member of `n_rows` stored classes; its parameters are those of `measure_single`."""
    return make_unrolled(n_rows) if n_rows <= MOST_ROWS else measure_single


def named_for(what: object) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a function a name of its own for what it was made for, such as a number of classes.

    The symbol of its machine code is made of its name and a number that counts within a process. Code for 3 and for 4
    classes that two processes have cached may so have one symbol, and a third that loads both runs one for the other.
    """

    def rename(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__qualname__ += f"_{what}"
        return function

    return rename


@inlined
def with_background(
    largest: np.float32, rest: np.float32, lost: np.float32, plogp: np.float32, label: np.int32
) -> tuple[np.float32, np.float32, np.float32, np.float32, np.int32]:
    """What is known of a voxel's stored classes, with class 0 before them: max(0, 1 - Σp), returned first."""
    gap = ONE - largest
    b = (gap - rest) + (((ONE - gap) - largest) - lost)
    b = ZERO if b < ZERO else b
    is_larger = b >= largest
    rest += largest if is_larger else b
    label = _NONE if is_larger else np.int32(label + np.int32(1))
    largest = b if is_larger else largest
    return b, largest, rest, fma(b, log2(b), plogp), label


@lru_cache
def make_unrolled(n_rows: int) -> Callable[..., None]:
    """A `measure_single` for this number of stored classes: too few for their sums to need compensation."""

    @inlined
    @named_for(n_rows)
    def fill(
        rows: Floats,
        first: int,
        at: int,
        n: int,
        settings: Settings,
        background: Floats | None,
        total: Floats,
        output: Output,
    ) -> bool | np.bool_:
        """Write a tile's entropy and labels, and `total`: Σp, infinite where a voxel has no probabilities."""
        entropy, segmentation = output.entropy[at : at + n], labels_at(at, n, output)
        n_empty, n_filled, n_renormalised = _NONE, _NONE, _NONE
        lowest, below, high, sum_low, sum_high = MOST, LEAST, _NONE, MOST, _NONE
        for v in range(n):
            # Unsigned, or numba asks at every access whether the index counts from the end.
            i = np.uintp(first + v)
            smallest, largest, rest, even, odd, label = INFINITY, ZERO, ZERO, ZERO, ZERO, _NONE
            lost = ZERO
            for c in range(n_rows):
                p = rows[c, i]
                smallest = p if p < smallest else smallest
                p = ZERO if p < ZERO else p
                added = largest if largest < p else p
                after = rest + added
                if background is not None:
                    # The background is a small difference, and its logarithm shows what the sum lost.
                    lost += added - (after - rest) if added < rest else rest - (after - added)
                rest = after
                label = np.int32(c) if p > largest else label
                largest = p if p > largest else largest
                if c % 2 == 0:
                    even = fma(p, log2(p), even)
                else:
                    odd = fma(p, log2(p), odd)
            plogp = even + odd
            bits = np.float32(smallest).view(np.int32)
            lowest, below = min(lowest, bits), max(below, bits if bits < _NONE else LEAST)
            high = max(high, np.float32(largest).view(np.int32))
            bits = np.float32(largest + rest).view(np.int32)
            sum_low, sum_high = min(sum_low, MOST if bits == _NONE else bits), max(sum_high, bits)
            if background is not None:
                background[v], largest, rest, plogp, label = with_background(largest, rest, lost, plogp, label)
            bits = state_of(smallest, largest, largest + rest, settings)
            head, tail = entropy_parts(largest, rest, ZERO, plogp, ZERO)
            entropy[v] = value_of(head, tail, bits, settings)
            filled = np.int32(bits & _FILLED) != _NONE
            segmentation[v] = label if filled else settings.nothing
            total[v] = largest + rest if filled else INFINITY
            n_empty = np.int32(n_empty + np.int32(bits == _EMPTY))
            n_filled = np.int32(n_filled + np.int32(bits == _FILLED))
            n_renormalised = np.int32(n_renormalised + np.int32(bits == _RENORMALISED))
        finite = keep_extremes(lowest, below, high, sum_low, sum_high, output.extremes)
        n_invalid = count_states(n, n_empty, n_filled, n_renormalised, output.counts)
        return n_invalid > 0 or not finite

    @kernel
    @named_for(n_rows)
    def measure_few(
        rows: Floats,
        halves: NDArray[np.uint16] | None,
        start: int,
        stop: int,
        settings: Settings,
        mask: NDArray[np.bool_] | None,
        background: Floats | None,
        scratch: Scratch,
        output: Output,
    ) -> None:
        first_label = 0 if background is None else 1
        for at in range(start, stop, TILE):
            n = min(TILE, stop - at)
            first = at
            if halves is not None:
                widen_half(halves, at, n, rows)
                first = 0
            weight = scratch.weight[:n]
            output.odd[at // TILE] = fill(rows, first, at, n, settings, background, weight, output)
            if output.expected.size > 0:
                for v in range(n):
                    weight[v] = VALUE_SCALE / weight[v]
                if mask is not None:
                    for v in range(n):
                        weight[v] = weight[v] if mask[at + v] else ZERO
                for c in range(n_rows):
                    output.expected[first_label + c] += weighted_sum(rows[c][first : first + n], weight)
                if background is not None:
                    output.expected[0] += weighted_sum(background[:n], weight)

    return measure_few
