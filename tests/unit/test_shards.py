"""Shards: any Zarr reader reads what was written, any box is read back, and nothing damaged is."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from volume_entropy.stores import shards
from volume_entropy.stores.layout import Layout
from volume_entropy.stores.shards import DamagedShardError, create_array, layout_of, open_array

DTYPES = ("float32", "float16", "uint8", "uint16")
LAYOUT = Layout((9, 11, 13), (2, 3, 4), (4, 6, 8))


def values_of(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(3)
    if np.dtype(dtype).kind == "f":
        return np.where(rng.random(shape) < 0.1, np.nan, rng.random(shape)).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    shape = draw(st.tuples(*[st.integers(1, 12)] * 3))
    chunk = draw(st.tuples(*[st.integers(1, 7)] * 3))
    z, y, x = (edge * draw(st.integers(1, 3)) for edge in chunk)
    return Layout(shape, chunk, (z, y, x))


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=layouts(), dtype=st.sampled_from(DTYPES), classes=st.integers(0, 3), data=st.data())
def test_any_box_of_any_array_is_read_back(
    layout: Layout, dtype: str, classes: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = {"class": classes} if classes else {}
    array = create_array(tmp_path_factory.mktemp("array"), "a", layout, dtype, before)
    values = values_of(dtype, array.shape)
    for box in layout.blocks():
        array.write((..., *box), values[(..., *box)])
    again = open_array(array.path)
    assert (again, layout_of(again)) == (array, layout)
    np.testing.assert_array_equal(zarr.open_array(array.path, mode="r")[...], values)
    selection = tuple(
        data.draw(st.one_of(st.integers(-size, size - 1), st.slices(size).filter(lambda s, n=size: usable(s, n))))
        for size in array.shape
    )
    np.testing.assert_array_equal(again[selection], values[selection])
    np.testing.assert_array_equal(again[..., -1], values[..., -1])


def usable(part: slice, size: int) -> bool:
    span = range(*part.indices(size))
    return span.step == 1 and len(span) > 0


@pytest.fixture
def array(tmp_path: Path) -> shards.ShardedArray:
    return create_array(tmp_path, "a", LAYOUT, "float32")


@pytest.mark.parametrize(
    "box",
    [(slice(0, 3), slice(0, 6), slice(0, 8)), (slice(1, 4), slice(0, 6), slice(0, 8)), (0, slice(0, 6), slice(0, 8))],
)
def test_a_part_of_a_shard_is_never_written(array: shards.ShardedArray, box: tuple[slice, slice, slice]) -> None:
    values = np.zeros([len(range(*part.indices(9))) for part in box if isinstance(part, slice)], np.float32)
    with pytest.raises(ValueError, match="whole shards"):
        array.write(box, values)
    assert [path.name for path in array.path.iterdir()] == ["zarr.json"]


@pytest.mark.parametrize("values", [np.zeros((4, 6, 8)), np.zeros((4, 6, 7), np.float32)])
def test_values_of_another_type_or_shape_are_refused(array: shards.ShardedArray, values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected float32 of"):
        array.write(LAYOUT.blocks()[0], values)


def test_a_writer_that_fails_leaves_no_file(array: shards.ShardedArray, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_: bytes) -> bytes:
        raise OSError(28, "No space left on device")

    values = np.zeros((4, 6, 8), np.float32)
    array.write(LAYOUT.blocks()[0], values)
    before = (array.path / "c.0.0.0").read_bytes()
    monkeypatch.setattr(Path, "replace", lambda *_: full_disk(b""))
    with pytest.raises(OSError, match="No space"):
        array.write(LAYOUT.blocks()[0], values + 1)
    assert sorted(path.name for path in array.path.iterdir()) == ["c.0.0.0", "zarr.json"]
    assert (array.path / "c.0.0.0").read_bytes() == before


def test_every_single_byte_of_a_shard_counts(array: shards.ShardedArray) -> None:
    array.write(LAYOUT.blocks()[0], values_of("float32", (4, 6, 8)))
    path = array.path / "c.0.0.0"
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        content = bytearray(whole)
        content[position] ^= 1
        path.write_bytes(content)
        with pytest.raises(DamagedShardError):
            array[0:4, 0:6, 0:8]
    for content in (b"", whole[:-1], whole[1:], whole + b"\0"):
        path.write_bytes(content)
        with pytest.raises(DamagedShardError):
            array[0:4, 0:6, 0:8]


def test_a_chunk_that_another_writer_left_out_is_never_read_as_fill(tmp_path: Path) -> None:
    array = create_array(tmp_path, "a", LAYOUT, "float32")
    foreign = zarr.open_array(array.path, mode="r+", config={"write_empty_chunks": False})
    foreign[0:2, 0:3, 0:4] = 1
    with pytest.raises(DamagedShardError, match="never written"):
        array[0:4, 0:6, 0:8]
    with pytest.raises(FileNotFoundError):
        array[8]
