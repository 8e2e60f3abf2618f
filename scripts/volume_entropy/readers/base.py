"""What every reader gives: a geometry, and slabs in file order."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .axes import Roles


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
        As a NIfTI header has them, so that maps can be written with the codes of their source; 0 in `xyzt_units` where
        the file does not say the unit.
    assumed
        Why the place is only assumed, in words: the file does not say it.
    unitless
        Spatial axes of an OME-Zarr image that have no unit of length and are taken to be in mm.
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
    assumed: str = ""
    unitless: tuple[str, ...] = ()

    @property
    def affine_mm(self) -> NDArray[np.float64]:
        """`affine` to mm; the row below the transform stays what it is."""
        return self._in_mm(self.affine)

    @property
    def by_qform(self) -> bool:
        """Whether the affine is the qform of a header without sform."""
        return self.qform is not None and self.qform_code > 0 and self.sform_code == 0

    @property
    def other_mm(self) -> NDArray[np.float64] | None:
        """The header's other transform, to mm: the qform beside an sform, which counts; None where there is none."""
        beside = self.qform is not None and self.qform_code > 0 and self.sform_code > 0
        return self._in_mm(self.qform) if beside and self.qform is not None else None

    @property
    def says_unit(self) -> bool:
        """Whether the file says its unit of length, of which the lowest three bits of `xyzt_units` tell."""
        return self.xyzt_units & 7 != 0

    def _in_mm(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = affine.copy()
        scaled[:3] *= self.unit_mm
        return scaled

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

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> "Geometry":
        """Restore what `header` gave."""
        matrices = {
            name: np.array(header[name], np.float64) for name in ("affine", "qform") if header[name] is not None
        }
        lists = {name: tuple(value) for name, value in header.items() if isinstance(value, list)}
        return cls(**{**header, **lists, **matrices})


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


def times(shape: tuple[int | str, ...]) -> str:
    """Write a shape as messages do: 4 × 5 × 6."""
    return " × ".join(map(str, shape))
