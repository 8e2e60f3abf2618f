"""How a volume is cut into blocks (one shard, one Dask task) and chunks."""

from dataclasses import dataclass
from itertools import product
from math import prod

Slices = tuple[slice, slice, slice]
Shape = tuple[int, int, int]

# All classes of one member of a block, in memory at once; a 1 mm brain of four float32 classes gets six blocks. With 36
# MiB its entropy takes the same time and 260 MiB instead of 233 (two threads), with 12 MiB 205; with five members 400,
# 330 and 280 MiB.
BLOCK_BYTES = 24 * 2**20
# One class of a z-slab, which a stream must hold until its blocks are whole.
SLAB_BYTES = 64 * 2**20
# Slabs thinner than this are replaced by boxes, since a file costs its time however little is in it.
THINNEST_SLAB = 6


@dataclass(frozen=True)
class Layout:
    """Blocks and chunks of a volume; every triple is (z, y, x), in voxels.

    Attributes
    ----------
    shape
        Of the volume.
    chunk
        What is compressed and checked as one; divides `block`.
    block
        What is one shard (file) of an array and one task. The last block of an axis may stick out of the volume.
    """

    shape: Shape
    chunk: Shape
    block: Shape

    @property
    def grid(self) -> Shape:
        """Number of blocks along z, y and x."""
        z, y, x = (_ceil(size, edge) for size, edge in zip(self.shape, self.block, strict=True))
        return z, y, x

    @property
    def slab(self) -> tuple[int, int]:
        """Slices, and rows of a slice, of the smallest piece of a stream that consists of whole blocks."""
        return self.block[0], self.shape[1] if self.block[0] > 1 else self.block[1]

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        z, y, x = self.grid
        return z * y * x

    def blocks(self) -> list[Slices]:
        """Return the boxes of the volume, clipped to it, in (z, y, x) order."""
        return [self._box(index) for index in product(*map(range, self.grid))]

    def covers_whole_blocks(self, slices: Slices) -> bool:
        """Whether a box is made of whole blocks, so that writing it never reads a shard back."""
        return all(
            part.start % edge == 0 and (part.stop % edge == 0 or part.stop == size)
            for part, size, edge in zip(slices, self.shape, self.block, strict=True)
        )

    def is_block(self, slices: Slices) -> bool:
        """Whether a box is exactly one block."""
        return self.covers_whole_blocks(slices) and all(
            part.stop - part.start <= edge for part, edge in zip(slices, self.block, strict=True)
        )

    def _box(self, index: tuple[int, ...]) -> Slices:
        z, y, x = (
            slice(i * edge, min((i + 1) * edge, size))
            for i, edge, size in zip(index, self.block, self.shape, strict=True)
        )
        return z, y, x


def choose_layout(shape: Shape, n_classes: int, itemsize: int, chunk: int, interleaved: bool = False) -> Layout:
    """Blocks of at most `BLOCK_BYTES` for all stored classes of one member.

    A block is a z-slab, so that a stream fills it without waiting. Where such slabs would be thinner than
    `THINNEST_SLAB` (many classes, or huge slices), blocks are boxes, and a stream holds one class of a z-range of at
    most `SLAB_BYTES`, or one slice.

    Parameters
    ----------
    shape
        (z, y, x) of the volume.
    n_classes
        Stored classes.
    itemsize
        Bytes of a stored value.
    chunk
        Edge of the cube whose voxels a chunk may have at most. In a thin block chunks are wider instead, first along
        x: each costs a third of a millisecond, whatever its size.
    interleaved
        Whether a stream gives all classes of a slab at once.
    """
    depth, height, width = shape
    slice_bytes = height * width * itemsize
    thickness = BLOCK_BYTES // (slice_bytes * n_classes)
    if thickness >= min(THINNEST_SLAB, depth):
        edges = (_even(depth, thickness), height, width)
    else:
        held = slice_bytes * (n_classes if interleaved else 1)
        edges = _box_edges(shape, n_classes * itemsize, max(1, SLAB_BYTES // held), chunk)
    chunk_z, block_z = _cut(edges[0], chunk, depth)
    chunk_x, block_x = _cut(edges[2], chunk**2 // chunk_z, width)
    chunk_y, block_y = _cut(edges[1], chunk**3 // (chunk_z * chunk_x), height)
    return Layout(shape, (chunk_z, chunk_y, chunk_x), (block_z, block_y, block_x))


def layout_of_bricks(shape: Shape, brick: Shape, n_classes: int, itemsize: int, chunk: int) -> Layout | None:
    """Blocks of at most `BLOCK_BYTES` for all stored classes of one member, made of whole bricks.

    None if that cannot be: if one brick is too large, or slabs as deep as one for the pass over the measures.

    Parameters
    ----------
    brick
        What can only be read as a whole, no longer than the volume along any axis.
    shape, n_classes, itemsize, chunk
        As in `choose_layout`.
    """
    _, height, width = shape
    if prod(brick) * n_classes * itemsize > BLOCK_BYTES or brick[0] * height * width * itemsize > SLAB_BYTES:
        return None
    block = list(brick)
    for axis in (2, 1, 0):
        bricks = _ceil(shape[axis], brick[axis])
        room = BLOCK_BYTES // (prod(block) * n_classes * itemsize)
        if axis == 0:
            room = min(room, SLAB_BYTES // (brick[0] * height * width * itemsize))
        block[axis] = brick[axis] * _even(bricks, max(1, room))
        if block[axis] < shape[axis]:
            break
    edges = [_divisor(edge, chunk) for edge in block]
    return Layout(shape, (edges[0], edges[1], edges[2]), (block[0], block[1], block[2]))


def _divisor(edge: int, longest: int) -> int:
    """Return the largest divisor of an edge that is no longer than `longest`; the edge where it has but short ones."""
    found = next(divisor for divisor in range(min(edge, longest), 0, -1) if edge % divisor == 0)
    return found if 4 * found >= min(edge, longest) else edge


def _box_edges(shape: Shape, voxel_bytes: int, deepest: int, chunk: int) -> Shape:
    """Edges of a box of at most `BLOCK_BYTES`: as deep as a chunk if a slab may be, then cut along y, then along x."""
    depth, height, width = shape
    voxels = max(1, BLOCK_BYTES // voxel_bytes)
    z = _even(depth, min(deepest, chunk, voxels))
    # Rows stay whole unless even a box one chunk high would be too large.
    y = _even(height, max(1, min(height, max(voxels // (z * width), min(chunk, voxels // z)))))
    x = _even(width, max(1, min(width, voxels // (z * y))))
    return z, y, x


def _cut(edge: int, longest: int, size: int) -> tuple[int, int]:
    """Return the chunk edge that cuts a block's edge evenly (233 -> 4 x 59, not 4 x 64), and the block edge it fills.

    That is a little more than `edge` where the block spans the axis, since nothing lies there, and no more elsewhere.
    """
    parts = _ceil(edge, longest)
    chunk = _ceil(edge, parts) if edge == size else edge // parts
    return chunk, chunk * parts


def _even(size: int, longest: int) -> int:
    """Return the edge that cuts `size` into equal parts no longer than `longest`."""
    return _ceil(size, _ceil(size, min(size, longest)))


def _ceil(size: int, edge: int) -> int:
    return -(-size // edge)
