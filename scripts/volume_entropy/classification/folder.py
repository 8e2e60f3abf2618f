"""A folder of images, `<folder>/<class>/*.png`, into arrays with labels and splits.

PNG files right in the folder have no label: they are predicted and never trained on. Where the subfolders are named
after splits (`train`, `validation`, `test`), each holds its own `<class>/*.png` and is used as it is; else every class
is split by the same fractions, at random, by the seed.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, DataError, Rejection
from .pictures import Picture, read_picture
from .predictions import UNKNOWN, read_npz, write_npz

STAGE = "collect_images"
SPLITS = ("training", "validation", "test")
UNLABELLED = "unlabelled"
_SPLIT_FOLDERS = {
    "train": "training", "training": "training",
    "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """One PNG file of the folder: its path within it, its class and its split; None where it has none (yet)."""

    name: str
    label: str | None
    split: str | None


@dataclass(frozen=True)
class ImageSet:
    """Images in memory.

    Attributes
    ----------
    pixels
        (image, channel, height, width) float32, 0 … 1, not yet standardised.
    images
        Paths within the folder.
    labels
        Index of the class, -1 where there is none.
    splits
        `training`, `validation`, `test` or `unlabelled`, one an image.
    classes
        Names of the subfolders, in order.
    mean, std
        Of the training split, one a channel.
    """

    pixels: NDArray[np.float32]
    images: NDArray[np.str_]
    labels: NDArray[np.int64]
    splits: NDArray[np.str_]
    classes: tuple[str, ...]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def where(self, *splits: str) -> NDArray[np.intp]:
        """Give the indices of the images of some splits."""
        return np.flatnonzero(np.isin(self.splits, splits))


def list_folder(folder: str | os.PathLike[str]) -> list[Listed]:
    """List all PNG files, in order; hidden ones are left out.

    Raises
    ------
    ConfigError
        There is no such folder, or it does not hold two classes of PNG files.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"images.folder: {root} is no folder")
    subfolders = _visible(path for path in root.iterdir() if path.is_dir())
    given = bool(subfolders) and all(path.name.lower() in _SPLIT_FOLDERS for path in subfolders)
    listed = [Listed(path.name, None, None) for path in _pngs(root)]
    for subfolder in subfolders:
        split = _SPLIT_FOLDERS[subfolder.name.lower()] if given else None
        for classfolder in _visible(path for path in subfolder.iterdir() if path.is_dir()) if given else [subfolder]:
            paths = _pngs(classfolder)
            listed += [Listed(path.relative_to(root).as_posix(), classfolder.name, split) for path in paths]
    classes = {entry.label for entry in listed if entry.label is not None}
    if len(classes) < 2:
        raise ConfigError(
            f"images.folder: {root} has PNG files of {len(classes)} classes, expected at least two subfolders, one a "
            "class: <folder>/<class>/*.png"
        )
    return listed


