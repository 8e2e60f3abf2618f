"""Voxels on their way from a file's order to slabs, in a temporary file where memory would not hold them."""

import os
from itertools import product
from math import prod
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .sources import Source

# What is transposed at once.
PIECE_BYTES = 16 * 2**20
ORDER = "mczyx"

Index5 = tuple[int, int, int, int, int]


class Spool:
    """A temporary file of bricks; a slab is put together from the bricks that it touches.

    Where x or the member is a file's slowest axis, a slab in z needs voxels from all over the file; this costs one
    write and one read of the volume instead of one pass over the file a slab. The file lies in the folder for
    temporary files (`TMPDIR`), takes as much room as the uncompressed voxels, and has no name: it is gone with the job.

    Parameters
    ----------
    dtype
        Of the bricks.
    """

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._bricks: list[tuple[int, Index5, Index5]] = []
        self._end = 0

    def __enter__(self) -> Self:
        self._file = TemporaryFile(buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, start: Index5, brick: NDArray[Any]) -> None:
        """Keep a brick (member, class, z, y, x) that begins at `start`."""
        content = np.ascontiguousarray(brick, self._dtype).data.cast("B")
        written = 0
        while written < len(content):
            written += self._file.write(content[written:])
        size_m, size_c, size_z, size_y, size_x = brick.shape
        self._bricks.append((self._end, start, (size_m, size_c, size_z, size_y, size_x)))
        self._end += len(content)

    def fill(self, source: Source, order: str, sizes: dict[str, int]) -> None:
        """Take in a stream whose axes, slowest first, are the letters of `order` (of `mczyx`) with their `sizes`."""
        shape = [sizes[axis] for axis in order]
        # The axes before `cut` are walked one by one, that one in steps; what is behind it fits as a whole.
        cut = next(k for k in range(len(shape)) if prod(shape[k + 1 :]) * self._dtype.itemsize <= PIECE_BYTES)
        inner = shape[cut + 1 :]
        step = min(shape[cut], max(1, PIECE_BYTES // (prod(inner) * self._dtype.itemsize)))
        for before in product(*map(range, shape[:cut])):
            for first in range(0, shape[cut], step):
                piece = np.empty((min(step, shape[cut] - first), *inner), self._dtype)
                source.readinto(piece.data.cast("B"))
                start = dict(zip(order, (*before, first), strict=False))
                self.add(_index(start), as_brick(piece, order[cut:]))

    def read(self, member: int, class_index: int, z: range, y: range, width: int) -> NDArray[Any]:
        """Put together a box (z, y, x) of whole rows; of one slice only, or of whole slices."""
        box = np.empty((len(z), len(y), width), self._dtype)
        for offset, (m0, c0, z0, y0, x0), (ms, cs, zs, ys, xs) in self._bricks:
            if not (m0 <= member < m0 + ms and c0 <= class_index < c0 + cs):
                continue
            z1, z2 = max(z.start, z0), min(z.stop, z0 + zs)
            y1, y2 = max(y.start, y0), min(y.stop, y0 + ys)
            if z1 >= z2 or y1 >= y2:
                continue
            # One run of the file: either all rows of the brick, or rows of one of its slices.
            plane = ((member - m0) * cs + class_index - c0) * zs + z1 - z0
            run = np.empty((z2 - z1, y2 - y1, xs), self._dtype)
            self._read_at(offset + (plane * ys + y1 - y0) * xs * self._dtype.itemsize, run.data.cast("B"))
            box[z1 - z.start : z2 - z.start, y1 - y.start : y2 - y.start, x0 : x0 + xs] = run
        return box

    def _read_at(self, offset: int, buffer: memoryview) -> None:
        while buffer:
            count = os.preadv(self._file.fileno(), [buffer], offset)
            if count == 0:
                raise OSError("a temporary file lost its end")
            offset, buffer = offset + count, buffer[count:]


def as_brick(array: NDArray[Any], order: str) -> NDArray[Any]:
    """Turn an array whose axes are the letters of `order` into (member, class, z, y, x), absent axes of length 1."""
    present = [axis for axis in ORDER if axis in order]
    moved = array.transpose([order.index(axis) for axis in present])
    return moved.reshape([moved.shape[present.index(axis)] if axis in order else 1 for axis in ORDER])


def _index(start: dict[str, int]) -> Index5:
    m, c, z, y, x = (start.get(axis, 0) for axis in ORDER)
    return m, c, z, y, x
