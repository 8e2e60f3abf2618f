"""OME-Zarr metadata, 0.4 and 0.5: which array is the full resolution, what its axes are, and where it lies.

Source: https://ngff.openmicroscopy.org/0.5/ ("multiscales"); 0.4 has the same below `multiscales` of the group itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any

import numpy as np

from ..errors import DataError
from .axes import NAMES, Roles
from .base import Geometry
from .sources import REMAKE

# Millimetres of a unit of length; an axis without a unit is in mm, as plain arrays are.
_UNIT_MM = {
    None: 1.0, "millimeter": 1.0, "micrometer": 1e-3, "nanometer": 1e-6, "angstrom": 1e-7, "centimeter": 10.0,
    "meter": 1e3, "inch": 25.4,
}  # fmt: skip
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
    """

    dataset: str
    names: tuple[str, ...]
    order: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]


def image_of(path: str, attributes: Mapping[str, Any]) -> OmeImage | None:
    """Return the first image of a group's attributes, None if they speak of none.

    Raises
    ------
    DataError
        The metadata are incomplete, or older than 0.4, which does not name the axes.
    """
    ome = attributes.get("ome")
    listed = (ome if isinstance(ome, Mapping) else attributes).get("multiscales")
    if listed is None:
        return None
    try:
        return _image(path, listed[0])
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
    return Geometry(roles.shape, affine, (x, y, z), 1.0, True, None, 0, _SCANNER, _MM)


def _image(path: str, multiscale: Mapping[str, Any]) -> OmeImage:
    axes, dataset = multiscale["axes"], multiscale["datasets"][0]
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
    units = [_unit(path, axis) if role in "xyz" else 1.0 for axis, role in zip(axes, order, strict=True)]
    return OmeImage(
        name,
        tuple(axis["name"] for axis in axes),
        order,
        tuple(number * unit for number, unit in zip(scale, units, strict=True)),
        tuple(number * unit for number, unit in zip(translation, units, strict=True)),
    )


def _role(axis: Mapping[str, Any]) -> str:
    return "c" if axis.get("type") == "channel" else NAMES.get(axis["name"].lower(), "-")


def _unit(path: str, axis: Mapping[str, Any]) -> float:
    unit = axis.get("unit")
    if unit not in _UNIT_MM:
        raise _invalid(path, f"the unit {unit!r}")
    return _UNIT_MM[unit]


def _all_numbers(values: Any) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _invalid(path: str, found: str) -> DataError:
    return DataError("header_invalid", f"{path} has OME-Zarr metadata that cannot be used: found {found}", REMAKE)
