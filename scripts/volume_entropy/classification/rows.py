"""Predictions of images → the rows of `images.csv`, of `image_scores.csv`, and of the passes of one image."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Rejection
from .predictions import UNKNOWN, Predictions, merged
from .table import find_invalid

Row = dict[str, Any]
_SPLIT = ("predictive_entropy", "expected_entropy", "mutual_information")


@dataclass(frozen=True)
class Measured:
    """The rows of one method: its usable images in the order in which they came, its score, and what was rejected."""

    images: list[Row]
    score: Row
    rejected: tuple[tuple[str, Rejection], ...]


def measure_images(method: str, predictions: Predictions, *, unit: str, sum_tolerance: float | None) -> Measured:
    """Measure what one method says of each image.

    Parameters
    ----------
    method
        Name, for the rows.
    predictions
        As they were read; images whose values are no probabilities are rejected here.
    unit
        bit or nat, of the entropies; cross-entropy is always in nat.
    sum_tolerance
        As in `volume_entropy.entropy`.
    """
    faults = [*predictions.rejected, *_known_faults(predictions, sum_tolerance)]
    rejected = merged(predictions.images, faults)
    names = {name for name, _ in rejected}
    kept = np.array([i for i, name in enumerate(predictions.images) if name not in names], np.intp)
    p, labels = predictions.probabilities[:, kept], predictions.labels[kept]
    if not len(kept):
        return Measured(
            [], {"method": method, "n_members": len(p), "n_images": 0, "n_labelled": 0, "n_wrong": 0}, rejected
        )
    usable = _Usable(method, p, labels, unit, sum_tolerance)
    images = usable.rows([predictions.images[i] for i in kept], predictions.classes)
    return Measured(images, usable.score(images), rejected)


def _known_faults(predictions: Predictions, sum_tolerance: float | None) -> list[tuple[str, Rejection]]:
    already = {name for name, _ in predictions.rejected}
    return [(name, fault) for name, fault in find_invalid(predictions, sum_tolerance) if name not in already]


class _Usable:
    """Images whose probabilities (member, image, class) hold."""

    def __init__(
        self, method: str, p: NDArray[Any], labels: NDArray[np.int64], unit: str, sum_tolerance: float | None
    ) -> None:
        from ..api import uncertainty

        self.method, self.labels, self.tolerance = method, labels, sum_tolerance
        # As the kernels do: below 0 by rounding is 0, and the sum is divided out member by member.
        shares = np.maximum(p.astype(np.float64), 0)
        self.shares = shares / shares.sum(axis=2, keepdims=True)
        self.mean = self.shares.mean(axis=0)
        self.several = len(p) > 1
        tolerance: Any = {"sum_tolerance": sum_tolerance}
        maps = uncertainty(p, 0, 2, unit=unit, measures=_SPLIT, **tolerance)  # type: ignore[arg-type]
        self.maps = {name: maps[name] for name in (_SPLIT if self.several else _SPLIT[:1])}

    def rows(self, names: Sequence[str], classes: Sequence[str]) -> list[Row]:
        """One row an image."""
        ranks = _ranks(self.maps["predictive_entropy"], names)
        losses = losses_of(self.mean, self.labels)
        rows = []
        for index, name in enumerate(names):
            best, label = int(self.mean[index].argmax()), int(self.labels[index])
            known = label != UNKNOWN
            rows.append(
                {
                    "method": self.method,
                    "image": name,
                    "n_members": len(self.shares),
                    "predicted": classes[best],
                    "confidence": float(self.mean[index, best]),
                    "label": classes[label] if known else None,
                    "correct": int(best == label) if known else None,
                    **{measure: float(values[index]) for measure, values in self.maps.items()},
                    "cross_entropy": float(losses[index]) if known else None,
                    "rank": int(ranks[index]),
                }
            )
        return rows

    def score(self, rows: Sequence[Row]) -> Row:
        """What the method is worth, over the labelled images."""
        known = self.labels != UNKNOWN
        n, labels = int(known.sum()), self.labels[known]
        score: Row = {
            "method": self.method,
            "n_members": len(self.shares),
            "n_images": len(rows),
            "n_labelled": n,
            "n_wrong": 0,
            **{f"{name}_mean": float(np.mean(self.maps[name], dtype=np.float64)) for name in self.maps},
        }
        if not n:
            return score
        mean = self.mean[known]
        wrong = mean.argmax(axis=1) != labels
        members = [float(losses_of(member[known], labels).mean()) for member in self.shares]
        return score | {
            "n_wrong": int(wrong.sum()),
            "accuracy": float((n - wrong.sum()) / n),
            "cross_entropy": float(losses_of(mean, labels).mean()),
            "member_cross_entropy": float(np.mean(members)),
            "brier": float(((mean - np.eye(mean.shape[1])[labels]) ** 2).sum(axis=1).mean()),
            "error_auroc": error_auroc(self.maps["predictive_entropy"][known], wrong),
        }


def losses_of(p: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cross-entropy of (image, class) with the labels, in nat; NaN where there is none."""
    from ..losses import cross_entropy

    losses = cross_entropy(p, np.maximum(labels, 0), axis=1)
    return np.where(labels == UNKNOWN, np.nan, losses)


def error_auroc(uncertainty: NDArray[Any], wrong: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve: how often a wrong image is more uncertain than a right one; ties count half.

    None where there are no wrong, or no right ones. Equals `sklearn.metrics.roc_auc_score(wrong, uncertainty)`.
    """
    from ..scoring.scores import auroc

    _, place = np.unique(uncertainty, return_inverse=True)
    right, bad = (np.bincount(place, weights=chosen).astype(int).tolist() for chosen in (~wrong, wrong))
    return auroc(list(zip(right, bad, strict=True)), int((~wrong).sum()), int(wrong.sum()))


def _ranks(uncertainty: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.int64]:
    """1 for the most uncertain; among equals by name, so that no order of the input counts."""
    order = np.lexsort((np.array(names, np.str_), -uncertainty))
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks


def pass_rows(predictions: Predictions, image: str, *, unit: str, sum_tolerance: float | None) -> list[Row]:
    """Give the probabilities of one image pass by pass, then their mean and their spread (ddof 0).

    Raises
    ------
    KeyError
        There is no such image.
    """
    from ..api import entropy

    if image not in predictions.images:
        raise KeyError(image)
    place = predictions.images.index(image)
    one = replace(
        predictions,
        probabilities=predictions.probabilities[:, place : place + 1],
        labels=predictions.labels[place : place + 1],
    )
    usable = _Usable("", one.probabilities, one.labels, unit, sum_tolerance)
    shares, classes = usable.shares[:, 0], predictions.classes
    label = classes[int(one.labels[0])] if one.labels[0] != UNKNOWN else None

    def row(name: str, p: NDArray[np.float64], whole: bool = True) -> Row:
        values: Row = {"pass": name, "label": label}
        values |= {f"p_{cls}": float(value) for cls, value in zip(classes, p, strict=True)}
        if whole:
            values |= {"predicted": classes[int(p.argmax())], "predictive_entropy": float(entropy(p, unit=unit))}  # type: ignore[arg-type]
        return values

    rows = [row(str(number), p) for number, p in enumerate(shares)]
    # Relative to the first pass: equal passes have no spread, not one of rounding.
    spread = (shares - shares[0]).std(axis=0)
    return [*rows, row("mean", usable.mean[0]), row("std", spread, whole=False)]
