"""Arrays in files: Zarr version 3 with the codec `sharding_indexed`, one file a block of the layout.

Any Zarr reader opens what is written here; zarr-python itself is not used, for its cost. Its import takes 0.15 s of
each of a sample's three jobs, and its event loop 3 to 4 ms a shard: reading 33 classes of 160³ in 15 blocks took 1.5 s
of CPU with it, and takes 0.5 s so.

A shard is its chunks one after the other, each compressed and followed by its CRC-32C; then offset and length of every
chunk, and the CRC-32C of that index. Source: Zarr enhancement proposals 1, 2 and 4 (zarr-specs.readthedocs.io).
"""

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray

from .boxes import Index, Spans, cells, overlap, spans_of
from .layout import Layout

# Blocks run in parallel; the codec's own threads would be as many again, and are a global of the process.
blosc.use_threads = False
CRC_BYTES = 4
# The CRC-32C of anything that is followed by its own CRC-32C.
CRC_RESIDUE = 0x48674BC7
INDEX_TYPE = np.dtype("<u8")
ABSENT = 2**64 - 1


class DamagedShardError(ValueError):
    """The bytes of a shard are not those that were written."""


@dataclass(frozen=True)
class ShardedArray:
    """An array in a folder of its own, read by indexing; whole shards are written.

    Attributes
    ----------
    path
        The folder.
    shape, chunks, shards
        Of the array, of what is compressed as one, and of a file; chunks divide shards.
    separator
        Between the numbers in a file's name. Our stores are flat (`.`), since five folders deep cost more inodes than
        the shards; OME-Zarr has folders (`/`).
    """

    path: Path
    shape: Index
    dtype: np.dtype[Any]
    chunks: Index
    shards: Index
    separator: str = "."

    def __getitem__(self, selection: Any) -> NDArray[Any]:
        """Read a box, given by whole numbers, slices of step 1, and an ellipsis.

        Raises
        ------
        DamagedShardError
            A chunk or an index is not what was written.
        FileNotFoundError
            A shard is missing.
        """
        spans, dropped = spans_of(selection, self.shape)
        out = np.empty([len(span) for span in spans], self.dtype)
        scratch = np.empty(self.chunks, self.dtype.newbyteorder("<"))
        for shard in cells(spans, self.shards):
            with _opened(f"{self.path}/{self.key_of(shard)}") as file:
                places = self._places(file)
                for chunk in cells(spans, self.chunks, within=(shard, self.shards)):
                    offset, length = places[self._within(chunk)].tolist()
                    into, part = zip(*map(overlap, spans, chunk, self.chunks), strict=True)
                    target = out[into]
                    # A chunk that is as wide as the box is decoded where it belongs.
                    direct = target.shape == self.chunks and target.flags.c_contiguous and target.dtype == scratch.dtype
                    _decode(file, offset, length, target if direct else scratch)
                    if not direct:
                        target[...] = scratch[part]
        result: NDArray[Any] = out[tuple(0 if drop else slice(None) for drop in dropped)]
        return result

    def write(self, selection: Any, values: NDArray[Any]) -> None:
        """Write a box of whole shards; each file is there whole or not at all, also if its writer is killed.

        Raises
        ------
        ValueError
            The box covers a part of a shard, or the values have another shape or type.
        """
        spans, dropped = spans_of(selection, self.shape)
        if not all(
            span.start % edge == 0 and (span.stop % edge == 0 or span.stop == size)
            for span, edge, size in zip(spans, self.shards, self.shape, strict=True)
        ):
            raise ValueError(f"{selection} does not consist of whole shards of {self.shards}")
        wanted = tuple(len(span) for span, drop in zip(spans, dropped, strict=True) if not drop)
        if values.shape != wanted or values.dtype != self.dtype:
            raise ValueError(f"found {values.dtype} of shape {values.shape}, expected {self.dtype} of {wanted}")
        values = values.reshape([len(span) for span in spans])
        for shard in cells(spans, self.shards):
            self._write_shard(shard, spans, values)

    @property
    def keys(self) -> Iterator[str]:
        """Names of all files that hold voxels."""
        return map(self.key_of, cells(tuple(map(range, self.shape)), self.shards))

    def key_of(self, shard: Index) -> str:
        """Name the file of a shard, relative to `path`."""
        return self.separator.join(map(str, ("c", *shard)))

    @cached_property
    def _grid(self) -> Index:
        """Chunks in a shard along each axis."""
        return tuple(outer // inner for outer, inner in zip(self.shards, self.chunks, strict=True))

    def _within(self, chunk: Index) -> Index:
        return tuple(place % n for place, n in zip(chunk, self._grid, strict=True))

    def _places(self, file: int) -> NDArray[np.uint64]:
        """Read offset and length of the chunks of a shard: (…, 2)."""
        length = prod(self._grid) * 2 * INDEX_TYPE.itemsize
        size = os.fstat(file).st_size
        content = os.pread(file, length + CRC_BYTES, max(0, size - length - CRC_BYTES))
        return np.frombuffer(_checked(content, length), INDEX_TYPE).reshape(*self._grid, 2)

    def _write_shard(self, shard: Index, spans: Spans, values: NDArray[Any]) -> None:
        places = np.full((*self._grid, 2), ABSENT, INDEX_TYPE)
        parts, offset = [], 0
        for chunk in cells(spans, self.chunks, within=(shard, self.shards)):
            into, part = zip(*map(overlap, spans, chunk, self.chunks), strict=True)
            inside = values[into]
            if inside.shape != self.chunks:
                # A chunk that sticks out of the array is filled up.
                padded = np.full(self.chunks, fill_of(self.dtype), self.dtype)
                padded[part] = inside
                inside = padded
            content = _encode(inside)
            places[self._within(chunk)] = offset, len(content)
            parts.append(content)
            offset += len(content)
        index = places.tobytes()
        path = self.path / self.key_of(shard)
        if self.separator == "/":
            path.parent.mkdir(parents=True, exist_ok=True)
        # A task that is lost is run again elsewhere, while it may still be running.
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            with aside.open("wb") as file:
                file.writelines([*parts, index, _crc(index)])
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise


def create_array(
    folder: Path,
    name: str,
    layout: Layout,
    dtype: str,
    before: Mapping[str, int] | None = None,
    separator: str = ".",
) -> ShardedArray:
    """Create a sharded, compressed and checksummed array, one shard a block.

    Axes `before`, names and sizes, stand in front of (z, y, x). lz4 without a shuffle costs least of the codecs that
    `make bench` measures: on classes with values everywhere, a byte shuffle saves a tenth of the size and takes three
    times as long (0.88 instead of 0.31 s a GB to write and read); on a brain it saves nothing. The CRC-32C is taken of
    what lies on disk.
    Every chunk is written and the fill value is none that could pass for data (NaN, or the highest integer), so that
    nothing missing is ever read as zeros.
    """
    before = before or {}
    ones = (1,) * len(before)
    kind = np.dtype(dtype)
    array = ShardedArray(
        folder / name,
        (*before.values(), *layout.shape),
        kind,
        (*ones, *layout.chunk),
        (*ones, *layout.block),
        separator,
    )
    array.path.mkdir()
    text = json.dumps(_metadata(array, (*before, "z", "y", "x")), indent=2)
    (array.path / "zarr.json").write_text(text, encoding="utf-8")
    return array


def open_array(path: Path) -> ShardedArray:
    """Open an array that `create_array` made."""
    metadata = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
    (codec,) = metadata["codecs"]
    return ShardedArray(
        path,
        tuple(metadata["shape"]),
        np.dtype(metadata["data_type"]),
        tuple(codec["configuration"]["chunk_shape"]),
        tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"]),
        metadata["chunk_key_encoding"]["configuration"]["separator"],
    )


def layout_of(array: ShardedArray) -> Layout:
    """Return the layout that an array was created with."""
    (*_, shape_z, shape_y, shape_x), (*_, chunk_z, chunk_y, chunk_x) = array.shape, array.chunks
    *_, block_z, block_y, block_x = array.shards
    return Layout((shape_z, shape_y, shape_x), (chunk_z, chunk_y, chunk_x), (block_z, block_y, block_x))


def fill_of(dtype: np.dtype[Any]) -> float | int:
    """Return the value of voxels that do not exist."""
    return float("nan") if dtype.kind == "f" else int(np.iinfo(dtype).max)


def _metadata(array: ShardedArray, names: Sequence[str]) -> dict[str, Any]:
    """Describe an array as version 3 of the Zarr specification says."""
    endian = {"name": "bytes", "configuration": {"endian": "little"}}
    compression = {
        "typesize": array.dtype.itemsize,
        "cname": "lz4",
        "clevel": 1,
        "shuffle": "noshuffle",
        "blocksize": 0,
    }
    sharding = {
        "chunk_shape": array.chunks,
        "codecs": [endian, {"name": "blosc", "configuration": compression}, {"name": "crc32c"}],
        "index_codecs": [endian, {"name": "crc32c"}],
        "index_location": "end",
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": array.shape,
        "data_type": array.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": array.shards}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": array.separator}},
        "fill_value": "NaN" if array.dtype.kind == "f" else fill_of(array.dtype),
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "dimension_names": names,
        "attributes": {},
        "storage_transformers": [],
    }


