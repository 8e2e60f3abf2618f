"""NIfTI-1 and NIfTI-2, in one file, compressed or not.

The header is read by nibabel; the voxels are read here, since nibabel keeps no checksum, reads a slab of a compressed
file from the file's start, and makes float64 of everything.
"""

from collections.abc import Generator
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header, data_type_codes
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from ..errors import DataError
from .axes import Axes, find_axes
from .base import Geometry, Slab
from .sources import REMAKE, Source, opened, skip
from .voxels import VoxelType, stream_slabs

# Headers that can be told apart by their own size, the first four bytes of the file.
_HEADERS: dict[int, Any] = {348: Nifti1Header, 540: Nifti2Header}
_SINGLE_FILE = {Nifti1Header: b"n+1", Nifti2Header: b"n+2"}
_REAL_KINDS = "iuf"
_HIGHEST_XFORM_CODE = 5
_UNIT_MM = {1: 1000.0, 2: 1.0, 3: 0.001}


@dataclass(frozen=True)
class NiftiReader:
    """See `base.Reader`."""

    path: str
    geometry: Geometry
    axes: Axes
    voxels: VoxelType
    offset: int
    n_bytes: int

    n_members = 1
    brick = None

    @property
    def n_classes(self) -> int:
        """Classes of this file."""
        return self.axes.n_classes

    @property
    def interleaved(self) -> bool:
        """Whether the class axis is the first, which in NIfTI is the fastest."""
        return self.axes.class_first and self.axes.n_classes > 1

    @property
    def quantum(self) -> float:
        """See `VoxelType`."""
        return self.voxels.quantum

    def slabs(self, depth: int, rows: int | None = None, *, scaled_only: bool = False) -> Generator[Slab]:
        """See `base.Reader`."""
        x, y, z = self.geometry.shape
        with opened(self.path) as source:
            source.expect(self.n_bytes)
            skip(source, self.offset)
            yield from stream_slabs(
                source,
                self.voxels,
                (z, y, x),
                n_members=1,
                n_classes=self.n_classes,
                interleaved=self.interleaved,
                depth=depth,
                rows=rows,
                scaled_only=scaled_only,
            )


def open_reader(path: str, *, n_classes: int | None, class_axis: str, axes: str) -> NiftiReader:
    """See `readers.open_reader`; `axes` is not used, since NIfTI is x, y, z by its standard."""
    with opened(path) as source:
        header = _read_header(source)
        shape = _shape(path, header)
        dtype = _dtype(path, header)
        offset = _offset(path, header)
        n_bytes = offset + prod(shape) * dtype.itemsize
        source.expect(n_bytes)
    roles = find_axes(path, shape, n_classes, class_axis)
    voxels = VoxelType(dtype, *_scaling(path, header))
    return NiftiReader(path, _geometry(path, header, roles), roles, voxels, offset, n_bytes)


def read_description(path: str) -> str:
    """Return what the program that wrote a file says of it in the header's `descrip`.

    Raises
    ------
    DataError
        The file cannot be read as NIfTI.
    """
    with opened(path) as source:
        return bytes(_read_header(source)["descrip"].item()).decode("latin-1")


def _read_header(source: Source) -> Any:
    """Read the fixed part of the header, in whichever byte order and version it is."""
    start = bytearray(4)
    source.readinto(memoryview(start))
    little, big = _HEADERS.get(int.from_bytes(start, "little")), _HEADERS.get(int.from_bytes(start, "big"))
    kind = little or big
    if kind is None:
        compressed = start[:2] == b"\x1f\x8b"
        raise DataError(
            "not_this_format",
            f"{source.path} is {'compressed by gzip, but not named .nii.gz' if compressed else 'no NIfTI file'}: it "
            f"begins with {bytes(start)!r}, expected the header size 348 or 540",
            "Add .gz to the name." if compressed else "Correct the path, or convert the file to NIfTI.",
        )
    rest = bytearray(kind.template_dtype.itemsize - 4)
    source.readinto(memoryview(rest))
    header = kind(bytes(start + rest), "<" if little else ">", check=False)
    magic = bytes(header["magic"].item())  # without the zero bytes that end it
    if magic != _SINGLE_FILE[kind]:
        raise DataError(
            "not_this_format",
            f"{source.path} is no single-file NIfTI: its magic is {magic!r}, expected {_SINGLE_FILE[kind]!r}",
            "Analyze files and .hdr/.img pairs leave the orientation open; convert them to .nii.gz.",
        )
    return header


