"""NIfTI-1 and NIfTI-2, in one file, compressed or not.

The header is read by nibabel; the voxels are read here, since nibabel keeps no checksum, reads a slab of a compressed
file from the file's start, and makes float64 of everything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import isfinite, prod
from typing import Any

import numpy as np
from nibabel.nifti1 import Nifti1Header, data_type_codes
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from ..declared_axes import says_roles, spatial_order
from ..errors import DataError
from ..joblog import logger
from .arrays import ArrayReader, stream_order
from .axes import NIFTI, Roles, contradiction, conventional_roles, declared_roles
from .base import Geometry
from .sources import REMAKE, Source, opened, skip
from .voxels import VoxelType

# Headers that can be told apart by their own size, the first four bytes of the file.
_HEADERS: dict[int, Any] = {348: Nifti1Header, 540: Nifti2Header}
_SINGLE_FILE = {Nifti1Header: b"n+1", Nifti2Header: b"n+2"}
_REAL_KINDS = "iuf"
_HIGHEST_XFORM_CODE = 5
_UNIT_MM = {1: 1000.0, 2: 1.0, 3: 0.001}
_COPY_QFORM = (
    "Make it again; or, if its qform is right, copy it over the sform: in nibabel `image.set_sform(image.get_qform(), "
    "1)`, then save it under a new name; or in place, `fslorient -copyqform2sform`."
)


def open_reader(path: str, *, n_classes: int | None, class_axis: str | None, axes: str | None) -> ArrayReader:
    """See `readers.open_reader`; the order of space is x, y, z by the standard."""
    with opened(path) as source:
        header = _read_header(source)
        shape = _shape(path, header)
        dtype = _dtype(path, header)
        offset = _offset(path, header)
        n_bytes = offset + prod(shape) * dtype.itemsize
        source.expect(n_bytes)
    roles = _roles(path, shape, n_classes, class_axis, axes)
    voxels = VoxelType(dtype, *_scaling(path, header))
    geometry = _geometry(path, header, roles)
    return ArrayReader(
        path, geometry, roles, stream_order(roles, True), voxels, partial(_content, path, offset, n_bytes)
    )


@contextmanager
def _content(path: str, offset: int, n_bytes: int) -> Iterator[Source]:
    with opened(path) as source:
        source.expect(n_bytes)
        skip(source, offset)
        yield source


def _roles(path: str, shape: tuple[int, ...], n_classes: int | None, class_axis: str | None, axes: str | None) -> Roles:
    """Find the roles of the axes: x, y, z first and then the class, or what the config says around x, y, z."""
    if axes is None or not says_roles(axes):
        roles = conventional_roles(path, shape, n_classes, class_axis)
        return replace(roles, named=not roles.assumed)
    if spatial_order(axes) not in ("xyz", "xy"):
        raise contradiction(path, shape, axes, "is x, y, z by the standard of NIfTI", "xyzc")
    return replace(declared_roles(path, shape, n_classes, axes, spaces=NIFTI), named=True)


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


def _geometry(path: str, header: Any, roles: Roles) -> Geometry:
    """Where the voxels lie: by the sform, else by the qform, else by the voxel size with the origin at the centre."""
    for field in ("qform_code", "sform_code"):
        if not 0 <= int(header[field]) <= _HIGHEST_XFORM_CODE:
            # Some readers take such a transform, others fall back to another one: another place.
            raise _invalid(path, f"the {field} {int(header[field])}", f"0 to {_HIGHEST_XFORM_CODE}")
    with np.errstate(all="ignore"):  # absurd transforms overflow on their way to being refused
        qform = _qform(header, roles.shape) if int(header["qform_code"]) != 0 else None
        qform_code = 0 if qform is None else int(header["qform_code"])
        sform, sform_code = _sform(path, header, roles.shape, qform)
        if sform is not None:
            name, affine = "an sform", sform
        elif int(header["qform_code"]) != 0:
            name, affine = "a qform", np.full((4, 4), np.nan) if qform is None else qform
        else:
            name, affine = "voxel sizes", _centred(header, roles)
        if not _places(affine):
            usable = sform is not None and qform is not None and _places(qform)
            raise DataError(
                "header_invalid",
                f"{path} has {name} that put the voxels nowhere in its header, expected a finite transform that keeps "
                "volume",
                _COPY_QFORM if usable else REMAKE,
            )
        x, y, z = np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).tolist()
    assumed = "" if sform_code or qform_code else "its sform_code and qform_code are 0"
    units = int(header["xyzt_units"])
    unit_mm = _UNIT_MM.get(units & 7, 1.0)
    return Geometry(roles.shape, affine, (x, y, z), unit_mm, True, qform, qform_code, sform_code, units, assumed)


def _places(affine: NDArray[np.float64]) -> bool:
    """Whether a transform is one; maps carry it as float32."""
    determinant = np.linalg.det(affine[:3, :3])
    return bool(np.isfinite(affine.astype(np.float32)).all() and np.isfinite(determinant) and determinant != 0)


def _sform(
    path: str, header: Any, shape: tuple[int, int, int], qform: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64] | None, int]:
    """Return the sform and its code; None and 0 where there is none, or zeros beside a qform that says the place."""
    code = int(header["sform_code"])
    if code == 0:
        return None, 0
    sform = np.asarray(header.get_sform(), dtype=np.float64)
    if sform[:3, :3].any():
        return _completed(sform, shape), code
    if qform is None or not _places(qform):
        raise DataError(
            "header_invalid",
            f"{path} has the sform_code {code}, but an sform of zeros, and no qform that says a place instead; "
            "expected a transform from voxels to space",
            "Make it again; or, only where its voxels are surely those of the image that it was made from, in the same "
            "order, set its sform to that of the image: in nibabel `image.set_sform(affine, 1)` with the image's "
            "`affine`, then save it under a new name.",
        )
    logger.warning("%s: its sform is all zeros, with sform_code %d; its qform is used instead", path, code)
    return None, 0


def _qform(header: Any, shape: tuple[int, int, int]) -> NDArray[np.float64] | None:
    """Return the qform, or None if its numbers are no rotation, which does no harm beside a valid sform."""
    header = header.copy()
    if header["pixdim"][0] == 0:
        # By the standard, a handedness of 0 is 1.
        header["pixdim"][0] = 1
    for axis, size in enumerate(shape, start=1):
        if size == 1 and header["pixdim"][axis] == 0:
            # The thickness of a single slice, which many programs leave at 0; nifti1_io counts it as 1.
            header["pixdim"][axis] = 1
    try:
        qform = np.asarray(header.get_qform(), dtype=np.float64)
    except (ValueError, HeaderDataError):
        return None
    return qform if np.isfinite(qform).all() else None


def _completed(sform: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Give a single slice, of which the sform lacks the direction, one of length 1 across its plane."""
    lacking = [axis for axis in range(3) if shape[axis] == 1 and not sform[:3, axis].any()]
    if len(lacking) != 1:
        return sform
    (axis,) = lacking
    across = np.cross(sform[:3, (axis + 1) % 3], sform[:3, (axis + 2) % 3])
    completed = sform.copy()
    completed[:3, axis] = across / np.linalg.norm(across)
    return completed


def _centred(header: Any, roles: Roles) -> NDArray[np.float64]:
    """Return the affine of a file without sform and qform, as nibabel makes it; an absent or zero size counts as 1."""
    at = {letter: axis for axis, letter in enumerate(roles.order)}
    sizes = [abs(float(header["pixdim"][at[letter] + 1])) or 1.0 if letter in at else 1.0 for letter in "xyz"]
    sizes[0] = -sizes[0]  # the Analyze convention: x grows to the left
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = [-(number - 1) / 2 * size for number, size in zip(roles.shape, sizes, strict=True)]
    return affine


def _invalid(path: str, found: str, expected: str) -> DataError:
    return DataError("header_invalid", f"{path} has {found} in its header, expected {expected}", REMAKE)
