"""What a method said of images, member by member: the ready table of class probabilities, in memory and as npz."""

import io
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Rejection
from ..files import replaced_when_whole

UNKNOWN = -1
# A header may promise anything; what it promises is held against the size that the archive's directory states.
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class Predictions:
    """Class probabilities of images.

    Attributes
    ----------
    probabilities
        (member, image, class), float32 or float64, as they were written.
    images
        Names, one an image.
    classes
        Names, one a class, in the order of the last axis.
    labels
        Index of the true class, or -1 where it is not known; one an image.
    rejected
        By the name of an image that cannot be used: why. It is among `images`, or could not even be read.
    """

    probabilities: NDArray[Any]
    images: tuple[str, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    rejected: tuple[tuple[str, Rejection], ...] = ()


def write_predictions(predictions: Predictions, path: str | os.PathLike[str]) -> None:
    """Write an npz of `probabilities`, `images`, `classes` and `labels`, which `read_npz` reads; the same bytes."""
    arrays = {
        "probabilities": predictions.probabilities,
        "images": np.array(predictions.images, np.str_),
        "classes": np.array(predictions.classes, np.str_),
        "labels": predictions.labels,
    }
    write_npz(arrays, path)


def write_npz(arrays: dict[str, NDArray[Any]], path: str | os.PathLike[str]) -> None:
    """Write arrays as npz, whole or not at all, without the time of day that `numpy.savez` leaves in it."""
    with replaced_when_whole(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), stream.getvalue())


def read_npz(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read all arrays of an npz file; pickled objects are never loaded.

    Raises
    ------
    DataError
        The file is no npz, is damaged, or holds objects.
    """
    name = os.fspath(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            return {entry.filename.removesuffix(".npy"): _read_array(archive, entry) for entry in entries}
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError) as error:
        if isinstance(error, DataError):
            raise
        code = "file_corrupt" if zipfile.is_zipfile(path) else "not_this_format"
        raise DataError(
            code, f"{name} cannot be read as npz: {error}", "Write it again with numpy.savez, without object arrays."
        ) from None
    except OSError as error:
        raise DataError("file_unreadable", f"{name}: {error.strerror}", "Check the path and its permissions.") from None


def _read_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in _READERS:
            raise ValueError(f"{entry.filename} has version {version} of the npy format")
        shape, _, dtype = _READERS[version](stream)
        if dtype.hasobject:
            raise ValueError(f"{entry.filename} holds pickled objects, which are never loaded")
        expected = int(np.prod(shape, dtype=object)) * dtype.itemsize
        found = entry.file_size - stream.tell()
        if expected != found:
            raise ValueError(f"the header of {entry.filename} promises {expected} bytes, the archive holds {found}")
    with archive.open(entry) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        # To the end, where the checksum is compared.
        stream.read(1)
    return array


def merged(names: Sequence[str], rejected: Sequence[tuple[str, Rejection]]) -> tuple[tuple[str, Rejection], ...]:
    """Put rejections into the order of the images, the first one of each image."""
    first: dict[str, Rejection] = {}
    for name, rejection in rejected:
        first.setdefault(name, rejection)
    order = {name: index for index, name in enumerate(names)}
    return tuple(sorted(first.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))