def _shape(path: str, header: Any) -> tuple[int, ...]:
    dim = [int(size) for size in header["dim"]]
    if not 1 <= dim[0] <= 7:
        raise _invalid(path, f"{dim[0]} axes", "1 to 7")
    shape = tuple(dim[1 : dim[0] + 1])
    if min(shape) < 1:
        raise _invalid(path, f"the dimensions {shape}", "positive ones")
    return shape


def _dtype(path: str, header: Any) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code not in data_type_codes.dtype:
        raise _invalid(path, f"the data type code {code}", "one that NIfTI defines")
    dtype: np.dtype[Any] = np.dtype(data_type_codes.dtype[code])
    if dtype.kind not in _REAL_KINDS or dtype.itemsize > 8 or dtype.itemsize == 0:
        raise DataError(
            "type_unsupported",
            f"{path} holds voxels of type {data_type_codes.label[code]}, expected integers or floats of 8 to 64 bits",
            "Give the file that holds the probabilities as numbers, not a colour or complex image.",
        )
    return dtype.newbyteorder(header.endianness)


def _offset(path: str, header: Any) -> int:
    offset, least = float(header["vox_offset"]), header.single_vox_offset
    if offset == 0:
        return int(least)
    if not isfinite(offset) or offset < least or offset != int(offset):
        raise _invalid(path, f"voxels from byte {offset:g} on", f"a whole number of at least {least}")
    return int(offset)


def _scaling(path: str, header: Any) -> tuple[float, float]:
    """Slope and intercept; by the standard a slope of 0 (nibabel: or one that is not finite) means no scaling."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not isfinite(slope):
        return 1.0, 0.0
    if not isfinite(inter):
        raise _invalid(path, f"the slope {slope:g} with the intercept {inter:g}", "a finite intercept")
    return slope, inter


def _geometry(path: str, header: Any, axes: Axes) -> Geometry:
    """Where the voxels lie: by the sform, else by the qform, else by the voxel size with the origin at the centre."""
    for field in ("qform_code", "sform_code"):
        if not 0 <= int(header[field]) <= _HIGHEST_XFORM_CODE:
            # Some readers take such a transform, others fall back to another one: another place.
            raise _invalid(path, f"the {field} {int(header[field])}", f"0 to {_HIGHEST_XFORM_CODE}")
    with np.errstate(all="ignore"):  # absurd transforms overflow on their way to being refused
        qform = _qform(header) if int(header["qform_code"]) != 0 else None
        qform_code = 0 if qform is None else int(header["qform_code"])
        sform_code = int(header["sform_code"])
        if sform_code != 0:
            name, affine = "an sform", np.asarray(header.get_sform(), dtype=np.float64)
        elif int(header["qform_code"]) != 0:
            name, affine = "a qform", np.full((4, 4), np.nan) if qform is None else qform
        else:
            name, affine = "voxel sizes", _centred(header, axes)
        determinant = np.linalg.det(affine[:3, :3])
        # Maps carry the transform as float32.
        if not np.isfinite(affine.astype(np.float32)).all() or not isfinite(determinant) or determinant == 0:
            raise _invalid(path, f"{name} that put the voxels nowhere", "a finite transform that keeps volume")
        x, y, z = np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).tolist()
    units = int(header["xyzt_units"])
    unit_mm = _UNIT_MM.get(units & 7, 1.0)
    return Geometry(axes.shape, affine, (x, y, z), unit_mm, True, qform, qform_code, sform_code, units)


def _qform(header: Any) -> NDArray[np.float64] | None:
    """Return the qform, or None if its numbers are no rotation, which does no harm beside a valid sform."""
    if header["pixdim"][0] == 0:
        # By the standard, a handedness of 0 is 1.
        header = header.copy()
        header["pixdim"][0] = 1
    try:
        qform = np.asarray(header.get_qform(), dtype=np.float64)
    except (ValueError, HeaderDataError):
        return None
    return qform if np.isfinite(qform).all() else None


def _centred(header: Any, axes: Axes) -> NDArray[np.float64]:
    """Return the affine of a file without sform and qform, as nibabel makes it; an absent or zero size counts as 1."""
    sizes = [1.0 if axis is None else abs(float(header["pixdim"][axis + 1])) or 1.0 for axis in axes.space]
    sizes[0] = -sizes[0]  # the Analyze convention: x grows to the left
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = [-(number - 1) / 2 * size for number, size in zip(axes.shape, sizes, strict=True)]
    return affine


def _invalid(path: str, found: str, expected: str) -> DataError:
    return DataError("header_invalid", f"{path} has {found} in its header, expected {expected}", REMAKE)
