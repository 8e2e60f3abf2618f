"""What files that are one stream of voxels share, whatever the order of their axes; and arrays without a header."""

import re
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..declared_axes import OLDER, says_roles
from ..errors import DataError
from .axes import NAMES, PLAIN, Roles, advice, conventional_roles, declared_roles, merged, mismatch, roles_of
from .base import Geometry, Slab, times
from .sources import Source
from .spool import Spool
from .voxels import VoxelType, stream_slabs

# Attributes of a Zarr array or its group, and arrays of text in an npz, that list the classes.
LABEL_KEYS = ("classes", "class_names", "class_labels", "labels", "label_names", "channel_names")
_TYPE = re.compile(r"[<>|](?:[iuf][1248]|b1)")


def find_roles(
    path: str, shape: tuple[int, ...], n_classes: int | None, class_axis: str | None, axes: str | None
) -> Roles:
    """Find the roles of the axes of an array without names, by what the config declares.

    Where it says nothing, or only the order of space and where the class is (the older keys), the conventions of
    `axes.conventional_roles` hold, with space in the order x, y, z; an array of five axes has the members first. Where
    that could be otherwise, the roles are `assumed`, or, if the config says no order at all, refused. An array of four
    axes has no member axis, since four maps of one class could as well be the four classes of one map.

    Raises
    ------
    DataError
        `axes_unclear`, `class_mismatch` or `header_invalid`.
    """
    if shape and min(shape) < 1:
        raise DataError("header_invalid", f"{path} has the shape {times(shape)}, expected positive lengths", _REMAKE)
    if axes is not None and axes not in OLDER:
        return declared_roles(path, shape, n_classes, axes)
    with_members = len(shape) == 5
    if len(shape) > 5 or (with_members and axes is None and n_classes is not None):
        raise DataError(
            "axes_unclear",
            f"{path} has the shape {times(shape)}, {len(shape)} axes, and the config does not say which is which",
            advice(shape, n_classes),
        )
    spaces = PLAIN if axes == PLAIN[0] else PLAIN[::-1]
    roles = conventional_roles(path, shape, n_classes, class_axis, spaces, members_first=with_members)
    size = roles.sizes["c"]
    open_class = class_axis is None and size > 1 and roles.lengths[with_members:].count(size) > 1
    if open_class and axes is None and n_classes is not None:
        raise DataError(
            "axes_unclear",
            f"{path} has the shape {times(shape)}, of which several axes are as long as the {n_classes} classes, "
            "and the config does not say which is which",
            advice(shape, n_classes),
        )
    return replace(roles, assumed=axes is None or with_members or open_class)


def letters_of(names: Sequence[Any]) -> str | None:
    """Return a letter for the name of each dimension, `-` for one that says nothing; None if none of them does."""
    letters = [NAMES.get(str(name).strip().lower(), "-") for name in names]
    order = "".join(letter if letters.count(letter) == 1 else "-" for letter in letters)
    return None if set(order) <= {"-"} else order


def named_roles(
    path: str,
    shape: tuple[int, ...],
    names: Sequence[Any],
    order: str,
    n_classes: int | None,
    class_axis: str | None,
    axes: str | None,
) -> Roles:
    """Find the roles of the axes of an array whose dimensions have names, `order` being the letters of these.

    What the config declares is held against them, and says what they leave open: an axis of time, say, may be members,
    but is never taken for them. The older keys, which are for arrays without names, count only where names are missing.

    Raises
    ------
    DataError
        `axes_unclear` or `class_mismatch`.
    """
    if says_roles(axes):
        return declared_roles(path, shape, n_classes, axes or "", named=order)
    unknown = [axis for axis, letter in enumerate(order) if letter == "-" and shape[axis] > 1]
    if not unknown and set("yx") <= set(order):
        roles = roles_of(order, shape, named=True)
        if n_classes not in (None, roles.sizes["c"]):
            raise mismatch(path, shape, roles.sizes["c"], n_classes or 1, f"by its axes {' '.join(order)}")
        return roles
    if axes is not None and class_axis is not None:
        older = find_roles(path, shape, n_classes, class_axis, axes)
        if merged(older.order, order) is not None and ("m" in order or "m" not in older.order):
            return older
    listed = ", ".join(f"{str(name)[:40]} ({size})" for name, size in zip(names, shape, strict=True))
    raise DataError(
        "axes_unclear",
        f"{path} names its axes {listed}, expected y, x, and at most z, class and member beside axes of length 1; what "
        "the others are is never guessed",
        advice(shape, n_classes),
    )


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
    roles: Roles
    order: str
    voxels: VoxelType
    content: Opened
    labels: Sequence[str] | None = None

    brick = None

    @property
    def n_members(self) -> int:
        """Members in this file."""
        return self.roles.sizes["m"]

    @property
    def n_classes(self) -> int:
        """Classes of this file."""
        return self.roles.sizes["c"]

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
                spool.fill(source, self.order, self.roles.sizes)
                source.finish()
                yield from spooled_slabs(spool, self.roles.sizes, self.voxels, depth, rows, scaled_only)


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
