"""Counts of voxels → scores against a reference. Every sum is of integers; ratios are rounded once.

The conventions, and what equals them:

- cross_entropy: `sklearn.metrics.log_loss`, `torch.nn.functional.nll_loss` of the logarithm; p is floored at the
  smallest normal float32 (sklearn: at the epsilon of the type).
- brier: over all classes, 0 … 2 (Brier 1950; `sklearn.metrics.brier_score_loss` with `scale_by_half=False`); of a
  region the square of one probability, 0 … 1 (the same with `scale_by_half=True`).
- calibration errors: 15 bins (lo, hi], 0 in the first, as in Guo et al. 2017; the class-wise ones are those of MONAI
  (1.6, whose documentation says [lo, hi)), the others torchmetrics' `norm="l1"` and `"max"` (1.9) but
  for its values on an edge, which it counts upwards.
- error_auroc, error_auprc: `sklearn.metrics.roc_auc_score`, `average_precision_score` (no interpolation) of the wrong
  voxels, by predictive entropy.
- aurc: Geifman and El-Yaniv 2017; voxels of the same entropy in random order, expected value. Packages that sort have
  one such order.
- ue_dice: Jungo and Reyes 2019; qu_brats: Mehta et al. 2022, whose code has the same filters.

Where something is absent (None is an empty cell, and does not count in a mean):

- no voxel is scored (an empty mask, or all labels ignored): counts are 0, every score is None.
- no voxel is wrong: error_auroc, error_auprc, ue_dice and ue_threshold are None; aurc and eaurc are 0.
- every voxel is wrong: error_auroc is None, error_auprc and aurc are 1, eaurc is 0.
- a class is absent in the reference or in the prediction: its dice is 0; in both: None. Its calibration counts in the
  class-wise means either way, and its qu_brats too, with a Dice of 1 where a filter leaves none of it.
- the true class has p = 0: it costs -ln of the floor, 87.34 nat, and is counted as floored.
- one voxel is a volume like any other.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.entropy import VALUE_BITS
from ..kernels.scores import (
    COUNT,
    CROSS_ENTROPY,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    FLOORED,
    HITS,
    N_FILTERS,
    N_STEPS,
    RIGHT,
    SQUARES,
    SUM,
    TRUE_NEGATIVE,
    TRUE_POSITIVE,
    WRONG,
)
from .blocks import ScoreSums

Score = float | int | None
_ONE = 1 << VALUE_BITS
# From here on the harmonic number is its asymptotic series, exact to the last digit of a float.
_SERIES_FROM = 64

# Voxels, which are added up over regions; all other scores are averaged.
COUNTS = ("n_wrong_voxels", "n_floored_voxels")
# The same in every region.
SHARED = ("n_scored_voxels", "n_unlisted_voxels", "n_ignored_voxels")
CALIBRATION = ("expected_calibration_error", "average_calibration_error", "maximum_calibration_error")


def scores_of(tasks: Sequence[ScoreSums], kind: str) -> tuple[dict[str, Score], list[dict[str, Score]]]:
    """Compute the scores of a sample, or of a pooled cohort, and those of each of its classes or regions.

    A region is scored for itself; the scores of the whole are their means over the regions, and its counts their sums.
    """
    if kind != "regions":
        return task_scores(tasks[0]), class_rows(tasks[0])
    of_regions = [task_scores(task) for task in tasks]
    whole: dict[str, Score] = {}
    for name in of_regions[0]:
        values = [scores[name] for scores in of_regions]
        if name in SHARED:
            whole[name] = values[0]
        else:
            whole[name] = sum(int(value or 0) for value in values) if name in COUNTS else mean_of(values)
    own = [{key: value for key, value in scores.items() if key not in SHARED} for scores in of_regions]
    return whole, [{**class_rows(task)[0], **scores} for task, scores in zip(tasks, own, strict=True)]


def task_scores(sums: ScoreSums) -> dict[str, Score]:
    """Compute the scores of one task, in the order of their columns; None where a score does not exist."""
    n = n_scored(sums)
    right, wrong = (int(sums.confidence[:, HITS].sum()), n - int(sums.confidence[:, HITS].sum()))
    ascending = _with_errors(sums.counts)
    risk = _areas_of_risk(ascending)
    ue_dice, ue_threshold = _error_dice(sums.steps)
    by_class = [calibration_errors(bins) for bins in sums.classwise]
    return {
        "n_scored_voxels": n,
        "n_unlisted_voxels": sums.n_unlisted,
        "n_ignored_voxels": sums.n_ignored,
        "n_wrong_voxels": wrong,
        "cross_entropy": _ratio(sums.totals[CROSS_ENTROPY], n * _ONE),
        "n_floored_voxels": sums.totals[FLOORED],
        "brier": _ratio(sums.totals[SQUARES], n * _ONE),
        **dict(zip(CALIBRATION, calibration_errors(sums.confidence), strict=True)),
        **{
            f"classwise_{name}": mean_of(column)
            for name, column in zip(CALIBRATION, zip(*by_class, strict=True), strict=True)
        },
        "error_auroc": auroc(ascending, right, wrong),
        "error_auprc": _average_precision(ascending, wrong),
        "aurc": risk[0],
        "eaurc": risk[1],
        "ue_dice": ue_dice,
        "ue_threshold": ue_threshold,
    }


def _with_errors(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The groups of voxels of the same entropy, those in a row that have no errors as one: no rank changes by that.

    Most of the bins of a large volume hold a few right voxels each.
    """
    if not len(counts):
        return []
    has_errors = counts[:, WRONG] > 0
    begins = np.flatnonzero(has_errors | np.concatenate([[True], has_errors[:-1]]))
    return [(right, wrong) for right, wrong in np.add.reduceat(counts, begins, axis=0).tolist()]


