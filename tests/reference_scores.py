"""Slow, obvious twins of the scores against a reference: float64 numpy, voxel by voxel, no histogram.

Where sklearn has a score, tests use sklearn; here is the rest, and the same again for where sklearn refuses (one class,
no errors).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TINY = float(np.finfo(np.float32).tiny)
# What is above the edge of a bin by less lies on it.
SLACK = 2.0**-22

Array = NDArray[Any]


def entropy(q: Array) -> Array:
    """In bit, of (class, voxel)."""
    return -np.where(q > 0, q * np.log2(np.where(q > 0, q, 1)), 0).sum(axis=0)


def cross_entropy(q: Array, truth: Array) -> float:
    """Mean of -ln of the true class' probability."""
    return float(-np.log(np.maximum(q[truth, np.arange(truth.size)], TINY)).mean())


def brier(q: Array, truth: Array) -> float:
    """Mean of the squared distance to the one-hot truth."""
    return float(((q - (truth == np.arange(len(q))[:, None])) ** 2).sum(axis=0).mean())


def calibration(p: Array, hit: Array, n_bins: int = 15) -> tuple[float, float, float]:
    """Expected, average and maximum calibration error over (lo, hi]."""
    gaps, shares = [], []
    for index in range(n_bins):
        low, high = index / n_bins + SLACK, (index + 1) / n_bins + SLACK
        inside = (p <= high) & ((p > low) if index else True)
        if inside.any():
            gaps.append(abs(p[inside].mean() - hit[inside].mean()))
            shares.append(inside.mean())
    return float(np.dot(gaps, shares)), float(np.mean(gaps)), float(np.max(gaps))


def dice(one: Array, other: Array) -> float | None:
    """Overlap of two masks; None if both are empty."""
    both = one.sum() + other.sum()
    return float(2 * (one & other).sum() / both) if both else None


def risks(uncertainty: Array, wrong: Array) -> Array:
    """Expected share of errors among the k most certain voxels, k = 1 … N, ties in random order."""
    order = np.argsort(uncertainty, kind="stable")
    _, group = np.unique(uncertainty[order], return_inverse=True)
    errors = (np.bincount(group, wrong[order]) / np.bincount(group))[group]
    return np.cumsum(errors) / np.arange(1, errors.size + 1)


def aurc(uncertainty: Array, wrong: Array) -> float:
    """Mean of the risks."""
    return float(risks(uncertainty, wrong).mean())


def eaurc(uncertainty: Array, wrong: Array) -> float:
    """What the mean of the risks is above that of errors last."""
    return aurc(uncertainty, wrong) - aurc(wrong.astype(float), wrong)


def ue_dice(normalised: Array, wrong: Array) -> tuple[float, float]:
    """Best overlap of uncertain and wrong voxels, and its threshold."""
    scores = []
    for step in range(1, 20):
        flagged = normalised > step / 20 + SLACK
        scores.append((dice(flagged, wrong) or 0.0, step / 20))
    best = max(score for score, _ in scores)
    return next((score, step) for score, step in scores if score == best)


def qu_brats(q: Array, predicted: Array, true: Array) -> float:
    """Of one class against the rest: its probability, and the two masks."""
    u = 100 * entropy(np.stack([q, 1 - q]))
    positive, negative = predicted & true, ~predicted & ~true
    overlap, lost_positive, lost_negative = [], [], []
    thresholds = np.arange(0, 100.1, 2.5)
    for threshold in thresholds:
        kept = ~(u > threshold + 1e-12)
        score = dice(predicted & kept, true & kept)
        overlap.append(1.0 if score is None else score)
        for lost, outcome in ((lost_positive, positive), (lost_negative, negative)):
            lost.append((outcome & ~kept).sum() / outcome.sum() if outcome.any() else 0.0)
    areas = [np.trapezoid(values, thresholds) / 100 for values in (overlap, lost_positive, lost_negative)]
    return float((areas[0] + 1 - areas[1] + 1 - areas[2]) / 3)


def auroc(uncertainty: Array, wrong: Array) -> float:
    """Share of pairs in order, ties counted half; by ranks."""
    _, where, counts = np.unique(uncertainty, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[where]
    n_wrong, n_right = int(wrong.sum()), int((~wrong).sum())
    return float((ranks[wrong].sum() - n_wrong * (n_wrong + 1) / 2) / (n_wrong * n_right))


def of_classes(q: Array, truth: Array, predicted: Array | None = None) -> dict[str, Any]:
    """Every score of classes that exclude each other: q (class, voxel) sums to 1, truth (voxel,)."""
    predicted = q.argmax(axis=0) if predicted is None else predicted
    wrong, pe, voxels = predicted != truth, entropy(q), np.arange(truth.size)
    classwise = [calibration(row, truth == c) for c, row in enumerate(q)]
    names = ("expected_calibration_error", "average_calibration_error", "maximum_calibration_error")
    scores = {
        "n_scored_voxels": truth.size,
        "n_wrong_voxels": int(wrong.sum()),
        "cross_entropy": cross_entropy(q, truth),
        "n_floored_voxels": int((q[truth, voxels] < TINY).sum()),
        "brier": brier(q, truth),
        **dict(zip(names, calibration(q[predicted, voxels], ~wrong), strict=True)),
        **{
            f"classwise_{name}": float(np.mean(of))
            for name, of in zip(names, zip(*classwise, strict=True), strict=True)
        },
        "aurc": aurc(pe, wrong),
        "eaurc": eaurc(pe, wrong),
    }
    if wrong.any():
        scores["ue_dice"], scores["ue_threshold"] = ue_dice(pe / (np.log2(len(q)) or 1), wrong)
    if wrong.any() and not wrong.all():
        scores["error_auroc"] = auroc(pe, wrong)
    rows = [
        {
            "n_reference_voxels": int((truth == c).sum()),
            "dice": dice(predicted == c, truth == c),
            **{f"classwise_{name}": error for name, error in zip(names, classwise[c], strict=True)},
            "qu_brats": qu_brats(q[c], predicted == c, truth == c),
        }
        for c in range(len(q))
    ]
    return {**scores, "classes": rows}


def of_region(p: Array, true: Array) -> dict[str, Any]:
    """Every score of one region: p (voxel,) is the probability to be in it."""
    scores = of_classes(np.stack([1 - p, p]), true.astype(int), (p > 0.5).astype(int))
    scores["brier"] = float(((p - true) ** 2).mean())
    names = ("expected_calibration_error", "average_calibration_error", "maximum_calibration_error")
    scores |= {f"classwise_{name}": error for name, error in zip(names, calibration(p, true), strict=True)}
    scores["classes"] = scores["classes"][1:]
    return scores
