"""The chunks of a Zarr array, version 2 or 3: what its metadata say, and the decoding of one chunk.

Sources are decoded here and not by zarr-python, for three reasons: a damaged or hostile chunk must not make more bytes
than its array's metadata allow (a megabyte of gzip can hold a gigabyte, and a C library trusts the length in a blosc
header); an absent chunk has to be told from one that holds the fill value, if only to be counted; and objects, which
are pickles, must not be reached at all.
"""

import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from .arrays import plain_type
from .sources import REMAKE, open_binary

Index = tuple[int, ...]

# A chunk is decoded as a whole.
LARGEST_CHUNK_BYTES = 128 * 2**20
# Compression never makes a chunk longer than this and twice the chunk.
_SLACK_BYTES = 2**16
_COMPRESSORS = ("blosc", "zstd", "gzip", "zlib", "lz4")
_CRC_BYTES = 4
_ABSENT = 2**64 - 1
_NOT_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


@dataclass(frozen=True)
class Codecs:
    """How a chunk becomes bytes.

    Attributes
    ----------
    transpose
        In which order a chunk's axes stand in its bytes, slowest first.
    chain
        Names, in the order of encoding: at most one compressor, and checksums.
    """

    dtype: np.dtype[Any]
    transpose: tuple[int, ...]
    chain: tuple[str, ...] = ()

    def decode(self, path: str, content: bytes, shape: Sequence[int]) -> NDArray[Any]:
        """Turn bytes into a chunk of `shape`; any other length is a `DataError`."""
        n_bytes = prod(shape) * self.dtype.itemsize
        for position in reversed(range(len(self.chain))):
            expected = n_bytes + _CRC_BYTES * self.chain[:position].count("crc32c")
            content = _decode(path, self.chain[position], content, expected)
        if len(content) != n_bytes:
            code = "file_truncated" if len(content) < n_bytes else "file_oversized"
            raise DataError(code, f"{path} holds {len(content)} bytes, expected {n_bytes}", REMAKE)
        stored = np.frombuffer(content, self.dtype).reshape([shape[axis] for axis in self.transpose])
        return stored.transpose(np.argsort(self.transpose))