def _encode(values: NDArray[Any]) -> bytes:
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    content: bytes = blosc.compress(little, b"lz4", 1, blosc.NOSHUFFLE, typesize=values.itemsize)
    return content + _crc(content)


@contextmanager
def _opened(path: str) -> Iterator[int]:
    """Open a file to read at any place; a tenth of the cost of `Path.open`, and there are thousands of shards."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def _decode(file: int, offset: int, length: int, out: NDArray[Any]) -> None:
    """Read one chunk into `out`."""
    if offset == ABSENT:
        raise DamagedShardError("a chunk was never written")
    content = _checked(os.pread(file, length, offset), length - CRC_BYTES)
    blosc.decompress(content, out)


def _crc(content: bytes) -> bytes:
    return int(google_crc32c.value(content)).to_bytes(CRC_BYTES, "little")


def _checked(content: bytes, length: int) -> memoryview:
    """Check the CRC-32C behind `length` bytes, and give these."""
    if length < 0 or len(content) != length + CRC_BYTES:
        raise DamagedShardError(f"found {len(content)} bytes, expected {length + CRC_BYTES}")
    # Taken of both, so that the bytes need not be copied to be checked.
    if google_crc32c.value(content) != CRC_RESIDUE:
        raise DamagedShardError("a checksum is wrong")
    return memoryview(content)[:length]
