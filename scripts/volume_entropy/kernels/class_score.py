"""The numba kernel that holds classes against a reference: batches of voxels, class by class, into integer tallies.

Voxels that are certain and right are only counted. The others are gathered into full batches, whose arithmetic is in
loops over voxels that LLVM vectorises; what is left for one voxel at a time are additions to the bins they fall into.
Against one loop over voxels that did it all: 32 instead of 67 ns a voxel of 4 classes, none of it certain.
"""

import numpy as np
from numpy.typing import NDArray

from .classes import left_over
from .compilation import inlined, kernel
from .entropy import VALUE_BITS, Floats, Labels
from .scores import (
    COUNT,
    CROSS_ENTROPY,
    FLOORED,
    GRID,
    HITS,
    N_CONFIDENCES,
    N_FILTERS,
    N_OUTCOMES,
    N_STEPS,
    RIGHT,
    SMALLEST,
    SQUARES,
    SUM,
    WRONG,
    Counts,
    Filters,
    Tally,
    fixed,
    interval,
    surprise,
)
from .sums import DROPPED_BITS

BATCH = 1024
_ONE = 2.0**VALUE_BITS
# What a class adds to a bin, in one word: Σ p · 2³⁰ in the lowest 41 bits, voxels in 11, hits above: a batch fits.
_COUNT_SHIFT, _HITS_SHIFT = VALUE_BITS + 11, VALUE_BITS + 22
_SUM_MASK, _COUNT_MASK = (1 << _COUNT_SHIFT) - 1, (1 << (_HITS_SHIFT - _COUNT_SHIFT)) - 1
_VOXEL, _HIT = np.int64(1 << _COUNT_SHIFT), np.int64(1 << _HITS_SHIFT)
# Where the rows of the scratch begin, of float64 and of int32. One array each, so that LLVM sees that rows do not
# overlap; 16 values between rows, or they would fall on the same sets of an 8-way L1.
_P, _TOTAL, _BACKGROUND, _SQUARES, _OF_TRUTH, _CONFIDENCE, _SMALLER = (row * (BATCH + 16) for row in range(7))
_LABEL, _TRUTH, _BIN, _CELL, _OUTCOME = (row * (BATCH + 16) for row in range(5))
_REALS, _INTEGERS = 7 * (BATCH + 16), 5 * (BATCH + 16)
# Voxels next to each other mostly fall into one bin. Each adds to its own of so many copies of the bins, or it would
# wait for what its neighbour stores.
LANES = 4
_LANE, _BINS, _ENTRIES = np.uintp(LANES - 1), np.uintp(16), np.uintp(N_FILTERS * N_OUTCOMES)

Reals = NDArray[np.float64]
Integers = NDArray[np.int32]


