"""Numba kernels of samples with one member and few classes: all of a voxel in registers, one loop over voxels.

LLVM unrolls the loop over classes, whose number it knows, and vectorises the one over voxels. Against the general
kernel, for 5 classes of 192³ voxels: 2.1 instead of 3.2 ns a voxel and thread, 1.2 being what it takes to read them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import LEAST, MOST, count_states, keep_extremes, less_one, state_of
from .compilation import fma, inlined, kernel, pasted
from .entropy import (
    EMPTY,
    FILLED,
    INFINITY,
    ONE,
    RENORMALISED,
    STRIP,
    TILE,
    ZERO,
    Floats,
    Scratch,
    Settings,
    entropy_parts,
    log2,
)
from .outputs import Output, has_class, labels_at, value_of, weigh_domain, weighted_sum, widen_half
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


@pasted
def with_class(
    p: np.float32,
    its_label: np.int32,
    smallest: np.float32,
    largest: np.float32,
    rest: np.float32,
    lost: np.float32,
    label: np.int32,
    wants_lost: bool,
    wants_label: bool,
) -> tuple[np.float32, np.float32, np.float32, np.float32, np.float32, np.int32]:
    """What is known of a voxel, with one class more; and before it, the class's probability, at least 0.

    The order of the operands is such that NaN survives in the sum. `lost`, what the rounding of `rest` lost, counts
    where the background is a small difference: its logarithm shows it.
    """
    smallest = p if p < smallest else smallest
    p = ZERO if p < ZERO else p
    added = largest if largest < p else p
    after = rest + added
    if wants_lost:
        lost += added - (after - rest) if added < rest else rest - (after - added)
    if wants_label:
        label = its_label if p > largest else label
    largest = p if p > largest else largest
    return p, smallest, largest, after, lost, label


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
        """Write a strip's entropy and labels, and `total`: Σp, infinite where a voxel has no probabilities."""
        entropy, segmentation = output.entropy[at : at + n], labels_at(at, n, output)
        n_empty, n_filled, n_renormalised = _NONE, _NONE, _NONE
        lowest, below, high, sum_low, sum_high = MOST, LEAST, LEAST, MOST, LEAST
        for v in range(n):
            # Unsigned, or numba asks at every access whether the index counts from the end.
            i = np.uintp(first + v)
            smallest = rows[0, i]
            # Plus 0, so that -0 becomes 0, and NaN stays.
            largest = (ZERO if smallest < ZERO else smallest) + ZERO
            rest, lost, even, odd, label = ZERO, ZERO, largest * log2(largest), ZERO, _NONE
            for c in range(1, n_rows):
                p, smallest, largest, rest, lost, label = with_class(
                    rows[c, i], np.int32(c), smallest, largest, rest, lost, label, background is not None, True
                )
                if c % 2 == 0:
                    even = fma(p, log2(p), even)
                else:
                    odd = fma(p, log2(p), odd)
            plogp = even + odd
            number = np.float32(smallest).view(np.uint32)
            lowest, below = min(lowest, number), max(below, number)
            high = max(high, np.float32(largest).view(np.uint32))
            sum_low = min(sum_low, less_one(np.float32(largest + rest)))
            sum_high = max(sum_high, np.float32(largest + rest).view(np.uint32))
            if background is not None:
                background[v], largest, rest, plogp, label = with_background(largest, rest, lost, plogp, label)
            bits = state_of(smallest, largest, largest + rest, settings)
            head, tail = entropy_parts(largest, rest, ZERO, plogp, ZERO)
            entropy[v] = value_of(head, tail, bits, settings)
            good = has_class(bits)
            segmentation[v] = label if good else settings.nothing
            total[v] = largest + rest if good else INFINITY
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
        for at in range(start, stop, STRIP):
            n = min(STRIP, stop - at)
            first = at
            if halves is not None:
                widen_half(halves, at, n, rows)
                first = 0
            weight = scratch.weight[:n]
            odd = fill(rows, first, at, n, settings, background, weight, output)
            output.odd[at // TILE : -(-(at + n) // TILE)] = odd
            if output.expected.size > 0:
                weigh_domain(weight, None if mask is None else mask[at : at + n])
                for c in range(n_rows):
                    output.expected[first_label + c] += weighted_sum(rows[c][first : first + n], weight)
                if background is not None:
                    output.expected[0] += weighted_sum(background[:n], weight)

    return measure_few
