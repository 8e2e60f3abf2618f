"""From bytes to values: data types, scaling, and slabs cut from a stream."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Slab
from .sources import Source


@dataclass(frozen=True)
class VoxelType:
    """How a voxel is stored.

    Attributes
    ----------
    dtype
        In the file's byte order.
    slope, inter
        value = slope · stored + inter.
    missing
        Stored numbers that stand for no value, which is read as NaN.
    """

    dtype: np.dtype[Any]
    slope: float = 1.0
    inter: float = 0.0
    missing: tuple[float, ...] = ()

    def over(self, scale: float) -> "VoxelType":
        """The same numbers, of which `scale` becomes 1."""
        return replace(self, slope=self.slope / scale, inter=self.inter / scale)

    @property
    def scaled(self) -> bool:
        """Whether the stored numbers are not the values."""
        return self.slope != 1.0 or self.inter != 0.0

    @property
    def quantum(self) -> float:
        """Step of a scaled integer; 0 for floats and for plain integers, of which only 0 and 1 are probabilities."""
        return abs(self.slope) if self.scaled and self.dtype.kind in "iu" else 0.0

    def values(self, stored: NDArray[Any], scaled_only: bool = False) -> NDArray[Any]:
        """Turn stored numbers into float32 values, C-contiguous; into the native type if `scaled_only` and unscaled."""
        # Signed integers may be meant as unsigned ones; see `packing`.
        stored = stored.view(self.dtype)
        values = self._present(stored, scaled_only)
        for number in self.missing:
            absent = stored == number
            if absent.any():
                values = values.astype(np.float32, copy=False)
                values[absent] = np.nan
        return values

    def _present(self, stored: NDArray[Any], scaled_only: bool) -> NDArray[Any]:
        if not self.scaled:
            target = self.dtype.newbyteorder("=") if scaled_only else np.dtype(np.float32)
            # A float64 beyond float32 becomes infinity, which is counted as invalid where it is not refused.
            with np.errstate(over="ignore", invalid="ignore"):
                return np.ascontiguousarray(stored, dtype=target)
        if self.dtype.kind in "iu" and self.dtype.itemsize <= 2:
            # All values of the type, scaled once in float64: a look-up costs less than two passes over the voxels.
            unsigned = np.dtype(f"u{self.dtype.itemsize}")
            table = np.arange(2 ** (8 * self.dtype.itemsize)).astype(unsigned).view(self.dtype.newbyteorder("="))
            scaled: NDArray[np.float32] = self._scale(table)
            native: NDArray[Any] = stored.astype(self.dtype.newbyteorder("="), copy=False)
            return scaled.take(native.view(unsigned))
        return self._scale(stored)

    def _scale(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        # Widening a signalling NaN is an invalid operation too.
        with np.errstate(over="ignore", invalid="ignore"):
            numbers = stored.astype(np.float64)
            numbers *= self.slope
            numbers += self.inter
            return numbers.astype(np.float32)


def stream_slabs(
    source: Source,
    voxels: VoxelType,
    shape: tuple[int, int, int],
    *,
    n_members: int,
    n_classes: int,
    interleaved: bool,
    depth: int,
    rows: int | None,
    scaled_only: bool,
) -> Generator[Slab]:
    """Cut a stream that stands at its first voxel into slabs.

    The stream is (member, class, z, y, x), x fastest; or, interleaved, (member, z, y, x, class). `shape` is (z, y, x);
    the other arguments are those of `Reader.slabs`.
    """
    size_z, size_y, size_x = shape
    rows = rows if depth == 1 and rows is not None else size_y
    volumes = [(m, c) for m in range(n_members) for c in range(1 if interleaved else n_classes)]
    for member, class_index in volumes:
        for z in range(0, size_z, depth):
            for y in range(0, size_y, rows):
                box = (min(depth, size_z - z), min(rows, size_y - y), size_x)
                stored = np.empty((*box, n_classes) if interleaved else box, voxels.dtype)
                source.readinto(stored.data.cast("B"))
                if not interleaved:
                    yield Slab(member, class_index, z, voxels.values(stored, scaled_only), y)
                    continue
                for each in range(n_classes):
                    yield Slab(member, each, z, voxels.values(stored[..., each], scaled_only), y)
    source.finish()
