"""Damaged, truncated, oversized and absurd files are rejected with the reason, without numbers and without memory."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from files import SHAPE, damaged, nifti_bytes, softmax_field, write, write_nifti
from reader_contract import assemble, rejected
from volume_entropy.errors import DataError
from volume_entropy.readers import open_reader
from volume_entropy.readers.sources import GzipSource


@pytest.mark.parametrize("dtype", ["complex64", "complex128", [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_colours_and_complex_numbers_are_rejected(tmp_path: Path, dtype: object) -> None:
    error = rejected(write_nifti(tmp_path / "p.nii", np.zeros((*SHAPE, 3), np.dtype(dtype))))
    assert error.code == "type_unsupported"


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "dim",
    [
        [4, 5, 6, 8, 3, 1, 1, 1],
        [4, 32767, 32767, 32767, 3, 1, 1, 1],
        [7, 32767, 32767, 32767, 32767, 32767, 32767, 32767],
        [4, -5, 6, 7, 3, 1, 1, 1],
        [4, 5, 0, 7, 3, 1, 1, 1],
        [0, 5, 6, 7, 3, 1, 1, 1],
        [8, 5, 6, 7, 3, 1, 1, 1],
        [4, 30, 300, 300, 3, 1, 1, 1],
    ],
)
def test_dimensions_that_the_file_cannot_hold_cost_no_memory(tmp_path: Path, suffix: str, dim: list[int]) -> None:
    path = write_nifti(tmp_path / f"p{suffix}", softmax_field(), dim=dim)
    tracemalloc.start()
    try:
        error = rejected(path)
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()
    assert error.code in ("header_invalid", "file_truncated")


@pytest.mark.parametrize("offset", [100.0, 353.5, np.nan, -1.0, 1e30])
def test_voxels_that_begin_nowhere_are_rejected(tmp_path: Path, offset: float) -> None:
    error = rejected(write_nifti(tmp_path / "p.nii", softmax_field(), vox_offset=offset))
    assert error.code in ("header_invalid", "file_truncated")


def test_header_extensions_are_read_over(tmp_path: Path) -> None:
    p = softmax_field()
    content = nifti_bytes(p, vox_offset=352 + 32)
    path = write(tmp_path / "p.nii.gz", content[:348] + b"\1\0\0\0" + b"\x20\0\0\0\6\0\0\0" + b"c" * 24 + content[352:])
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=3))[0], p.T)


@pytest.mark.parametrize("damage", ["cut", "no trailer", "crc", "length", "flip", "garbage"])
def test_damage_of_a_gzip_file_is_found(tmp_path: Path, damage: str) -> None:
    path = damaged(write_nifti(tmp_path / "p.nii.gz", softmax_field((20, 20, 20))), damage)
    assert rejected(path).code == ("file_truncated" if damage in ("cut", "no trailer") else "file_corrupt")


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_never_gives_other_numbers(tmp_path: Path, seed: int) -> None:
    p = softmax_field()
    path = write_nifti(tmp_path / "p.nii.gz", p)
    content = bytearray(Path(path).read_bytes())
    rng = np.random.default_rng(seed)
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    Path(path).write_bytes(content)
    try:
        # The gzip header has fields that mean nothing for the content.
        np.testing.assert_array_equal(assemble(open_reader(path, n_classes=3))[0], p.T)
    except DataError as error:
        assert error.code in ("file_corrupt", "file_truncated", "not_this_format", "file_oversized")


def test_gzip_members_one_after_another_are_one_file(tmp_path: Path) -> None:
    p = softmax_field()
    content = nifti_bytes(p)
    parts = [content[:200], content[200:1000], content[1000:]]
    paths = [write(tmp_path / f"{index}.gz", part) for index, part in enumerate(parts)]
    joined = tmp_path / "p.nii.gz"
    joined.write_bytes(b"".join(Path(path).read_bytes() for path in paths) + b"\0" * 512)
    np.testing.assert_array_equal(assemble(open_reader(str(joined), n_classes=3))[0], p.T)


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = nifti_bytes(softmax_field())
    path = write(tmp_path / "p.nii.gz", content + bytes(64 * 2**20))
    unpacked = 0
    some = GzipSource._some

    def counted(self: GzipSource, buffer: memoryview) -> int:
        nonlocal unpacked
        count = some(self, buffer)
        unpacked += count
        return count

    reader = open_reader(path, n_classes=3)
    monkeypatch.setattr(GzipSource, "_some", counted)
    with pytest.raises(DataError) as caught:
        list(reader.slabs(2))
    assert caught.value.code == "file_oversized"
    assert unpacked == len(content) + 1


def test_a_plain_file_with_more_than_its_header_says_is_rejected(tmp_path: Path) -> None:
    assert rejected(write(tmp_path / "p.nii", nifti_bytes(softmax_field()) + b"more")).code == "file_oversized"


def test_a_name_that_says_gz_wrongly_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "p.nii.gz"
    path.write_bytes(nifti_bytes(softmax_field()))
    assert rejected(str(path)).code == "not_this_format"


def test_a_compressed_file_without_gz_in_its_name_is_rejected_with_the_reason(tmp_path: Path) -> None:
    compressed = Path(write_nifti(tmp_path / "p.nii.gz", softmax_field()))
    error = rejected(str(compressed.rename(tmp_path / "p.nii")))
    assert error.code == "not_this_format"
    assert ".gz" in error.remedy


@pytest.mark.parametrize("magic", [b"ni1", b"", b"n+9", b"n+1\x10"])
def test_pairs_and_analyze_files_are_rejected(tmp_path: Path, magic: bytes) -> None:
    assert rejected(write_nifti(tmp_path / "p.nii", softmax_field(), magic=magic)).code == "not_this_format"


def test_an_unknown_ending_is_rejected(tmp_path: Path) -> None:
    assert rejected(write(tmp_path / "p.pkl", b"\x80\x04.")).code == "not_this_format"


def test_a_directory_and_a_dangling_link_are_rejected_as_missing(tmp_path: Path) -> None:
    (tmp_path / "d.nii").mkdir()
    (tmp_path / "l.nii").symlink_to(tmp_path / "nowhere.nii")
    assert "directory" in rejected(str(tmp_path / "d.nii")).message
    assert "dangling link" in rejected(str(tmp_path / "l.nii")).message


def test_a_file_without_permission_is_rejected_but_a_failing_disk_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_nifti(tmp_path / "p.nii", softmax_field())

    def fails_with(number: int) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(number, "cannot")

        monkeypatch.setattr("volume_entropy.readers.sources.open", refuse, raising=False)

    fails_with(13)
    assert rejected(path).code == "file_unreadable"
    fails_with(5)
    with pytest.raises(OSError, match="cannot"):
        open_reader(path, n_classes=3)