@kernel
def score_classes(
    rows: Floats,
    complement: bool,
    bits: Integers,
    top: float,
    segmentation: Labels,
    nothing: int,
    mask: NDArray[np.bool_] | None,
    reference: Labels,
    unlisted: int,
    filters: Filters,
    tally: Tally,
) -> None:
    """Add the voxels of classes that exclude each other.

    Parameters
    ----------
    rows
        (stored class, voxel) mean probabilities, of any sum; what is below 0 counts as 0.
    complement
        Class 0 is max(0, 1 - Σp), and not stored.
    bits
        (voxel,) the predictive entropy as the bits of a float32.
    top
        The highest entropy.
    segmentation, nothing
        (voxel,) predicted class; `nothing` outside the domain.
    mask
        (voxel,) True inside; None: everywhere.
    reference, unlisted
        (voxel,) true class; `unlisted` and what follows it are not scored.
    """
    n_stored, first = rows.shape[0], int(complement)
    where, words = np.empty(BATCH, np.int64), np.empty(BATCH, np.int64)
    reals, integers = np.empty(_REALS, np.float64), np.empty(_INTEGERS, np.int32)
    bins, outcomes = np.zeros(LANES * 16, np.int64), np.zeros(LANES * N_FILTERS * N_OUTCOMES, np.int32)
    at = 0
    while at < bits.size:
        at, n = select(at, bits, segmentation, nothing, mask, reference, unlisted, tally, where, integers)
        for v in range(n):
            reals[_TOTAL + v] = 0.0
        for c in range(n_stored):
            gather(rows[c], where[:n], reals)
            for v in range(n):
                reals[_TOTAL + v] += reals[_P + v]
        for v in range(n):
            background = left_over(1.0, reals[_TOTAL + v], 0.0) if complement else 0.0
            reals[_BACKGROUND + v] = background
            reals[_TOTAL + v] += background
            reals[_SQUARES + v], reals[_OF_TRUTH + v], reals[_CONFIDENCE + v] = 1.0, 0.0, 0.0
        for c in range(n_stored + first):
            if c < first:
                for v in range(n):
                    reals[_P + v] = reals[_BACKGROUND + v]
            else:
                gather(rows[c - first], where[:n], reals)
            if weigh_class(c, n, reals, integers, words):
                add_class(n, reals, integers, words, bins, filters, outcomes)
                empty_bins(bins, tally.classwise[c])
                empty_outcomes(outcomes, tally.filters[c])
        add_truths(n, reals, tally.totals)
        weigh_predictions(n, bits, where, top, reals, integers, words)
        for v in range(n):
            outcome = RIGHT if integers[_TRUTH + v] == integers[_LABEL + v] else WRONG
            lane = np.uintp(v) & _LANE
            bins[lane * _BINS + np.uintp(integers[_BIN + v])] += words[v]
            tally.steps[np.uintp(integers[_CELL + v]), outcome] += 1
            tally.histogram[np.uintp(integers[_OUTCOME + v]), outcome] += 1
        empty_bins(bins, tally.confidence)


@inlined
def select(
    at: int,
    bits: Integers,
    segmentation: Labels,
    nothing: int,
    mask: NDArray[np.bool_] | None,
    reference: Labels,
    unlisted: int,
    tally: Tally,
    where: NDArray[np.int64],
    integers: Integers,
) -> tuple[int, int]:
    """Fill a batch with the next voxels that are not certain and right; give where it ends, and how many they are."""
    n = 0
    while at < bits.size and n < BATCH:
        its_label, its_truth = int(segmentation[at]), int(reference[at])
        if its_label != nothing and (mask is None or mask[at]):
            if its_truth >= unlisted:
                tally.left_out[its_truth - unlisted] += 1
            elif bits[at] == 0 and its_truth == its_label:
                tally.certain[its_label] += 1
            else:
                where[n], integers[_LABEL + n], integers[_TRUTH + n] = at, its_label, its_truth
                n += 1
        at += 1
    return at, n


@inlined
def gather(row: Floats, where: NDArray[np.int64], reals: Reals) -> None:
    """Fill row P with the values of a class, as float64 of at least 0."""
    for v in range(where.size):
        value = np.float64(row[np.uintp(where[v])])
        reals[_P + v] = value if value > 0.0 else 0.0


@inlined
def weigh_class(c: int, n: int, reals: Reals, integers: Integers, words: NDArray[np.int64]) -> bool:
    """Fill what class `c` adds to its bins; say whether it concerns any voxel of the batch."""
    its_class, found = np.int32(c), np.int32(0)
    for v in range(n):
        q = reals[_P + v] / reals[_TOTAL + v]
        predicted, true = integers[_LABEL + v] == its_class, integers[_TRUTH + v] == its_class
        reals[_SQUARES + v] += q * q
        reals[_OF_TRUTH + v] = q if true else reals[_OF_TRUTH + v]
        reals[_CONFIDENCE + v] = q if predicted else reals[_CONFIDENCE + v]
        other = 1.0 - q
        # Of what is no number, too, a place in the table.
        other = other if other > 0.0 else 0.0
        smaller = q if q < other else other
        reals[_SMALLER + v] = smaller
        integers[_CELL + v] = np.int32(smaller * (2 * GRID))
        integers[_BIN + v] = interval(q, N_CONFIDENCES)
        words[v] = np.int64(np.int32(q * _ONE + 0.5)) + _VOXEL + (_HIT if true else np.int64(0))
        integers[_OUTCOME + v] = np.int32(np.int32(0 if true else 1) + np.int32(0 if predicted else 2))
        found |= np.int32((q > 0.0) | true | predicted)
    return bool(found != 0)


