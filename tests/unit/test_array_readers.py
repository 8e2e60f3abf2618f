"""MGH, numpy and Zarr files: every reader keeps the contract, and gives what the format's own library gives."""

import gzip
import io
import logging
import shutil
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import zarr
from array_files import arranged, edited, npz_of, write_mgh, write_npy, write_npz, write_ome, write_zarr
from files import AFFINE, SHAPE, softmax_field
from producers import Poison
from reader_contract import ReaderContract, assemble, rejected
from volume_entropy.errors import DataError
from volume_entropy.readers import open_reader, read_geometry, read_volume, spool, zarr_chunks, zarr_source


class TestMgh(ReaderContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_mgh(folder / "p.mgh", p)


class TestMgz(ReaderContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_mgh(folder / "p.mgz", p)


class TestNnunet(ReaderContract):
    class_axis, axes = "first", "zyx"

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_npz(folder / "p.npz", probabilities=arranged(p, "czyx"))


class TestStoredInHalfPrecision(ReaderContract):
    class_axis, axes = "first", "zyx"
    tolerance = 2**-11

    def save(self, folder: Path, p: np.ndarray) -> str:
        array = arranged(p, "czyx").astype(np.float16)
        return write_npz(folder / "p.npz", compressed=False, softmax=array, other=array[0])


class TestSynthSeg(ReaderContract):
    @pytest.fixture(autouse=True, params=[16 * 2**20, 200, 4])
    def _piece(self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        monkeypatch.setattr(spool, "PIECE_BYTES", request.param)

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_npz(folder / "p.npz", vol_data=p)


class TestNumpyOfOneClass(ReaderContract):
    n_classes = 1

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_npy(folder / "p.npy", p[..., 0])


class TestNumpyBigEndianFortran(ReaderContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_npy(folder / "p.npy", np.asfortranarray(p.astype(">f8")))


class TestNumpyInterleaved(ReaderContract):
    axes = "zyx"

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_npy(folder / "p.npy", arranged(p, "zyxc"))


class TestNumpyClassFirst(ReaderContract):
    class_axis = "first"

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_npy(folder / "p.npy", arranged(p, "cxyz"))


class ZarrContract(ReaderContract):
    """A Zarr array is a folder: what is missing or cut is a part of it."""

    class_axis, axes = "first", "zyx"

    def test_a_missing_file_is_rejected(self, tmp_path: Path, p: np.ndarray) -> None:
        path = self.save(tmp_path, p)
        shutil.rmtree(path)
        assert rejected(path).code == "file_missing"

    def test_an_empty_file_is_rejected(self, tmp_path: Path, p: np.ndarray) -> None:
        path = tmp_path / "p.zarr"
        path.write_bytes(b"")
        assert rejected(str(path)).code == "not_this_format"

    def test_plain_text_is_rejected(self, tmp_path: Path, p: np.ndarray) -> None:
        path = self.save(tmp_path, p)
        for name in (*Path(path).rglob("zarr.json"), *Path(path).rglob(".z*")):
            name.write_text("nothing that describes an array")
        assert rejected(path).code == "not_this_format"

    @pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
    def test_a_file_cut_anywhere_is_rejected(self, tmp_path: Path, p: np.ndarray, kept: float) -> None:
        path = self.save(tmp_path, p)
        files = [file for file in Path(path).rglob("*") if file.is_file() and file.name[-1].isdigit()]
        for file in sorted(files)[:1]:
            content = file.read_bytes()
            file.write_bytes(content[: int(len(content) * kept)])
        with pytest.raises(DataError) as caught:
            assemble(open_reader(path, n_classes=3, class_axis=self.class_axis, axes=self.axes))
        assert caught.value.code in ("file_truncated", "file_corrupt")


class TestZarr3(ZarrContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_zarr(folder / "p.zarr", arranged(p, "czyx"), (1, 3, 4, 5), compressors="auto")


class TestZarr2(ZarrContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_zarr(folder / "p.zarr", arranged(p, "czyx"), (1, 2, 3, 4), 2, compressors="auto")


class TestZarrSharded(ZarrContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_zarr(folder / "p.zarr", arranged(p, "czyx"), (1, 2, 3, 4), shards=(2, 4, 6, 8))


class TestZarrInterleaved(ZarrContract):
    class_axis, axes = "last", "xyz"

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_zarr(folder / "p.zarr", p, (2, 3, 4, 2), chunk_key_encoding={"name": "v2", "separator": "."})


class TestZarrThroughATemporaryFile(ZarrContract):
    class_axis = "last"

    @pytest.fixture(autouse=True)
    def _no_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zarr_source, "_KEPT_BYTES", 0)

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_zarr(folder / "p.zarr", arranged(p, "zyxc").astype(">f4"), (2, 3, 4, 2), 2, order="F")


class TestZarrGroup(ZarrContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        zarr.create_group(str(folder / "p.zarr"))
        write_zarr(folder / "p.zarr/a", arranged(p, "czyx"), (3, 7, 6, 5))
        return str(folder / "p.zarr")


class TestOmeZarr04(ZarrContract):
    class_axis, axes = "last", "xyz"

    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_ome(folder / "p.ome.zarr", arranged(p, "czyx"), "0.4", "czyx")


class TestOmeZarr05(ZarrContract):
    def save(self, folder: Path, p: np.ndarray) -> str:
        return write_ome(folder / "p.ome.zarr", arranged(p, "mczyx"), "0.5", "tczyx")


@pytest.mark.parametrize("ending", [".npy", ".npz", ".zarr"])
@pytest.mark.parametrize(("class_axis", "axes", "order"), [
    ("first", "zyx", "mczyx"), ("last", "zyx", "mzyxc"), ("first", "xyz", "mcxyz"), ("last", "xyz", "mxyzc"),
])  # fmt: skip
@pytest.mark.parametrize("fortran", [False, True])
def test_the_first_of_five_axes_is_the_member(
    tmp_path: Path, ending: str, class_axis: str, axes: str, order: str, fortran: bool
) -> None:
    members = [softmax_field(seed=seed) for seed in range(4)]
    array = np.concatenate([arranged(p, order) for p in members])
    path = tmp_path / f"p{ending}"
    if ending == ".zarr":
        write_zarr(path, array, (3, 2, 3, 2, 3), 2, order="F" if fortran else "C")
    else:
        saved = np.asfortranarray(array) if fortran else array
        write_npy(path, saved) if ending == ".npy" else write_npz(path, a=saved)
    reader = open_reader(str(path), n_classes=3, class_axis=class_axis, axes=axes)
    assert (reader.n_members, reader.n_classes, reader.geometry.shape) == (4, 3, SHAPE)
    np.testing.assert_array_equal(assemble(reader), np.stack([p.T for p in members]))


@pytest.mark.parametrize("dtype", ["b1", "i1", "u1", ">i2", "<u2", ">i4", "<u4", "i8", "u8", "f2", ">f4", "f8"])
@pytest.mark.parametrize("ending", [".npy", ".npz", ".zarr"])
def test_every_type_is_read_as_numpy_reads_it(tmp_path: Path, dtype: str, ending: str) -> None:
    array = np.random.default_rng(0).integers(0, 2 if dtype == "b1" else 100, (2, 3, 4)).astype(dtype)
    path = tmp_path / f"p{ending}"
    match ending:
        case ".npy":
            write_npy(path, array)
        case ".npz":
            write_npz(path, a=array)
        case _:
            write_zarr(path, array, (1, 2, 3))
    reader = open_reader(str(path), n_classes=1, axes="zyx")
    assert reader.quantum == 0
    np.testing.assert_array_equal(assemble(reader)[0, 0], array.astype(np.float32))


def test_an_array_of_four_axes_and_one_class_is_not_taken_for_members(tmp_path: Path) -> None:
    path = write_npy(tmp_path / "p.npy", np.zeros((4, 5, 6, 7), np.float32))
    with pytest.raises(DataError, match="expected 1"):
        open_reader(path, n_classes=1, class_axis="first", axes="zyx")
    write_npy(tmp_path / "p.npy", np.zeros((4, 1, 5, 6, 7), np.float32))
    assert open_reader(path, n_classes=1, class_axis="first", axes="zyx").n_members == 4


@pytest.mark.parametrize(("axes", "order"), [("xyz", "xy"), ("zyx", "yx")])
def test_a_slice_has_the_order_of_the_axes_without_z(tmp_path: Path, axes: str, order: str) -> None:
    p = softmax_field((5, 6, 1))
    path = write_npy(tmp_path / "p.npy", arranged(p, f"c{order}z")[..., 0])
    reader = open_reader(path, n_classes=3, class_axis="first", axes=axes)
    assert reader.geometry.shape == (5, 6, 1)
    np.testing.assert_array_equal(assemble(reader)[0], p.T)


def test_plain_arrays_have_no_place_and_voxels_of_1_mm(tmp_path: Path) -> None:
    geometry = read_geometry(write_npy(tmp_path / "p.npy", np.zeros((2, 3, 4))))
    assert not geometry.placed
    assert geometry.voxel_volume_mm3 == 1.0
    np.testing.assert_array_equal(geometry.affine, np.eye(4))


@pytest.mark.parametrize("write", [write_npy, lambda path, array: write_zarr(path, array, (2, 2, 2))])
def test_an_array_can_be_a_mask(tmp_path: Path, write: Any) -> None:
    mask = np.random.default_rng(0).integers(0, 2, SHAPE).astype(np.uint8)
    path = write(tmp_path / ("m.npy" if write is write_npy else "m.zarr"), mask)
    volume = read_volume(path)[1]
    assert volume.dtype == np.uint8
    np.testing.assert_array_equal(volume, mask.T)


# MGH


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "float32"])
@pytest.mark.parametrize("ending", [".mgh", ".mgz"])
def test_an_mgh_file_is_read_as_nibabel_reads_it(tmp_path: Path, dtype: str, ending: str) -> None:
    array = np.random.default_rng(0).integers(0, 100, (*SHAPE, 2)).astype(dtype)
    shear = AFFINE.copy()
    shear[:3, :3] @= nibabel.eulerangles.euler2mat(0.3, 0.2, 0.1)
    path = write_mgh(tmp_path / f"p{ending}", array, shear)
    content = Path(path).read_bytes()
    image = nibabel.MGHImage.from_bytes(gzip.decompress(content) if ending == ".mgz" else content)
    reader = open_reader(path, n_classes=2)
    np.testing.assert_array_equal(assemble(reader)[0], np.asarray(image.dataobj).T)
    np.testing.assert_allclose(reader.geometry.affine, image.affine, atol=1e-12)
    np.testing.assert_allclose(reader.geometry.affine, shear, atol=1e-4)
    np.testing.assert_allclose(reader.geometry.zooms, image.header.get_zooms()[:3])


def changed(path: str, at: int, content: bytes) -> str:
    data = bytearray(Path(path).read_bytes())
    data[at : at + len(content)] = content
    Path(path).write_bytes(data)
    return path


@pytest.mark.parametrize(("at", "content", "code"), [
    (0, b"\0\0\0\2", "not_this_format"),
    (4, b"\0\0\0\0", "header_invalid"),
    (4, b"\xff\xff\xff\xfe", "header_invalid"),
    (4, b"\x7f\xff\xff\xff" * 3, "file_truncated"),
    (12, b"\0\0\0\6", "file_oversized"),
    (16, b"\0\0\0\2", "file_oversized"),
    (20, b"\0\0\0\7", "type_unsupported"),
    (30, b"\0\0\0\0", "header_invalid"),
    (30, b"\x7f\xc0\0\0", "header_invalid"),
])  # fmt: skip
def test_an_impossible_mgh_header_is_rejected(tmp_path: Path, at: int, content: bytes, code: str) -> None:
    path = changed(write_mgh(tmp_path / "p.mgh", softmax_field((40, 8, 7))), at, content)
    assert rejected(path, n_classes=2 if at == 16 else 3).code == code


def test_tags_after_the_voxels_are_read_over(tmp_path: Path) -> None:
    path = write_mgh(tmp_path / "p.mgh", softmax_field())
    content = Path(path).read_bytes()
    Path(path).write_bytes(content + b"\0\0\0\3" + b"mri_convert --in a --out b\0" * 40)
    assemble(open_reader(path, n_classes=3))
    Path(path).write_bytes(content[:-20])
    assemble(open_reader(path, n_classes=3))
    Path(path).write_bytes(content[:-3])
    assert rejected(path).code == "file_truncated"


def test_a_volume_without_geometry_is_coronal_as_in_freesurfer(tmp_path: Path) -> None:
    path = changed(write_mgh(tmp_path / "p.mgh", softmax_field()), 28, b"\0\0")
    affine = read_geometry(path).affine
    np.testing.assert_array_equal(affine, [[-1, 0, 0, 2.5], [0, 0, 1, -3.5], [0, -1, 0, 3], [0, 0, 0, 1]])


# numpy


def header(text: str, version: int = 1) -> bytes:
    field = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + field + text.encode()


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("text", [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 2), }   \n",
    "{'shape':(2,2,2),'fortran_order':False,'descr':'<f4'}",
    '{"descr": "<f4", "fortran_order": False, "shape": (2L, 2L, 2L)}',
])  # fmt: skip
def test_headers_of_other_writers_are_read(tmp_path: Path, version: int, text: str) -> None:
    values = np.arange(8, dtype="<f4")
    (tmp_path / "p.npy").write_bytes(header(text, version) + values.tobytes())
    reader = open_reader(str(tmp_path / "p.npy"), n_classes=1, axes="zyx")
    np.testing.assert_array_equal(assemble(reader).ravel(), values)


@pytest.mark.parametrize(("text", "code"), [
    ("{'descr': '|O', 'fortran_order': False, 'shape': (2, 2, 2), }", "type_unsupported"),
    ("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2, 2), }", "type_unsupported"),
    ("{'descr': '<f16', 'fortran_order': False, 'shape': (2, 2, 2), }", "type_unsupported"),
    ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 2, 2), }", "type_unsupported"),
    ("{'descr': '<f4', 'fortran_order': 0, 'shape': (2, 2, 2), }", "header_invalid"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, -2, 2), }", "header_invalid"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0, 2), }", "header_invalid"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 3), }", "file_truncated"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 1), }", "file_oversized"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999, 9999), }", "file_truncated"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (8,), }", "axes_unclear"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 2, 2, 2), }", "axes_unclear"),
    ("{'descr': '<f4', 'shape': (2, 2, 2), }", "header_invalid"),
    ("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 2), }", "header_invalid"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2, 2), 'x': __import__('os')}", "header_invalid"),
    ("{" * 5000, "header_invalid"),
    (" " * 20000, "header_invalid"),
])  # fmt: skip
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_impossible_headers_are_rejected(tmp_path: Path, ending: str, text: str, code: str) -> None:
    content = header(text) + bytes(32)
    path = tmp_path / f"p{ending}"
    if ending == ".npz":
        npz_of(path, content)
        code = "header_invalid" if "99999999999" in text else code
    else:
        path.write_bytes(content)
    assert rejected(str(path), n_classes=1).code == code


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    trace = tmp_path / "opened"
    array = np.array([Poison(trace)] * 8).reshape(2, 2, 2)
    np.save(tmp_path / "p.npy", array, allow_pickle=True)
    np.savez(tmp_path / "p.npz", probabilities=array)
    for name in ("p.npy", "p.npz"):
        error = rejected(str(tmp_path / name), n_classes=1)
        assert error.code == "type_unsupported"
        assert "pickle" in error.message
    assert not trace.exists()


