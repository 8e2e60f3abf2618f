"""Zarr sources are read where they lie: the numbers are those of a copy to the last bit, and none is stale."""

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_files import arranged, edited, write_npy, write_ome, write_zarr
from files import SHAPE, recipe, settings, softmax_field, write_nifti
from hypothesis import given
from hypothesis import strategies as st
from volume_entropy.blocks import BlockSettings, process_block
from volume_entropy.compute_entropy import compute_sample
from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.files import read_json
from volume_entropy.readers.zarr_chunks import ChunkedArray
from volume_entropy.samples import Sample
from volume_entropy.stores import layout as layouts
from volume_entropy.stores.layout import layout_of_bricks
from volume_entropy.stores.probabilities import ProbabilityStore, open_probabilities
from volume_entropy.stores.sealed import StoreError

FIRST = {"class_axis": "first", "axes": "zyx"}
ENTROPY = {"unit": "bit", "measures": ["predictive_entropy"], "threshold": 0.5, "maps": ["nifti"]}


def with_members(folder: Path, chunk: int = 1) -> str:
    p = np.concatenate([arranged(softmax_field(seed=seed), "mczyx") for seed in range(3)])
    return write_zarr(folder / "p.zarr", p, (chunk, 2, 4, 4, 5))


def one_a_class(folder: Path) -> str:
    p = softmax_field()
    for index in range(3):
        write_zarr(folder / f"class{index}.zarr", p[..., index], (4, 3, 2))
    return str(folder / "{class}.zarr")


def one_a_member(folder: Path) -> str:
    for member in range(2):
        write_zarr(folder / f"{member}.zarr", softmax_field(seed=member), (2, 3, 4, 2), 2)
    return str(folder / "{member}.zarr")


def half(folder: Path) -> str:
    p = softmax_field().astype(np.float64)
    p[0, 0] = 1e5, -1e39, 1e-9  # beyond float16, beyond float32, below both
    return write_zarr(folder / "p.zarr", p, (5, 6, 2, 3))


SOURCES: dict[str, tuple[Callable[[Path], str], dict[str, Any]]] = {
    "Zarr 3": (lambda folder: write_zarr(folder / "p.zarr", arranged(softmax_field(), "czyx"), (1, 3, 4, 5)), FIRST),
    "Zarr 3, class last": (lambda folder: write_zarr(folder / "p.zarr", softmax_field(), (2, 4, 3, 2)), {}),
    "Zarr 3, shards": (
        lambda folder: write_zarr(folder / "p.zarr", softmax_field(), (1, 2, 3, 1), shards=(4, 4, 3, 3)), {},
    ),
    "Zarr 2, compressed": (
        lambda folder: write_zarr(folder / "p.zarr", softmax_field(), (2, 3, 4, 2), 2, compressors="auto"), {},
    ),
    "OME-Zarr": (lambda folder: write_ome(folder / "p.ome.zarr", arranged(softmax_field(), "czyx"), "0.5", "czyx"), {}),
    "members": (with_members, FIRST),
    "one a class": (one_a_class, {}),
    "one a member": (one_a_member, {"members": ["0", "1"]}),
    "float64 as float16": (half, {"dtype": "float16", "max_invalid_fraction": 0.5}),
    "no background": (
        lambda folder: write_zarr(folder / "p.zarr", softmax_field(n_classes=4)[..., 1:], (5, 6, 2, 1)),
        {"background": "complement"},
    ),
}  # fmt: skip


def convert(folder: Path, path: str, resolved: dict[str, Any], in_place: bool = True, **others: str) -> Path:
    store = folder / ("place.zarr" if in_place else "copy.zarr")
    sample = Sample("s", path, **others)
    made = {**recipe(sample, {**resolved, **ENTROPY}), "sources": [[path, 1, 1, True]]}
    convert_sample(sample, store, recipe=made, chunk=64, in_place=in_place)
    return store


def opened(store: Path) -> ProbabilityStore:
    found = open_probabilities(store)
    assert isinstance(found, ProbabilityStore)
    return found


def refers(store: Path) -> bool:
    """Whether a store holds no probabilities of its own."""
    return not (store / "probabilities").exists()


def computed(store: Path, threads: int = 2) -> tuple[dict[str, Any], str]:
    """The summary of a sample, and a digest of its maps."""
    out = store.with_suffix(".out")
    paths = {"measures_path": out / "m.zarr", "summary_path": out / "s.json", "maps_dir": out / "maps"}
    compute_sample(store, recipe=opened(store).recipe, threads=threads, **paths)
    maps = b"".join(path.read_bytes() for path in sorted((out / "maps").iterdir()))
    return read_json(out / "s.json"), hashlib.sha256(maps).hexdigest()


