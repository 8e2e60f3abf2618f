"""Which slices a figure shows, which way up they are, and how they are read without holding a volume.

Voxel axes are named by number, 0 to 2 for x, y, z; arrays are `(z, y, x)`, so voxel axis v is array axis 2 - v.
Anatomical axes are numbered as in RAS+: 0 grows to the right, 1 to the front, 2 to the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..measures import PEAK_SLICE_MIN_SHARE

Axes = tuple[int, int, int]

# Plane → the anatomical axes of its slices, of its rows and of its columns.
PLANES: dict[str, Axes] = {"sagittal": (0, 2, 1), "coronal": (1, 2, 0), "axial": (2, 1, 0)}
POSITIVE, NEGATIVE = "RAS", "LPI"
# A slice with a smaller share of the fullest one's voxels holds strays, and is not where the object is.
MIN_SHARE = PEAK_SLICE_MIN_SHARE
# Of one plane on a sheet, which beyond is too large for people and for memory.
MOST_SLICES = 512


@dataclass(frozen=True)
class Orientation:
    """How the voxel axes lie in the body.

    Attributes
    ----------
    anatomical
        For x, y and z the nearest anatomical axis; each occurs once.
    forwards
        For x, y and z whether the index grows to the right, the front, the head.
    voxel_mm
        Length of a voxel along x, y and z.
    obliqueness
        Largest angle between a voxel axis and its anatomical axis, in degrees.
    """

    anatomical: Axes
    forwards: tuple[bool, bool, bool]
    voxel_mm: tuple[float, float, float]
    obliqueness: float


def orientation_of(affine: ArrayLike) -> Orientation:
    """Read the orientation that a 4 × 4 affine (voxel x, y, z → mm, RAS+) gives; any permutation, flip or rotation."""
    matrix = np.asarray(affine, np.float64)[:3, :3]
    lengths = np.linalg.norm(matrix, axis=0)
    lengths[lengths == 0] = 1
    cosines = matrix / lengths
    # All six assignments are tried: taking the nearest axis one by one can leave a bad one for the last.
    best = max(permutations(range(3)), key=lambda axes: sum(abs(cosines[a, v]) for v, a in enumerate(axes)))
    along = [float(cosines[a, v]) for v, a in enumerate(best)]
    angle = float(np.degrees(np.arccos(min(1.0, min(map(abs, along))))))
    x, y, z = (cosine >= 0 for cosine in along)
    return Orientation((best[0], best[1], best[2]), (x, y, z), (lengths[0], lengths[1], lengths[2]), angle)


@dataclass(frozen=True)
class Plane:
    """One plane of a figure: the voxel axis it is cut along, and how its slices are turned for the sheet.

    Radiological convention: the patient's right, front and head are at the left and the top, so that along every
    axis of the sheet, and from slice to slice, the anatomical coordinate falls.
    """

    name: str
    axis: int
    size: tuple[float, float]
    """Height and width in mm."""
    shape: tuple[int, int]
    """Voxels along the height and the width."""
    swapped: bool
    flipped: tuple[bool, bool]
    descending: bool
    """Whether the slice index falls from the first slice on the sheet to the last."""
    edges: tuple[str, str, str, str]
    """Anatomical letters at the left, right, top and bottom."""

    def turned(self, stack: NDArray[Any]) -> NDArray[Any]:
        """Turn a stack `(slice, …)`, as cut from a `(z, y, x)` array, to `(slice, row, column)` of the sheet."""
        if self.swapped:
            stack = stack.swapaxes(1, 2)
        rows, columns = (slice(None, None, -1 if flipped else 1) for flipped in self.flipped)
        return stack[:, rows, columns]


def plane_of(name: str, orientation: Orientation, shape: Sequence[int]) -> Plane:
    """Describe the plane called `name` of a volume of `shape` (z, y, x)."""
    axis, rows, columns = (orientation.anatomical.index(axis) for axis in PLANES[name])
    _, vertical, horizontal = PLANES[name]
    counts = shape[2 - rows], shape[2 - columns]
    return Plane(
        name=name,
        axis=axis,
        size=(counts[0] * orientation.voxel_mm[rows], counts[1] * orientation.voxel_mm[columns]),
        shape=counts,
        # The later voxel axis comes first in a (z, y, x) array.
        swapped=rows < columns,
        flipped=(orientation.forwards[rows], orientation.forwards[columns]),
        descending=orientation.forwards[axis],
        edges=(POSITIVE[horizontal], NEGATIVE[horizontal], POSITIVE[vertical], NEGATIVE[vertical]),
    )


def choose_slices(voxels: NDArray[np.float64], n: int | Literal["all"], peaks: Sequence[int | None]) -> list[int]:
    """Choose the slices to show, ascending: `n` spread evenly over the object, the nearest ones moved to the peaks.

    Parameters
    ----------
    voxels
        Voxels of the object in each slice; where there are none at all, the whole axis is taken.
    n
        How many; fewer if the object is thinner. "all": every slice of the volume; of more than `MOST_SLICES` every
        second, or third, ….
    peaks
        Slices that must be among them, the first before others where `n` is less; None is no slice.
    """
    if n == "all":
        every = -(-voxels.size // MOST_SLICES)
        return _with_peaks(list(range(every // 2, voxels.size, every)), peaks)
    occupied = np.flatnonzero(voxels >= max(1, MIN_SHARE * voxels.max()))
    first, last = (int(occupied[0]), int(occupied[-1])) if occupied.size else (0, voxels.size - 1)
    extent = last - first + 1
    count = min(int(n), extent)
    chosen = [first + int((i + 0.5) * extent / count) for i in range(count)]
    return _with_peaks(chosen, peaks)


def _with_peaks(chosen: list[int], peaks: Sequence[int | None]) -> list[int]:
    """Move to each peak the nearest of the chosen slices that is none."""
    for number, peak in enumerate(peaks):
        free = [index for index in chosen if index not in peaks[:number]]
        if peak is not None and peak not in chosen and free:
            nearest = min(free, key=lambda index: abs(index - peak))
            chosen[chosen.index(nearest)] = peak
    return sorted(chosen)


class SliceCounts:
    """Sums over each slice along x, y and z, of slabs that come one by one.

    Parameters
    ----------
    shape
        (z, y, x) of the volume.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._sums = [np.zeros(size) for size in shape[::-1]]

    def add(self, start: int, slab: NDArray[Any]) -> None:
        """Count a slab `(depth, y, x)` of numbers or truth values that begins at z = `start`."""
        kind = np.float64 if slab.dtype.kind == "f" else np.int64
        lines = slab.sum(axis=2, dtype=kind if kind is np.float64 else np.uint32)
        self._sums[0] += slab.reshape(-1, slab.shape[2]).sum(axis=0, dtype=kind if kind is np.float64 else np.uint32)
        self._sums[1] += lines.sum(axis=0, dtype=kind)
        self._sums[2][start : start + len(slab)] += lines.sum(axis=1, dtype=kind)

    def along(self, axis: int) -> NDArray[np.float64]:
        """Sum over each slice across voxel axis `axis`."""
        return self._sums[axis]


def peak_slice(total: NDArray[np.float64], voxels: NDArray[np.float64]) -> int | None:
    """Find the slice with the highest mean; those under `MIN_SHARE` of the fullest one's voxels are left out."""
    counted = voxels >= max(1.0, MIN_SHARE * voxels.max())
    if not counted.any():
        return None
    return int(np.argmax(np.where(counted, total / np.maximum(voxels, 1), -1.0)))
