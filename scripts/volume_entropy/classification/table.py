"""A ready table of class probabilities, as npz or CSV, into checked `Predictions`.

npz: `probabilities` (member, image, class); optional `images` (names), `classes` (names), `labels` (names, or indices
of classes; "" or -1 where unknown). CSV: one row a member and image; columns `image`, optional `member` and `label`,
and every other column a class.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Rejection
from .predictions import UNKNOWN, Predictions, merged, read_npz

STAGE = "measure_images"
TOLERANCE = 1e-6
_KEYS = ("image", "member", "label")


def read_table(path: str | os.PathLike[str]) -> Predictions:
    """Read a table by its suffix, `.npz` or `.csv`; an image with members or labels that cannot be is rejected.

    Raises
    ------
    DataError
        The table as a whole cannot be used.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return _of_arrays(read_npz(path), os.fspath(path))
    if suffix == ".csv":
        return _of_rows(path)
    raise DataError("not_this_format", f"{os.fspath(path)} is no table by its name", "Give a .npz or a .csv file.")


def _of_arrays(arrays: dict[str, NDArray[Any]], path: str) -> Predictions:
    if "probabilities" not in arrays:
        raise DataError(
            "class_mismatch",
            f"{path} holds {', '.join(arrays) or 'nothing'}, expected an array `probabilities`",
            "Save it with numpy.savez(path, probabilities=…), with the axes member, image, class.",
        )
    p = arrays["probabilities"]
    if p.ndim != 3:
        raise DataError(
            "axes_unclear",
            f"{path}: probabilities has the shape {p.shape}, expected (member, image, class)",
            "Add an axis of length 1 if there is one member: probabilities[None].",
        )
    if p.dtype.kind not in "fiu":
        raise DataError("type_unsupported", f"{path}: probabilities holds {p.dtype}", "Save them as float32.")
    n_images, n_classes = p.shape[1:]
    images = _names(arrays, "images", n_images, path)
    classes = _names(arrays, "classes", n_classes, path)
    _require_classes(classes, path)
    if len(set(images)) < n_images:
        raise DataError("class_mismatch", f"{path}: a name stands twice in `images`", "Give every image its own name.")
    given = arrays.get("labels", np.full(n_images, UNKNOWN))
    if given.shape != (n_images,) or given.dtype.kind not in "iuU":
        raise DataError(
            "shape_mismatch",
            f"{path}: labels has the shape {given.shape} of {given.dtype}, expected {n_images} names or indices",
            "Give one label an image: the name or the index of its class, or nothing at all.",
        )
    words = [str(value) if given.dtype.kind == "U" else _word(int(value), classes) for value in given]
    labels, wrong = _labels(images, words, classes)
    return Predictions(np.asarray(p, _float_of(p)), images, classes, labels, merged(images, wrong))


def _names(arrays: dict[str, NDArray[Any]], key: str, count: int, path: str) -> tuple[str, ...]:
    names = arrays.get(key)
    if names is None:
        return tuple(map(str, range(count)))
    if names.shape != (count,) or names.dtype.kind not in "Uiu":
        raise DataError(
            "shape_mismatch",
            f"{path}: {key} has the shape {names.shape} of {names.dtype}, expected {count} names",
            "Save it as an array of text, one name a row of `probabilities`.",
        )
    return tuple(map(str, names))


def _word(index: int, classes: tuple[str, ...]) -> str:
    if index == UNKNOWN:
        return ""
    return classes[index] if 0 <= index < len(classes) else f"index {index}"


def _of_rows(path: str | os.PathLike[str]) -> Predictions:
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DataError(
            "not_this_format", f"{os.fspath(path)} cannot be read as CSV: {error}", "Write it with commas, in UTF-8."
        ) from None
    except OSError as error:
        raise DataError("file_unreadable", f"{os.fspath(path)}: {error.strerror}", "Check the path.") from None
    classes = tuple(name for name in table.columns if name not in _KEYS)
    if "image" not in table.columns:
        raise DataError(
            "class_mismatch",
            f"{os.fspath(path)} has no column `image`; found {', '.join(map(repr, table.columns))}",
            "Name the columns image, member (if there are several), label (if known), and one a class.",
        )
    _require_classes(classes, os.fspath(path))
    table = table.fillna("")
    if "member" not in table.columns:
        table["member"] = ""
    images, members = tuple(dict.fromkeys(table["image"])), tuple(dict.fromkeys(table["member"]))
    row, column = table["member"].map(members.index).to_numpy(), table["image"].map(images.index).to_numpy()
    p = np.full((len(members), len(images), len(classes)), np.nan)
    # A cell that is no number is as bad as NaN: its image is rejected for it.
    numbers = table[list(classes)].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    p[row, column] = numbers
    counts = np.zeros(p.shape[:2], np.int64)
    np.add.at(counts, (row, column), 1)
    rejected = [
        (image, _member_fault(image, counts[:, index], members))
        for index, image in enumerate(images)
        if (counts[:, index] != 1).any()
    ]
    words: dict[str, str] = {}
    if "label" in table.columns:
        for image, label in zip(table["image"], table["label"], strict=True):
            if words.setdefault(image, label) != label:
                words[image] = f"{words[image]} and {label}"
    labels, wrong = _labels(images, [words.get(image, "") for image in images], classes)
    return Predictions(p, images, classes, labels, merged(images, rejected + wrong))