def small_blocks(patch: pytest.MonkeyPatch, block_bytes: int = 1000) -> None:
    patch.setattr(layouts, "BLOCK_BYTES", block_bytes)


@pytest.mark.parametrize("name", SOURCES)
def test_the_numbers_are_those_of_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    small_blocks(monkeypatch)
    write, changes = SOURCES[name]
    path, resolved = write(tmp_path), settings(**changes)
    mask = np.random.default_rng(1).random(SHAPE) < 0.7
    others = {"mask": write_nifti(tmp_path / "mask.nii", mask.astype(np.uint8))} if "OME" not in name else {}
    place, copy = (convert(tmp_path, path, resolved, in_place, **others) for in_place in (True, False))
    assert refers(place)
    assert not refers(copy)
    assert opened(place).array.dtype == opened(copy).array.dtype
    np.testing.assert_array_equal(opened(place).array[:], opened(copy).array[:])
    np.testing.assert_array_equal(opened(place).array[0, 1:3, 2:5, :, 1:4], opened(copy).array[0, 1:3, 2:5, :, 1:4])
    assert opened(place).layout.n_blocks > 1
    assert computed(place) == computed(copy)


def test_nothing_is_copied_and_every_chunk_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_blocks(monkeypatch)
    path = with_members(tmp_path)
    store = convert(tmp_path, path, settings(**FIRST))
    assert sum(file.stat().st_size for file in store.rglob("*")) < 10_000
    read, times = ChunkedArray.read, Counter[tuple[int, ...]]()

    def counted(self: ChunkedArray, index: tuple[int, ...]) -> Any:
        times[index] += 1
        return read(self, index)

    monkeypatch.setattr(ChunkedArray, "read", counted)
    computed(store)
    assert set(times.values()) == {1}
    assert len(times) == 3 * 2 * 2 * 2


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: with_members(folder, chunk=2),
        lambda folder: write_zarr(folder / "p.zarr", arranged(softmax_field(), "czyx"), (3, 7, 6, 5)),
        lambda folder: write_npy(folder / "p.npy", arranged(softmax_field(), "czyx")),
    ],
    ids=["a chunk of members", "a chunk larger than a block", "no chunks"],
)
def test_what_cannot_be_read_by_blocks_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], str]
) -> None:
    small_blocks(monkeypatch)
    assert not refers(convert(tmp_path, write(tmp_path), settings(**FIRST)))


def test_classes_whose_chunks_differ_are_copied(tmp_path: Path) -> None:
    path = one_a_class(tmp_path)
    (tmp_path / "class1.zarr").rename(tmp_path / "old")
    write_zarr(tmp_path / "class1.zarr", softmax_field()[..., 1], (2, 3, 2))
    assert not refers(convert(tmp_path, path, settings()))


def test_a_damaged_chunk_rejects_the_sample_when_it_is_read(tmp_path: Path) -> None:
    path = Path(write_zarr(tmp_path / "p.zarr", softmax_field(), (3, 3, 4, 2), 2, compressors="auto"))
    chunk = path / "1.1.1.0"
    content = bytearray(chunk.read_bytes())
    del content[-9:]
    chunk.write_bytes(content)
    summary, _ = computed(convert(tmp_path, str(path), settings()))
    assert (summary["status"], summary["code"]) == ("rejected", "file_corrupt")
    assert "1.1.1.0" in summary["message"]
    assert "predictive_entropy_total" not in summary
    with pytest.raises(DataError):
        convert(tmp_path, str(path), settings(), in_place=False)


@pytest.mark.parametrize("change", ["touched", "gone", "another"])
def test_a_source_that_is_not_what_it_was_gives_no_number(tmp_path: Path, change: str) -> None:
    path = write_zarr(tmp_path / "p.zarr", softmax_field(), (3, 3, 4, 2), 2)
    store = convert(tmp_path, path, settings())
    chunk = Path(path) / "0.0.0.0"
    if change == "touched":
        os.utime(chunk)
    elif change == "gone":
        Path(path).rename(tmp_path / "elsewhere")
    else:
        chunk.write_bytes(bytes(chunk.stat().st_size))
    with pytest.raises(StoreError, match=r"p\.zarr, which it refers to, is not what it was"):
        computed(store)