def class_rows(sums: ScoreSums) -> list[dict[str, Score]]:
    """Compute what is said of each class against the rest."""
    rows = []
    for bins, filters in zip(sums.classwise, sums.filters, strict=True):
        outcomes = [int(count) for count in filters.sum(axis=0)]
        true_positive, n_predicted, n_true = (
            outcomes[TRUE_POSITIVE],
            outcomes[TRUE_POSITIVE] + outcomes[FALSE_POSITIVE],
            outcomes[TRUE_POSITIVE] + outcomes[FALSE_NEGATIVE],
        )
        rows.append(
            {
                "n_reference_voxels": n_true,
                "dice": _ratio(2 * true_positive, n_predicted + n_true),
                **{
                    f"classwise_{name}": error
                    for name, error in zip(CALIBRATION, calibration_errors(bins), strict=True)
                },
                "qu_brats": qu_brats(filters),
            }
        )
    return rows


def n_scored(sums: ScoreSums) -> int:
    """Voxels that are scored."""
    return int(sums.confidence[:, COUNT].sum())


def calibration_errors(bins: Any) -> tuple[Score, Score, Score]:
    """Expected, average and maximum calibration error of (bin, 3) voxels, Σ p · 2³⁰ and hits."""
    gaps = [(abs(int(row[SUM]) - int(row[HITS]) * _ONE), int(row[COUNT])) for row in bins if row[COUNT]]
    if not gaps:
        return None, None, None
    n = sum(count for _, count in gaps)
    errors = [Fraction(gap, count * _ONE) for gap, count in gaps]
    return sum(gap for gap, _ in gaps) / (n * _ONE), float(sum(errors) / len(errors)), float(max(errors))


def mean_of(values: Sequence[Score]) -> float | None:
    """Average what exists, rounded once; None if nothing does."""
    found = [value for value in values if value is not None]
    return math.fsum(found) / len(found) if found else None


def harmonic_difference(first: int, last: int) -> float:
    """Sum 1/k over first < k ≤ last."""
    direct = min(last, max(first, _SERIES_FROM))
    total = math.fsum(1 / k for k in range(first + 1, direct + 1))
    if last == direct:
        return total

    def rest(k: int) -> float:
        return 1 / (2 * k) - 1 / (12 * k**2) + 1 / (120 * k**4)

    return total + math.log1p((last - direct) / direct) + (rest(last) - rest(direct))


