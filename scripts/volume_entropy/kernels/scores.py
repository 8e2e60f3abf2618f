"""Numba kernels that hold probabilities against a reference: one sweep over a block, into integers that add up exactly.

Voxels that are certain and right are only counted, class by class: they are most of a volume, and what they add to
every sum is known (see `scoring.blocks.spread_certain`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import inlined, kernel
from .entropy import VALUE_BITS, Floats, Labels, log2
from .sums import DROPPED_BITS

# Of [0, 1], each open below and closed above: calibration bins, and steps of normalised entropy.
N_CONFIDENCES, N_STEPS = 15, 20
# QU-BraTS filters at uncertainties 0, 2.5, … 100.
N_FILTERS = 41
# Entries of the last axis of `confidence` and `classwise`: voxels, Σ p · 2³⁰, voxels that are right (of the class).
N_ENTRIES = 3
COUNT, SUM, HITS = range(N_ENTRIES)
# Of the last axis of `histogram` and `steps`.
RIGHT, WRONG = range(2)
# Of the last axis of `filters`.
N_OUTCOMES = 4
TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_NEGATIVE = range(N_OUTCOMES)
# Of `totals`: Σ -ln p · 2³⁰, Σ squares · 2³⁰, voxels whose p was raised to the floor.
N_TOTALS = 3
CROSS_ENTROPY, SQUARES, FLOORED = range(N_TOTALS)
# Of `left_out`: the two codes of a reference that are no class, in their order.
N_LEFT_OUT = 2
UNLISTED, IGNORED = range(N_LEFT_OUT)

SMALLEST = float(np.finfo(np.float32).tiny)
# A value that is above the edge of a bin by less counts as on it, so that 0.6, the share of three members of five, is
# in the bin that ends at 0.6 however float32 rounds it.
SLACK = 2.0**-22
# The table that tells where the search for a filter begins has this many entries, and one more.
GRID = 4096
_ONE = 2.0**VALUE_BITS
_LN2, _LOG2_E = float(np.log(2.0)), float(np.log2(np.e))

Counts = NDArray[np.int64]


class Tally(NamedTuple):
    """What a block adds up to, of C classes; all entries start as 0.

    Attributes
    ----------
    left_out
        (2,) domain voxels that are not scored.
    certain
        (C,) voxels of entropy 0 that are right; they are in no other array.
    totals
        (3,) see above.
    confidence
        (15, 3) of all voxels, by the probability of the predicted class.
    classwise
        (C, 15, 3) by the probability of the class; voxels where that is 0 and that neither are of the class nor
        predicted as it are left out.
    filters
        (C, 41, 4) outcomes of class against rest, by the filter that still keeps the voxel; the same left out.
    steps
        (20, 2) by the number of thresholds 0.05, 0.10, … 0.95 that the normalised entropy exceeds.
    histogram
        (bin, 2) by the entropy's bin, see `kernels.sums`.
    """

    left_out: Counts
    certain: Counts
    totals: Counts
    confidence: Counts
    classwise: Counts
    filters: Counts
    steps: Counts
    histogram: Counts


class Filters(NamedTuple):
    """The filters of QU-BraTS as limits of min(p, 1 - p), which rises with the entropy.

    Attributes
    ----------
    limits
        (41,) from 0 to 0.5: a voxel is kept by filter i if its value is at most limits[i].
    first
        (GRID + 1,) by ⌊value · 2 · GRID⌋: the first filter that can keep it; it or the next one does.
    """

    limits: NDArray[np.float64]
    first: NDArray[np.uint8]


@inlined
def interval(value: float, n: int) -> np.int32:
    """The interval of n equal ones, each open below and closed above, that holds a value of [0, 1]; 0 in the first."""
    scaled = value * n - n * SLACK
    below = np.int32(scaled)
    index = np.int32(below if scaled > np.float64(below) else below - np.int32(1))
    index = index if index > np.int32(0) else np.int32(0)
    return index if index < np.int32(n - 1) else np.int32(n - 1)


@inlined
def filter_of(value: float, filters: Filters) -> int:
    """The first filter that keeps a voxel of which min(p, 1 - p) is `value`."""
    index = int(filters.first[int(value * (2 * GRID))])
    return index + int(value > filters.limits[index])


@inlined
def surprise(q: float) -> float:
    """-ln q of a q of at least `SMALLEST`, by a float32 logarithm and the slope at what float32 dropped of q."""
    rounded = np.float32(q)
    log = np.float64(log2(rounded)) + (q / np.float64(rounded) - 1.0) * _LOG2_E
    return max(-log * _LN2, 0.0)


@inlined
def fixed(value: float) -> int:
    """Round value · 2³⁰."""
    return int(value * _ONE + 0.5)


@inlined
def add_truth(q: float, squares: float, totals: Counts) -> None:
    """Add what the probability of the true class costs."""
    if q < SMALLEST:
        totals[FLOORED] += 1
        q = SMALLEST
    totals[CROSS_ENTROPY] += fixed(surprise(q))
    totals[SQUARES] += fixed(squares)


@inlined
def add_prediction(confidence: float, bits: int, top: float, right: bool, tally: Tally) -> None:
    """Add how sure the prediction was, and whether it was right."""
    row = tally.confidence[interval(confidence, N_CONFIDENCES)]
    row[COUNT] += 1
    row[SUM] += fixed(confidence)
    row[HITS] += int(right)
    outcome = RIGHT if right else WRONG
    entropy = np.float64(np.int32(bits).view(np.float32))
    tally.steps[interval(entropy / top, N_STEPS), outcome] += 1
    tally.histogram[(bits >> DROPPED_BITS) + 1 if bits > 0 else 0, outcome] += 1


@inlined
def add_class(c: int, q: float, uncertain: float, predicted: bool, true: bool, filters: Filters, tally: Tally) -> None:
    """Add class c against the rest; `uncertain` is min(q, 1 - q)."""
    row = tally.classwise[c, interval(q, N_CONFIDENCES)]
    row[COUNT] += 1
    row[SUM] += fixed(q)
    row[HITS] += int(true)
    if true:
        outcome = TRUE_POSITIVE if predicted else FALSE_NEGATIVE
    else:
        outcome = FALSE_POSITIVE if predicted else TRUE_NEGATIVE
    tally.filters[c, filter_of(uncertain, filters), outcome] += 1


@kernel
def score_region(
    inside: Floats,
    outside: Floats,
    scale: float,
    domain: NDArray[np.bool_],
    reference: Labels,
    belongs: NDArray[np.bool_],
    unlisted: int,
    filters: Filters,
    tally: Tally,
) -> None:
    """Add the voxels of one region against what is not in it.

    Parameters
    ----------
    inside, outside
        (voxel,) mean of p and of 1 - p.
    scale
        The entropy of a coin, in the unit asked for.
    domain
        (voxel,) True inside.
    reference, belongs
        (voxel,) codes of the reference, and whether a code belongs to the region; `unlisted` and what follows it are
        not scored.
    """
    for v in range(inside.size):
        if not domain[v]:
            continue
        code = int(reference[v])
        if code >= unlisted:
            tally.left_out[code - unlisted] += 1
            continue
        p, other = np.float64(inside[v]), np.float64(outside[v])
        true, predicted = belongs[code], inside[v] > np.float32(0.5)
        smaller = min(p, other)
        bits = 0
        if smaller > 0.0:
            entropy = smaller * surprise(max(smaller, SMALLEST)) + (1.0 - smaller) * surprise(1.0 - smaller)
            bits = int(np.float32(entropy * _LOG2_E * scale).view(np.int32))
        add_class(0, p, smaller, predicted, true, filters, tally)
        missing = other if true else p
        add_truth(p if true else other, missing * missing, tally.totals)
        add_prediction(p if predicted else other, bits, scale, true == predicted, tally)
