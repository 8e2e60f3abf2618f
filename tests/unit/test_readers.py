"""Every reader keeps the contract; and what is not of one format alone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from files import SHAPE, softmax_field, write_nifti
from reader_contract import ReaderContract
from volume_entropy.errors import DataError
from volume_entropy.readers import Slab, check_same_place, one_ahead, read_geometry, read_volume


class TestNifti(ReaderContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_nifti(folder / "p.nii", p)


class TestCompressedNifti(ReaderContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_nifti(folder / "p.nii.gz", p)


class TestNifti2BigEndian(ReaderContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_nifti(folder / "p.nii.gz", p, version=2, order=">")


class TestClassAxisFirst(ReaderContract):
    class_axis = "first"

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_nifti(folder / "p.nii.gz", np.moveaxis(p, -1, 0))


class TestVectorImage(ReaderContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_nifti(folder / "p.nii", p[:, :, :, None, :])


class TestOneClass(ReaderContract):
    n_classes = 1

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_nifti(folder / "p.nii.gz", p[..., 0])


class TestScaledInteger(ReaderContract):
    tolerance = 0.5 / 255 + 1e-7

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_nifti(folder / "p.nii.gz", np.rint(p * 255).astype(np.uint8), slope=1 / 255)


@pytest.mark.parametrize(
    ("dtype", "slope", "given"), [("int16", 1, "int16"), (">u1", 1, "uint8"), ("u1", 0.5, "float32")]
)
def test_a_volume_keeps_the_type_of_its_file_unless_it_is_scaled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, slope: float, given: str
) -> None:
    monkeypatch.setattr("volume_entropy.readers._PART_VOXELS", 100)
    stored = np.arange(5 * 6 * 7).reshape(SHAPE).astype(dtype)
    geometry, volume = read_volume(write_nifti(tmp_path / "m.nii.gz", stored, slope=slope))
    assert volume.dtype == given
    assert geometry.shape == SHAPE
    np.testing.assert_array_equal(volume, stored.T * slope)


def test_permuted_axes_are_called_so(tmp_path: Path) -> None:
    paths = [write_nifti(tmp_path / f"{i}.nii", p) for i, p in enumerate([softmax_field(), softmax_field((7, 6, 5))])]
    with pytest.raises(DataError) as caught:
        check_same_place(paths[0], read_geometry(paths[0]), paths[1], read_geometry(paths[1]))
    assert caught.value.code == "shape_mismatch"
    assert "permuted" in caught.value.remedy


def test_one_ahead_keeps_the_order_and_the_errors_and_closes_what_it_reads() -> None:
    closed = []

    def slabs() -> Iterator[Slab]:
        try:
            for z in range(5):
                yield Slab(0, 0, z, np.zeros((1, 1, 1)))
            raise DataError("file_corrupt", "at the end", "none")
        finally:
            closed.append(True)

    seen = []
    with pytest.raises(DataError, match="at the end"):
        seen.extend(slab.z for slab in one_ahead(slabs()))
    source = slabs()
    stopped = one_ahead(source)
    next(stopped)
    stopped.close()
    assert len(closed) == 2
    seen = [slab.z for slab, _ in zip(one_ahead(slabs()), range(3), strict=False)]
    assert seen == [0, 1, 2]
