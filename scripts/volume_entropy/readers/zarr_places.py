"""Which array of a Zarr store a path means: the store, a group or an array inside it, or an image in several levels."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import DataError
from ..files import found_at
from .npz import KNOWN_ARRAYS
from .ome import OmeImage, image_of, ome_attributes
from .sources import unreadable
from .zarr_metadata import attributes_of, node_type

# bioformats2raw: the images of a file are groups with the numbers 0, 1, … as names.
_LAYOUT = "bioformats2raw.layout"
# How deep a store is searched for what could have been meant, and how many of that a message names.
_DEPTH, _NAMED = 3, 10


def locate(path: str) -> tuple[str, OmeImage | None]:
    """Return the folder of the array that a path means, and what OME metadata say of it.

    A path to an array inside an OME-Zarr image is one of its levels: axes, scale and place are those that the image
    says of it.

    Raises
    ------
    DataError
        `file_missing` or `not_this_format`: there is no such node, or it holds no array, or several.
    """
    if _kind(path) == "array":
        return path, _level(path)
    attributes = attributes_of(path)
    image = image_of(path, attributes)
    if image is not None:
        return os.path.join(path, image.dataset), image
    if _LAYOUT in attributes or _LAYOUT in ome_attributes(attributes):
        return locate(_only_image(path))
    return os.path.join(path, _only_array(path)), None


def _level(path: str) -> OmeImage | None:
    """Return the image of which an array is a level, by the metadata of the groups around it; None: it is of none."""
    folder, names = path, list[str]()
    while True:
        folder, name = os.path.split(folder)
        names.insert(0, name)
        if not name or node_type(folder) != "group":
            return None
        image = image_of(folder, attributes_of(folder), "/".join(names))
        if image is not None:
            return image


def _kind(path: str) -> str:
    if not os.path.exists(path):
        found = "a dangling link" if os.path.islink(path) else "nothing"
        around = os.path.dirname(path)
        beside = _named(name for name in _nodes(around)) if node_type(around) == "group" else ""
        raise DataError(
            "file_missing",
            f"{path} cannot be read: found {found}, expected a folder",
            f"{f'The group around it holds {beside}: correct' if beside else 'Correct'} the path in the samples table, "
            "or bring the folder to its place.",
        )
    kind = node_type(path) if os.path.isdir(path) else None
    if kind is None:
        found = "a folder without Zarr metadata" if os.path.isdir(path) else found_at(path)
        raise DataError(
            "not_this_format",
            f"{path} is {found}, expected a Zarr array or group, which is a folder",
            "Copy the folder again, with its hidden files; unpack it if it is an archive.",
        )
    return kind


def _only_image(path: str) -> str:
    """Name the image of a folder of bioformats2raw: it has one, or the path must say which."""
    # Of a plate they lie deeper: row, column, field.
    images = [name for name, node in _nodes(path).items() if node == "image"] or list(_below(path))
    if len(images) != 1:
        example = images[0] if images else "0"
        raise DataError(
            "not_this_format",
            f"{path} is a folder of bioformats2raw with the images {_named(images) or 'none'}; expected exactly one",
            f"Give the path of one of them, such as {os.path.join(path, example)}.",
        )
    return os.path.join(path, images[0])


def _only_array(path: str) -> str:
    """Name the array of a group to read: one with a known name, or the only one."""
    nodes = _nodes(path)
    arrays = [name for name, node in nodes.items() if node == "array"]
    known = [name for name in KNOWN_ARRAYS if name in arrays]
    chosen = known or arrays
    if len(chosen) != 1:
        inside = arrays or [name for name in _below(path) if name not in arrays]
        example = inside[0] if inside else "probabilities"
        raise DataError(
            "not_this_format",
            f"{path} holds the arrays {_named(arrays) or 'none'}; expected exactly one of {', '.join(KNOWN_ARRAYS)}, "
            "or a single array",
            f"Give the path of the array or of the image within the group, such as {os.path.join(path, example)}"
            f"{f' (there are {_named(inside)})' if inside else ''}, or save the array alone.",
        )
    return chosen[0]


def _nodes(folder: str) -> Mapping[str, str]:
    """What is in a group, by name: `array`, `group`, or `image` for a group that is an OME-Zarr image."""
    found = {}
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: _natural(entry.name))
    except OSError as error:
        raise unreadable(folder, error) from None
    for entry in entries:
        kind = _node_or_none(entry.path) if entry.is_dir() else None
        if kind is not None:
            found[entry.name] = kind
    return found


def _node_or_none(folder: str) -> str | None:
    """As `node_type`; a node whose metadata cannot be read is told of when it is the one that is meant."""
    try:
        kind = node_type(folder)
        return "image" if kind == "group" and _is_image(attributes_of(folder)) else kind
    except DataError:
        return None


def _is_image(attributes: Mapping[str, Any]) -> bool:
    return "multiscales" in ome_attributes(attributes)


def _below(folder: str, depth: int = _DEPTH) -> Iterator[str]:
    """Yield the paths of the arrays and images in a group, relative to it, those of its groups included."""
    for name, node in _nodes(folder).items():
        if node != "group":
            yield name
        elif depth > 1:
            yield from (f"{name}/{inner}" for inner in _below(os.path.join(folder, name), depth - 1))


def _natural(name: str) -> tuple[int, str]:
    """Sort 2 before 10."""
    return (int(name) if name.isascii() and name.isdecimal() else -1, name)


def _named(names: Any) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(map(repr, listed[:_NAMED])) + more
