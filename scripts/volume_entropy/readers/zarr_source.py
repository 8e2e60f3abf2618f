"""Zarr arrays, versions 2 and 3, alone or in a group, and OME-Zarr 0.4 and 0.5 images.

An absent chunk has the array's fill value, as the standard says; zarr-python leaves out chunks that hold nothing else.
So a chunk that was lost cannot be told from one that was never written: the log says how many are absent, and an array
without a single chunk, or without a fill value for an absent one, is rejected.
"""

from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..joblog import logger
from ..stores.boxes import cells, overlap
from .arrays import find_roles, letters_of, named_roles, spooled_slabs, unplaced
from .axes import Roles, contradiction
from .base import Geometry, Slab
from .ome import placed
from .packing import packed_type
from .sources import REMAKE
from .spool import ORDER, Index5, Spool, as_brick
from .voxels import VoxelType
from .zarr_chunks import ChunkedArray
from .zarr_labels import labels_of, names_of
from .zarr_metadata import open_chunked
from .zarr_places import locate

# Decoded chunks that are kept until no further slab needs them; where that is not enough, they go to a temporary file.
_KEPT_BYTES = 96 * 2**20
# A chunk of which several threads decode one each.
_LARGEST_BRICK_BYTES = 32 * 2**20


@dataclass(frozen=True)
class ZarrReader:
    """See `base.Reader`."""

    path: str
    geometry: Geometry
    array: ChunkedArray
    roles: Roles
    voxels: VoxelType
    labels: Sequence[str] | None = None

    interleaved = False

    @property
    def quantum(self) -> float:
        """See `VoxelType`."""
        return self.voxels.quantum

    @property
    def brick(self) -> tuple[int, int, int] | None:
        """Edges of a chunk in space; None if it is large, or holds several members, which are read one at a time."""
        edges = zip(_five(self.roles.order, self.array.chunk), _five(self.roles.order, self.array.shape), strict=True)
        members, _, z, y, x = (min(pair) for pair in edges)
        return (z, y, x) if members == 1 and self.array.chunk_bytes <= _LARGEST_BRICK_BYTES else None

    def read_box(self, member: int, classes: range, z: range, y: range, x: range, out: NDArray[Any]) -> None:
        """See `base.BoxReader`; absent chunks were counted by `note_absent`."""
        chunks = _Chunks(self.array, self.roles, 1)
        spans = (range(member, member + 1), classes, z, y, x)
        for m, c, at_z, at_y, at_x in cells(spans, chunks.edges):
            place = (m, c, at_z, at_y, at_x)
            into, part = zip(*map(overlap, spans, place, chunks.edges), strict=True)
            values = self.voxels.values(chunks.decode(place)[part])
            # float16 turns what is beyond its range into infinity, as in a copy.
            with np.errstate(over="ignore"):
                out[into[1:]] = values[0]

    @property
    def n_members(self) -> int:
        """Members in this array."""
        return self.roles.sizes["m"]

    @property
    def n_classes(self) -> int:
        """Classes of this array."""
        return self.roles.sizes["c"]

    def slabs(self, depth: int, rows: int | None = None, *, scaled_only: bool = False) -> Generator[Slab]:
        """See `base.Reader`; each chunk is decoded once."""
        chunks = _Chunks(self.array, self.roles, depth)
        if chunks.n_kept * self.array.chunk_bytes <= _KEPT_BYTES:
            for member, class_index, z, y in chunks.walk(depth, rows):
                values = self.voxels.values(chunks.box(member, class_index, z, y), scaled_only)
                yield Slab(member, class_index, z.start, values, y.start)
        else:
            with Spool(self.array.codecs.dtype) as spool:
                for place in chunks.places():
                    spool.add(chunks.start(place), chunks.decode(place))
                yield from spooled_slabs(spool, self.roles.sizes, self.voxels, depth, rows, scaled_only)
        self._warn_of(chunks.n_absent)

    def note_absent(self) -> None:
        """See `base.BoxReader`."""
        self._warn_of(self.array.count_absent())

    def _warn_of(self, absent: int) -> None:
        if absent:
            chunks, fill = prod(self.array.grid), self.array.fill
            logger.warning("%s: %d of %d chunks are absent and count as %s", self.path, absent, chunks, fill)


