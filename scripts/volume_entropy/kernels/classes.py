"""What is known of a voxel's classes, one after the other: the steps that all kernels of classes are made of.

`one_more` meets a class; `left_over` is what the classes leave of 1, the complemented background, and `before_others`
meets it. Two loops are made of them: one that LLVM unrolls, for few classes, with all of a voxel in registers; and one
over tiles, for any number of classes, whose sums carry what their rounding lost.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .compilation import fma, inlined, named_for, pasted
from .entropy import (
    INFINITY,
    LARGEST,
    ONE,
    PLOGP,
    PLOGP_LOST,
    REST,
    REST_LOST,
    SMALLEST,
    ZERO,
    Floats,
    Integers,
    log2,
)

_NONE, _ONE = np.int32(0), np.int32(1)


@inlined
def at_least_0(p: np.float32) -> np.float32:
    """A value below 0, and -0, as 0; NaN stays."""
    return (ZERO if p < ZERO else p) + ZERO


@inlined
def one_more(
    p: np.float32, its_label: np.int32, smallest: np.float32, largest: np.float32, label: np.int32
) -> tuple[np.float32, np.float32, np.float32, np.int32, np.float32]:
    """A voxel with one class more, which wins if it has more than those before.

    The order of the operands is such that NaN survives in what is added.

    Returns
    -------
    The class's probability, at least 0; the smallest value, the largest and its label; what is to be added to the sum
    of all but the largest.
    """
    smallest = p if p < smallest else smallest
    p = ZERO if p < ZERO else p
    added = largest if largest < p else p
    label = its_label if p > largest else label
    largest = p if p > largest else largest
    return p, smallest, largest, label, added


@inlined
def left_over(gap: Any, rest: Any, more: Any) -> Any:
    """What classes leave of 1, at least 0.

    Parameters
    ----------
    gap, rest, more
        1 less some of the classes; the sum of the others; and what the rounding of both took from the difference.
    """
    b = (gap - rest) + more
    return ZERO if b < ZERO else b


@inlined
def background_of(largest: np.float32, rest: np.float32, lost: np.float32) -> np.float32:
    """The complemented background, max(0, 1 - Σp), with its digits also where it is a small difference."""
    gap = ONE - largest
    return np.float32(left_over(gap, rest, ((ONE - gap) - largest) - lost))


@inlined
def before_others(b: np.float32, largest: np.float32) -> tuple[bool | np.bool_, np.float32, np.float32]:
    """A voxel with class 0 met last: it wins where it has as much as the largest, since a tie goes to the lower class.

    Returns
    -------
    Whether it wins; the largest; what is to be added to the sum of all but the largest.
    """
    wins = b >= largest
    return wins, b if wins else largest, largest if wins else b


@lru_cache
def make_class_loop(n_rows: int) -> Callable[..., Any]:
    """The loop over a number of classes that is known when it is compiled, too few for all sums to need compensation.

    One for the kernels of single members, of members, and of their means: what they do differs before and after it.
    """

    @pasted
    @named_for(n_rows)
    def classes_at(
        rows: Floats, voxel: np.uintp, complement: bool, labelled: bool
    ) -> tuple[np.float32, np.float32, np.float32, np.float32, np.float32, np.int32]:
        """Smallest, largest, sum of the others and what it lost, Σ p log2 p, and label.

        `complement`: what the sum lost is asked for, which counts where the background is a small difference, whose
        logarithm shows it. `labelled`: so is the label.
        """
        smallest = rows[0, voxel]
        largest = at_least_0(smallest)
        rest, lost, even, odd, label = ZERO, ZERO, largest * log2(largest), ZERO, _NONE
        for c in range(1, n_rows):
            p, smallest, largest, winner, added = one_more(rows[c, voxel], np.int32(c), smallest, largest, label)
            if labelled:
                label = winner
            after = rest + added
            if complement:
                lost += added - (after - rest) if added < rest else rest - (after - added)
            rest = after
            if c % 2 == 0:
                even = fma(p, log2(p), even)
            else:
                odd = fma(p, log2(p), odd)
        return smallest, largest, rest, lost, even + odd, label

    return classes_at


@inlined
def with_background(
    largest: np.float32, rest: np.float32, lost: np.float32, plogp: np.float32, label: np.int32
) -> tuple[np.float32, np.float32, np.float32, np.float32, np.int32]:
    """What the class loop found, with class 0 before the classes; its probability first."""
    b = background_of(largest, rest, lost)
    wins, largest, added = before_others(b, largest)
    return b, largest, rest + added, fma(b, log2(b), plogp), _NONE if wins else np.int32(label + _ONE)


@inlined
def start(rows: Floats, first: int, n: int, first_label: int, sums: Floats, label: Integers) -> None:
    """Start the accumulators of a tile: with the first class where their number is odd, else with none."""
    if rows.shape[0] % 2 == 1:
        row = rows[0][first : first + n]
        for v in range(n):
            sums[SMALLEST + v] = row[v]
            p = at_least_0(row[v])
            sums[LARGEST + v] = p
            sums[PLOGP + v] = p * log2(p)
    else:
        for v in range(n):
            sums[SMALLEST + v] = INFINITY
            sums[LARGEST + v] = ZERO
            sums[PLOGP + v] = ZERO
    for v in range(n):
        sums[REST + v] = ZERO
        sums[REST_LOST + v] = ZERO
        sums[PLOGP_LOST + v] = ZERO
        label[v] = np.int32(first_label)


@inlined
def _add_to(sum_at: int, lost_at: int, v: int, added: np.float32, sums: Floats) -> None:
    """Add to an accumulator of voxel v, and to another what the rounding lost."""
    before = sums[sum_at + v]
    after = before + added
    sums[lost_at + v] += added - (after - before)
    sums[sum_at + v] = after


@inlined
def add_pair(row_a: Floats, row_b: Floats, label_a: int, sums: Floats, label: Integers) -> None:
    """Add two classes to the accumulators of a tile."""
    its_label_a, its_label_b = np.int32(label_a), np.int32(label_a + 1)
    for v in range(row_a.size):
        a, smallest, largest, winner, added_a = one_more(
            row_a[v], its_label_a, sums[SMALLEST + v], sums[LARGEST + v], label[v]
        )
        b, smallest, largest, winner, added_b = one_more(row_b[v], its_label_b, smallest, largest, winner)
        sums[SMALLEST + v], sums[LARGEST + v], label[v] = smallest, largest, winner
        _add_to(REST, REST_LOST, v, added_a + added_b, sums)
        _add_to(PLOGP, PLOGP_LOST, v, fma(a, log2(a), b * log2(b)), sums)


@inlined
def accumulate(rows: Floats, first: int, n: int, first_label: int, sums: Floats, label: Integers) -> None:
    """Fill the accumulators of a tile from `rows[:, first : first + n]`.

    Values below 0 count as 0, but show in SMALLEST. `label` gets the class of the largest value, the lowest at a tie.
    """
    start(rows, first, n, first_label, sums, label)
    for c in range(rows.shape[0] % 2, rows.shape[0], 2):
        add_pair(rows[c][first : first + n], rows[c + 1][first : first + n], first_label + c, sums, label)


@inlined
def add_background(n: int, sums: Floats, label: Integers, background: Floats) -> None:
    """Complete the accumulators of a tile with class 0, which `background` gets."""
    for v in range(n):
        b = background_of(sums[LARGEST + v], sums[REST + v], sums[REST_LOST + v])
        background[v] = b
        wins, largest, added = before_others(b, sums[LARGEST + v])
        sums[LARGEST + v] = largest
        label[v] = _NONE if wins else label[v]
        _add_to(REST, REST_LOST, v, added, sums)
        _add_to(PLOGP, PLOGP_LOST, v, b * log2(b), sums)