@pytest.mark.parametrize("change", ["other voxels", "a chunk less"])
def test_a_source_that_changes_while_it_is_read_gives_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = write_zarr(tmp_path / "p.zarr", softmax_field(), (3, 3, 4, 2), 2)
    store, chunk, read = convert(tmp_path, path, settings()), Path(path) / "1.1.1.1", ChunkedArray.read

    def while_it_changes(self: ChunkedArray, index: tuple[int, ...]) -> Any:
        if chunk.exists():
            chunk.unlink()
        if change == "other voxels":
            chunk.write_bytes(softmax_field(seed=9)[:3, :3, :4, :2].tobytes())
        return read(self, index)

    monkeypatch.setattr(ChunkedArray, "read", while_it_changes)
    with pytest.raises(StoreError, match="is not what it was"):
        computed(store, threads=1)


def test_a_store_whose_words_on_its_sources_were_changed_is_not_opened(tmp_path: Path) -> None:
    store = convert(tmp_path, with_members(tmp_path), settings(**FIRST))
    attributes = read_json(store / "zarr.json")["attributes"]
    attributes["in_place"]["sources"][0]["class"] = 1
    edited(store / "zarr.json", attributes=attributes)
    with pytest.raises(StoreError, match="metadata are not those"):
        open_probabilities(store)


@pytest.mark.parametrize("how", [{}, {"shards": (4, 4, 4, 3)}])
def test_absent_chunks_are_told_and_count_as_in_a_copy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: dict[str, Any]
) -> None:
    p = softmax_field()
    p[2:4] = 0
    path = write_zarr(tmp_path / "p.zarr", p, (2, 2, 4, 1), fill_value=0, **how)
    if not how:
        assert len(list(Path(path).rglob("c/1/*/*/*"))) == 0
    with caplog.at_level(logging.WARNING):
        place, copy = (convert(tmp_path, path, settings(), in_place) for in_place in (True, False))
    told = [record.getMessage() for record in caplog.records if "are absent and count as 0" in record.getMessage()]
    assert len(told) == 2
    assert told[0] == told[1]
    assert "18 of 54 chunks" in told[0]
    assert computed(place) == computed(copy)


def test_an_absent_chunk_without_a_value_rejects_the_sample_at_once(tmp_path: Path) -> None:
    path = Path(write_zarr(tmp_path / "p.zarr", softmax_field(), (3, 3, 4, 2), 2))
    edited(path / ".zarray", fill_value=None)
    (path / "0.0.0.0").unlink()
    with pytest.raises(DataError, match="lacks 1 of its chunks") as caught:
        convert(tmp_path, str(path), settings())
    assert caught.value.code == "file_truncated"


@given(
    shape=st.tuples(*[st.integers(1, 300)] * 3),
    edges=st.tuples(*[st.integers(1, 130)] * 3),
    n_classes=st.integers(1, 60),
    itemsize=st.sampled_from([2, 4]),
    chunk=st.integers(8, 128),
)
def test_blocks_of_bricks_keep_the_promises_of_any_layout(
    shape: tuple[int, int, int], edges: tuple[int, int, int], n_classes: int, itemsize: int, chunk: int
) -> None:
    brick = tuple(map(min, edges, shape))
    layout = layout_of_bricks(shape, brick, n_classes, itemsize, chunk)
    _, height, width = shape
    if layout is None:
        large = int(np.prod(brick)) * n_classes * itemsize > layouts.BLOCK_BYTES
        assert large or brick[0] * height * width * itemsize > layouts.SLAB_BYTES
        return
    for size, edge, block, chunked in zip(shape, brick, layout.block, layout.chunk, strict=True):
        assert block % edge == 0
        assert block % chunked == 0
        assert block - edge < size
        assert chunked <= max(chunk, edge) or chunked == block
    assert np.prod(layout.block) * n_classes * itemsize <= layouts.BLOCK_BYTES
    depth, rows = layout.slab
    assert depth * rows * width * itemsize <= layouts.SLAB_BYTES


def test_a_block_is_processed_by_what_can_be_sent_to_another_process(tmp_path: Path) -> None:
    store = convert(tmp_path, with_members(tmp_path), settings(**FIRST))
    wanted = BlockSettings("bit", 0.01, (), (), 0.5)
    (box,) = opened(store).layout.blocks()
    (tmp_path / "m.zarr").mkdir()
    with pytest.raises(FileNotFoundError):  # it came as far as to write
        process_block(store, tmp_path / "m.zarr", box, wanted)
