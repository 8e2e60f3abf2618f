"""From scores to probabilities, and from probabilities and the truth to cross-entropy, in memory: arrays in and out."""

from typing import Any, Literal

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import ArrayLike, NDArray

from .kernels.buffers import ROUNDING_SLACK, VALUE_TOLERANCE

# A probability of 0 would give infinity: the smallest normal float32 takes its place, 87.3 nat.
FLOOR = float(np.finfo(np.float32).tiny)


def softmax(scores: ArrayLike, axis: int = 0) -> NDArray[Any]:
    """Probabilities of scores (logits), exp(s_c) / Σ_c exp(s_c).

    Parameters
    ----------
    scores
        Real numbers of any shape; -inf is a class that cannot be.
    axis
        The classes.

    Returns
    -------
    numpy.ndarray
        Of the shape of `scores`; float32 stays float32, everything else becomes float64. NaN where a score is NaN or
        +inf, or all are -inf.

    Raises
    ------
    TypeError
        `scores` is not real.
    numpy.exceptions.AxisError
        `axis` is out of range.

    Examples
    --------
    >>> from volume_entropy import softmax
    >>> [f"{p:.2f}" for p in softmax([3, 1, -3])]
    ['0.88', '0.12', '0.00']
    """
    array = _real(scores, "scores")
    array = array if array.dtype == np.float32 else array.astype(np.float64)
    normalize_axis_index(axis, array.ndim)
    with np.errstate(invalid="ignore"):
        # Less the highest, so that nothing overflows.
        shares = np.exp(array - array.max(axis=axis, keepdims=True))
        result: NDArray[Any] = shares / shares.sum(axis=axis, keepdims=True)
    return result


def cross_entropy(
    p: ArrayLike,
    label: ArrayLike,
    axis: int = 0,
    kind: Literal["softmax", "regions"] = "softmax",
    *,
    sum_tolerance: float | None = 0.01,
) -> NDArray[np.float64]:
    """Cross-entropy of every voxel or image with its true class, -ln p[label]; always in nat. Its mean is the loss.

    Parameters
    ----------
    p
        Probabilities of any shape; of several members, their mean. Scores go through `softmax` first.
    label
        kind `softmax`: whole numbers from 0, of the shape of `p` without `axis`. kind `regions`: 0 or 1 (or booleans),
        of the shape of `p`.
    axis
        The classes (or regions).
    kind
        `softmax`: -ln p[label], after the sum over classes has been divided out. `regions`: independent sigmoids; the
        sum over regions of -ln p where the label is 1, and of -ln(1 - p) where it is 0.
    sum_tolerance
        How far a sum may be from 1, and a value below 0 or above 1, before its voxel is invalid. None: any positive
        sum is divided out.

    Returns
    -------
    numpy.ndarray
        float64 of the shape of `p` without `axis`: 0 … 87.3, for a probability below the smallest normal float32
        (1.2e-38) counts as that. NaN where the probabilities are invalid (as for `entropy`) or all 0.

    Raises
    ------
    TypeError
        `p` is not real, or `label` holds no whole numbers.
    ValueError
        `kind` is unknown, the shapes do not fit, or a label is no class.
    numpy.exceptions.AxisError
        `axis` is out of range.

    Examples
    --------
    What is likely and true costs little; what was thought unlikely and is true costs much.

    >>> from volume_entropy import cross_entropy
    >>> float(cross_entropy([0.6, 0.3, 0.1], 0).round(2)), float(cross_entropy([0.6, 0.3, 0.1], 2).round(2))
    (0.51, 2.3)

    Three coins that fell on 1, 1 and 0, and the probability of a 1 that was predicted for each:

    >>> float(cross_entropy([[0.8, 0.9, 0.3]], [[1, 1, 0]], kind="regions").mean().round(3))
    0.228
    """
    array = _real(p, "p").astype(np.float64)
    array = np.moveaxis(array, normalize_axis_index(axis, array.ndim), 0)
    truth = np.asarray(label)
    if truth.dtype.kind not in "iub":
        raise TypeError(f"label holds {truth.dtype}, not whole numbers")
    if kind == "softmax":
        return _of_classes(array, truth, sum_tolerance)
    if kind == "regions":
        return _of_regions(array, np.moveaxis(truth, axis, 0), sum_tolerance)
    raise ValueError(f"kind is {kind!r}, expected 'softmax' or 'regions'")


def _of_classes(p: NDArray[np.float64], label: NDArray[Any], sum_tolerance: float | None) -> NDArray[np.float64]:
    if label.shape != p.shape[1:]:
        raise ValueError(f"label has shape {label.shape}, expected {p.shape[1:]}: one class a prediction")
    _require(label, len(p))
    slack = _slack(sum_tolerance)
    shares = np.maximum(p, 0)
    total = shares.sum(axis=0)
    valid = np.isfinite(total) & (total > 0) & (p >= -slack).all(axis=0)
    if sum_tolerance is not None:
        valid &= (p <= 1 + slack).all(axis=0) & (abs(total - 1) <= slack)
    true = np.take_along_axis(shares, label.astype(np.intp)[None], axis=0)[0]
    return _loss(true / np.where(valid, total, 1), valid)


def _of_regions(p: NDArray[np.float64], label: NDArray[Any], sum_tolerance: float | None) -> NDArray[np.float64]:
    if label.shape != p.shape:
        raise ValueError(f"label has shape {label.shape}, expected {p.shape}: one mask a region")
    _require(label, 2)
    slack = _slack(sum_tolerance)
    valid = ((p >= -slack) & (p <= 1 + slack)).all(axis=0)
    losses: NDArray[np.float64] = _loss(np.where(label.astype(bool), p, 1 - p), valid).sum(axis=0)
    return losses


def _loss(true: NDArray[np.float64], valid: Any) -> NDArray[np.float64]:
    # Plus 0, since the logarithm of 1 would come out as -0.
    return np.where(valid, -np.log(np.clip(true, FLOOR, 1.0)) + 0.0, np.nan)


def _slack(sum_tolerance: float | None) -> float:
    return (VALUE_TOLERANCE if sum_tolerance is None else sum_tolerance) + ROUNDING_SLACK


def _require(label: NDArray[Any], n_classes: int) -> None:
    if label.size and not (label.min() >= 0 and label.max() < n_classes):
        wrong = sorted({int(value) for value in np.unique(label) if not 0 <= value < n_classes})
        raise ValueError(f"label holds {wrong[:5]}, expected 0 … {n_classes - 1}")


def _real(values: ArrayLike, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} holds {array.dtype}, not real numbers")
    return array
