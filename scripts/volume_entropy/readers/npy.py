"""A plain array as numpy saves it (`.npy`); also the header of each array of an `.npz`.

The header is matched against the one form that numpy writes, never evaluated, and objects are never unpickled.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any

import numpy as np

from ..errors import DataError
from .arrays import ArrayReader, Opened, find_roles, plain_type, stream_order, unplaced
from .sources import REMAKE, Source, opened, skip
from .voxels import VoxelType

_MAGIC = b"\x93NUMPY"
# Length of the field that holds the header's length, by the two bytes of the format's version; there are no others.
_LENGTH_BYTES = {b"\1\0": 2, b"\2\0": 4, b"\3\0": 4}
_LONGEST_HEADER = 10_000
_TEXT = re.compile(r"[<>|][US]\d{1,4}")
# Of a list of text.
_LONGEST = 2**20
_ITEM = re.compile(
    r"""\s*(?P<quote>['"])(?P<key>descr|fortran_order|shape)(?P=quote)\s*:\s*
    (?: (?P<mark>['"])(?P<descr>[^'"\\]*)(?P=mark) | (?P<flag>True|False)
    | \((?P<shape>[\d\s,L]*)\) | (?P<list>\[.*\]) )
    \s*(?:,\s*|(?=\}))""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True)
class NpyHeader:
    """What the header of a `.npy` says; `length` in bytes, of everything before the voxels."""

    dtype: np.dtype[Any]
    fortran: bool
    shape: tuple[int, ...]
    length: int

    @property
    def n_bytes(self) -> int:
        """Length of header and voxels."""
        return self.length + prod(self.shape) * self.dtype.itemsize


def open_reader(path: str, *, n_classes: int | None, class_axis: str | None, axes: str | None) -> ArrayReader:
    """See `readers.open_reader`."""
    with opened(path) as source:
        header = read_header(source)
        source.expect(header.n_bytes)
    return array_reader(path, header, partial(_content, path, header), n_classes, class_axis, axes)


def array_reader(
    path: str,
    header: NpyHeader,
    content: Opened,
    n_classes: int | None,
    class_axis: str | None,
    axes: str | None,
    labels: Sequence[str] | None = None,
) -> ArrayReader:
    """Make the reader of an array whose header has been read; `labels` are the names of its classes, if it has any."""
    roles = find_roles(path, header.shape, n_classes, class_axis, axes)
    order = stream_order(roles, header.fortran)
    return ArrayReader(path, unplaced(roles.shape), roles, order, VoxelType(header.dtype), content, labels)


def read_header(source: Source) -> NpyHeader:
    """Read a header from the start of a stream; what follows are the voxels.

    Raises
    ------
    DataError
        `not_this_format`, `header_invalid` or `type_unsupported`.
    """
    items, shape, length = _header(source)
    return NpyHeader(plain_type(source.path, items["descr"]), items["fortran_order"] == "True", shape, length)


def read_text(source: Source) -> list[str] | None:
    """Read a list of text to the end of its stream; None of an array that is anything else, objects among them."""
    items, shape, _ = _header(source)
    match = _TEXT.fullmatch(items["descr"])
    if (
        match is None
        or len(shape) != 1
        or not 0 < (n_bytes := shape[0] * np.dtype(items["descr"]).itemsize) <= _LONGEST
    ):
        return None
    values = np.frombuffer(_read(source, n_bytes), items["descr"]).tolist()
    source.finish()
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in values]


def _header(source: Source) -> tuple[dict[str, str], tuple[int, ...], int]:
    """Read the items of a header, the shape among them, and how many bytes stand before the voxels."""
    start = _read(source, 8)
    if start[:6] != _MAGIC or start[6:] not in _LENGTH_BYTES:
        raise DataError(
            "not_this_format",
            f"{source.path} is no numpy array: it begins with {start!r}, expected {_MAGIC!r} and a version",
            "Correct the path, or save the array with numpy.save.",
        )
    field = _LENGTH_BYTES[start[6:]]
    length = int.from_bytes(_read(source, field), "little")
    if length > _LONGEST_HEADER:
        raise _invalid(source.path, f"a header of {length} bytes", f"at most {_LONGEST_HEADER}")
    text = _read(source, length).decode("latin-1").strip(" \t\r\n")
    items = _items(source.path, text)
    shape = tuple(int(number) for number in re.findall(r"\d+", items["shape"]))
    if shape and min(shape) < 1:
        raise _invalid(source.path, f"the shape {shape}", "positive lengths")
    return items, shape, 8 + field + length


def _items(path: str, text: str) -> dict[str, str]:
    """Take the three items from a header like `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`."""
    found: dict[str, str] = {}
    position = 1
    while text.isascii() and text[:1] == "{" and (match := _ITEM.match(text, position)):
        key = match["key"]
        value = match[{"descr": "descr", "fortran_order": "flag", "shape": "shape"}[key]]
        if key == "descr" and match["list"]:
            value = match["list"]
        if value is None or key in found:
            break
        found[key] = value
        position = match.end()
    if len(found) != 3 or text[position:].strip() != "}":
        raise _invalid(path, f"the header {text[:100]!r}", "descr, fortran_order and shape")
    return found


@contextmanager
def _content(path: str, header: NpyHeader) -> Iterator[Source]:
    with opened(path) as source:
        source.expect(header.n_bytes)
        skip(source, header.length)
        yield source


def _read(source: Source, n_bytes: int) -> bytes:
    buffer = bytearray(n_bytes)
    source.readinto(memoryview(buffer))
    return bytes(buffer)


def _invalid(path: str, found: str, expected: str) -> DataError:
    return DataError("header_invalid", f"{path} has {found}, expected {expected}", REMAKE)
