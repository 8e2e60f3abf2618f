"""What a Zarr array says of its dimensions and its classes: their names."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from .arrays import LABEL_KEYS
from .axes import Roles
from .zarr_chunks import ChunkedArray
from .zarr_metadata import attributes_of, node_type, read_object

# A coordinate with the names of the classes is a few kilobytes; a longer one is not opened.
_LARGEST_COORDINATE = 2**14
_TEXT_TYPES = ("string", "fixed_length_utf32")


def names_of(array: ChunkedArray) -> Sequence[Any]:
    """Return the names of an array's dimensions, of version 3 or as xarray writes them; empty where there are none."""
    names: Any = array.dimension_names or array.attributes.get("_ARRAY_DIMENSIONS")
    return names if isinstance(names, (list, tuple)) and len(names) == len(array.shape) else ()


def labels_of(path: str, array: ChunkedArray, roles: Roles) -> Sequence[str] | None:
    """Return what an array calls its classes, None if nothing does.

    `omero.channels` of an OME image; an attribute of the array or its group; or a coordinate of text, an array beside
    it that has the name of the dimension of classes, as xarray writes it.
    """
    group = {} if array.path == path else attributes_of(path)
    ome = group.get("ome")
    channels = _channels((ome if isinstance(ome, Mapping) else group).get("omero"))
    if channels is not None:
        return channels
    for attributes in (array.attributes, group):
        for key in LABEL_KEYS:
            labels = listed(attributes.get(key))
            if labels is not None:
                return labels
    names = names_of(array)
    if names and "c" in roles.order:
        return _coordinate(os.path.join(os.path.dirname(array.path), str(names[roles.order.index("c")])))
    return None


def listed(value: Any) -> list[str] | None:
    """Return a list of names; from a group, those of 0, 1, … or with the numbers 0, 1, …, in their order."""
    if isinstance(value, Mapping) and value:
        keys, values = list(value), list(value.values())
        if all(str(key).isdecimal() for key in keys):
            value = [value[key] for key in sorted(keys, key=int)]
        elif all(type(number) is int for number in values):
            value = sorted(keys, key=lambda key: value[key])
    good = isinstance(value, (list, tuple)) and value and all(isinstance(name, str) for name in value)
    return list(value) if good else None


def _channels(omero: Any) -> list[str] | None:
    """Return the labels of OME's channels; an absent one is empty, which says nothing."""
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    if not isinstance(channels, list) or not all(isinstance(channel, Mapping) for channel in channels):
        return None
    labels = [str(channel.get("label") or "") for channel in channels]
    return labels if any(labels) else None


def _coordinate(folder: str) -> list[str] | None:
    """Read the text of a coordinate; None where there is none, or it holds numbers."""
    try:
        if not os.path.isdir(folder) or node_type(folder) != "array" or not _holds_text(folder):
            return None
        # It is not imported where nothing needs it: 0.3 s.
        import zarr

        # Version 3 has no stable type of text yet, and zarr-python warns of that.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values: list[Any] = np.asarray(zarr.open_array(folder, mode="r")[...]).tolist()
    except DataError:
        return None
    except Exception as error:
        raise DataError(
            "file_corrupt",
            f"{folder} names the classes beside the array, but cannot be read: {str(error)[:200]}",
            "Write it again, or remove it.",
        ) from None
    return listed([value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values])


def _holds_text(folder: str) -> bool:
    """Whether an array is a short one of text, not of objects: those are pickles, and are never loaded."""
    size = sum(entry.stat().st_size for root, _, _ in os.walk(folder) for entry in os.scandir(root) if entry.is_file())
    if size > _LARGEST_COORDINATE:
        return False
    if os.path.isfile(os.path.join(folder, "zarr.json")):
        kind = read_object(os.path.join(folder, "zarr.json")).get("data_type")
        return (kind.get("name") if isinstance(kind, Mapping) else kind) in _TEXT_TYPES
    metadata = read_object(os.path.join(folder, ".zarray"))
    filters = metadata.get("filters") or []
    kind = str(metadata.get("dtype"))
    text = kind[1:2] in ("U", "S") and not filters
    return text or (kind == "|O" and isinstance(filters, list) and filters == [{"id": "vlen-utf8"}])