class _Chunks:
    """The chunks of an array as bricks (member, class, z, y, x), with their places in the same order.

    Attributes
    ----------
    n_kept
        How many decoded chunks must be kept so that none is decoded twice for slabs of `depth`.
    n_absent
        Absent chunks met so far.
    """

    def __init__(self, array: ChunkedArray, roles: Roles, depth: int) -> None:
        self._array, self._order = array, roles.order
        self._decoded: OrderedDict[Index5, NDArray[Any]] = OrderedDict()
        self.shape = _five(roles.order, array.shape)
        self.edges = _five(roles.order, array.chunk)
        self.grid = _five(roles.order, array.grid)
        self.n_absent = 0
        # Of chunks with one class, only the layer that the next slab begins in; else all layers of a slab.
        layers = 1 if self.edges[:2] == (1, 1) else -(-depth // self.edges[2]) + 1
        self.n_kept = min(layers, self.grid[2]) * self.grid[3] * self.grid[4]

    def places(self) -> Iterator[Index5]:
        """Walk over all chunks."""
        m, c, z, y, x = map(range, self.grid)
        return product(m, c, z, y, x)

    def start(self, place: Index5) -> Index5:
        """Return the voxel at which a chunk begins."""
        m, c, z, y, x = (here * edge for here, edge in zip(place, self.edges, strict=True))
        return m, c, z, y, x

    def walk(self, depth: int, rows: int | None) -> Iterator[tuple[int, int, range, range]]:
        """Walk over the slabs (member, class, z, y), those that share chunks together."""
        size_m, size_c, size_z, size_y, _ = self.shape
        edge_m, edge_c, *_ = self.edges
        rows = rows if depth == 1 and rows is not None else size_y
        for first_m, first_c in product(range(0, size_m, edge_m), range(0, size_c, edge_c)):
            members = range(first_m, min(first_m + edge_m, size_m))
            classes = range(first_c, min(first_c + edge_c, size_c))
            for z, y in product(range(0, size_z, depth), range(0, size_y, rows)):
                for member, class_index in product(members, classes):
                    yield member, class_index, range(z, min(z + depth, size_z)), range(y, min(y + rows, size_y))

    def box(self, member: int, class_index: int, z: range, y: range) -> NDArray[Any]:
        """Put together a box (z, y, x) of whole rows."""
        edge_m, edge_c, edge_z, edge_y, edge_x = self.edges
        box = np.empty((len(z), len(y), self.shape[4]), self._array.codecs.dtype)
        layers = range(z.start // edge_z, -(-z.stop // edge_z))
        columns = range(y.start // edge_y, -(-y.stop // edge_y))
        for at_z, at_y, at_x in product(layers, columns, range(self.grid[4])):
            brick = self._kept((member // edge_m, class_index // edge_c, at_z, at_y, at_x))
            piece = brick[member % edge_m, class_index % edge_c]
            (target_z, from_z), (target_y, from_y) = overlap(z, at_z, edge_z), overlap(y, at_y, edge_y)
            box[target_z, target_y, at_x * edge_x : at_x * edge_x + piece.shape[2]] = piece[from_z, from_y]
        return box

    def decode(self, place: Index5) -> NDArray[Any]:
        """Read a chunk, or make one of the fill value."""
        named = dict(zip(ORDER, place, strict=True))
        content = self._array.read(tuple(named.get(axis, 0) for axis in self._order))
        if content is not None:
            return as_brick(content.squeeze(_without_role(self._order)), self._order.replace("-", ""))
        self.n_absent += 1
        ends = zip(self.start(place), self.edges, self.shape, strict=True)
        shape = [min(edge, size - first) for first, edge, size in ends]
        with np.errstate(over="ignore", invalid="ignore"):
            fill = np.array(self._array.fill).astype(self._array.codecs.dtype)
        return np.broadcast_to(fill, shape)

    def _kept(self, place: Index5) -> NDArray[Any]:
        """Return a chunk; the `n_kept` used last stay decoded."""
        if place in self._decoded:
            self._decoded.move_to_end(place)
        else:
            if len(self._decoded) >= self.n_kept:
                self._decoded.popitem(last=False)
            self._decoded[place] = self.decode(place)
        return self._decoded[place]


def open_reader(path: str, *, n_classes: int | None, class_axis: str | None, axes: str | None) -> ZarrReader:
    """See `readers.open_reader`; where the metadata name the axes, `axes` is held against them."""
    path = path.rstrip("/")
    folder, image = locate(path)
    array = open_chunked(folder)
    if image is not None:
        if len(image.order) != len(array.shape):
            raise DataError(
                "header_invalid",
                f"{path} has {len(image.order)} axes in its OME metadata, but its array has {len(array.shape)}",
                REMAKE,
            )
        roles = named_roles(path, array.shape, image.names, image.order, n_classes, None, axes)
        if ("z" in roles.order) != ("z" in image.order):
            # Its scale and its unit are those of an axis that is no z by name.
            raise contradiction(path, array.shape, axes or "", f"names its axes {', '.join(image.names)}", image.order)
        geometry = placed(path, image, roles)
    else:
        roles = _roles(path, array, n_classes, class_axis, axes)
        geometry = unplaced(roles.shape)
    voxels = packed_type(path, array.codecs.dtype, array.attributes, array.fill)
    return ZarrReader(path, geometry, array, roles, voxels, labels_of(path, array, roles))


def _roles(path: str, array: ChunkedArray, n_classes: int | None, class_axis: str | None, axes: str | None) -> Roles:
    """Find the roles of the axes: by the names of the dimensions, if they have any."""
    names = names_of(array)
    order = letters_of(names)
    if order is None:
        return find_roles(path, array.shape, n_classes, class_axis, axes)
    return named_roles(path, array.shape, names, order, n_classes, class_axis, axes)


def _without_role(order: str) -> tuple[int, ...]:
    return tuple(position for position, axis in enumerate(order) if axis == "-")


def _five(order: str, values: Any) -> Index5:
    """Sort one value an axis into the order of slabs; 1 where there is no such axis."""
    named: Mapping[str, int] = dict(zip(order, values, strict=True))
    m, c, z, y, x = (named.get(axis, 1) for axis in ORDER)
    return m, c, z, y, x
