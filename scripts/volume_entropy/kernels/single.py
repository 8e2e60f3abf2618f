"""Numba kernels of samples with one member: entropy straight from the probabilities, read once.

Of few classes all of a voxel is in registers, in one loop over voxels: for 5 classes of 192³ voxels, 2.1 instead of
3.2 ns a voxel and thread, 1.2 being what it takes to read them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checks import (
    NONE_YET,
    NOTHING_YET,
    classify,
    count_states,
    counted,
    keep_extremes,
    state_of,
    widen_extremes,
    widened,
)
from .classes import accumulate, add_background, make_class_loop, with_background
from .compilation import inlined, kernel, named_for
from .entropy import INFINITY, STRIP, TILE, ZERO, Floats, Scratch, Settings, entropy_parts
from .outputs import Output, has_class, labels_at, value_of, weigh_domain, weighted_sum, widen_half, write_entropy

# LLVM unrolls loops up to a size: 10 classes still are, 12 are not, and then nothing is vectorised.
MOST_ROWS = 8


def single_kernel(n_rows: int) -> Callable[..., None]:
    """The kernel for one member of `n_rows` stored classes."""
    return make_single(n_rows if n_rows <= MOST_ROWS else None)


@lru_cache
def make_single(n_rows: int | None) -> Callable[..., None]:
    """A kernel for this number of stored classes, or for any."""
    fill, step = (fill_tile, TILE) if n_rows is None else (make_fill_strip(n_rows), STRIP)

    @kernel
    @named_for("any" if n_rows is None else n_rows)
    def measure_single(
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
        """Fill `output` for voxels `start` to `stop` of one member whose sums are within 1/32 of 1.

        What is None is left out when the kernel is compiled.

        Parameters
        ----------
        rows, halves
            (stored class, voxel) probabilities; or their float16 bits in `halves`, and `rows` has room for a strip.
        start, stop
            Multiples of TILE, but for the end.
        mask
            (voxel,) True in the domain.
        background
            Room for a strip of class 0, if that is max(0, 1 - Σp) and not stored.
        """
        first_label = 0 if background is None else 1
        for at in range(start, stop, step):
            n = min(step, stop - at)
            first = at
            if halves is not None:
                widen_half(halves, at, n, rows)
                first = 0
            weight = scratch.weight[:n]
            odd = fill(rows, first, at, n, settings, background, weight, scratch, output)
            output.odd[at // TILE : -(-(at + n) // TILE)] = odd
            if output.expected.size > 0:
                weigh_domain(weight, None if mask is None else mask[at : at + n])
                for c in range(rows.shape[0]):
                    output.expected[first_label + c] += weighted_sum(rows[c][first : first + n], weight)
                if background is not None:
                    output.expected[0] += weighted_sum(background[:n], weight)

    return measure_single


@inlined
def fill_tile(
    rows: Floats,
    first: int,
    at: int,
    n: int,
    settings: Settings,
    background: Floats | None,
    total: Floats,
    scratch: Scratch,
    output: Output,
) -> bool | np.bool_:
    """Write the entropy and the labels of a tile, and `total`: Σp, infinite where a voxel has no class.

    Say whether a voxel is invalid or a value not finite.
    """
    sums, label, state = scratch.sums, scratch.label, scratch.state
    accumulate(rows, first, n, 0 if background is None else 1, sums, label)
    finite = widen_extremes(n, sums, output.extremes)
    if background is not None:
        add_background(n, sums, label, background)
    n_invalid = classify(n, settings, sums, state, output.counts)
    write_entropy(n, settings, sums, label, state, output.entropy[at : at + n], labels_at(at, n, output), total)
    return n_invalid > 0 or not finite


def make_fill_strip(n_rows: int) -> Callable[..., Any]:
    """A `fill_tile` of a strip for this number of stored classes."""
    classes_at = make_class_loop(n_rows)

    @inlined
    @named_for(n_rows)
    def fill_strip(
        rows: Floats,
        first: int,
        at: int,
        n: int,
        settings: Settings,
        background: Floats | None,
        total: Floats,
        scratch: Scratch,
        output: Output,
    ) -> bool | np.bool_:
        entropy, segmentation = output.entropy[at : at + n], labels_at(at, n, output)
        n_empty, n_filled, n_renormalised = NONE_YET
        lowest, below, high, sum_low, sum_high = NOTHING_YET
        for v in range(n):
            # Unsigned, or numba asks at every access whether the index counts from the end.
            i = np.uintp(first + v)
            smallest, largest, rest, lost, plogp, label = classes_at(rows, i, background is not None, True)
            lowest, below, high, sum_low, sum_high = widened(
                smallest, largest, largest + rest, lowest, below, high, sum_low, sum_high
            )
            if background is not None:
                background[v], largest, rest, plogp, label = with_background(largest, rest, lost, plogp, label)
            bits = state_of(smallest, largest, largest + rest, settings)
            head, tail = entropy_parts(largest, rest, ZERO, plogp, ZERO)
            entropy[v] = value_of(head, tail, bits, settings)
            good = has_class(bits)
            segmentation[v] = label if good else settings.nothing
            total[v] = largest + rest if good else INFINITY
            n_empty, n_filled, n_renormalised = counted(bits, n_empty, n_filled, n_renormalised)
        finite = keep_extremes(lowest, below, high, sum_low, sum_high, output.extremes)
        n_invalid = count_states(n, n_empty, n_filled, n_renormalised, output.counts)
        return n_invalid > 0 or not finite

    return fill_strip
