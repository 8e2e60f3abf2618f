"""Label images: a reference's labels become classes, an atlas' labels stay what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError

# Labels that lie closer together are looked up in a table, others in a sorted list.
TABLE_SPAN = 1 << 16

Codes = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True)
class ReferenceCodes:
    """How the labels of a reference are stored.

    A code is a class (kind `softmax`), or a set of regions: `classes[code]` lists what a voxel of that code belongs to.
    The two highest values of `dtype` are no code; see `ignored_code`.

    Attributes
    ----------
    labels, codes
        Label values in ascending order, and the code of each.
    unlisted
        The code of every other label: `unlisted_code`, or for regions the set of no region.
    classes
        By code.
    dtype
        uint8, or uint16 where that is too small.
    found
        Labels of no class that `with_unlisted` met; the codes that follow those of `classes` are theirs, in this order.
        None if there were more than codes.
    """

    labels: NDArray[np.int64]
    codes: NDArray[np.int64]
    unlisted: int
    classes: list[list[int]]
    dtype: str
    found: tuple[int, ...] | None = ()

    def encode(self, values: NDArray[Any]) -> Codes:
        """Replace label values by their codes."""
        low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
        if high - low >= TABLE_SPAN:
            place = np.searchsorted(self.labels, values).clip(max=self.labels.size - 1)
            found = self.labels[place] == values
            return np.where(found, self.codes[place], self.unlisted).astype(self.dtype)
        table = np.full(high - low + 1, self.unlisted, self.dtype)
        inside = (self.labels >= low) & (self.labels <= high)
        table[self.labels[inside] - low] = self.codes[inside]
        return table[values if low == 0 else values.astype(np.int32) - low]

    def with_unlisted(self, values: NDArray[Any]) -> "ReferenceCodes":
        """Give the labels of no class that stand among `values` codes of their own, to tell what they meet.

        Under kind `regions` there are none: what belongs to no region is outside all of them. Nor are there for classes
        that do not fit into a byte.
        """
        if self.found is None or self.dtype != "uint8" or self.unlisted != unlisted_code(self.dtype):
            return self
        fresh = np.unique(values[self.encode(values) == self.unlisted]).astype(np.int64)
        first = len(self.classes) + len(self.found)
        if first + fresh.size > self.unlisted:
            # Not those that came first: that would depend on how the volume is cut.
            return replace(self, found=None)
        labels = np.concatenate([self.labels, fresh])
        codes = np.concatenate([self.codes, first + np.arange(fresh.size)])
        order = np.argsort(labels)
        return replace(self, labels=labels[order], codes=codes[order], found=(*self.found, *fresh.tolist()))


def ignored_code(dtype: Any) -> int:
    """The value of voxels that are left out because of their label."""
    return int(np.iinfo(dtype).max)


def unlisted_code(dtype: Any) -> int:
    """The value of voxels whose label belongs to no class."""
    return int(np.iinfo(dtype).max) - 1


def reference_codes(kind: str, labels: Sequence[Sequence[int]], ignored: Sequence[int]) -> ReferenceCodes:
    """Number what a voxel of the reference can be.

    Parameters
    ----------
    kind
        `softmax`: every label belongs to one class at most. `regions`: to any number of them; one that belongs to none
        is outside all of them.
    labels
        The labels of each class or region.
    ignored
        Labels of voxels that are not scored.
    """
    if kind == "softmax":
        classes = [[index] for index in range(len(labels))]
        code_of = {value: index for index, values in enumerate(labels) for value in values}
    else:
        regions: dict[int, list[int]] = {}
        for index, values in enumerate(labels):
            for value in values:
                regions.setdefault(value, []).append(index)
        sets = sorted({(), *map(tuple, regions.values())})
        classes = [list(members) for members in sets]
        code_of = {value: sets.index(tuple(members)) for value, members in regions.items()}
    dtype = "uint8" if len(classes) <= unlisted_code(np.uint8) else "uint16"
    code_of |= dict.fromkeys(ignored, ignored_code(dtype))
    known = sorted(code_of)
    return ReferenceCodes(
        np.array(known, np.int64),
        np.array([code_of[value] for value in known], np.int64),
        unlisted_code(dtype) if kind == "softmax" else 0,
        classes,
        dtype,
    )


def resolved_labels(config: Mapping[str, Any], classes: Sequence[str], kind: str) -> list[list[int]] | None:
    """The labels of each class in the order of the classes; None where the config does not say (regions)."""
    given = config["labels"]
    if given is None:
        return [[index] for index in range(len(classes))] if kind == "softmax" else None
    values = [given[name] for name in classes] if isinstance(given, Mapping) else given
    return [[value] if isinstance(value, int) else list(value) for value in values]


def whole_numbers(values: NDArray[Any], path: str, z: int) -> NDArray[Any]:
    """Take a piece of a label image as integers.

    Parameters
    ----------
    values
        (z, y, x), of any type.
    path, z
        The file and the first slice, for the message.

    Raises
    ------
    DataError
        A value is NaN, infinite, a fraction, or beyond 32 bits: this is no label image.
    """
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):  # a signalling NaN
            whole = values == np.rint(values)
        good = np.isfinite(values) & whole & (np.abs(values) <= np.iinfo(np.int32).max)
    elif values.dtype.itemsize > 4 or values.dtype == np.uint32:
        good = (values <= np.iinfo(np.int32).max) & (values >= np.iinfo(np.int32).min)
    else:
        return values.astype(np.uint8) if values.dtype == np.bool_ else values
    if not good.all():
        place = np.unravel_index(int(np.argmin(good)), good.shape)
        raise DataError(
            "labels_invalid",
            f"{path} holds {values[place]} in slice z = {z + int(place[0])}, expected whole numbers of 32 bits: it is "
            "no label image",
            "Give the segmentation as integer labels, resampled by the nearest neighbour.",
        )
    return values.astype(np.int32)
