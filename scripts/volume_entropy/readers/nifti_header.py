"""The fixed part of NIfTI-1 and NIfTI-2 headers: the fields that matter here, and the transforms they hold.

Importing nibabel for them takes 50 ms of every job that reads a volume; the tests hold each value to nibabel's.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Order = Literal["<", ">"]

_NAMES = (
    "magic", "dim", "datatype", "pixdim", "vox_offset", "scl_slope", "scl_inter", "xyzt_units", "qform_code",
    "sform_code", "quatern", "qoffset", "srow",
)  # fmt: skip


def _layout(size: int, formats: list[Any], offsets: list[int]) -> np.dtype[Any]:
    return np.dtype({"names": list(_NAMES), "formats": formats, "offsets": offsets, "itemsize": size})


@dataclass(frozen=True)
class Version:
    """What tells the versions apart: the single file's magic, the layout, and the precision of quaternions."""

    magic: bytes
    layout: np.dtype[Any]
    first_voxel: int
    rounding: float


# By the size of the header, which is its first field.
VERSIONS = {
    348: Version(
        b"n+1",
        _layout(
            348,
            ["S4", "(8,)i2", "i2", "(8,)f4", "f4", "f4", "f4", "u1", "i2", "i2", "(3,)f4", "(3,)f4", "(3,4)f4"],
            [344, 40, 70, 76, 108, 112, 116, 123, 252, 254, 256, 268, 280],
        ),
        352,
        3 * float(np.finfo(np.float32).eps),
    ),
    540: Version(
        b"n+2",
        _layout(
            540,
            ["S4", "(8,)i8", "i2", "(8,)f8", "i8", "f8", "f8", "i4", "i4", "i4", "(3,)f8", "(3,)f8", "(3,4)f8"],
            [4, 16, 12, 104, 168, 176, 184, 500, 344, 348, 352, 376, 400],
        ),
        544,
        3 * float(np.finfo(np.float64).eps),
    ),
}
# By the code of the data type: its name, and the type of NumPy where voxels are integers or floats of up to 64 bits.
DATA_TYPES: dict[int, tuple[str, str | None]] = {
    0: ("none", None),
    1: ("binary", None),
    2: ("uint8", "u1"),
    4: ("int16", "i2"),
    8: ("int32", "i4"),
    16: ("float32", "f4"),
    32: ("complex64", None),
    64: ("float64", "f8"),
    128: ("RGB", None),
    255: ("all", None),
    256: ("int8", "i1"),
    512: ("uint16", "u2"),
    768: ("uint32", "u4"),
    1024: ("int64", "i8"),
    1280: ("uint64", "u8"),
    1536: ("float128", None),
    1792: ("complex128", None),
    2048: ("complex256", None),
    2304: ("RGBA", None),
}


@dataclass(frozen=True)
class Header:
    """A header of one version in one byte order (`<` or `>`); its fields by their names in the standard."""

    version: Version
    order: Order
    fields: Any

    @classmethod
    def of(cls, content: bytes, version: Version, order: Order) -> "Header":
        """Take the bytes of a header apart."""
        return cls(version, order, np.frombuffer(content, version.layout.newbyteorder(order))[0])

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def sform(self) -> Matrix:
        """Return the affine that is written out, 4 × 4, from voxel (x, y, z)."""
        affine = np.eye(4)
        affine[:3] = self["srow"]
        return affine

    def qform(self) -> Matrix | None:
        """Return the affine of quaternion, voxel sizes and offset; None if the numbers are no rotation and no sizes.

        The fourth component follows from the others, reckoned in the widest floats as nibabel does. By the standard, a
        handedness of 0 is 1.
        """
        handedness, sizes = float(self["pixdim"][0]) or 1.0, self["pixdim"][1:4].astype(np.longdouble)
        vector = self["quatern"].astype(np.longdouble)
        square = 1 - vector @ vector
        if abs(square) < self.version.rounding:
            square = np.longdouble(0)
        if square < 0 or (sizes < 0).any() or handedness not in (-1, 1):
            return None
        sizes[2] *= handedness
        affine = np.eye(4)
        # No zero with a sign, which would change the bytes of maps.
        affine[:3, :3] = _rotation(np.sqrt(square), *vector) * sizes + 0.0
        affine[:3, 3] = self["qoffset"]
        return affine if np.isfinite(affine).all() else None


def _rotation(w: Any, x: Any, y: Any, z: Any) -> NDArray[np.longdouble]:
    """Return the rotation matrix of a quaternion of any length; of one that is almost 0, none."""
    square = w * w + x * x + y * y + z * z
    if square < np.finfo(np.float64).eps:
        return np.eye(3, dtype=np.longdouble)
    s = 2 / square
    xs, ys, zs = x * s, y * s, z * s
    wx, wy, wz, xx, xy, xz = w * xs, w * ys, w * zs, x * xs, x * ys, x * zs
    yy, yz, zz = y * ys, y * zs, z * zs
    return np.array(
        [[1 - (yy + zz), xy - wz, xz + wy], [xy + wz, 1 - (xx + zz), yz - wx], [xz - wy, yz + wx, 1 - (xx + yy)]]
    )
