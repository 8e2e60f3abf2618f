"""The owner of axes and types around `kernels.scores`: what one block's reference adds to the scores of its sample."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.class_score import score_classes
from ..kernels.entropy import TILE, VALUE_BITS, Labels
from ..kernels.scores import (
    COUNT,
    GRID,
    HITS,
    IGNORED,
    N_CONFIDENCES,
    N_ENTRIES,
    N_FILTERS,
    N_LEFT_OUT,
    N_OUTCOMES,
    N_STEPS,
    N_TOTALS,
    RIGHT,
    SUM,
    TRUE_NEGATIVE,
    TRUE_POSITIVE,
    UNLISTED,
    WRONG,
    Counts,
    Filters,
    Tally,
    score_region,
)
from ..kernels.sums import N_BINS
from ..labels import ignored_code, unlisted_code
from ..partials import merge_histograms

# Voxels whose float16 probabilities are widened at a time.
RUN = 64 * TILE
_ONE = 1 << VALUE_BITS


@dataclass(frozen=True)
class Reference:
    """A block's part of the reference.

    Attributes
    ----------
    codes
        (z, y, x), see `labels.ReferenceCodes`.
    classes
        By code, the classes or regions that a voxel belongs to.
    n_unlisted
        How many codes follow those: labels of no class that are told apart.
    """

    codes: Labels
    classes: Sequence[Sequence[int]]
    n_unlisted: int = 0


@dataclass
class ScoreSums:
    """What voxels add to the scores of one task: all classes against each other, or a region against the rest.

    Attributes
    ----------
    n_unlisted, n_ignored
        Domain voxels whose label belongs to no class, or is ignored; they are in nothing else.
    totals
        Σ -ln p̄ · 2³⁰ of the true class, Σ squares · 2³⁰, and voxels whose p̄ was raised to the floor.
    confidence
        (15, 3) by bin of the predicted class' probability: voxels, Σ p̄ · 2³⁰, right voxels.
    classwise
        (C, 15, 3) by bin of the class' probability: voxels, Σ p̄ · 2³⁰, voxels of the class.
    filters
        (C, 41, 4) by the first filter that keeps a voxel: true and false positives, false and true negatives.
    steps
        (20, 2) by the number of thresholds 0.05 … 0.95 that the normalised entropy exceeds: right, wrong voxels.
    bins, counts
        Histogram of the entropy, as in `partials.MeasureSums`; (bin, 2) right and wrong voxels.
    confusion
        (predicted class, code of the reference) domain voxels whose label is not ignored; codes are those of classes,
        then those of labels of no class, and the last is all other such labels. Of a region the predictions are: no
        region, this one, only others. Empty where classes or codes do not fit into a byte, and of a pooled cohort,
        whose samples may have other such labels.
    """

    n_unlisted: int
    n_ignored: int
    totals: list[int]
    confidence: Counts
    classwise: Counts
    filters: Counts
    steps: Counts
    bins: Counts
    counts: Counts = field(repr=False)
    confusion: Counts = field(default_factory=lambda: np.zeros((0, 0), np.int64), repr=False)

    def __add__(self, other: "ScoreSums") -> "ScoreSums":
        bins, counts = merge_histograms([(self.bins, self.counts), (other.bins, other.counts)])
        return ScoreSums(
            self.n_unlisted + other.n_unlisted,
            self.n_ignored + other.n_ignored,
            [a + b for a, b in zip(self.totals, other.totals, strict=True)],
            self.confidence + other.confidence,
            self.classwise + other.classwise,
            self.filters + other.filters,
            self.steps + other.steps,
            bins,
            counts,
            self.confusion + other.confusion,
        )


def class_scores(
    rows: NDArray[np.float32] | NDArray[np.float16],
    complement: bool,
    entropy: NDArray[np.float32],
    top: float,
    segmentation: Labels,
    mask: NDArray[np.bool_] | None,
    reference: Reference,
) -> ScoreSums:
    """Score one block of classes that exclude each other.

    Parameters
    ----------
    rows
        (stored class, voxel) probabilities averaged over the members, of any sum.
    complement
        Class 0 is max(0, 1 - Σp), and not stored.
    entropy, top
        (voxel,) predictive entropy, and its highest value.
    segmentation
        (voxel,) predicted class, the highest value of its type where there is none.
    mask
        (voxel,) or None.
    """
    tally = _tally(rows.shape[0] + complement)
    codes: Any = np.ascontiguousarray(reference.codes).reshape(-1)
    nothing, unlisted = int(np.iinfo(segmentation.dtype).max), unlisted_code(codes.dtype)
    confusion = _confusion(segmentation, mask, codes, rows.shape[0] + complement, reference)
    # The kernel knows one code of what belongs to no class.
    codes = np.where((codes >= len(reference.classes)) & (codes < unlisted), codes.dtype.type(unlisted), codes)
    # Of a single class the highest entropy is 0.
    top = top or 1.0
    run = entropy.size if rows.dtype == np.float32 else RUN
    for start in range(0, entropy.size, run):
        part = slice(start, start + run)
        score_classes(
            np.ascontiguousarray(rows[:, part], np.float32),
            complement,
            entropy[part].view(np.int32),
            top,
            segmentation[part],
            nothing,
            None if mask is None else mask[part],
            codes[part],
            unlisted,
            filters(),
            tally,
        )
    return _sums(tally, confusion)


def region_scores(
    mean: NDArray[np.float32],
    scale: float,
    segmentation: Labels,
    mask: NDArray[np.bool_] | None,
    reference: Reference,
) -> list[ScoreSums]:
    """Score one block of regions, each against what is not in it.

    Parameters
    ----------
    mean
        (2 · region, voxel): the means over the members of p, then of 1 - p.
    scale
        log 2 in the unit of the entropies.
    segmentation
        (region, voxel) of 0 and 1, the highest value of its type where there is none.
    mask
        (voxel,) or None.
    """
    codes: Any = np.ascontiguousarray(reference.codes).reshape(-1)
    domain = segmentation[0] != np.iinfo(segmentation.dtype).max
    if mask is not None:
        domain &= mask
    n_regions, out = mean.shape[0] // 2, []
    # 255 where there is nothing, as in every region.
    in_any = segmentation.max(axis=0)
    for region in range(n_regions):
        belongs = np.array([region in members for members in reference.classes], np.bool_)
        tally, unlisted = _tally(1), unlisted_code(codes.dtype)
        inside, outside = mean[region], mean[n_regions + region]
        score_region(inside, outside, scale, domain, codes, belongs, unlisted, filters(), tally)
        predicted = np.where((in_any == 1) & (segmentation[region] == 0), in_any.dtype.type(2), segmentation[region])
        out.append(_sums(tally, _confusion(predicted, mask, codes, 3, reference)))
    return out


def _confusion(
    predicted: Labels, mask: NDArray[np.bool_] | None, codes: Labels, n_rows: int, reference: Reference
) -> Counts:
    """Count the voxels of each prediction and code of the reference; see `ScoreSums`."""
    if predicted.dtype != np.uint8 or codes.dtype != np.uint8:
        return np.zeros((0, 0), np.int64)
    if mask is not None:
        predicted = np.where(mask, predicted, np.uint8(255))
    pairs = predicted.astype(np.uint16) << 8 | codes
    table = np.bincount(pairs, minlength=1 << 16).reshape(256, 256)[:n_rows, : ignored_code(codes.dtype)]
    n_told_apart = len(reference.classes) + reference.n_unlisted
    return np.hstack([table[:, :n_told_apart], table[:, n_told_apart:].sum(axis=1, keepdims=True)])


@cache
def filters() -> Filters:
    """The limits of min(p, 1 - p) at which the entropy of a coin is 0, 2.5, … 100 % of log 2."""
    limits = np.array([_coin_of(i / (N_FILTERS - 1)) for i in range(N_FILTERS)])
    first = np.searchsorted(limits, np.arange(GRID + 1) / (2 * GRID), side="left")
    return Filters(limits, first.astype(np.uint8))


def _coin_of(bits: float) -> float:
    """The p of [0, 0.5] whose coin has this entropy, by bisection to the last digit."""
    if bits in (0.0, 1.0):
        return bits / 2
    low, high = 0.0, 0.5
    while low < (middle := (low + high) / 2) < high:
        if -middle * math.log2(middle) - (1 - middle) * math.log2(1 - middle) < bits:
            low = middle
        else:
            high = middle
    return high


def _tally(n_classes: int) -> Tally:
    shapes = (
        (N_LEFT_OUT,), (n_classes,), (N_TOTALS,), (N_CONFIDENCES, N_ENTRIES), (n_classes, N_CONFIDENCES, N_ENTRIES),
        (n_classes, N_FILTERS, N_OUTCOMES), (N_STEPS, 2), (N_BINS, 2),
    )  # fmt: skip
    return Tally(*(np.zeros(shape, np.int64) for shape in shapes))


def _sums(tally: Tally, confusion: Counts) -> ScoreSums:
    spread_certain(tally)
    bins = np.flatnonzero(tally.histogram[:, RIGHT] | tally.histogram[:, WRONG])
    return ScoreSums(
        int(tally.left_out[UNLISTED]),
        int(tally.left_out[IGNORED]),
        [int(total) for total in tally.totals],
        tally.confidence,
        tally.classwise,
        tally.filters,
        tally.steps,
        bins,
        tally.histogram[bins],
        confusion,
    )


def spread_certain(tally: Tally) -> None:
    """Put the voxels that a kernel only counted where they belong.

    A certain voxel has probability 1 in its class and 0 in the others; and the arrays by class lack, of every class,
    the voxels where its probability is 0, as it should be.
    """
    n_certain = int(tally.certain.sum())
    tally.confidence[-1, [COUNT, HITS]] += n_certain
    tally.confidence[-1, SUM] += n_certain * _ONE
    tally.steps[0, RIGHT] += n_certain
    tally.histogram[0, RIGHT] += n_certain
    tally.classwise[:, -1, COUNT] += tally.certain
    tally.classwise[:, -1, HITS] += tally.certain
    tally.classwise[:, -1, SUM] += tally.certain * _ONE
    tally.filters[:, 0, TRUE_POSITIVE] += tally.certain
    n_scored = tally.confidence[:, COUNT].sum()
    tally.classwise[:, 0, COUNT] += n_scored - tally.classwise[:, :, COUNT].sum(axis=1)
    tally.filters[:, 0, TRUE_NEGATIVE] += n_scored - tally.filters.sum(axis=(1, 2))
