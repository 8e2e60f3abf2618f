"""A store is whole or an error; what was written is read back, whatever the blocks and chunks."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from volume_entropy.errors import Rejection
from volume_entropy.stores.layout import Layout
from volume_entropy.stores.probabilities import (
    MeasureWriter,
    ProbabilityStore,
    ProbabilityWriter,
    StoreError,
    open_measures,
    open_probabilities,
    write_rejection,
)

SLABS = Layout((20, 13, 11), (7, 7, 6), (7, 14, 12))
BOXES = Layout((20, 13, 11), (5, 4, 4), (10, 8, 4))
ATTRIBUTES: dict[str, Any] = {
    "classes": ["background", "a", "b"],
    "members": ["0", "1"],
    "kind": "softmax",
    "complement": False,
    "affine": np.diag([1.0, 2.0, 3.0, 1.0]).tolist(),
    "geometry": {"shape": [11, 13, 20]},
    "voxel_volume_mm3": 6.0,
    "source": [["/data/p.nii", 1, 2, True]],
    "recipe": {"sample": "s"},
    "quantum": 1 / 255,
    "counts": {},
}
REJECTION = Rejection("convert", "file_missing", "p.nii is missing", "bring it back")


@pytest.fixture
def p() -> np.ndarray:
    return np.random.default_rng(0).random((2, 3, *SLABS.shape), dtype=np.float32)


def write_store(path: Path, p: np.ndarray, layout: Layout = SLABS, dtype: str = "float32", mask: bool = False) -> None:
    """Write all of `p` (member, class, z, y, x) block by block; the mask is where the first class is above 0.5."""
    n_members, n_classes = p.shape[:2]
    with ProbabilityWriter(
        path,
        layout=layout,
        n_members=n_members,
        n_stored_classes=n_classes,
        dtype=dtype,
        attributes=ATTRIBUTES,
        with_mask=mask,
    ) as writer:
        for box in layout.blocks():
            z, y, x = (part.start for part in box)
            for member, class_index in np.ndindex(n_members, n_classes):
                writer.write(member, class_index, z, p[(member, class_index, *box)], y, x)
            if mask:
                writer.write_mask(z, p[(0, 0, *box)] > 0.5, y, x)
        writer.seal()


def opened(path: Path) -> ProbabilityStore:
    store = open_probabilities(path)
    assert isinstance(store, ProbabilityStore)
    return store


def shards(path: Path, array: str = "probabilities") -> list[Path]:
    return sorted((path / array).glob("c.*"))


@pytest.mark.parametrize("layout", [SLABS, BOXES])
@pytest.mark.parametrize("mask", [False, True])
def test_what_was_written_is_read_back(tmp_path: Path, p: np.ndarray, layout: Layout, mask: bool) -> None:
    write_store(tmp_path / "p.zarr", p, layout, mask=mask)
    store = opened(tmp_path / "p.zarr")
    assert store.layout == layout
    for box in [*layout.blocks(), (slice(3, 17), slice(2, 9), slice(0, 11))]:
        for member in range(2):
            np.testing.assert_array_equal(store.read(member, box), p[(member, slice(None), *box)])
        found = store.read_mask(box)
        if mask:
            np.testing.assert_array_equal(found, (p[0, 0] > 0.5)[box])
        else:
            assert found is None


def test_a_slab_of_several_blocks_is_written_at_once(tmp_path: Path, p: np.ndarray) -> None:
    writer = ProbabilityWriter(
        tmp_path / "p.zarr", layout=BOXES, n_members=2, n_stored_classes=3, dtype="float32", attributes=ATTRIBUTES
    )
    with writer:
        for member, class_index, z in itertools.product(range(2), range(3), (0, 10)):
            writer.write(member, class_index, z, p[member, class_index, z : z + 10])
        writer.seal()
    np.testing.assert_array_equal(opened(tmp_path / "p.zarr").array[:], p)


def test_a_piece_that_does_not_cover_whole_blocks_is_refused(tmp_path: Path, p: np.ndarray) -> None:
    with (
        pytest.raises(ValueError, match="whole blocks"),
        ProbabilityWriter(
            tmp_path / "p.zarr", layout=SLABS, n_members=2, n_stored_classes=3, dtype="float32", attributes=ATTRIBUTES
        ) as writer,
    ):
        writer.write(0, 0, 0, p[0, 0, :5])


def test_attributes_come_back(tmp_path: Path, p: np.ndarray) -> None:
    write_store(tmp_path / "p.zarr", p)
    store = opened(tmp_path / "p.zarr")
    for name, value in ATTRIBUTES.items():
        np.testing.assert_equal(getattr(store, name), np.array(value) if name == "affine" else value)


def test_float16_keeps_half_precision_and_makes_what_is_beyond_it_infinite(tmp_path: Path, p: np.ndarray) -> None:
    p[0, 0, 0, 0, 0] = 1e6
    write_store(tmp_path / "p.zarr", p, dtype="float16")
    stored = opened(tmp_path / "p.zarr").array[:]
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(stored, p.astype(np.float16))
    assert stored.dtype == np.float16
    assert np.isinf(stored[0, 0, 0, 0, 0])


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_constant_blocks_are_files_too(tmp_path: Path, p: np.ndarray, value: float) -> None:
    p[:] = value
    write_store(tmp_path / "p.zarr", p)
    assert len(shards(tmp_path / "p.zarr")) == 2 * 3 * 3
    np.testing.assert_array_equal(opened(tmp_path / "p.zarr").array[:], p)


def test_any_zarr_reader_can_open_it(tmp_path: Path, p: np.ndarray) -> None:
    write_store(tmp_path / "p.zarr", p)
    array = zarr.open_array(tmp_path / "p.zarr/probabilities", mode="r", zarr_format=3)
    np.testing.assert_array_equal(array[:], p)
    assert array.metadata.dimension_names == ("member", "class", "z", "y", "x")
    assert np.isnan(array.fill_value)


def test_nothing_stands_under_the_name_before_the_end(tmp_path: Path, p: np.ndarray) -> None:
    path = tmp_path / "p.zarr"
    with MeasureWriter(path, layout=SLABS, measures=(), attributes={}) as writer:
        for box in SLABS.blocks():
            writer.write(box, {}, np.zeros(p[(0, 0, *box)].shape, np.uint8))
        writer.seal()
        assert not path.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.zarr"]


def test_a_store_replaces_the_one_before(tmp_path: Path, p: np.ndarray) -> None:
    write_store(tmp_path / "p.zarr", p)
    write_store(tmp_path / "p.zarr", p + 1, BOXES)
    np.testing.assert_array_equal(opened(tmp_path / "p.zarr").array[:], p + 1)
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.zarr"]


def test_a_writer_that_fails_leaves_what_was_there(tmp_path: Path, p: np.ndarray) -> None:
    write_store(tmp_path / "p.zarr", p)
    with (
        pytest.raises(OSError, match="disk full"),
        ProbabilityWriter(
            tmp_path / "p.zarr", layout=SLABS, n_members=1, n_stored_classes=1, dtype="float32", attributes={}
        ),
    ):
        raise OSError("disk full")
    np.testing.assert_array_equal(opened(tmp_path / "p.zarr").array[:], p)
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.zarr"]


def test_a_store_that_was_not_sealed_never_gets_its_name(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="before it was sealed"),
        ProbabilityWriter(
            tmp_path / "p.zarr", layout=SLABS, n_members=1, n_stored_classes=1, dtype="float32", attributes={}
        ),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_block_that_was_never_written_is_found_by_the_seal(tmp_path: Path, p: np.ndarray) -> None:
    with (
        pytest.raises(StoreError, match=r"c\.0\.0\.2\.0\.0"),
        ProbabilityWriter(
            tmp_path / "p.zarr", layout=SLABS, n_members=1, n_stored_classes=1, dtype="float32", attributes={}
        ) as writer,
    ):
        writer.write(0, 0, 0, p[0, 0, :14])
        writer.seal()
    assert list(tmp_path.iterdir()) == []


def test_opening_what_is_not_there_or_not_sealed_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no store"):
        open_probabilities(tmp_path / "p.zarr")
    zarr.create_group(tmp_path / "p.zarr", attributes=ATTRIBUTES)
    with pytest.raises(StoreError, match="never finished"):
        open_probabilities(tmp_path / "p.zarr")


@pytest.mark.parametrize("array", ["probabilities", "mask"])
@pytest.mark.parametrize("damage", ["delete", "cut", "empty", "delete all"])
def test_a_shard_that_is_not_whole_is_found_on_opening(tmp_path: Path, p: np.ndarray, array: str, damage: str) -> None:
    write_store(tmp_path / "p.zarr", p, mask=True)
    shard = shards(tmp_path / "p.zarr", array)[1]
    match damage:
        case "delete":
            shard.unlink()
        case "cut":
            shard.write_bytes(shard.read_bytes()[:-1])
        case "empty":
            shard.write_bytes(b"")
        case "delete all":
            for each in shards(tmp_path / "p.zarr", array):
                each.unlink()
    with pytest.raises(StoreError, match=array):
        open_probabilities(tmp_path / "p.zarr")


@pytest.mark.parametrize("array", ["probabilities", "mask"])
def test_a_flipped_byte_of_a_shard_is_found_on_reading(tmp_path: Path, p: np.ndarray, array: str) -> None:
    write_store(tmp_path / "p.zarr", p, mask=True)
    shard = shards(tmp_path / "p.zarr", array)[0]
    whole = shard.read_bytes()
    positions = [*range(0, len(whole), max(1, len(whole) // 40)), *range(len(whole) - 70, len(whole), 7)]
    for position in positions:
        content = bytearray(whole)
        content[position] ^= 0x10
        shard.write_bytes(content)
        store = opened(tmp_path / "p.zarr")
        with pytest.raises(StoreError, match="damaged"):
            _ = store.read(0, SLABS.blocks()[0]) if array == "probabilities" else store.read_mask(SLABS.blocks()[0])


@pytest.mark.parametrize("file", ["zarr.json", "probabilities/zarr.json"])
def test_changed_metadata_are_found_on_opening(tmp_path: Path, p: np.ndarray, file: str) -> None:
    write_store(tmp_path / "p.zarr", p)
    path = tmp_path / "p.zarr" / file
    whole = path.read_text()
    for old, new in [("2.0", "3.0"), ("{", "["), ("lz4", "lz5")]:
        if old in whole:
            path.write_text(whole.replace(old, new, 1))
            with pytest.raises(StoreError):
                open_probabilities(tmp_path / "p.zarr")
    path.unlink()
    with pytest.raises(StoreError):
        open_probabilities(tmp_path / "p.zarr")


def test_trouble_of_the_machine_is_no_damage(tmp_path: Path, p: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    write_store(tmp_path / "p.zarr", p)
    store = opened(tmp_path / "p.zarr")

    def broken_disk(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.pread", broken_disk)
    with pytest.raises(OSError, match="Input/output") as caught:
        store.read(0, SLABS.blocks()[0])
    assert not isinstance(caught.value, StoreError)


@pytest.mark.parametrize("open_store", [open_probabilities, open_measures])
def test_a_rejection_takes_the_place_of_a_store(tmp_path: Path, p: np.ndarray, open_store: Any) -> None:
    write_store(tmp_path / "p.zarr", p)
    write_rejection(tmp_path / "p.zarr", REJECTION, {"sample": "s"})
    assert open_store(tmp_path / "p.zarr") == REJECTION
    assert json.loads((tmp_path / "p.zarr/zarr.json").read_text())["attributes"]["recipe"] == {"sample": "s"}
