"""Zarr's metadata files, versions 2 and 3, checked before anything depends on them."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from ..errors import DataError
from ..files import files_below
from .arrays import plain_type
from .base import times
from .sources import REMAKE, open_binary, unreadable
from .zarr_chunks import LARGEST_CHUNK_BYTES, ChunkedArray, Codecs, Index, chain_of, numpy_fill, plain_zarr_type

_LARGEST_FILE = 2**24
_LONGEST_AXIS = 2**31
# Of an array that has less than one in 64 of its files: 32 GiB of float32, and seconds to go through its chunks.
_SPARSE_VALUES, _SPARSE_CHUNKS = 2**33, 2**20
# Of an array in version 3; others must say that they need not be understood.
_FIELDS = {
    "zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs",
    "attributes", "storage_transformers", "dimension_names",
}  # fmt: skip
# What a configuration may have, by the name of its encoding or codec; zarr-python refuses others.
_KEYS = {
    "regular": {"chunk_shape"}, "default": {"separator"}, "v2": {"separator"}, "transpose": {"order"},
    "bytes": {"endian"}, "gzip": {"level"}, "zstd": {"level", "checksum"},
    "blosc": {"typesize", "cname", "clevel", "shuffle", "blocksize"},
    "sharding_indexed": {"chunk_shape", "codecs", "index_codecs", "index_location"},
}  # fmt: skip
# Codecs that the specification gives a configuration, without which zarr-python refuses them.
_CONFIGURED = {"blosc", "gzip", "zstd"}
_NUMBER = "(?:0|[1-9][0-9]{0,8})"


def node_type(folder: str) -> str | None:
    """Return `array` or `group`; None if a folder is no Zarr node.

    Raises
    ------
    DataError
        Its metadata cannot be read.
    """
    path = os.path.join(folder, "zarr.json")
    # What is there and no file, a pipe or a link to nothing, is told when it is opened, and not passed over.
    if os.path.lexists(path):
        kind = _of_format(3, path).get("node_type")
        return kind if kind in ("array", "group") else None
    for name, kind in ((".zarray", "array"), (".zgroup", "group")):
        path = os.path.join(folder, name)
        if os.path.lexists(path):
            _of_format(2, path)
            return kind
    return None


def _of_format(number: int, path: str) -> dict[str, Any]:
    content = read_object(path)
    if content.get("zarr_format") != number:
        raise _invalid(path, f"the format {content.get('zarr_format')!r}")
    return content


def attributes_of(folder: str) -> Mapping[str, Any]:
    """Return a node's attributes."""
    if os.path.lexists(os.path.join(folder, "zarr.json")):
        attributes = read_object(os.path.join(folder, "zarr.json")).get("attributes")
        return attributes if isinstance(attributes, dict) else {}
    path = os.path.join(folder, ".zattrs")
    return read_object(path) if os.path.lexists(path) else {}