@pytest.mark.parametrize(("arrays", "good"), [
    (["probabilities", "spacing"], True), (["softmax", "x"], True), (["vol_data", "labels"], True), (["any"], True),
    (["a", "b"], False), (["probabilities", "softmax"], False), ([], False),
])  # fmt: skip
def test_the_array_has_a_known_name_or_is_the_only_one(tmp_path: Path, arrays: list[str], good: bool) -> None:
    content = {name: np.full((2, 3, 4), index, np.float32) for index, name in enumerate(arrays)}
    path = write_npz(tmp_path / "p.npz", **content)
    if good:
        assert (assemble(open_reader(path, n_classes=1)) == 0).all()
    else:
        assert rejected(path, n_classes=1).code == "not_this_format"


def test_two_arrays_of_one_name_are_rejected(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "p.npz", probabilities=np.zeros(SHAPE))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("probabilities.npy", b"")
    assert rejected(path, n_classes=1).code == "not_this_format"


@pytest.mark.parametrize("compressed", [True, False])
def test_any_flipped_byte_of_an_npz_is_found(tmp_path: Path, compressed: bool) -> None:
    p = arranged(softmax_field((3, 4, 5)), "czyx")
    path = Path(write_npz(tmp_path / "p.npz", compressed, probabilities=p))
    content = path.read_bytes()
    # What no number depends on: version, time, attributes, and the padding of numpy's own header.
    for position in range(0, len(content), 7):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x24]) + content[position + 1 :])
        try:
            found = assemble(open_reader(str(path), n_classes=3, class_axis="first", axes="zyx"))
        except DataError as error:
            assert str(path) in error.message
        else:
            np.testing.assert_array_equal(found[0], p)


