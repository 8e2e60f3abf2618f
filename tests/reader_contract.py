"""What every reader keeps, as a test class to inherit from, and helpers for the tests of readers."""

from pathlib import Path

import numpy as np
import pytest
from files import SHAPE, softmax_field
from volume_entropy.errors import DataError
from volume_entropy.readers import Reader, open_reader


def assemble(reader: Reader, depth: int = 3, rows: int | None = None) -> np.ndarray:
    """Put the slabs together: (member, class, z, y, x); fails where a voxel comes twice or never."""
    x, y, z = reader.geometry.shape
    whole = np.empty((reader.n_members, reader.n_classes, z, y, x), dtype=np.float32)
    times = np.zeros(whole.shape, dtype=int)
    for slab in reader.slabs(depth, rows):
        deep, high, wide = slab.data.shape
        box = (slice(slab.z, slab.z + deep), slice(slab.y, slab.y + high), slice(slab.x, slab.x + wide))
        whole[(slab.member, slab.class_index, *box)] = slab.data
        times[(slab.member, slab.class_index, *box)] += 1
    assert (times == 1).all()
    return whole


def rejected(path: str, n_classes: int | None = 3, class_axis: str = "last") -> DataError:
    """The error of opening and reading a file to its end, which names the file and what to do."""
    with pytest.raises(DataError) as caught:
        for _ in open_reader(path, n_classes=n_classes, class_axis=class_axis).slabs(2):
            pass
    assert path in caught.value.message
    assert len(caught.value.remedy) > 10
    return caught.value


class ReaderContract:
    """What every reader keeps; a subclass says how to write `p` (x, y, z, class) as its format."""

    n_classes = 3
    class_axis = "last"
    axes = "xyz"
    # Absolute error that the storage type itself makes.
    tolerance = 0.0

    def save(self, folder: Path, p: np.ndarray) -> str:
        raise NotImplementedError

    @pytest.fixture
    def p(self) -> np.ndarray:
        return softmax_field(n_classes=self.n_classes)

    @pytest.fixture
    def reader(self, tmp_path: Path, p: np.ndarray) -> Reader:
        path = self.save(tmp_path, p)
        return open_reader(path, n_classes=self.n_classes, class_axis=self.class_axis, axes=self.axes)

    @pytest.mark.parametrize(("depth", "rows"), [(1, None), (3, None), (7, None), (100, None), (1, 1), (1, 4)])
    def test_every_voxel_comes_once(self, reader: Reader, p: np.ndarray, depth: int, rows: int | None) -> None:
        np.testing.assert_allclose(assemble(reader, depth, rows)[0], p.T, rtol=0, atol=self.tolerance)

    def test_slabs_are_float32_and_no_larger_than_asked_for(self, reader: Reader) -> None:
        for slab in reader.slabs(2):
            assert slab.data.dtype == np.float32
            assert slab.data.flags.c_contiguous
            assert slab.data.shape[0] <= 2
        assert all(slab.data.shape[:2] <= (1, 4) for slab in reader.slabs(1, 4))

    def test_slabs_can_be_read_again(self, reader: Reader) -> None:
        np.testing.assert_array_equal(assemble(reader), assemble(reader))

    def test_a_slab_is_not_overwritten_by_the_next(self, reader: Reader) -> None:
        kept = list(reader.slabs(2))
        fresh = (slab.data.copy() for slab in reader.slabs(2))
        assert all((slab.data == data).all() for slab, data in zip(kept, fresh, strict=True))

    def test_the_header_gives_the_shape(self, reader: Reader) -> None:
        assert reader.geometry.shape == SHAPE
        assert (reader.n_members, reader.n_classes) == (1, self.n_classes)

    def test_reading_may_stop_in_the_middle(self, reader: Reader) -> None:
        slabs = reader.slabs(1)
        next(slabs)
        slabs.close()

    def test_another_number_of_classes_is_rejected(self, tmp_path: Path, p: np.ndarray) -> None:
        path = self.save(tmp_path, p)
        with pytest.raises(DataError) as caught:
            open_reader(path, n_classes=self.n_classes + 2, class_axis=self.class_axis, axes=self.axes)
        assert caught.value.code == "class_mismatch"

    def test_a_missing_file_is_rejected(self, tmp_path: Path, p: np.ndarray) -> None:
        path = self.save(tmp_path, p)
        Path(path).unlink()
        assert rejected(path).code == "file_missing"

    def test_an_empty_file_is_rejected(self, tmp_path: Path, p: np.ndarray) -> None:
        path = self.save(tmp_path, p)
        Path(path).write_bytes(b"")
        assert rejected(path).code == "not_this_format"

    def test_plain_text_is_rejected(self, tmp_path: Path, p: np.ndarray) -> None:
        path = self.save(tmp_path, p)
        Path(path).write_text("nothing that holds probabilities\n" * 30)
        assert rejected(path).code == "not_this_format"

    @pytest.mark.parametrize("kept", [0.005, 0.1, 0.3, 0.5, 0.9, 0.999])
    def test_a_file_cut_anywhere_is_rejected(self, tmp_path: Path, p: np.ndarray, kept: float) -> None:
        path = self.save(tmp_path, p)
        content = Path(path).read_bytes()
        Path(path).write_bytes(content[: int(len(content) * kept)])
        # Of a few bytes nobody can tell what they were the start of.
        codes = ("file_truncated", "not_this_format")[: 1 + (kept < 0.1)]
        assert rejected(path, self.n_classes, self.class_axis).code in codes