def read_object(path: str) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises
    ------
    DataError
        It cannot be read, or is something else.
    """
    with open_binary(path) as file:
        # Not read(_LARGEST_FILE), which allocates as much.
        content = file.read(min(os.fstat(file.fileno()).st_size, _LARGEST_FILE))
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError("not_this_format", f"{path} is no JSON: {str(error)[:200]}", REMAKE) from None
    if not isinstance(parsed, dict):
        raise DataError("not_this_format", f"{path} holds no JSON object", REMAKE)
    return parsed


def open_chunked(path: str) -> ChunkedArray:
    """Read the metadata of the array in folder `path`, and which chunks it has.

    Raises
    ------
    DataError
        It is no Zarr array, or one that cannot be read.
    """
    fields = read_metadata(path)
    array = ChunkedArray(path=path, files=_files(path, *fields.pop("keys")), **fields)
    if array.chunk_bytes > LARGEST_CHUNK_BYTES:
        raise DataError(
            "header_invalid",
            f"{path} has chunks of {array.chunk_bytes / 2**20:.0f} MiB, expected at most "
            f"{LARGEST_CHUNK_BYTES >> 20} MiB, since a chunk is decoded as a whole",
            "Write the array with smaller chunks, such as 64 × 64 × 64 voxels of one class.",
        )
    _check_files(array)
    return array


def _check_files(array: ChunkedArray) -> None:
    """Check that the files of an array belong to it, and that there are some."""
    grid = [-(-size // edge) for size, edge in zip(array.shape, array.shard, strict=True)]
    outside = [path for index, path in array.files.items() if not _within(index, grid)]
    if outside:
        message = f"{outside[0]} lies outside the array, which has the shape {times(array.shape)}"
        raise DataError("file_oversized", message, REMAKE)
    # Absent chunks are legitimate, but time must be bounded: by what is there, or by a size that is processed anyhow.
    small = prod(array.shape) <= _SPARSE_VALUES and prod(array.grid) <= _SPARSE_CHUNKS and bool(array.files)
    if prod(grid) > 64 * len(array.files) and not small:
        raise DataError(
            "file_truncated",
            f"{array.path} has {len(array.files)} of its {prod(grid)} chunks",
            "Copy the array again; where it is nearly empty, write it with `write_empty_chunks=True`.",
        )


def _within(index: Index, grid: Sequence[int]) -> bool:
    return len(index) == len(grid) and all(place < number for place, number in zip(index, grid, strict=True))


def _files(path: str, prefix: str, separator: str) -> dict[Index, str]:
    """List an array's chunk files: c/0/1/2 by default in version 3, 0.1.2 in version 2; others do not count."""
    key = re.compile(f"{prefix}({_NUMBER}(?:{re.escape(separator)}{_NUMBER})*)")
    found: dict[Index, str] = {}
    try:
        for name, entry in files_below(path):
            match = key.fullmatch(name)
            if match is not None:
                found[tuple(int(number) for number in match[1].split(separator))] = entry.path
    except OSError as error:
        # Chunks that may not be seen must not count as absent.
        raise unreadable(error.filename or path, error) from None
    return found


def read_metadata(folder: str) -> dict[str, Any]:
    """Return what an array's metadata say, as the arguments of `zarr_chunks.ChunkedArray`; and `keys`, of `_files`.

    Raises
    ------
    DataError
        They are incomplete, contradict themselves, or name what cannot be read.
    """
    path = os.path.join(folder, "zarr.json")
    version_3 = os.path.lexists(path)
    if not version_3:
        path = os.path.join(folder, ".zarray")
    content = read_object(path)
    try:
        fields = _version_3(path, content) if version_3 else _version_2(path, content)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise _invalid(path, f"{type(error).__name__}: {str(error)[:200]}") from None
    return {**fields, "attributes": attributes_of(folder)}


def _version_2(path: str, content: dict[str, Any]) -> dict[str, Any]:
    if content["zarr_format"] != 2:
        raise _invalid(path, f"the format {content['zarr_format']!r}")
    shape = _lengths(path, content["shape"])
    dtype = plain_type(path, content["dtype"] if isinstance(content["dtype"], str) else str(content["dtype"]))
    chunk = _lengths(path, content["chunks"], len(shape))
    filters = [item["id"] for item in content.get("filters") or []]
    compressor = content.get("compressor")
    names = [*filters, *([compressor["id"]] if compressor else [])]
    order = tuple(range(len(shape)))
    if content["order"] not in ("C", "F"):
        raise _invalid(path, f"the order {content['order']!r}")
    return {
        "shape": shape,
        "chunk": chunk,
        "shard": chunk,
        "fill": numpy_fill(path, content["fill_value"], dtype),
        "codecs": Codecs(dtype, order if content["order"] == "C" else order[::-1], chain_of(path, names)),
        "index": None,
        "index_at_end": True,
        "dimension_names": None,
        "keys": ("", _separator(path, content.get("dimension_separator", "."))),
    }


