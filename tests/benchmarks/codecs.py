"""Chunk shapes and codecs: the table from which the store's were chosen."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numcodecs import blosc
from numpy.typing import NDArray
from volume_entropy.stores.layout import choose_layout
from volume_entropy.stores.shards import create_array

from . import volumes
from .measuring import median, table

CODECS = {
    "lz4, no shuffle (ours)": (b"lz4", 1, blosc.NOSHUFFLE),
    "lz4, byte shuffle": (b"lz4", 1, blosc.SHUFFLE),
    "lz4, bit shuffle": (b"lz4", 1, blosc.BITSHUFFLE),
    "zstd 1, byte shuffle": (b"zstd", 1, blosc.SHUFFLE),
    "zstd 1, bit shuffle": (b"zstd", 1, blosc.BITSHUFFLE),
    "zstd 5, byte shuffle": (b"zstd", 5, blosc.SHUFFLE),
}
CHUNKS = (16, 32, 48, 64, 96, 128)


def run(quick: bool) -> dict[str, Any]:
    """Measure in one thread, on a brain of which most voxels are certain, and on classes with values everywhere."""
    repeats = 1 if quick else 3
    paths = {"small": volumes.structures(64, 5)} if quick else {
        "brain": volumes.brain(), "values everywhere": volumes.structures(160, 4),
    }  # fmt: skip
    arrays = {name: _loaded(path) for name, path in paths.items()}
    results: dict[str, Any] = {}
    for name, p in arrays.items():
        results[name] = [{"codec": codec, **_codec(p, *how, repeats)} for codec, how in CODECS.items()]
        size = f"{p.nbytes / 1e6:.0f} MB"
        print(table(f"Codecs, {name}, {size}: chunks of one class and 64³ voxels, one thread", results[name]))
    p = next(iter(arrays.values()))
    with volumes.scratch() as folder:
        chunks = [{"chunk": f"{edge}³", **_chunk(p, edge, Path(folder), repeats)} for edge in CHUNKS]
    print(table("Chunks of a store of the first, one thread", chunks))
    return {"codecs": results, "chunks": chunks}


def _loaded(path: Path) -> NDArray[np.float32]:
    """(class, z, y, x)."""
    import nibabel

    image: Any = nibabel.load(path)
    return np.ascontiguousarray(np.asanyarray(image.dataobj, np.float32).transpose(3, 2, 1, 0))


def _codec(p: NDArray[np.float32], name: bytes, level: int, shuffle: int, repeats: int) -> dict[str, float]:
    pieces = [np.ascontiguousarray(volume[z : z + 64]) for volume in p for z in range(0, volume.shape[0], 64)]
    chunks = [piece.reshape(-1)[start : start + 64**3] for piece in pieces for start in range(0, piece.size, 64**3)]
    blosc.use_threads = False
    packed: list[bytes] = []
    out = np.empty(64**3, np.float32)

    def pack() -> None:
        packed[:] = [blosc.compress(chunk, name, level, shuffle, typesize=4) for chunk in chunks]

    def unpack() -> None:
        for content, chunk in zip(packed, chunks, strict=True):
            blosc.decompress(content, out[: chunk.size])

    seconds = [_seconds(pack, repeats), _seconds(unpack, repeats)]
    return {
        "compress s": seconds[0],
        "decompress s": seconds[1],
        "both s": sum(seconds),
        "share of size": sum(map(len, packed)) / p.nbytes,
    }


def _chunk(p: NDArray[np.float32], edge: int, folder: Path, repeats: int) -> dict[str, Any]:
    """Write and read a store; read one slice across each axis."""
    layout = choose_layout(p.shape[1:], len(p), 4, edge)
    (folder / str(edge)).mkdir()
    array = create_array(folder / str(edge), "p", layout, "float32", {"class": len(p)})
    boxes = layout.blocks()
    n_z, n_y, n_x = (size // 2 for size in p.shape[1:])

    def write() -> None:
        for box in boxes:
            for index in range(len(p)):
                array.write((index, *box), p[(index, *box)])

    def read() -> None:
        for box in boxes:
            array[(slice(None), *box)]

    return {
        "shape z, y, x": " x ".join(map(str, layout.chunk)),
        "write s": _seconds(write, repeats),
        "read s": _seconds(read, repeats),
        "one z slice ms": 1e3 * _seconds(lambda: array[0, n_z], repeats),
        "one y slice ms": 1e3 * _seconds(lambda: array[0, :, n_y], repeats),
        "one x slice ms": 1e3 * _seconds(lambda: array[0, :, :, n_x], repeats),
    }


def _seconds(run: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return median(taken)
