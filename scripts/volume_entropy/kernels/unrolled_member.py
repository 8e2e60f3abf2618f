"""Numba kernels of samples with several members and few classes: all of a voxel in registers.

Against the general kernel, for 10 members of 4 classes and three maps: 0.55 instead of 1.0 ns a value and thread. A
member is one loop: two, for its entropy and for the means, loaded and checked everything twice and took 0.8 ns.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .checks import NOTHING_YET, keep_extremes, state_of, widened
from .classes import make_class_loop, with_background
from .compilation import inlined, named_for
from .entropy import (
    FILLED,
    INFINITY,
    ONE,
    UNEXPLAINED,
    ZERO,
    Floats,
    Integers,
    Scratch,
    Settings,
    near_one_parts,
)
from .members import Members, Split, moved_by, shares_of, split_voxel, state_of_all
from .outputs import Output, has_class, labels_at, value_of

_NONE, _FILLED, _UNEXPLAINED = np.int32(0), np.int32(FILLED), np.int32(UNEXPLAINED)


@lru_cache
def make_add_strip(n_rows: int) -> Callable[..., Any]:
    """A `kernels.members.add_tile` for this number of stored classes and sums within 1/32 of 1."""
    classes_at = make_class_loop(n_rows)

    @inlined
    @named_for(n_rows)
    def add_strip(
        rows: Floats,
        first: int,
        n: int,
        at: int,
        member: int,
        settings: Settings,
        background: Floats | None,
        label: Integers | None,
        scratch: Scratch,
        members: Members,
        output: Output,
    ) -> bool | np.bool_:
        means, spreads, states = members.mean, members.spread[at : at + n], members.state[at : at + n]
        entropy, entropy_lost = members.entropy[at : at + n], members.entropy_lost[at : at + n]
        if member == 0:
            spreads[:] = ZERO
            entropy[:] = ZERO
            entropy_lost[:] = ZERO
            for row in range(means.shape[0]):
                means[row][at : at + n] = ZERO
        any_state, share = _NONE, ONE / np.float32(member + 1)
        lowest, below, high, sum_low, sum_high = NOTHING_YET
        for v in range(n):
            # Unsigned, or numba asks at every access whether the index counts from the end.
            i, k = np.uintp(first + v), np.uintp(at + v)
            smallest, largest, rest, lost, plogp, its_label = classes_at(
                rows, i, background is not None, label is not None
            )
            lowest, below, high, sum_low, sum_high = widened(
                smallest, largest, largest + rest, lowest, below, high, sum_low, sum_high
            )
            if background is not None:
                background[v], largest, rest, plogp, its_label = with_background(largest, rest, lost, plogp, its_label)
            if label is not None:
                label[v] = its_label
            bits = state_of(smallest, largest, largest + rest, settings)
            states[v] = np.uint8(np.int32(np.int32(states[v]) | bits))
            any_state = np.int32(any_state | bits)
            filled = np.int32(bits & _FILLED) != _NONE
            head, tail, inverse = near_one_parts(largest, rest, plogp)
            added = head if filled else ZERO
            before = entropy[v]
            after = before + added
            entropy_lost[v] += (added - (after - before)) + (tail if filled else ZERO)
            entropy[v] = after
            spread, weight = spreads[v], inverse if filled else ZERO
            for row in range(n_rows if background is None else n_rows + 1):
                # Not one expression: numba leaves out a branch that compares with None, not a part of an expression.
                if background is None:  # noqa: SIM108
                    p = rows[row, i]
                else:
                    p = background[v] if row == 0 else rows[row - 1, i]
                means[row, k], spread = moved_by(p, weight, share, means[row, k], spread)
            spreads[v] = spread
        finite = keep_extremes(lowest, below, high, sum_low, sum_high, output.extremes)
        return np.int32(any_state & _UNEXPLAINED) != _NONE or not finite

    return add_strip


@lru_cache
def make_finish_strip(n_classes: int) -> Callable[..., Any]:
    """A `kernels.members.finish_tile` for this number of classes."""
    classes_at = make_class_loop(n_classes)

    @inlined
    @named_for(n_classes)
    def finish_strip(
        first: int,
        n: int,
        at: int,
        n_members: int,
        settings: Settings,
        scratch: Scratch,
        members: Members,
        output: Output,
        split: Split | None,
    ) -> None:
        means, state, total = members.mean, members.state[first : first + n], scratch.weight[:n]
        entropy, segmentation = output.entropy[at : at + n], labels_at(at, n, output)
        share, share_lost = shares_of(n_members)
        if split is not None:
            expected, information = split.expected_entropy[at : at + n], split.mutual_information[at : at + n]
        for v in range(n):
            k = np.uintp(first + v)
            _, largest, rest, _, plogp, label = classes_at(means, k, False, True)
            head, tail, _ = near_one_parts(largest, rest, plogp)
            bits = state_of_all(np.int32(state[v]))
            state[v] = np.uint8(bits)
            good = has_class(bits)
            segmentation[v] = label if good else settings.nothing
            total[v] = largest + rest if good else INFINITY
            whole = value_of(head, tail, bits, settings)
            entropy[v] = whole
            if split is not None:
                expected[v], information[v], _ = split_voxel(
                    head, tail, whole, members.spread[k], members.entropy[k], members.entropy_lost[k], bits,
                    share, share_lost, settings.scale,
                )  # fmt: skip
        if split is not None and split.variance.size > 0:
            for v in range(n):
                # Plus 0, or NaN where the voxel is invalid.
                split.variance[at + v] = members.spread[first + v] * share + entropy[v] * ZERO

    return finish_strip
