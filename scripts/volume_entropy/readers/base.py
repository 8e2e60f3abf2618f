"""What every reader gives: a geometry, and slabs in file order."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError

if TYPE_CHECKING:
    from .axes import Roles

# Largest difference between two affines, entry by entry, that still is the same place.
AFFINE_TOLERANCE_MM = 1e-3


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the voxels of a file lie.

    Attributes
    ----------
    shape
        Voxels along x, y, z.
    affine
        4 x 4, float64, from voxel (x, y, z) to the unit of the file, by the file's best transform.
    zooms
        Edges of a voxel along x, y, z, in the unit of the file.
    unit_mm
        Millimetres of the file's unit of length; 1 where the file does not say.
    placed
        False where the format has no place in space (plain arrays); `affine` is then the identity.
    qform, qform_code, sform_code, xyzt_units
        As a NIfTI header has them, so that maps can be written with the codes of their source.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    zooms: tuple[float, float, float]
    unit_mm: float = 1.0
    placed: bool = True
    qform: NDArray[np.float64] | None = None
    qform_code: int = 0
    sform_code: int = 0
    xyzt_units: int = 0

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm³."""
        # The triple product, since the determinant's elimination makes 7.999999999999998 of a 2 mm voxel.
        x, y, z = self.affine[:3, :3].T
        return float(abs(np.dot(x, np.cross(y, z))) * self.unit_mm**3)

    def header(self) -> dict[str, Any]:
        """Return all fields as JSON has them."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in fields.items()}


@dataclass(frozen=True, eq=False)
class Slab:
    """A piece of one class of one member.

    Attributes
    ----------
    member, class_index
        Within the file.
    z, y, x
        The voxel at which the piece starts.
    data
        (depth, height, width).
    """

    member: int
    class_index: int
    z: int
    data: NDArray[Any]
    y: int = 0
    x: int = 0


class Reader(Protocol):
    """One source file, its header read and checked.

    Attributes
    ----------
    quantum
        Step between neighbouring values of a scaled integer storage; 0 where values are what they are.
    interleaved
        Whether all classes of a voxel lie together in the file, so that a slab of one class costs that of all.
    brick
        Edges (z, y, x) of what can be read alone, by `read_box`; None where a file is a stream.
    roles
        Which axis of the file is what.
    labels
        What the file itself calls its classes, in its order; None if it does not.
    """

    path: str
    geometry: Geometry
    roles: "Roles"
    labels: Sequence[str] | None
    n_members: int
    n_classes: int
    quantum: float
    interleaved: bool
    brick: tuple[int, int, int] | None

    def slabs(self, depth: int, rows: int | None = None, *, scaled_only: bool = False) -> Generator[Slab]:
        """Yield every voxel once, in file order, in bounded memory; then check the end of the file.

        Parameters
        ----------
        depth
            Slices of a slab; the last one may have fewer.
        rows
            With depth 1: cut slices into pieces of so many rows.
        scaled_only
            Give float32 only where the header scales the values, else the file's own type.

        Raises
        ------
        DataError
            The file ends too early, goes on too long, or is damaged.
        """
        ...


class BoxReader(Reader, Protocol):
    """A reader whose `brick` is not None."""

    def read_box(self, member: int, classes: range, z: range, y: range, x: range, out: NDArray[Any]) -> None:
        """Fill `out` (class, z, y, x), float32 or float16, with a box of one member: the values that `slabs` gives.

        Raises
        ------
        DataError
            What it touches is damaged.
        """
        ...

    def note_absent(self) -> None:
        """Log what parts of the file are absent, and count as its fill value.

        Raises
        ------
        DataError
            There is no such value.
        """
        ...


def one_ahead(slabs: Generator[Slab]) -> Iterator[Slab]:
    """Yield from `slabs` while a thread already makes the next one: decoding overlaps with writing."""
    with ThreadPoolExecutor(1) as pool:
        try:
            coming = pool.submit(next, slabs, None)
            while (slab := coming.result()) is not None:
                coming = pool.submit(next, slabs, None)
                yield slab
        finally:
            # A generator cannot be closed while the thread still runs it.
            pool.shutdown(wait=True)
            slabs.close()


def check_same_place(path: str, geometry: Geometry, other_path: str, other: Geometry) -> None:
    """Check that two files of a sample have the same voxels in the same place.

    Raises
    ------
    DataError
        They differ; the message names both files.
    """
    if geometry.shape != other.shape:
        hint = ""
        if sorted(geometry.shape) == sorted(other.shape):
            hint = " The axes look permuted: see `probabilities.axes`."
        elif _could_be_cropped(geometry, other) or _could_be_cropped(other, geometry):
            hint = (
                " An array that is smaller than its image may be cropped: nnU-Net v1 does not revert its cropping in "
                "the .npz, and only its pickle, which is not opened, says where the crop lay; predict with nnU-Net v2."
            )
        raise DataError(
            "shape_mismatch",
            f"{path} has {times(geometry.shape)} voxels, but {other_path} has {times(other.shape)}",
            f"Resample one of the two to the grid of the other, or correct the samples table.{hint}",
        )
    if not (geometry.placed and other.placed):
        return
    difference = np.abs(geometry.affine * geometry.unit_mm - other.affine * other.unit_mm).max()
    if difference > AFFINE_TOLERANCE_MM:
        raise DataError(
            "affine_mismatch",
            f"{path} and {other_path} lie in different places: their affines differ by up to {difference:.4g} mm, "
            f"expected at most {AFFINE_TOLERANCE_MM:g} mm",
            "Resample one of the two to the grid of the other, or correct the samples table.",
        )


def _could_be_cropped(array: Geometry, image: Geometry) -> bool:
    smaller = all(size <= full for size, full in zip(array.shape, image.shape, strict=True))
    return smaller and image.placed and not array.placed


def times(shape: tuple[int, ...]) -> str:
    """Write a shape as messages do: 4 × 5 × 6."""
    return " × ".join(map(str, shape))
