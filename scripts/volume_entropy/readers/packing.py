"""Numbers packed by the CF conventions, as xarray and netCDF write them into the attributes of a Zarr array.

Source: CF 1.11, §8.1 (packed data) and §2.5.1 (missing data); NetCDF User's Guide, appendix A (`_Unsigned`).
"""

import base64
import binascii
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import DataError
from .sources import REMAKE
from .voxels import VoxelType


def packed_type(path: str, dtype: np.dtype[Any], attributes: Mapping[str, Any], fill: float | None) -> VoxelType:
    """How an array's numbers become values: value = `scale_factor` · stored + `add_offset`; what is missing is NaN.

    Parameters
    ----------
    path
        The array, for messages.
    dtype
        Of what is stored.
    attributes
        Of the array.
    fill
        Zarr's own fill value. It says that nothing is there only where xarray packed an array of version 2, which has
        no other place for it; and not if it is 0, which is zarr-python's default.

    Raises
    ------
    DataError
        `header_invalid`: an attribute is not the number that the conventions want.
    """
    slope, inter = _number(path, attributes, "scale_factor", 1.0), _number(path, attributes, "add_offset", 0.0)
    if slope == 0:
        raise _invalid(path, "scale_factor", 0)
    if str(attributes.get("_Unsigned")).lower() == "true" and dtype.kind == "i":
        dtype = np.dtype(dtype.str.replace("i", "u"))
    missing = [*_listed(attributes.get("missing_value")), *_listed(attributes.get("_FillValue"))]
    if "_FillValue" not in attributes and "_ARRAY_DIMENSIONS" in attributes and (slope, inter) != (1.0, 0.0):
        missing += [fill] if fill else []
    return VoxelType(dtype, slope, inter, _representable(missing, dtype))


def _number(path: str, attributes: Mapping[str, Any], key: str, default: float) -> float:
    found = attributes.get(key, default)
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not np.isfinite(found):
        raise _invalid(path, key, found)
    return float(found)


def _listed(value: Any) -> list[float]:
    """The numbers that an attribute names; xarray writes that of a float as the base64 of its eight bytes."""
    numbers: list[float] = []
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, str):
            try:
                numbers += struct.unpack("<d", base64.b64decode(each, validate=True))
            except (binascii.Error, struct.error):
                continue
        elif isinstance(each, (int, float)):
            numbers.append(each)
    return numbers


def _representable(numbers: list[float], dtype: np.dtype[Any]) -> tuple[float, ...]:
    """Those of the numbers that the type can hold, as it holds them."""
    found = []
    for number in numbers:
        with np.errstate(all="ignore"):
            if dtype.kind == "f":
                found.append(float(dtype.type(number)))
            elif np.iinfo(dtype).min <= number <= np.iinfo(dtype).max and number == int(number):
                found.append(float(number))
    return tuple(dict.fromkeys(number for number in found if not np.isnan(number)))


def _invalid(path: str, key: str, found: Any) -> DataError:
    expected = "a number other than 0" if key == "scale_factor" else "a number"
    message = f"{path} has the attribute {key}: {str(found)[:100]}, expected {expected}"
    return DataError("header_invalid", message, REMAKE)
