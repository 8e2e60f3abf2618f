"""What formats without a header of their own share: whose axes the config declares, and that have no place in space."""

import re
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from .axes import find_axes
from .base import Geometry, Slab, times
from .sources import Source
from .spool import Spool
from .voxels import VoxelType, stream_slabs

_TYPE = re.compile(r"[<>|](?:[iuf][1248]|b1)")


@dataclass(frozen=True)
class Roles:
    """The roles of an array's axes.

    Attributes
    ----------
    order
        One letter an axis, in the order of the array's shape: m(ember), c(lass), z, y, x; `-` for one of length 1
        that has no role.
    sizes
        Length of each of `mczyx`; 1 where the array has no such axis.
    """

    order: str
    sizes: dict[str, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        return self.sizes["x"], self.sizes["y"], self.sizes["z"]


def roles_of(order: str, shape: tuple[int, ...]) -> Roles:
    """Give each axis of `shape` its letter in `order`."""
    return Roles(order, dict.fromkeys("mczyx", 1) | dict(zip(order, shape, strict=True)))


def find_roles(path: str, shape: tuple[int, ...], n_classes: int | None, class_axis: str, axes: str) -> Roles:
    """Find the roles of the axes of an array, by what the config declares.

    As `axes.find_axes`, for spatial axes in the order `axes` (`xyz` or `zyx`; of a slice without the z). An array of
    five axes has the members first; one of four has no member axis, since four maps of one class could as well be the
    four classes of one map.

    Raises
    ------
    DataError
        `axes_unclear`, `class_mismatch` or `header_invalid`.
    """
    if shape and min(shape) < 1:
        raise DataError("header_invalid", f"{path} has the shape {times(shape)}, expected positive lengths", _REMAKE)
    if len(shape) > 5:
        raise DataError(
            "axes_unclear",
            f"{path} has the shape {times(shape)}, expected at most member × class × three axes of space",
            "Save the array without further axes.",
        )
    with_members = len(shape) == 5
    inner = find_axes(f"{path} (each member)" if with_members else path, shape[with_members:], n_classes, class_axis)
    space = sorted(axis for axis in inner.space if axis is not None)
    letters = iter(axes if len(space) == 3 else axes.replace("z", ""))
    class_letter = "c" if len(shape) - with_members > len(space) else ""
    spatial = "".join(next(letters) for _ in space)
    order = class_letter + spatial if inner.class_first else spatial + class_letter
    return roles_of("m" * with_members + order, shape)


_REMAKE = "Save the array again."


# Opens the stream of an array's content at its first voxel, its length declared.
Opened = Callable[[], AbstractContextManager[Source]]


@dataclass(frozen=True)
class ArrayReader:
    """See `base.Reader`: an array in one stream, whatever the order of its axes.

    Attributes
    ----------
    order
        The axes of the stream that are longer than 1, slowest first.
    content
        Opens the stream.
    """

    path: str
    geometry: Geometry
    sizes: dict[str, int]
    order: str
    voxels: VoxelType
    content: Opened

    brick = None

    @property
    def n_members(self) -> int:
        """Members in this file."""
        return self.sizes["m"]

    @property
    def n_classes(self) -> int:
        """Classes of this file."""
        return self.sizes["c"]

    @property
    def interleaved(self) -> bool:
        """Whether the class is the fastest axis of a stream that needs no rearranging."""
        return "c" in self.order and _in_order(self.order, "mzyxc")

    @property
    def quantum(self) -> float:
        """See `VoxelType`."""
        return self.voxels.quantum

    def slabs(self, depth: int, rows: int | None = None, *, scaled_only: bool = False) -> Generator[Slab]:
        """See `base.Reader`; voxels in another order than that of slabs go through a temporary file."""
        x, y, z = self.geometry.shape
        with self.content() as source:
            if self.interleaved or _in_order(self.order, "mczyx"):
                yield from stream_slabs(
                    source,
                    self.voxels,
                    (z, y, x),
                    n_members=self.n_members,
                    n_classes=self.n_classes,
                    interleaved=self.interleaved,
                    depth=depth,
                    rows=rows,
                    scaled_only=scaled_only,
                )
                return
            with Spool(self.voxels.dtype) as spool:
                spool.fill(source, self.order, self.sizes)
                source.finish()
                yield from spooled_slabs(spool, self.sizes, self.voxels, depth, rows, scaled_only)


def spooled_slabs(
    spool: Spool, sizes: dict[str, int], voxels: VoxelType, depth: int, rows: int | None, scaled_only: bool
) -> Generator[Slab]:
    """Yield the slabs of a spool that is full, as `base.Reader.slabs` does."""
    size_z, size_y = sizes["z"], sizes["y"]
    rows = rows if depth == 1 and rows is not None else size_y
    for member in range(sizes["m"]):
        for class_index in range(sizes["c"]):
            for z in range(0, size_z, depth):
                for y in range(0, size_y, rows):
                    span_z, span_y = range(z, min(z + depth, size_z)), range(y, min(y + rows, size_y))
                    box = spool.read(member, class_index, span_z, span_y, sizes["x"])
                    yield Slab(member, class_index, z, voxels.values(box, scaled_only), y)


def stream_order(roles: Roles, fortran: bool) -> str:
    """Name the axes of a stream, slowest first, without those of length 1."""
    order = "".join(axis for axis in roles.order if roles.sizes.get(axis, 1) > 1)
    return order[::-1] if fortran else order


def unplaced(shape: tuple[int, int, int]) -> Geometry:
    """Return the geometry of an array that has none: voxels of 1 mm, nowhere."""
    return Geometry(shape, np.eye(4), (1.0, 1.0, 1.0), placed=False)


def plain_type(path: str, name: str) -> np.dtype[Any]:
    """Return the type of an array's voxels from numpy's name for it; booleans are read as the bytes 0 and 1.

    Raises
    ------
    DataError
        `type_unsupported`: objects, which are pickles, are never loaded; nor can text or complex numbers be used.
    """
    if not _TYPE.fullmatch(name) or name[1:] == "f1":
        objects = " (objects are pickles, which can run code when they are loaded)" if "O" in name else ""
        raise DataError(
            "type_unsupported",
            f"{path} holds values of type {name[:40]!r}{objects}, expected integers or floats of 8 to 64 bits",
            "Save the probabilities as one array of float32 or float16.",
        )
    return np.dtype(name.replace("b1", "u1"))


def _in_order(order: str, wanted: str) -> bool:
    return order == "".join(axis for axis in wanted if axis in order)