@dataclass(frozen=True)
class ChunkedArray:
    """A Zarr array for reading, its metadata checked.

    Attributes
    ----------
    chunk
        Shape of what is decoded at once.
    shard
        Shape of what is one file.
    fill
        Value of absent chunks; None if it is not defined.
    index
        How the index of a shard becomes bytes; None where a chunk is a file.
    files
        The files that there are, by their place in the grid.
    dimension_names
        Of version 3, if given.
    """

    path: str
    shape: Index
    chunk: Index
    shard: Index
    fill: float | None
    codecs: Codecs
    index: Codecs | None
    index_at_end: bool
    files: Mapping[Index, str]
    dimension_names: tuple[str | None, ...] | None
    attributes: Mapping[str, Any]

    @property
    def grid(self) -> Index:
        """Number of chunks along each axis."""
        return tuple(-(-size // edge) for size, edge in zip(self.shape, self.chunk, strict=True))

    @property
    def _per_shard(self) -> Index:
        return tuple(outer // inner for outer, inner in zip(self.shard, self.chunk, strict=True))

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk."""
        return prod(self.chunk) * self.codecs.dtype.itemsize

    def count_absent(self) -> int:
        """Count the chunks that are in no file.

        Raises
        ------
        DataError
            There are some, and no fill value to take their place; or the index of a shard is damaged.
        """
        present = len(self.files)
        if self.index is not None:
            present = 0
            for shard, path in self.files.items():
                with open_binary(path) as file:
                    places = self._places(path, file, os.fstat(file.fileno()).st_size)
                inside = zip(shard, self._per_shard, self.grid, strict=True)
                places = places[tuple(slice(0, size - place * number) for place, number, size in inside)]
                present += int(np.count_nonzero(places[..., 0] != _ABSENT))
        absent = prod(self.grid) - present
        if absent and self.fill is None:
            raise DataError(
                "file_truncated", f"{self.path} lacks {absent} of its chunks, and declares no fill value", REMAKE
            )
        return absent

    def read(self, index: Index) -> NDArray[Any] | None:
        """Read one chunk, clipped to the array; None if it is absent.

        Raises
        ------
        DataError
            It is damaged, or absent without a fill value to take its place.
        """
        per_shard = self._per_shard
        file_index = tuple(place // number for place, number in zip(index, per_shard, strict=True))
        path = self.files.get(file_index)
        content = None
        if path is not None:
            with open_binary(path) as file:
                size = os.fstat(file.fileno()).st_size
                place = (0, size)
                if self.index is not None:
                    inside = tuple(here % number for here, number in zip(index, per_shard, strict=True))
                    offset, length = self._places(path, file, size)[inside].tolist()
                    place = (offset, length)
                if place[0] != _ABSENT:
                    content = self._content(path, file, size, *place)
        if content is None:
            if self.fill is None:
                raise DataError(
                    "file_truncated", f"{self.path} lacks its chunk {index}, and declares no fill value", REMAKE
                )
            return None
        decoded = self.codecs.decode(path or "", content, self.chunk)
        ends = zip(index, self.chunk, self.shape, strict=True)
        return decoded[tuple(slice(0, size - place * edge) for place, edge, size in ends)]

    def _content(self, path: str, file: BinaryIO, size: int, offset: int, length: int) -> bytes:
        if offset + length > size:
            raise DataError("file_truncated", f"{path} ends before its chunk at byte {offset} does", REMAKE)
        if length > 2 * self.chunk_bytes + _SLACK_BYTES:
            message = f"{path} holds {length} bytes for a chunk of {self.chunk_bytes}"
            raise DataError("file_oversized", message, REMAKE)
        file.seek(offset)
        return file.read(length)

    def _places(self, path: str, file: BinaryIO, size: int) -> NDArray[np.uint64]:
        """Read the index of a shard: offset and length of each of its chunks, (…, 2)."""
        assert self.index is not None  # noqa: S101
        length = 16 * prod(self._per_shard) + _CRC_BYTES * len(self.index.chain)
        if length > size:
            raise DataError("file_truncated", f"{path} is too short for the index of its shard", REMAKE)
        file.seek(size - length if self.index_at_end else 0)
        return self.index.decode(path, file.read(length), [*self._per_shard, 2])


def numpy_fill(path: str, value: Any, dtype: np.dtype[Any]) -> float | None:
    """Return a fill value as a number; None where it is not defined."""
    if value is None:
        return None
    if isinstance(value, str):
        if value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if re.fullmatch(rf"0x[0-9a-fA-F]{{{2 * dtype.itemsize}}}", value):
            return float(np.frombuffer(bytes.fromhex(value[2:]), dtype.newbyteorder(">"))[0])
    if isinstance(value, (bool, int, float)):
        return float(value)
    raise DataError("header_invalid", f"{path} has the fill value {repr(value)[:200]}, expected a number", REMAKE)


def chain_of(path: str, names: Sequence[str]) -> tuple[str, ...]:
    """Check the names of a chunk's codecs behind its bytes."""
    counts = Counter(names)
    unknown = [name for name in counts if name not in (*_COMPRESSORS, "crc32c")]
    if unknown or sum(counts[name] for name in _COMPRESSORS) > 1:
        raise DataError(
            "type_unsupported",
            f"{path} is encoded by {', '.join(map(repr, names))[:200]}, expected at most one of "
            f"{', '.join(_COMPRESSORS)}, and crc32c",
            "Write the array with one of these compressors and without filters.",
        )
    return tuple(names)


def plain_zarr_type(path: str, name: Any, endian: str) -> np.dtype[Any]:
    """Return the type for version 3's name of it."""
    match = re.fullmatch(r"(int|uint|float)(8|16|32|64)", name) if isinstance(name, str) else None
    if name == "bool":
        return plain_type(path, "|b1")
    if match is None:
        return plain_type(path, str(name))
    return plain_type(path, f"{'>' if endian == 'big' else '<'}{match[1][0]}{int(match[2]) // 8}")


def _decode(path: str, name: str, content: bytes, n_bytes: int) -> bytes:
    """Undo one codec, whose result has to have `n_bytes`; never make more."""
    if name == "crc32c":
        return _checked(path, content)
    try:
        if name in ("gzip", "zlib"):
            return _inflate(content, n_bytes, 31 if name == "gzip" else 15)
        declared = {"blosc": _blosc_size, "zstd": _zstd_size, "lz4": _lz4_size}[name](content)
        if declared not in (None, n_bytes):
            raise ValueError(f"it declares {declared} bytes, expected {n_bytes}")
        return _decompress(name, content, n_bytes)
    except (ValueError, RuntimeError, struct.error, IndexError, zlib.error) as error:
        raise DataError(
            "file_corrupt", f"{path} is damaged: its {name} stream cannot be read ({error})", REMAKE
        ) from None


def _decompress(name: str, content: bytes, n_bytes: int) -> bytes:
    from numcodecs import blosc, lz4, zstd

    result = bytearray(n_bytes)
    {"blosc": blosc, "zstd": zstd, "lz4": lz4}[name].decompress(content, result)
    return bytes(result)


def _checked(path: str, content: bytes) -> bytes:
    import google_crc32c

    payload, found = content[:-_CRC_BYTES], content[-_CRC_BYTES:]
    if google_crc32c.value(payload).to_bytes(_CRC_BYTES, "little") != found:
        raise DataError("file_corrupt", f"{path} is damaged: the CRC-32C of a chunk is wrong", REMAKE)
    return payload


def _inflate(content: bytes, n_bytes: int, window_bits: int) -> bytes:
    stream = zlib.decompressobj(window_bits)
    result = stream.decompress(content, n_bytes + 1)
    if not stream.eof or stream.unused_data or len(result) != n_bytes:
        raise ValueError(f"expected {n_bytes} bytes and the end of the stream")
    return result


def _blosc_size(content: bytes) -> int:
    declared, _, stored = struct.unpack_from("<III", content, 4)
    if stored != len(content):
        # The library reads as far as the header says.
        raise ValueError(f"its header says {stored} bytes, found {len(content)}")
    return int(declared)


def _lz4_size(content: bytes) -> int:
    return int.from_bytes(content[:4], "little")


def _zstd_size(content: bytes) -> int | None:
    """Length of the content by the header of its frame (RFC 8878, 3.1.1.1), None if it does not say."""
    if content[:4] != b"\x28\xb5\x2f\xfd":
        raise ValueError("no zstd frame")
    descriptor = content[4]
    single = descriptor >> 5 & 1
    width = (single, 2, 4, 8)[descriptor >> 6]
    start = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    field = content[start : start + width]
    return int.from_bytes(field, "little") + (256 if width == 2 else 0) if width else None