@inlined
def add_class(
    n: int,
    reals: Reals,
    integers: Integers,
    words: NDArray[np.int64],
    bins: NDArray[np.int64],
    filters: Filters,
    outcomes: Integers,
) -> None:
    """Add a class of a batch to the copies of its bins, and of the outcomes of its filters."""
    for v in range(n):
        lane = np.uintp(v) & _LANE
        bins[lane * _BINS + np.uintp(integers[_BIN + v])] += words[v]
        index = np.uintp(filters.first[np.uintp(integers[_CELL + v])])
        index += np.uintp(reals[_SMALLER + v] > filters.limits[index])
        outcomes[lane * _ENTRIES + index * np.uintp(N_OUTCOMES) + np.uintp(integers[_OUTCOME + v])] += np.int32(1)


@inlined
def empty_bins(bins: NDArray[np.int64], sums: Counts) -> None:
    """Move the copies of calibration bins to (bin, 3) sums."""
    for lane in range(LANES):
        for b in range(N_CONFIDENCES):
            word = bins[16 * lane + b]
            sums[b, COUNT] += (word >> _COUNT_SHIFT) & _COUNT_MASK
            sums[b, SUM] += word & _SUM_MASK
            sums[b, HITS] += word >> _HITS_SHIFT
            bins[16 * lane + b] = 0


@inlined
def empty_outcomes(outcomes: Integers, counts: Counts) -> None:
    """Move the copies of outcomes to (filter, 4) counts."""
    for lane in range(LANES):
        for f in range(N_FILTERS):
            for outcome in range(N_OUTCOMES):
                index = (lane * N_FILTERS + f) * N_OUTCOMES + outcome
                counts[f, outcome] += outcomes[index]
                outcomes[index] = 0


@inlined
def add_truths(n: int, reals: Reals, totals: Counts) -> None:
    """Add what the probabilities of the true classes cost."""
    n_floored, cross_entropy, squares = 0, 0, 0
    for v in range(n):
        q = reals[_OF_TRUTH + v]
        n_floored += int(q < SMALLEST)
        square = reals[_SQUARES + v] - 2.0 * q
        squares += fixed(square if square > 0.0 else 0.0)
        cross_entropy += fixed(surprise(SMALLEST if q < SMALLEST else q))
    totals[FLOORED] += n_floored
    totals[CROSS_ENTROPY] += cross_entropy
    totals[SQUARES] += squares


@inlined
def weigh_predictions(
    n: int,
    bits: Integers,
    where: NDArray[np.int64],
    top: float,
    reals: Reals,
    integers: Integers,
    words: NDArray[np.int64],
) -> None:
    """Fill what the predictions add: to calibration bins, to steps (row CELL) and to the histogram (row OUTCOME)."""
    for v in range(n):
        its_bits = np.int32(bits[np.uintp(where[v])])
        q = reals[_CONFIDENCE + v]
        right = integers[_TRUTH + v] == integers[_LABEL + v]
        words[v] = np.int64(np.int32(q * _ONE + 0.5)) + _VOXEL + (_HIT if right else np.int64(0))
        integers[_BIN + v] = interval(q, N_CONFIDENCES)
        integers[_CELL + v] = interval(np.float64(its_bits.view(np.float32)) / top, N_STEPS)
        above = np.int32((its_bits >> np.int32(DROPPED_BITS)) + np.int32(1))
        integers[_OUTCOME + v] = above if its_bits > np.int32(0) else np.int32(0)
