"""FreeSurfer's MGH format, compressed (`.mgz`) or not (`.mgh`): big-endian, x fastest, one frame a class.

Source: FreeSurfer's `mri.h` and `mriio.cpp` (`mghRead`), https://surfer.nmr.mgh.harvard.edu/fswiki/FsTutorial/MghFormat.
"""

import struct
from collections.abc import Generator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .base import Geometry, Slab, times
from .sources import REMAKE, opened, skip
from .voxels import VoxelType, stream_slabs

HEADER_BYTES = 284
# Version, four axes, type, degrees of freedom, whether the rest counts; voxel sizes, directions of x, y, z, centre.
_HEADER = struct.Struct(">7ih15f")
_TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2", 10: ">u2"}
_KNOWN_OTHER = {2: "long", 5: "bitmap", 6: "tensor", 7: "complex", 8: "RGB"}
# After the voxels: TR, flip angle, TE, TI and field of view (older files lack the last), then tags (command lines).
_NUMBERS_BYTES, _OLD_NUMBERS_BYTES = 20, 16
_HIGHEST_TAG = 9999
_LONGEST_FOOTER = 2**20
_SHORTEST_LIMIT = 2**13
# Without a geometry FreeSurfer assumes a coronal volume of 1 mm, centred.
_CORONAL = ((-1.0, 0, 0), (0, 0, -1.0), (0, 1.0, 0))
_SCANNER, _MM = 1, 2


@dataclass(frozen=True)
class MghReader:
    """See `base.Reader`."""

    path: str
    geometry: Geometry
    n_classes: int
    voxels: VoxelType
    n_bytes: int
    footer: int

    n_members = 1
    interleaved = False
    brick = None

    @property
    def quantum(self) -> float:
        """See `VoxelType`."""
        return self.voxels.quantum

    def slabs(self, depth: int, rows: int | None = None, *, scaled_only: bool = False) -> Generator[Slab]:
        """See `base.Reader`."""
        x, y, z = self.geometry.shape
        with opened(self.path) as source:
            source.expect(self.n_bytes, self.footer)
            skip(source, HEADER_BYTES)
            yield from stream_slabs(
                source,
                self.voxels,
                (z, y, x),
                n_members=1,
                n_classes=self.n_classes,
                interleaved=False,
                depth=depth,
                rows=rows,
                scaled_only=scaled_only,
            )
            _check_footer(self.path, source.footer)


def open_reader(path: str, *, n_classes: int | None, class_axis: str, axes: str) -> MghReader:
    """See `readers.open_reader`; `class_axis` and `axes` are not used, since frames are always last."""
    with opened(path) as source:
        start = bytearray(HEADER_BYTES)
        source.readinto(memoryview(start))
        version, *shape, code, _, good = _HEADER.unpack_from(start)[:8]
        if version != 1:
            raise DataError(
                "not_this_format",
                f"{path} is no MGH file: it begins with {bytes(start[:4])!r}, expected version 1",
                "Correct the path, or convert the file with mri_convert.",
            )
        if min(shape) < 1:
            raise _invalid(path, f"the dimensions {tuple(shape)}", "positive ones")
        if code not in _TYPES:
            raise DataError(
                "type_unsupported",
                f"{path} holds voxels of type {_KNOWN_OTHER.get(code, code)}, expected one of "
                f"{', '.join(np.dtype(name).name for name in _TYPES.values())}",
                "Give the file that holds the probabilities as numbers.",
            )
        dtype = np.dtype(_TYPES[code])
        frame = prod(shape[:3]) * dtype.itemsize
        n_bytes = HEADER_BYTES + frame * shape[3]
        # A header that lacks a frame must not pass the frame off as a footer.
        footer = min(_LONGEST_FOOTER, max(frame - 1, _SHORTEST_LIMIT))
        source.expect(n_bytes, footer)
    if n_classes not in (None, shape[3]):
        raise DataError(
            "class_mismatch",
            f"{path} has the shape {times(tuple(shape))}, and so {shape[3]} classes (frames); expected {n_classes}",
            "List in `probabilities.classes` what the file holds, in the order of its frames.",
        )
    geometry = _geometry(path, (shape[0], shape[1], shape[2]), _HEADER.unpack_from(start)[8:] if good > 0 else None)
    return MghReader(path, geometry, shape[3], VoxelType(dtype), n_bytes, footer)


def _check_footer(path: str, footer: bytes) -> None:
    """Tell what FreeSurfer writes after the voxels from voxels of which the header says nothing."""
    if len(footer) not in (0, _OLD_NUMBERS_BYTES) and len(footer) < _NUMBERS_BYTES:
        message = f"{path} ends {len(footer)} bytes after its voxels, in the middle of its footer"
        raise DataError("file_truncated", message, REMAKE)
    first_tag = int.from_bytes(footer[_NUMBERS_BYTES : _NUMBERS_BYTES + 4], "big")
    if len(footer) > _NUMBERS_BYTES and not 1 <= first_tag <= _HIGHEST_TAG:
        message = f"{path} goes on for {len(footer)} bytes after the voxels of its header, and not with a footer"
        raise DataError("file_oversized", message, REMAKE)


def _geometry(path: str, shape: tuple[int, int, int], fields: tuple[float, ...] | None) -> Geometry:
    """Where the voxels lie: the centre of the volume, of which the header gives the place, is at voxel n / 2."""
    zooms = np.ones(3) if fields is None else np.array(fields[:3], np.float64)
    directions = _CORONAL if fields is None else np.reshape(fields[3:12], (3, 3))
    centre = np.zeros(3) if fields is None else np.array(fields[12:], np.float64)
    affine: NDArray[np.float64] = np.eye(4)
    with np.errstate(all="ignore"):  # absurd numbers overflow on their way to being refused
        # The header gives one direction after the other; they are the columns of the matrix.
        affine[:3, :3] = np.asarray(directions, np.float64).T * zooms
        affine[:3, 3] = centre - affine[:3, :3] @ (np.array(shape) / 2)
        determinant = np.linalg.det(affine[:3, :3])
        if not np.isfinite(affine.astype(np.float32)).all() or not np.isfinite(determinant) or determinant == 0:
            raise _invalid(path, "a geometry that puts the voxels nowhere", "voxel sizes and directions with a volume")
    x, y, z = np.abs(zooms).tolist()
    return Geometry(shape, affine, (x, y, z), 1.0, True, None, 0, _SCANNER, _MM)


def _invalid(path: str, found: str, expected: str) -> DataError:
    return DataError("header_invalid", f"{path} has {found} in its header, expected {expected}", REMAKE)