def risk_coverage(ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Voxels and errors among the most certain ones, (group, 2), of groups of right and wrong ones (group, 2)."""
    return np.stack([ascending.sum(axis=1), ascending[:, WRONG]], axis=1).cumsum(axis=0)


def qu_brats(filters: Any) -> Score:
    """Score a class by what filtering its uncertain voxels does (Mehta et al. 2022), from (41, 4) outcomes.

    The published code computes the same from integer uncertainties 0 … 100.
    """
    kept = [[int(count) for count in row] for row in np.cumsum(filters, axis=0)]
    last = kept[-1]
    if sum(last) == 0:
        return None

    def lost(outcome: int) -> float:
        n = last[outcome]
        return _trapezoid([(n - row[outcome]) / n if n else 0.0 for row in kept])

    both = [2 * row[TRUE_POSITIVE] + row[FALSE_POSITIVE] + row[FALSE_NEGATIVE] for row in kept]
    dice = [2 * row[TRUE_POSITIVE] / n if n else 1.0 for row, n in zip(kept, both, strict=True)]
    return (_trapezoid(dice) + 1 - lost(TRUE_POSITIVE) + 1 - lost(TRUE_NEGATIVE)) / 3


def _trapezoid(values: Sequence[float]) -> float:
    """Area below equally spaced values over [0, 1]."""
    return math.fsum([values[0] / 2, *values[1:-1], values[-1] / 2]) / (N_FILTERS - 1)


def auroc(ascending: Sequence[tuple[int, int]], right: int, wrong: int) -> Score:
    """Share of pairs of a wrong and a right voxel, or image, in which the wrong one is the less certain.

    Parameters
    ----------
    ascending
        How many right and wrong ones have each uncertainty, from the lowest; equal ones count half.
    right, wrong
        How many there are; without either the share does not exist.
    """
    below, pairs = 0, 0
    for n_right, n_wrong in ascending:
        pairs += n_wrong * (2 * below + n_right)
        below += n_right
    return _ratio(pairs, 2 * right * wrong)


def _average_precision(ascending: Sequence[tuple[int, int]], wrong: int) -> Score:
    if wrong == 0:
        return None
    found, voxels, terms = 0, 0, []
    for n_right, n_wrong in reversed(ascending):
        found, voxels = found + n_wrong, voxels + n_right + n_wrong
        if n_wrong:
            terms.append(n_wrong * found / voxels)
    return math.fsum(terms) / wrong


def _areas_of_risk(ascending: Sequence[tuple[int, int]]) -> tuple[Score, Score]:
    """Mean risk over all coverages, and what it is above that of the best order.

    Of g voxels of the same entropy, w of them wrong, the j-th is wrong with probability w/g; after k voxels with e
    errors the risks so add up to w + (e - k w/g) (H(k + g) - H(k)), H being the harmonic numbers.
    """
    voxels, errors, terms = 0, 0, []
    for right, wrong in ascending:
        size = right + wrong
        if size == 0:
            continue
        terms += [wrong, (errors * size - voxels * wrong) / size * harmonic_difference(voxels, voxels + size)]
        voxels, errors = voxels + size, errors + wrong
    if voxels == 0:
        return None, None
    area = math.fsum(terms) / voxels
    right = voxels - errors
    best = (errors - right * harmonic_difference(right, voxels)) / voxels
    return area, max(area - best, 0.0)


def _error_dice(steps: Any) -> tuple[Score, Score]:
    """Find the highest Dice of (normalised entropy > τ) with the wrong voxels, and the lowest τ that gives it."""
    wrong = int(steps[:, WRONG].sum())
    if wrong == 0:
        return None, None
    scores = []
    for step in range(1, N_STEPS):
        found, false = int(steps[step:, WRONG].sum()), int(steps[step:, RIGHT].sum())
        scores.append(Fraction(2 * found, found + false + wrong))
    best = max(scores)
    return float(best), (scores.index(best) + 1) / N_STEPS


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None
