"""Numba kernels of samples with several members and few classes: all of a voxel in registers, as in `kernels.unrolled`.

Against the general kernel, for 10 members of 4 classes and three maps: 0.8 instead of 1.2 ns a value and thread.

The loop over classes and the extremes stand here as they do there: as functions that both call they give the same
bytes, but from 4 classes on LLVM vectorises nothing of what is left, which takes 5 to 10 times as long.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .checks import LEAST, MOST, count_states, keep_extremes, state_of
from .compilation import fma, inlined
from .entropy import EMPTY, FILLED, INFINITY, ONE, RENORMALISED, ZERO, Floats, Scratch, Settings, log2, near_one_parts
from .members import Members
from .outputs import Output
from .unrolled import named_for, with_background

_NONE, _EMPTY, _FILLED = np.int32(0), np.int32(EMPTY), np.int32(FILLED)
_RENORMALISED = np.int32(FILLED | RENORMALISED)


@lru_cache
def make_add_tile(n_rows: int) -> Callable[..., Any]:
    """A `kernels.members.add_tile` for this number of stored classes and sums within 1/64 of 1."""

    @inlined
    @named_for(n_rows)
    def add_entropies(
        rows: Floats,
        first: int,
        n: int,
        at: int,
        started: bool,
        settings: Settings,
        background: Floats | None,
        scratch: Scratch,
        members: Members,
        output: Output,
    ) -> bool | np.bool_:
        """Add entropies and states; fill `label`, and `weight` with 1/Σp, 0 where a voxel has no probabilities."""
        entropy, entropy_lost = members.entropy[at : at + n], members.entropy_lost[at : at + n]
        state, labels, weight = members.state[at : at + n], scratch.label[:n], scratch.weight[:n]
        n_empty, n_filled, n_renormalised = _NONE, _NONE, _NONE
        lowest, below, high, sum_low, sum_high = MOST, LEAST, _NONE, MOST, _NONE
        for v in range(n):
            # Unsigned, or numba asks at every access whether the index counts from the end.
            i = np.uintp(first + v)
            smallest, largest, rest, lost, even, odd, label = INFINITY, ZERO, ZERO, ZERO, ZERO, ZERO, _NONE
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
            filled = np.int32(bits & _FILLED) != _NONE
            head, tail, inverse = near_one_parts(largest, rest, plogp)
            before = entropy[v] if started else ZERO
            added = head if filled else ZERO
            after = before + added
            lost = (added - (after - before)) + (tail if filled else ZERO)
            entropy_lost[v] = entropy_lost[v] + lost if started else lost
            entropy[v] = after
            weight[v] = inverse if filled else ZERO
            labels[v] = label
            state[v] = np.uint8(np.int32(np.int32(state[v]) | bits))
            n_empty = np.int32(n_empty + np.int32(bits == _EMPTY))
            n_filled = np.int32(n_filled + np.int32(bits == _FILLED))
            n_renormalised = np.int32(n_renormalised + np.int32(bits == _RENORMALISED))
        finite = keep_extremes(lowest, below, high, sum_low, sum_high, output.extremes)
        n_invalid = count_states(n, n_empty, n_filled, n_renormalised, output.counts)
        return n_invalid > 0 or not finite

    @inlined
    @named_for(n_rows)
    def move_means(
        rows: Floats, first: int, n: int, at: int, share: np.float32, background: Floats | None, weight: Floats,
        members: Members,
    ) -> None:  # fmt: skip
        """Move the means by row · weight, whose share is 1/m, and the spread; a share of 1 starts them."""
        spreads, means, started = members.spread[at : at + n], members.mean, share != ONE
        for v in range(n):
            i, k = np.uintp(first + v), np.uintp(at + v)
            spread, its_weight = spreads[v] if started else ZERO, weight[v]
            for c in range(n_rows):
                p = rows[c, i] * its_weight
                p = p if p > ZERO else ZERO
                row = c if background is None else c + 1
                mean = means[row, k] if started else ZERO
                off = p - mean
                moved = fma(off, share, mean)
                spread = fma(off, p - moved, spread)
                means[row, k] = moved
            if background is not None:
                p = background[v] * its_weight
                p = p if p > ZERO else ZERO
                mean = means[0, k] if started else ZERO
                off = p - mean
                moved = fma(off, share, mean)
                spread = fma(off, p - moved, spread)
                means[0, k] = moved
            spreads[v] = spread

    @inlined
    @named_for(n_rows)
    def add_tile(
        rows: Floats,
        first: int,
        n: int,
        at: int,
        member: int,
        settings: Settings,
        background: Floats | None,
        scratch: Scratch,
        members: Members,
        output: Output,
    ) -> Any:
        odd = add_entropies(rows, first, n, at, member > 0, settings, background, scratch, members, output)
        move_means(rows, first, n, at, ONE / np.float32(member + 1), background, scratch.weight, members)
        return odd

    return add_tile