def zip_field(path: str, name: str) -> tuple[bytearray, int]:
    """A zip's bytes, and where a field of its first directory entry lies."""
    content = bytearray(Path(path).read_bytes())
    return content, content.index(b"PK\1\2") + {"method": 10, "crc": 16, "stored": 20, "size": 24, "offset": 42}[name]


@pytest.mark.parametrize("name", ["method", "crc", "stored", "size", "offset"])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_directory_that_contradicts_its_zip_is_rejected(tmp_path: Path, name: str, compressed: bool) -> None:
    path = write_npz(tmp_path / "p.npz", compressed, probabilities=softmax_field())
    content, at = zip_field(path, name)
    content[at] ^= 1
    Path(path).write_bytes(content)
    assert rejected(path).code in ("file_corrupt", "type_unsupported", "file_truncated")


def test_a_directory_without_its_agreeing_header_is_found_by_the_crc(tmp_path: Path) -> None:
    path = npz_of(tmp_path / "p.npz", npy_bytes(softmax_field()))
    content, at = zip_field(path, "crc")
    content[at] ^= 1
    content[14] ^= 1
    Path(path).write_bytes(content)
    error = rejected(path)
    assert error.code == "file_corrupt"
    assert "CRC" in error.message


def npy_bytes(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize("bomb", ["members", "shape", "content"])
def test_a_zip_bomb_costs_no_memory(tmp_path: Path, bomb: str) -> None:
    match bomb:
        case "content":  # more than the header of the array says
            path = npz_of(tmp_path / "p.npz", npy_bytes(np.zeros((2, 2, 2, 3))) + bytes(2**26))
        case "shape":  # as much as deflate allows, and not one voxel more
            text = "{'descr': '<f4', 'fortran_order': False, 'shape': (4096, 4096, 4096, 3), }"
            path = npz_of(tmp_path / "p.npz", header(text) + bytes(2**24))
        case _:
            path = npz_of(tmp_path / "p.npz", bytes(2**26))
    tracemalloc.start()
    try:
        error = rejected(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    assert error.code in ("file_oversized", "header_invalid", "not_this_format", "file_truncated")


def test_an_encrypted_or_otherwise_packed_array_is_rejected(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("probabilities.npy", npy_bytes(softmax_field()))
    assert rejected(str(tmp_path / "p.npz")).code == "type_unsupported"


# Zarr

COMPRESSORS = {
    2: [{"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0}, {"id": "zstd", "level": 1},
        {"id": "gzip", "level": 1}, {"id": "zlib", "level": 1}, {"id": "lz4", "acceleration": 1}, None],
    3: [{"name": "blosc", "configuration": {"cname": "zstd", "clevel": 5, "shuffle": "bitshuffle", "typesize": 4,
                                            "blocksize": 0}},
        {"name": "zstd", "configuration": {"level": 1, "checksum": True}},
        {"name": "gzip", "configuration": {"level": 1}}, {"name": "crc32c"}, None],
}  # fmt: skip


def zarr_with(path: Path, version: int, compressor: Any, p: np.ndarray, **how: Any) -> str:
    import numcodecs

    if compressor is not None and version == 2:
        compressor = numcodecs.get_codec(compressor)
    return write_zarr(path, arranged(p, "czyx"), (1, 4, 6, 5), version, compressors=compressor, **how)


@pytest.mark.parametrize(("version", "index"), [(v, i) for v in (2, 3) for i in range(len(COMPRESSORS[v]))])
def test_damage_of_a_chunk_is_found_or_gives_right_numbers(tmp_path: Path, version: int, index: int) -> None:
    compressor, p = COMPRESSORS[version][index], softmax_field()
    path = zarr_with(tmp_path / "p.zarr", version, compressor, p)
    np.testing.assert_array_equal(read_czyx(path), p.T)
    chunk = next(file for file in Path(path).rglob("*0*") if file.is_file())
    content = chunk.read_bytes()
    checked = compressor is not None and (compressor.get("name") or compressor["id"]) in ("gzip", "zlib", "crc32c")
    for position in range(0, len(content), 5):
        chunk.write_bytes(content[:position] + bytes([content[position] ^ 0x11]) + content[position + 1 :])
        try:
            found = read_czyx(path)
        except DataError as error:
            assert error.code in ("file_corrupt", "file_truncated", "file_oversized")
        else:
            # Raw chunks, blosc and plain zstd have no checksum: a flipped bit of a value is a value.
            assert not checked or (found == p.T).all()


@pytest.mark.parametrize(("version", "index"), [(v, i) for v in (2, 3) for i in range(len(COMPRESSORS[v]))])
@pytest.mark.parametrize("by", [-1, -5, 1, 8])
def test_a_chunk_too_short_or_too_long_is_rejected(tmp_path: Path, version: int, index: int, by: int) -> None:
    path = zarr_with(tmp_path / "p.zarr", version, COMPRESSORS[version][index], softmax_field())
    chunk = next(file for file in Path(path).rglob("*0*") if file.is_file())
    content = chunk.read_bytes()
    chunk.write_bytes(content[:by] if by < 0 else content + bytes(by))
    assert rejected(path, class_axis="first").code in ("file_corrupt", "file_truncated", "file_oversized")


def read_czyx(path: str) -> np.ndarray:
    return assemble(open_reader(path, n_classes=3, class_axis="first", axes="zyx"))[0]


@pytest.mark.parametrize("version", [2, 3])
def test_absent_chunks_have_the_fill_value_and_are_counted(
    tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    p = softmax_field()
    p[..., 1] = 0.25
    path = zarr_with(tmp_path / "p.zarr", version, None, p, fill_value=0.25)
    assert len([file for file in Path(path).rglob("*") if file.name[-1].isdigit() and file.is_file()]) == 4
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(read_czyx(path), p.T)
    assert "2 of 6 chunks are absent" in caplog.text


@pytest.mark.parametrize("shards", [None, (3, 8, 6, 5)])
def test_an_array_without_any_chunk_is_rejected(tmp_path: Path, shards: Any) -> None:
    path = write_zarr(tmp_path / "p.zarr", np.zeros((3, 7, 6, 5), "f4"), (1, 4, 6, 5), shards=shards)
    assert rejected(path, class_axis="first").code == "file_truncated"


def test_an_absent_chunk_without_fill_value_is_rejected(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "p.zarr", arranged(softmax_field(), "czyx"), (1, 7, 6, 5), 2)
    edited(tmp_path / "p.zarr/.zarray", fill_value=None)
    next((tmp_path / "p.zarr").glob("1*")).unlink()
    assert rejected(path, class_axis="first").code == "file_truncated"


def test_chunks_outside_the_array_are_rejected(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "p.zarr", arranged(softmax_field(), "czyx"), (1, 2, 6, 5), 2)
    edited(tmp_path / "p.zarr/.zarray", shape=[3, 5, 6, 5])
    assert rejected(path, class_axis="first").code == "file_oversized"


@pytest.mark.parametrize("change", [
    {"shape": [2**31, 2**31, 2**31, 3]}, {"shape": [-3, 7, 6, 5]}, {"shape": [3.0, 7, 6, 5]}, {"shape": []},
    {"shape": 3}, {"shape": [True, 7, 6, 5]}, {"chunks": [1, 7, 6]}, {"chunks": [0, 7, 6, 5]},
    {"chunks": [2**15, 2**15, 2**15, 2**15]}, {"dtype": "|O"}, {"dtype": "<c8"}, {"dtype": [["a", "<f4"]]},
    {"dtype": None}, {"filters": [{"id": "pickle"}]}, {"filters": [{"id": "delta", "dtype": "<f4"}]},
    {"compressor": {"id": "pickle"}}, {"compressor": "zstd"}, {"compressor": {"id": "bz2", "level": 1}},
    {"order": "A"}, {"fill_value": "many"}, {"zarr_format": 7}, {"zarr_format": None},
])  # fmt: skip
def test_impossible_metadata_are_rejected_without_memory(tmp_path: Path, change: dict[str, Any]) -> None:
    path = write_zarr(tmp_path / "p.zarr", arranged(softmax_field(), "czyx"), (1, 7, 6, 5), 2)
    edited(tmp_path / "p.zarr/.zarray", **change)
    tracemalloc.start()
    try:
        error = rejected(path, class_axis="first")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    assert error.code in ("header_invalid", "type_unsupported", "file_truncated", "class_mismatch", "not_this_format")


def test_version_3_without_what_it_needs_is_rejected(tmp_path: Path) -> None:
    write_zarr(tmp_path / "p.zarr", arranged(softmax_field(), "czyx"), (1, 2, 3, 5), shards=(1, 4, 6, 5))
    file = tmp_path / "p.zarr/zarr.json"
    content = file.read_text()
    for key in ("shape", "data_type", "chunk_grid", "codecs", "zarr_format"):
        for value in (None, {}, [], "x", -1):
            edited(file, **{key: value})
            rejected(str(tmp_path / "p.zarr"), class_axis="first")
            file.write_text(content)


@pytest.mark.parametrize("compressor", [2, 1])
def test_a_compressed_bomb_in_a_chunk_costs_no_memory(tmp_path: Path, compressor: int) -> None:
    import numcodecs

    path = zarr_with(tmp_path / "p.zarr", 3, COMPRESSORS[3][compressor], softmax_field())
    bomb = gzip.compress(bytes(2**26)) if compressor == 2 else numcodecs.zstd.compress(bytes(2**26), 1)
    (tmp_path / "p.zarr/c/0/0/0/0").write_bytes(bomb)
    tracemalloc.start()
    try:
        error = rejected(path, class_axis="first")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    assert error.code in ("file_corrupt", "file_oversized")


def test_chunks_too_large_to_be_decoded_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volume_entropy.readers.zarr_metadata.LARGEST_CHUNK_BYTES", 1000)
    error = rejected(write_zarr(tmp_path / "p.zarr", softmax_field(), (5, 6, 7, 3)))
    assert "smaller chunks" in error.remedy


@pytest.mark.parametrize("shards", [None, (2, 4, 6, 5)])
@pytest.mark.parametrize("depth", [1, 3, 7])
def test_each_chunk_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int, shards: Any) -> None:
    decoded = []
    original = zarr_chunks.ChunkedArray.read
    monkeypatch.setattr(
        zarr_chunks.ChunkedArray, "read", lambda self, index: decoded.append(index) or original(self, index)
    )
    path = write_zarr(tmp_path / "p.zarr", arranged(softmax_field(), "czyx"), (2, 2, 3, 5), shards=shards)
    for _ in open_reader(path, n_classes=3, class_axis="first", axes="zyx").slabs(depth, 2):
        pass
    assert len(decoded) == len(set(decoded)) == 2 * 4 * 2


def test_names_of_dimensions_count_more_than_the_config(tmp_path: Path) -> None:
    p = softmax_field()
    names = ("class", "z", "y", "x")
    path = write_zarr(tmp_path / "p.zarr", arranged(p, "czyx"), (1, 7, 6, 5), dimension_names=names)
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=3, class_axis="last", axes="xyz"))[0], p.T)


def test_a_group_with_several_arrays_is_rejected_unless_one_has_a_known_name(tmp_path: Path) -> None:
    zarr.create_group(str(tmp_path / "p.zarr"))
    for name in ("a", "b"):
        write_zarr(tmp_path / "p.zarr" / name, arranged(softmax_field(), "czyx"), (3, 7, 6, 5))
    assert rejected(str(tmp_path / "p.zarr")).code == "not_this_format"
    (tmp_path / "p.zarr/b").rename(tmp_path / "p.zarr/probabilities")
    np.testing.assert_array_equal(read_czyx(str(tmp_path / "p.zarr")), softmax_field().T)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_metadata_place_the_voxels_in_mm(tmp_path: Path, version: str) -> None:
    units = ["micrometer", None, "centimeter"]
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": unit} for name, unit in zip("zyx", units, strict=True)]
    whole = [{"type": "scale", "scale": [1, 2, 1, 1]}]
    array = arranged(softmax_field(), "czyx")
    path = write_ome(tmp_path / "p.ome.zarr", array, version, "czyx", axes=axes, coordinateTransformations=whole)
    geometry = read_geometry(path)
    np.testing.assert_allclose(geometry.affine, [[15, 0, 0, -70], [0, 2, 0, 0], [0, 0, 1e-3, 18e-3], [0, 0, 0, 1]])
    assert geometry.placed
    assert geometry.voxel_volume_mm3 == pytest.approx(15 * 2 * 1e-3)


@pytest.mark.parametrize("change", [
    {"axes": ["c", "z", "y", "x"]}, {"axes": [{"name": "c"}] * 4}, {"axes": [{"name": name} for name in "zyx"]},
    {"axes": [{"name": name, "unit": "parsec"} for name in "czyx"]},
    {"axes": [{"name": [[]], "type": "channel"}, *({"name": name} for name in "zyx")]},
    {"datasets": []}, {"datasets": None},
    {"datasets": [{"path": "../scale0", "coordinateTransformations": []}]},
    {"datasets": [{"path": "/etc", "coordinateTransformations": []}]},
    {"datasets": [{"path": "scale0", "coordinateTransformations": [{"type": "scale", "scale": [1, 0, 1, 1]}]}]},
    {"datasets": [{"path": "scale0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1]}]}]},
    {"datasets": [{"path": "scale0", "coordinateTransformations": [{"type": "scale", "scale": ["1"] * 4}]}]},
    {"datasets": [{"path": "scale0", "coordinateTransformations": [{"type": "affine", "affine": [[1.0]]}]}]},
    {"datasets": [{"path": "scale0", "coordinateTransformations": [{"type": "scale", "scale": [1e400] * 4}]}]},
    {"datasets": [{"path": "scale0", "coordinateTransformations": [{"type": "scale", "scale": [1e60] * 4}]}]},
])  # fmt: skip
def test_ome_metadata_that_place_nothing_are_rejected(tmp_path: Path, change: dict[str, Any]) -> None:
    path = write_ome(tmp_path / "p.ome.zarr", arranged(softmax_field(), "czyx"), "0.4", "czyx", **change)
    assert rejected(path).code == "header_invalid"


def test_an_axis_of_channels_may_have_any_name(tmp_path: Path) -> None:
    axes = [{"name": "tissue", "type": "channel"}, *({"name": name} for name in "zyx")]
    path = write_ome(tmp_path / "p.ome.zarr", arranged(softmax_field(), "czyx"), "0.5", "czyx", axes=axes)
    np.testing.assert_array_equal(read_czyx(path), softmax_field().T)


def test_an_axis_of_time_is_not_taken_for_members(tmp_path: Path) -> None:
    array = np.concatenate([arranged(softmax_field(), "mczyx")] * 2)
    assert rejected(write_ome(tmp_path / "p.zarr", array, "0.5", "tczyx")).code == "axes_unclear"
