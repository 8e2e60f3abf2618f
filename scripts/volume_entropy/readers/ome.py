"""OME-Zarr metadata, 0.4 and 0.5: which array is the full resolution, what its axes are, and where it lies.

Source: https://ngff.openmicroscopy.org/0.5/ ("multiscales"); 0.4 has the same below `multiscales` of the group itself.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np

from ..errors import DataError
from .axes import NAMES, Roles
from .base import Geometry
from .sources import REMAKE

# Millimetres of a unit of length, by the names of UDUNITS-2 that OME-Zarr allows (but the astronomical ones, which no
# image is in), spelt in either way, in the plural too; and by the symbols that programs write instead.
_PREFIXES = {
    "": 1e3, "atto": 1e-15, "femto": 1e-12, "pico": 1e-9, "nano": 1e-6, "micro": 1e-3, "milli": 1.0, "centi": 10.0,
    "deci": 100.0, "kilo": 1e6,
}  # fmt: skip
_NAMES_MM = {f"{prefix}{metre}": mm for prefix, mm in _PREFIXES.items() for metre in ("meter", "metre")} | {
    "micron": 1e-3, "angstrom": 1e-7, "\u00e5ngstr\u00f6m": 1e-7, "inch": 25.4, "inche": 25.4, "foot": 304.8,
    "feet": 304.8, "yard": 914.4,
}  # fmt: skip
_SYMBOLS_MM = {
    "m": 1e3, "dm": 100.0, "cm": 10.0, "mm": 1.0, "um": 1e-3, "\u03bcm": 1e-3, "nm": 1e-6, "pm": 1e-9, "\u00c5": 1e-7,
}  # fmt: skip
# What is written where there is no unit of length.
_NO_UNIT = {"", "none", "null", "pixel", "px", "voxel", "vx", "reference frame", "unitless", "dimensionless"}
_COUNT_AS_MM = 1.0
_SCANNER, _MM = 1, 2


@dataclass(frozen=True)
class OmeImage:
    """One multiscale image, at its full resolution.

    Attributes
    ----------
    dataset
        Path of the array in the group.
    names, order
        Of the axes; and as `axes.Roles.order`, an axis of time being `-`.
    scale, translation
        One an axis, in mm where the axis is space.
    unitless
        Axes of space that have no unit of length and are taken to be in mm.
    """

    dataset: str
    names: tuple[str, ...]
    order: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    unitless: tuple[str, ...] = ()


def ome_attributes(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a group's attributes say in OME's words: since 0.5 they stand below `ome`."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def image_of(path: str, attributes: Mapping[str, Any], dataset: str | None = None) -> OmeImage | None:
    """Return the first image of a group's attributes, None if they speak of none.

    Parameters
    ----------
    path
        For the messages.
    attributes
        Of the group.
    dataset
        Path in the group of the resolution that is wanted, None: the full one; there is no image that lacks it.

    Raises
    ------
    DataError
        The metadata are incomplete, or older than 0.4, which does not name the axes.
    """
    listed = ome_attributes(attributes).get("multiscales")
    if listed is None:
        return None
    try:
        wanted = [
            (multiscale, level)
            for multiscale in (listed[:1] if dataset is None else listed)
            for level in (multiscale["datasets"][:1] if dataset is None else multiscale["datasets"])
            if dataset in (None, level["path"])
        ]
        return None if dataset is not None and not wanted else _image(path, *wanted[0])
    except (KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise _invalid(path, f"{type(error).__name__}: {str(error)[:200]}") from None


def placed(path: str, image: OmeImage, roles: Roles) -> Geometry:
    """Return where an image lies: the directions of x, y, z are taken to be those of NIfTI (right, anterior, up)."""
    numbers = dict(zip(image.order, zip(image.scale, image.translation, strict=True), strict=True))
    scale, translation = zip(*(numbers.get(axis, (1.0, 0.0)) for axis in "xyz"), strict=True)
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = translation
    volume = prod(scale)
    with np.errstate(over="ignore"):  # maps carry the transform as float32
        kept = np.isfinite(affine.astype(np.float32)).all()
    if not kept or not isfinite(volume) or volume == 0:
        raise _invalid(path, f"the scale {scale} and the translation {translation}")
    x, y, z = (abs(float(size)) for size in scale)
    units = 0 if image.unitless else _MM
    return Geometry(roles.shape, affine, (x, y, z), 1.0, True, None, 0, _SCANNER, units, unitless=image.unitless)


def _image(path: str, multiscale: Mapping[str, Any], dataset: Mapping[str, Any]) -> OmeImage:
    axes = multiscale["axes"]
    if not all(isinstance(axis, Mapping) for axis in axes):
        raise _invalid(path, "axes without types, as before version 0.4")
    if not all(isinstance(axis["name"], str) for axis in axes):
        raise _invalid(path, f"axes with the names {str([axis['name'] for axis in axes])[:200]}")
    order = "".join(_role(axis) for axis in axes)
    roles = order.replace("-", "")
    if len(set(roles)) != len(roles) or not set("yx") <= set(roles):
        raise _invalid(path, f"the axes {[axis['name'] for axis in axes]}")
    name = dataset["path"]
    if not isinstance(name, str) or name.startswith("/") or not set(name.split("/")).isdisjoint({"", ".", ".."}):
        raise _invalid(path, f"the dataset {name!r}, which is not inside the group")
    steps = [*dataset["coordinateTransformations"], *multiscale.get("coordinateTransformations", [])]
    scale, translation = [1.0] * len(axes), [0.0] * len(axes)
    for step in steps:
        numbers = step.get(step["type"], [])
        if step["type"] == "identity":
            continue
        if step["type"] not in ("scale", "translation") or len(numbers) != len(axes) or not _all_numbers(numbers):
            raise _invalid(path, f"the transformation {str(step)[:200]}")
        if step["type"] == "scale":
            scale = [old * float(new) for old, new in zip(scale, numbers, strict=True)]
            translation = [old * float(new) for old, new in zip(translation, numbers, strict=True)]
        else:
            translation = [old + float(new) for old, new in zip(translation, numbers, strict=True)]
    found = [_unit_mm(path, axis) if role in "xyz" else 1.0 for axis, role in zip(axes, order, strict=True)]
    units = [_COUNT_AS_MM if unit is None else unit for unit in found]
    return OmeImage(
        name,
        tuple(axis["name"] for axis in axes),
        order,
        tuple(number * unit for number, unit in zip(scale, units, strict=True)),
        tuple(number * unit for number, unit in zip(translation, units, strict=True)),
        tuple(axis["name"] for axis, unit in zip(axes, found, strict=True) if unit is None),
    )


def _role(axis: Mapping[str, Any]) -> str:
    return "c" if axis.get("type") == "channel" else NAMES.get(axis["name"].lower(), "-")


def _unit_mm(path: str, axis: Mapping[str, Any]) -> float | None:
    """Return the millimetres of an axis's unit; None where it has no unit of length."""
    given = axis.get("unit")
    if given is None:
        return None
    if isinstance(given, str):
        # One code point for the micro sign and mu, and one for both signs of the angstrom.
        name = unicodedata.normalize("NFKC", given.strip())
        word = name.lower().removesuffix("s")
        millimetres = _SYMBOLS_MM.get(name, _NAMES_MM.get(word))
        if millimetres is not None:
            return millimetres
        if name.lower() in _NO_UNIT or word in _NO_UNIT:
            return None
    raise DataError(
        "header_invalid",
        f"{path} has the unit {str(given)[:100]!r} on its axis {axis['name']!r}, expected one of length, such as "
        "millimeter or micrometer",
        "Write the unit of the axis as OME-Zarr names it into the `multiscales` of the group's metadata (.zattrs or "
        "zarr.json).",
    )


def _all_numbers(values: Any) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _invalid(path: str, found: str) -> DataError:
    return DataError("header_invalid", f"{path} has OME-Zarr metadata that cannot be used: found {found}", REMAKE)
