"""Readers: one module a file format, all behind one protocol.

A format is one row of `FORMATS` and one module with a function `open_reader(path, *, n_classes, class_axis, axes)`.
"""

import os
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..sidecars import is_in_zarr
from .base import BoxReader, Geometry, Reader, Slab, one_ahead, times
from .places import check_same_place

__all__ = [
    "FORMATS",
    "BoxReader",
    "Geometry",
    "Reader",
    "Slab",
    "check_same_place",
    "on_scale",
    "one_ahead",
    "open_reader",
    "read_geometry",
    "read_volume",
    "times",
]

_PART_VOXELS = 2**22

# The end of a file's name, in lower case, and the module that reads it.
FORMATS: dict[str, str] = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".mgh": "mgz",
    ".mgz": "mgz",
    ".npz": "npz",
    ".npy": "npy",
    ".zarr": "zarr_source",
}


def open_reader(path: str, *, n_classes: int | None, class_axis: str | None = None, axes: str | None = None) -> Reader:
    """Read a file's header and check it against the file's size; the voxels come from the reader's `slabs`.

    Parameters
    ----------
    path
        The file; the end of its name says the format. Of Zarr, a store, or a group or an array inside one.
    n_classes
        Classes that the file has to hold; None: any, for a file of which only the geometry is wanted.
    class_axis
        `first` or `last`, of a file with one more axis than space has; None: not said.
    axes
        The roles of the file's axes, letters of `mczyx`: held against what a format says itself. Without c and m it is
        the order of space of formats that do not say it. None: not said.

    Raises
    ------
    DataError
        The file cannot be read as what it should be.
    """
    reader: Reader = import_module(f"{__name__}.{_module_of(path)}").open_reader(
        path, n_classes=n_classes, class_axis=class_axis, axes=axes
    )
    return reader


def _module_of(path: str) -> str:
    """Name the module that reads a path: by the end of its name; a store's parts, and other folders, are Zarr."""
    name = path.lower().rstrip("/")
    module = next((module for ending, module in FORMATS.items() if name.endswith(ending)), None)
    if module is not None:
        return module
    if is_in_zarr(path) or os.path.isdir(path):
        return "zarr_source"
    raise DataError(
        "not_this_format",
        f"{path}: the name ends in no known format; expected one of {', '.join(FORMATS)}",
        "Convert the file to NIfTI, or correct its name.",
    )


def on_scale(reader: Reader, scale: float | None) -> Reader:
    """A reader of the same file whose values are divided by `scale`, the config's `probabilities.scale`; None: by 1."""
    if scale is None:
        return reader
    # Every reader of a file has its `voxels.VoxelType` as `voxels`.
    made: Any = reader
    divided: Reader = replace(made, voxels=made.voxels.over(scale))
    return divided


def read_geometry(path: str, axes: str | None = None) -> Geometry:
    """Read where a volume lies in space, from its header alone, whatever it holds; `axes` as in `open_reader`.

    Raises
    ------
    DataError
        The file is missing, or its header cannot be used.
    """
    return open_reader(path, n_classes=None, axes=axes).geometry


def read_volume(path: str) -> tuple[Geometry, NDArray[Any]]:
    """Read a whole single volume, as an image, a mask or a label map is.

    Returns
    -------
    Geometry, array
        The array is (z, y, x), of the file's own type, or float32 where the header scales it.

    Raises
    ------
    DataError
        As `open_reader`, and if the file's content is damaged.
    """
    reader = open_reader(path, n_classes=1)
    width, height, depth = reader.geometry.shape
    # The whole is allocated when it has been read: until then a header that promises too much costs nothing.
    step = max(1, _PART_VOXELS // (height * width))
    parts = [slab.data.reshape(-1) for slab in reader.slabs(min(step, depth), scaled_only=True)]
    volume = np.empty(depth * height * width, parts[0].dtype)
    end = volume.size
    while parts:
        part = parts.pop()
        volume[end - part.size : end] = part
        end -= part.size
    return reader.geometry, volume.reshape(depth, height, width)