def folder_digest(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What tells that a folder changed: a digest of the names, sizes and times of all its PNG files."""
    entries = []
    for entry in list_folder(folder):
        try:
            status = os.stat(os.path.join(folder, entry.name))
            entries.append((entry.name, status.st_size, status.st_mtime_ns))
        except OSError:
            entries.append((entry.name, -1, -1))
    digest = hashlib.sha256(json.dumps(entries).encode("utf-8", "surrogatepass")).hexdigest()
    return {"folder": os.fspath(folder), "n_images": len(entries), "digest": digest}


def read_folder(
    folder: str | os.PathLike[str],
    *,
    channels: int = 1,
    size: Sequence[int] | None = None,
    split: Mapping[str, float],
    seed: int = 0,
) -> tuple[ImageSet, list[tuple[str, Rejection]]]:
    """Read all images of a folder; those that cannot be read, or are of another size than most, are rejected.

    Parameters
    ----------
    folder
        See the module.
    channels, size
        See `read_picture`.
    split
        Fractions of `validation` and `test` of each class; the rest is for training.
    seed
        Of the split.

    Raises
    ------
    ConfigError
        As `list_folder`; or a class has no readable image for training.
    """
    listed = list_folder(folder)
    pictures, rejected = _read_all(Path(folder), listed, channels, size)
    kept = [entry for entry in listed if entry.name in pictures]
    classes = tuple(sorted({entry.label for entry in listed if entry.label is not None}))
    labels = np.array([UNKNOWN if e.label is None else classes.index(e.label) for e in kept], np.int64)
    splits = _split(kept, labels, split, seed)
    counts = Counter(labels[splits == "training"].tolist())
    lacking = [name for index, name in enumerate(classes) if not counts[index]]
    if lacking:
        raise ConfigError(f"images.folder: no readable image to train on of class {', '.join(lacking)}")
    pixels = np.stack([pictures[entry.name] for entry in kept])
    training = pixels[splits == "training"].astype(np.float64)
    # A constant channel is left as it is.
    std = training.std(axis=(0, 2, 3))
    images = ImageSet(
        pixels,
        np.array([entry.name for entry in kept], np.str_),
        labels,
        splits,
        classes,
        training.mean(axis=(0, 2, 3)).astype(np.float32),
        np.where(std > 0, std, 1).astype(np.float32),
    )
    return images, rejected


def _read_all(
    root: Path, listed: Sequence[Listed], channels: int, size: Sequence[int] | None
) -> tuple[dict[str, Picture], list[tuple[str, Rejection]]]:
    pictures: dict[str, Picture] = {}
    faults: dict[str, DataError] = {}
    for entry in listed:
        try:
            pictures[entry.name] = read_picture(root / entry.name, channels, size)
        except DataError as error:
            faults[entry.name] = error
    shapes = Counter(picture.shape[1:] for picture in pictures.values())
    usual = shapes.most_common(1)[0][0] if shapes else ()
    for name, picture in list(pictures.items()):
        if picture.shape[1:] != usual:
            del pictures[name]
            (height, width), (rows, columns) = picture.shape[1:], usual
            faults[name] = DataError(
                "shape_mismatch",
                f"{root / name} has {height} × {width} pixels, most images have {rows} × {columns}",
                f"Set images.size: [{rows}, {columns}] to bring all images to one size.",
            )
    return pictures, [(entry.name, faults[entry.name].rejection(STAGE)) for entry in listed if entry.name in faults]


def _split(
    kept: Sequence[Listed], labels: NDArray[np.int64], fractions: Mapping[str, float], seed: int
) -> NDArray[np.str_]:
    splits = np.array([entry.split or UNLABELLED for entry in kept], np.str_).astype("U10")
    free = np.array([entry.split is None for entry in kept]) & (labels != UNKNOWN)
    for label in np.unique(labels[free]):
        places = np.random.default_rng((seed, int(label))).permutation(np.flatnonzero(free & (labels == label)))
        first = round(len(places) * fractions["test"])
        second = first + round(len(places) * fractions["validation"])
        splits[places[:first]], splits[places[first:second]], splits[places[second:]] = reversed(SPLITS)
    if "validation" not in splits:
        # Splits that were given as folders without one, or too few images: every fifth of the training is taken.
        training = np.flatnonzero(splits == "training")
        splits[np.random.default_rng(seed).permutation(training)[: len(training) // 5]] = "validation"
    return splits


def class_counts(images: ImageSet) -> list[dict[str, Any]]:
    """Count the images of each class in each split: one row a class."""
    rows = []
    for index, name in enumerate(images.classes):
        counts = {split: int(((images.labels == index) & (images.splits == split)).sum()) for split in SPLITS}
        rows.append(
            {"class": name, **{f"n_{split}": count for split, count in counts.items()}, "n": sum(counts.values())}
        )
    return rows


def write_images(images: ImageSet, path: str | os.PathLike[str]) -> None:
    """Write an `ImageSet` as npz."""
    arrays = {name: np.asarray(getattr(images, name)) for name in ImageSet.__dataclass_fields__}
    write_npz(arrays, path)


def read_images(path: str | os.PathLike[str]) -> ImageSet:
    """Read what `write_images` wrote."""
    arrays: dict[str, Any] = dict(read_npz(path))
    return ImageSet(**{**arrays, "classes": tuple(map(str, arrays["classes"]))})


def _pngs(folder: Path) -> list[Path]:
    return _visible(path for path in folder.iterdir() if path.suffix.lower() == ".png")


def _visible(paths: Any) -> list[Path]:
    return sorted((path for path in paths if not path.name.startswith(".")), key=lambda path: path.name)