def _member_fault(image: str, counts: NDArray[np.int64], members: tuple[str, ...]) -> Rejection:
    odd = int(np.flatnonzero(counts != 1)[0])
    return Rejection(
        STAGE,
        "member_mismatch",
        f"{image}: {counts[odd]} rows of member {members[odd]!r}, expected one for each of {len(members)} members",
        "Give every image one row a member.",
    )


def _labels(
    images: tuple[str, ...], words: list[str], classes: tuple[str, ...]
) -> tuple[NDArray[np.int64], list[tuple[str, Rejection]]]:
    """Indices of the labels, and a rejection for each that is no class."""
    index = {name: number for number, name in enumerate(classes)} | {"": UNKNOWN}
    remedy = "Write the label as one of the classes, or leave it empty."
    wrong = [
        (image, Rejection(STAGE, "class_mismatch", f"{image}: the label is {word!r}, which is no class", remedy))
        for image, word in zip(images, words, strict=True)
        if word not in index
    ]
    return np.array([index.get(word, UNKNOWN) for word in words], np.int64), wrong


def _require_classes(classes: tuple[str, ...], path: str) -> None:
    if len(set(classes)) < len(classes):
        raise DataError("class_mismatch", f"{path}: a class stands twice in {classes}", "Give every class a name.")
    if len(classes) < 2:
        raise DataError(
            "single_class",
            f"{path} has {len(classes)} classes, expected at least two that sum to 1",
            "Add the other class as 1 - p.",
        )


def _float_of(p: NDArray[Any]) -> type:
    return np.float32 if p.dtype in (np.float32, np.float16) else np.float64


def find_invalid(predictions: Predictions, sum_tolerance: float | None) -> list[tuple[str, Rejection]]:
    """Say of each image whose values are no probabilities what they look like.

    Parameters
    ----------
    predictions
        As they were read.
    sum_tolerance
        How far a sum may be from 1, and a value below 0 or above 1; None: any positive sum is fine.
    """
    p = predictions.probabilities.astype(np.float64)
    slack = (0.01 if sum_tolerance is None else sum_tolerance) + TOLERANCE
    with np.errstate(invalid="ignore"):
        sums = np.maximum(p, 0).sum(axis=2)
        bad = ~np.isfinite(p).all(axis=2) | (p < -slack).any(axis=2) | (sums <= 0)
        if sum_tolerance is not None:
            bad |= (p > 1 + slack).any(axis=2) | (abs(sums - 1) > slack)
    return [
        (
            predictions.images[index],
            Rejection(STAGE, "not_probabilities", *_words(predictions.images[index], p[:, index], slack)),
        )
        for index in np.flatnonzero(bad.any(axis=0))
    ]


def _words(image: str, p: NDArray[np.float64], slack: float) -> tuple[str, str]:
    """What the values (member, class) of one image look like, and what to do about it."""
    if not np.isfinite(p).all():
        odd = int((~np.isfinite(p).all(axis=1)).sum())
        found = f"{image}: NaN, infinite or no number in {odd} of {len(p)} members"
        return found, "Look for a division by 0 or an overflow where the probabilities were made."
    low, high, sums = p.min(), p.max(), p.sum(axis=1)
    span = f"{image}: values {low:.4g} … {high:.4g}, sums {sums.min():.4g} … {sums.max():.4g}, expected 0 … 1 and 1"
    if low < -slack and (abs(sums - 1) <= 0.1).all():
        return f"{span}; sums are 1, but not every value is one", "Save the probabilities as the network gives them."
    if low < -slack:
        return f"{span}; these look like logits (scores before the softmax)", "Save the softmax of the scores."
    if (abs(sums - 100) <= 1).all():
        return f"{span}; these look like percentages", "Divide by 100."
    if (p == 0).all(axis=1).any():
        return f"{span}; every class is 0 in a member", "Check that writing the probabilities succeeded."
    return f"{span}; these are not normalised", "Set probabilities.sum_tolerance: null to divide by the sums."