def _version_3(path: str, content: dict[str, Any]) -> dict[str, Any]:
    if content["zarr_format"] != 3 or content["node_type"] != "array":
        raise _invalid(path, f"the format {content['zarr_format']!r} and the node type {content['node_type']!r}")
    unknown = [key for key in content.keys() - _FIELDS if not _is_optional(content[key])]
    if unknown:
        raise _invalid(path, f"the field {min(unknown)[:100]!r}, which must be understood and is not known")
    if content["chunk_grid"]["name"] != "regular":
        raise _invalid(path, f"the chunk grid {content['chunk_grid']['name']!r}")
    if content.get("storage_transformers"):
        raise _invalid(path, "storage transformers")
    shape = _lengths(path, content["shape"])
    shard = chunk = _lengths(path, _configuration(path, content["chunk_grid"])["chunk_shape"], len(shape))
    codecs, index, at_end = content["codecs"], None, True
    if codecs[0]["name"] == "sharding_indexed":
        if len(codecs) != 1:
            raise _invalid(path, "codecs behind its shards")
        sharding = _configuration(path, codecs[0])
        chunk = _lengths(path, sharding["chunk_shape"], len(shape))
        if any(outer % inner for outer, inner in zip(shard, chunk, strict=True)):
            raise _invalid(path, f"chunks {chunk} that do not divide its shards {shard}")
        location = sharding.get("index_location", "end")
        if location not in ("start", "end"):
            raise _invalid(path, f"the index of its shards at {location!r}")
        at_end = location == "end"
        index = _codecs(path, sharding["index_codecs"], "uint64", len(shape) + 1)
        if set(index.chain) - {"crc32c"}:
            raise _invalid(path, "a compressed index of its shards")
        codecs = sharding["codecs"]
    names = content.get("dimension_names")
    inner = _codecs(path, codecs, content["data_type"], len(shape))
    return {
        "shape": shape,
        "chunk": chunk,
        "shard": shard,
        "fill": numpy_fill(path, content["fill_value"], inner.dtype),
        "codecs": inner,
        "index": index,
        "index_at_end": at_end,
        "dimension_names": tuple(names) if names and len(names) == len(shape) else None,
        "keys": _keys(path, content["chunk_key_encoding"]),
    }


def _is_optional(value: Any) -> bool:
    return isinstance(value, dict) and value.get("must_understand") is False


def _configuration(path: str, extension: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a codec, an encoding or a grid; empty where there is none."""
    if extension["name"] in _CONFIGURED and "configuration" not in extension:
        raise _invalid(path, f"{extension['name']!r} without its configuration")
    configuration = extension.get("configuration", {})
    if not isinstance(configuration, dict):
        raise _invalid(path, f"the configuration {configuration!r} of {extension['name']!r}")
    unknown = configuration.keys() - _KEYS.get(extension["name"], configuration.keys())
    if unknown:
        raise _invalid(path, f"{min(unknown)[:100]!r} in the configuration of {extension['name']!r}")
    return configuration


def _keys(path: str, encoding: dict[str, Any]) -> tuple[str, str]:
    """Return what stands before and between the numbers in the name of a chunk, in version 3."""
    if encoding["name"] not in ("default", "v2"):
        raise _invalid(path, f"the encoding {encoding['name']!r} of the names of chunks")
    default = encoding["name"] == "default"
    given = _configuration(path, encoding).get("separator", "/" if default else ".")
    separator = _separator(path, given)
    return f"c{re.escape(separator)}" if default else "", separator


def _separator(path: str, separator: Any) -> str:
    if separator not in ("/", "."):
        raise _invalid(path, f"the separator {separator!r} in the names of chunks")
    return str(separator)


def _codecs(path: str, listed: list[dict[str, Any]], data_type: Any, n_axes: int) -> Codecs:
    """Read a list of codecs: perhaps one that transposes, one that makes bytes, then others."""
    names = [str(codec["name"]).removeprefix("numcodecs.") for codec in listed]
    configurations = [_configuration(path, codec) for codec in listed]
    order = tuple(range(n_axes))
    if names[:1] == ["transpose"]:
        order = tuple(configurations[0]["order"])
        if sorted(order) != list(range(n_axes)):
            raise _invalid(path, f"the order {order} of axes")
        names, configurations = names[1:], configurations[1:]
    if names[:1] != ["bytes"]:
        raise _invalid(path, f"the codecs {', '.join(names)}")
    endian = configurations[0].get("endian", "little")
    if endian not in ("little", "big"):
        raise _invalid(path, f"the byte order {endian!r}")
    return Codecs(plain_zarr_type(path, data_type, endian), order, chain_of(path, names[1:]))


def _lengths(path: str, value: Any, n_axes: int | None = None) -> tuple[int, ...]:
    lengths = tuple(value)
    good = all(type(length) is int and 1 <= length < _LONGEST_AXIS for length in lengths)
    if not good or not 1 <= len(lengths) <= 8 or len(lengths) != (n_axes or len(lengths)):
        raise _invalid(path, f"the lengths {value!r}")
    return lengths


def _invalid(path: str, found: str) -> DataError:
    message = f"{path} does not describe a Zarr array that can be read: found {found[:200]}"
    return DataError("header_invalid", message, REMAKE)
