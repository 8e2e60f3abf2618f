"""Every fault that a file, a table or a path may have, from the file to the table: what it gets, and no crash.

The numbers in the names only keep the list complete; each fault has closer tests where its guard is.
"""

import gzip
import io
import os
import pickle
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from fault_runs import ended
from files import SHAPE, nifti_bytes, recipe, settings, softmax_field, write_nifti
from fuzz import bounded
from isal import igzip
from producers import Poison
from reference import block
from study import Study, save, softmax_volume
from valid_samples import VALID, valid
from volume_entropy.convert import convert_sample
from volume_entropy.errors import ConfigError, DataError
from volume_entropy.files import fingerprint
from volume_entropy.readers.sources import GzipSource
from volume_entropy.samples import Sample, check_samples
from volume_entropy.tables import write_tables

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/samples.schema.yaml"
NUMBER = 1e-5


def stored(folder: Path, name: str) -> str:
    """The files of a valid sample, in `folder`; returns the path of its probabilities."""
    for path, content in valid(name).tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return str(folder / valid(name).probabilities)


def changed(path: str, change: Callable[[bytes], bytes]) -> str:
    Path(path).write_bytes(change(Path(path).read_bytes()))
    return path


def total(p: np.ndarray, **how: Any) -> float:
    """Σ PE in bit of p (x, y, z, class)."""
    return float(np.nansum(block(p.T[None].astype(np.float64), **how).maps["predictive_entropy"]))


def stored_gzip(content: bytes) -> bytes:
    """A gzip file without compression, in which a flipped bit of a voxel is seen by nothing but the checksum."""
    deflate = zlib.compressobj(0, zlib.DEFLATED, 31)
    return deflate.compress(content) + deflate.flush()


ONE_FILE = [name for name in VALID if len(valid(name).tree) == 1]
COMPRESSED = [name for name in ONE_FILE if valid(name).probabilities.endswith("gz")]


@pytest.mark.parametrize("name", VALID)
def test_without_a_fault_a_sample_has_numbers(tmp_path: Path, name: str) -> None:
    how = {"mask": str(tmp_path / valid(name).mask)} if valid(name).mask else {}
    assert ended(tmp_path, stored(tmp_path, name), valid(name).settings, **how)["status"] == "ok"


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", COMPRESSED)
def test_fault_1_a_gzip_stream_that_is_cut(tmp_path: Path, name: str, part: float) -> None:
    path = changed(stored(tmp_path, name), lambda content: content[: int(len(content) * part)])
    assert ended(tmp_path, path, valid(name).settings)["code"] == "file_truncated"


@pytest.mark.parametrize("left", [0, 4, 7])
@pytest.mark.parametrize("name", COMPRESSED)
def test_fault_2_a_gzip_trailer_that_is_missing(tmp_path: Path, name: str, left: int) -> None:
    path = changed(stored(tmp_path, name), lambda content: content[: len(content) - 8 + left])
    assert ended(tmp_path, path, valid(name).settings)["code"] == "file_truncated"


@pytest.mark.parametrize("name", COMPRESSED)
def test_fault_2_a_gzip_checksum_that_is_wrong(tmp_path: Path, name: str) -> None:
    path = changed(stored(tmp_path, name), lambda content: content[:-8] + bytes([content[-8] ^ 1]) + content[-7:])
    assert ended(tmp_path, path, valid(name).settings)["code"] == "file_corrupt"


# Also with content that ends where a buffer of the decoder does; and with a decoder that looks at the trailer only when
# it is asked for more than the content, as zlib's does and ISA-L's may.
@pytest.mark.parametrize(("shape", "offset"), [(SHAPE, 352), ((64, 64, 42), 2**15)])
@pytest.mark.parametrize("decoder", [igzip.IGzipFile, gzip.GzipFile])
@pytest.mark.parametrize("damage", ["none", "flipped", "wrong sum", "cut"])
def test_faults_2_and_3_damage_that_only_the_trailer_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int, int], offset: int, decoder: Any, damage: str
) -> None:
    monkeypatch.setattr(igzip, "IGzipFile", decoder)
    content = nifti_bytes(np.full((*shape, 3), 1 / 3, np.float32), vox_offset=offset)
    file = bytearray(stored_gzip(content[:352] + bytes(offset - 352) + content[352:]))
    file[{"flipped": -20, "wrong sum": -8}.get(damage, 4)] ^= 1  # byte 4 is of the time, which means nothing
    path = tmp_path / "p.nii.gz"
    path.write_bytes(file[:-8] if damage == "cut" else file)
    sample = Sample("s", str(path))
    try:
        convert_sample(sample, tmp_path / "p.zarr", recipe=recipe(sample, settings()), chunk=64)
        end = "ok"
    except DataError as error:
        end = error.code
    expected = {"none": "ok", "flipped": "file_corrupt", "wrong sum": "file_corrupt", "cut": "file_truncated"}
    assert end == expected[damage]


# A start that no format has says what the file is not; that of a gzip stream, that it was cut.
@pytest.mark.parametrize("content", [b"", b"probabilities\n" * 500, b"\x1f\x8b", bytes(4000)])
@pytest.mark.parametrize("name", ONE_FILE)
def test_fault_4_a_file_that_is_something_else(tmp_path: Path, name: str, content: bytes) -> None:
    path = changed(stored(tmp_path, name), lambda _: content)
    result = ended(tmp_path, path, valid(name).settings)
    begun = content == b"\x1f\x8b" and name not in ("npz", "npz deflated")
    assert result["code"] == ("file_truncated" if begun else "not_this_format")
    words = ["not gzip", "no zip file", "ends after", "middle", str(content[:4])[:-1]] if content else ["empty file"]
    assert any(word in result["message"] for word in words), result["message"]
    assert path in result["message"]


def huge_nifti(folder: Path, suffix: str) -> str:
    return write_nifti(folder / f"p{suffix}", softmax_field(), dim=[4, 32767, 32767, 32767, 3, 1, 1, 1])


def huge_mgh(folder: Path) -> str:
    edges = np.array([32767, 32767, 32767], ">i4").tobytes()
    return changed(stored(folder, "mgh"), lambda content: content[:4] + edges + content[16:])


def huge_array(folder: Path, name: str) -> str:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": (32767, 32767, 32767, 3)}
    )
    content = file.getvalue() + bytes(5000)
    if name == "npy":
        return changed(stored(folder, name), lambda _: content)
    with zipfile.ZipFile(folder / "p.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("probabilities.npy", content)
    return str(folder / "p.npz")


class Pipe(io.BytesIO):
    """What a zip file is written to where nobody can go back: its sizes then stand in the directory alone."""

    def tell(self) -> int:
        raise OSError


def huge_directory(folder: Path) -> str:
    content, pipe = Path(huge_array(folder, "npy")).read_bytes(), Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("probabilities.npy", content)
        archive.filelist[0].file_size = 12 * 32767**3 + len(content) - 5000
    (folder / "p.npz").write_bytes(pipe.getvalue())
    return str(folder / "p.npz")


def huge_zarr(folder: Path) -> str:
    path = stored(folder, "zarr 3")
    shape = b"[32767, 32767, 32767, 3]"
    changed(f"{path}/zarr.json", lambda text: text.replace(b"[\n    5,\n    6,\n    7,\n    3\n  ]", shape))
    assert shape in Path(path, "zarr.json").read_bytes()
    return path


HUGE = {
    "nii": lambda folder: huge_nifti(folder, ".nii"),
    "nii.gz": lambda folder: huge_nifti(folder, ".nii.gz"),
    "mgh": huge_mgh,
    "npy": lambda folder: huge_array(folder, "npy"),
    "npz": lambda folder: huge_array(folder, "npz"),
    "npz, its directory too": huge_directory,
    "zarr": huge_zarr,
}


@pytest.mark.parametrize("kind", HUGE)
def test_fault_5_a_header_that_promises_terabytes_costs_no_memory(tmp_path: Path, kind: str) -> None:
    path = HUGE[kind](tmp_path)
    tracemalloc.start()
    try:
        # What is read for as long as the header says would never end.
        with bounded(seconds=60, memory=2**40):
            assert ended(tmp_path, path)["code"] in ("header_invalid", "file_truncated")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", [".nii.gz", ".mgz"])
def test_fault_6_a_gzip_bomb_is_left_where_it_goes_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    content = nifti_bytes(softmax_field()) if ending == ".nii.gz" else valid("mgh").tree["p.mgh"]
    path = tmp_path / f"p{ending}"
    deflate = zlib.compressobj(1, zlib.DEFLATED, 31)
    path.write_bytes(deflate.compress(content + bytes(2**26)) + deflate.flush())
    unpacked = 0
    some = GzipSource._some

    def counted(self: GzipSource, buffer: memoryview) -> int:
        nonlocal unpacked
        count = some(self, buffer)
        unpacked += count
        return count

    monkeypatch.setattr(GzipSource, "_some", counted)
    assert ended(tmp_path, str(path))["code"] == "file_oversized"
    assert unpacked < 2**20


BAD_VALUES = {
    "NaN": ("fault 7", np.nan, "too_many_invalid"),
    "infinity": ("fault 7", np.inf, "too_many_invalid"),
    "minus infinity": ("fault 7", -np.inf, "too_many_invalid"),
    "negative": ("fault 8", -0.4, "not_probabilities"),
    "above 1": ("fault 8", 1.4, "not_probabilities"),
}


@pytest.mark.parametrize("kind", BAD_VALUES)
def test_faults_7_and_8_a_few_values_that_are_none_are_counted(tmp_path: Path, kind: str) -> None:
    p = softmax_field((10, 20, 30))
    p[3, 4, 5:10, 1] = BAD_VALUES[kind][1]
    summary = ended(tmp_path, write_nifti(tmp_path / "p.nii", p))
    assert summary["n_invalid_voxels"] == 5
    assert summary["predictive_entropy_total"] == pytest.approx(total(p), rel=NUMBER)
    assert summary["n_domain_voxels"] == 6000 - 5


# Where the sum of the others is right, or does not count, only the range of the value itself tells.
@pytest.mark.parametrize(
    ("kind", "voxel"), [("softmax", (-0.4, 0.5, 0.5)), ("regions", (0.2, -0.4, 0.1)), ("regions", (0.2, 1.4, 0.1))]
)
def test_fault_8_a_value_out_of_range_is_counted_whatever_its_voxel_sums_to(
    tmp_path: Path, kind: str, voxel: tuple[float, ...]
) -> None:
    p = softmax_field((10, 20, 30))
    p[3, 4, 5:10] = voxel
    path = write_nifti(tmp_path / "p.nii", p)
    assert ended(tmp_path, path, settings(kind=kind))["n_invalid_voxels"] == 5


@pytest.mark.parametrize("kind", BAD_VALUES)
def test_faults_7_and_8_many_values_that_are_none_are_rejected(tmp_path: Path, kind: str) -> None:
    p = softmax_field((10, 20, 30))
    p[:5, ..., 1] = BAD_VALUES[kind][1]
    assert ended(tmp_path, write_nifti(tmp_path / "p.nii", p))["code"] == BAD_VALUES[kind][2]


@pytest.mark.parametrize("scale", [37, 1e-3])
def test_fault_9_unnormalised_scores_are_divided_out_where_the_config_says_so(tmp_path: Path, scale: float) -> None:
    p = softmax_field()
    path = write_nifti(tmp_path / "p.nii", p * np.float32(scale))
    summary = ended(tmp_path / "null", path, settings(sum_tolerance=None))
    assert summary["predictive_entropy_total"] == pytest.approx(total(p), rel=NUMBER)
    assert summary["n_renormalised_voxels"] == p[..., 0].size
    assert ended(tmp_path / "default", path)["code"] == "not_probabilities"


def test_fault_9_voxels_without_any_class_are_empty(tmp_path: Path) -> None:
    p = softmax_field()
    p[:2] = 0
    summary = ended(tmp_path, write_nifti(tmp_path / "p.nii", p))
    assert (summary["n_empty_voxels"], summary["n_invalid_voxels"]) == (p[:2, ..., 0].size, 0)
    assert summary["n_domain_voxels"] == p[2:, ..., 0].size


def test_fault_9_a_missing_background_is_completed_where_the_config_says_so(tmp_path: Path) -> None:
    p = softmax_field(n_classes=4)
    path = write_nifti(tmp_path / "p.nii", p[..., 1:])
    summary = ended(tmp_path / "complement", path, settings(3, background="complement"))
    assert summary["predictive_entropy_total"] == pytest.approx(total(p), rel=NUMBER)
    result = ended(tmp_path / "given", path)
    assert result["code"] == "not_probabilities"
    assert "background: complement" in result["remedy"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (lambda p: np.log(p) + 5, "logits"),
        (lambda p: p * 100, "percentages"),
        (lambda p: np.rint(p * 255).astype(np.uint8), "8-bit grey values"),
    ],
)
def test_fault_10_other_quantities_are_rejected_saying_what_they_look_like(
    tmp_path: Path, values: Callable[[np.ndarray], np.ndarray], words: str
) -> None:
    result = ended(tmp_path, write_nifti(tmp_path / "p.nii.gz", values(softmax_field())))
    assert result["code"] == "not_probabilities"
    assert f"these look like {words}" in result["message"]


@pytest.mark.parametrize(("dtype", "steps"), [("uint8", 255), ("int8", 127), ("int16", 30000), ("uint16", 65535)])
def test_fault_11_scaled_integers_are_read_right(tmp_path: Path, dtype: str, steps: int) -> None:
    numbers = np.rint(softmax_field() * steps)
    path = write_nifti(tmp_path / "p.nii.gz", numbers.astype(dtype), slope=1 / steps)
    expected = total(numbers * np.float64(np.float32(1 / steps)), quantum=1 / steps)
    # Sums are off by the rounding of each class, whatever else is tolerated.
    summary = ended(tmp_path, path, settings(sum_tolerance=0))
    assert summary["predictive_entropy_total"] == pytest.approx(expected, rel=NUMBER)
    assert summary["n_invalid_voxels"] == 0


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_fault_11_a_slope_of_zero_or_nan_scales_nothing(tmp_path: Path, slope: float) -> None:
    p = softmax_field()
    summary = ended(tmp_path, write_nifti(tmp_path / "p.nii", p, slope=slope, inter=7))
    assert summary["predictive_entropy_total"] == pytest.approx(total(p), rel=NUMBER)


def test_fault_12_the_class_axis_is_where_the_config_says(tmp_path: Path) -> None:
    p = softmax_field()
    path = write_nifti(tmp_path / "p.nii", np.moveaxis(p, -1, 0))
    summary = ended(tmp_path / "first", path, settings(class_axis="first"))
    assert summary["predictive_entropy_total"] == pytest.approx(total(p), rel=NUMBER)
    result = ended(tmp_path / "last", path)
    assert result["code"] == "class_mismatch"
    assert "`cxyz`" in result["remedy"]
    declared = ended(tmp_path / "declared", path, settings(class_axis=None, axes="cxyz"))
    assert declared["predictive_entropy_total"] == pytest.approx(total(p), rel=NUMBER)
    assert ended(tmp_path / "none", write_nifti(tmp_path / "q.nii", p[..., 0]))["code"] == "class_mismatch"


@pytest.mark.parametrize("axes", ["xyz", "zyx"])
def test_fault_12_a_transposed_array_is_right_where_declared_and_else_rejected(tmp_path: Path, axes: str) -> None:
    p = softmax_field()
    np.save(tmp_path / "p.npy", p.transpose(2, 1, 0, 3))
    image = write_nifti(tmp_path / "image.nii", np.zeros(SHAPE, np.float32))
    result = ended(tmp_path, str(tmp_path / "p.npy"), settings(axes=axes), image=image)
    if axes == "zyx":
        assert result["predictive_entropy_total"] == pytest.approx(total(p), rel=NUMBER)
    else:
        assert result["code"] == "shape_mismatch"


@pytest.mark.parametrize("kind", ["reference", "mask"])
def test_fault_13_files_in_other_places_are_rejected_naming_both(tmp_path: Path, kind: str) -> None:
    path = write_nifti(tmp_path / "p.nii", softmax_field())
    other = write_nifti(tmp_path / "other.nii", np.ones(SHAPE, np.uint8), srow_x=[1.0, 0, 0, 90])
    result = ended(tmp_path, path, **{kind: other})
    assert result["code"] == "affine_mismatch"
    assert path in result["message"]
    assert other in result["message"]


@pytest.mark.parametrize("field", ["qform_code", "sform_code"])
@pytest.mark.parametrize("code", [-1, 6, 16])
def test_fault_13_a_transform_that_readers_disagree_on_is_rejected(tmp_path: Path, field: str, code: int) -> None:
    path = write_nifti(tmp_path / "p.nii", softmax_field(), **{field: code})
    result = ended(tmp_path, path)
    assert result["code"] == "header_invalid"
    assert field in result["message"]


def test_fault_13_a_transform_too_large_for_a_map_is_rejected(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "p.nii", softmax_field(), version=2, srow_x=[1e300, 0, 0, 0])
    assert ended(tmp_path, path)["code"] == "header_invalid"


def test_a_handedness_of_zero_is_one_as_the_standard_says(tmp_path: Path) -> None:
    # sform_code 0, so that the qform counts; its rotation is none.
    path = write_nifti(tmp_path / "p.nii", softmax_field(), sform_code=0, qform_code=1, pixdim=[0, 2, 2, 2, 1, 1, 1, 1])
    assert ended(tmp_path, path)["voxel_volume_mm3"] == pytest.approx(8)


@pytest.mark.parametrize(("version", "magic"), [(1, b"n+2"), (2, b"n+1")])
def test_a_header_of_one_version_with_the_magic_of_the_other_is_rejected(
    tmp_path: Path, version: int, magic: bytes
) -> None:
    path = write_nifti(tmp_path / "p.nii", softmax_field(), version=version, magic=magic)
    assert ended(tmp_path, path)["code"] == "not_this_format"


def test_fault_14_a_sample_with_another_number_of_classes_is_rejected(tmp_path: Path) -> None:
    four = ended(tmp_path / "four", write_nifti(tmp_path / "four.nii", softmax_field(n_classes=4)))
    three = ended(tmp_path / "three", write_nifti(tmp_path / "three.nii", softmax_field()))
    assert (four["code"], three["status"]) == ("class_mismatch", "ok")


def test_fault_15_one_class_of_zeros_and_ones_has_no_entropy(tmp_path: Path) -> None:
    p = (softmax_field()[..., :1] > 0.5).astype(np.float32)
    summary = ended(tmp_path, write_nifti(tmp_path / "p.nii", p), settings(1))
    assert (summary["predictive_entropy_total"], summary["n_domain_voxels"]) == (0, int(p.sum()))
    soft = ended(tmp_path / "soft", write_nifti(tmp_path / "q.nii", p * 0.9), settings(1))
    assert soft["code"] == "single_class"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [1 / 3, 0.0, 1.0])
def test_fault_15_a_constant_map_has_defined_results(tmp_path: Path, value: float) -> None:
    p = np.zeros((*SHAPE, 3), np.float32)
    p[..., 0], p[..., 1], p[..., 2] = value, (1 - value) / 2, (1 - value) / 2
    summary = ended(tmp_path, write_nifti(tmp_path / "p.nii", p))
    assert summary["predictive_entropy_total"] == pytest.approx(total(p), rel=NUMBER, abs=1e-9)
    assert summary["predictive_entropy_std"] == pytest.approx(0, abs=1e-6)


@pytest.mark.filterwarnings("error")
def test_fault_15_a_mask_of_what_is_empty_leaves_empty_cells_where_nothing_is_defined(tmp_path: Path) -> None:
    p, inside = softmax_field(), np.zeros(SHAPE, np.uint8)
    p[1:3], inside[1:3] = 0, 1
    mask = write_nifti(tmp_path / "m.nii", inside)
    summary = ended(tmp_path, write_nifti(tmp_path / "p.nii", p), mask=mask)
    assert (summary["status"], summary["n_domain_voxels"]) == ("ok", 0)
    assert summary["predictive_entropy_total"] == pytest.approx(total(p), rel=NUMBER)
    assert summary["predictive_entropy_mean"] is None
    write_tables([tmp_path / "out/s.json"], {"s": {}}, tmp_path / "tables")
    names, row = ((tmp_path / "tables/subjects.csv").read_text()).splitlines()
    cells = dict(zip(names.split(","), row.split(","), strict=True))
    assert cells["predictive_entropy_mean"] == cells["predictive_entropy_foreground_mean"] == ""


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "uint8", "int16", "int32", "uint16", "int64"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
def test_fault_16_every_real_type_order_and_version_is_read_right(
    tmp_path: Path, dtype: str, version: int, order: str
) -> None:
    p = np.eye(3)[softmax_field().argmax(axis=-1)] if np.dtype(dtype).kind in "iu" else softmax_field()
    if dtype == "float16":
        np.save(tmp_path / "p.npy", p.astype(f"{order}f2"))
        path = str(tmp_path / "p.npy")
    else:
        path = write_nifti(tmp_path / "p.nii.gz", p.astype(dtype), version=version, order=order)
    summary = ended(tmp_path, path)
    expected = total(p.astype(dtype))
    assert summary["predictive_entropy_total"] == pytest.approx(expected, rel=NUMBER, abs=1e-9)


@pytest.mark.parametrize("dtype", ["complex64", "complex128", [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_fault_16_colours_and_complex_numbers_are_rejected(tmp_path: Path, dtype: object) -> None:
    path = write_nifti(tmp_path / "p.nii", np.zeros((*SHAPE, 3), np.dtype(dtype)))
    assert ended(tmp_path, path)["code"] == "type_unsupported"


def test_fault_17_a_source_without_permission_is_seen_before_any_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_nifti(tmp_path / "p.nii", softmax_field())
    # As root nothing is forbidden: ask the system's answer for another account.
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert fingerprint(path)[3] is False
    folder = tmp_path / "p.zarr"
    zarr.create_array(str(folder), shape=(2,), dtype="f4")
    assert fingerprint(folder)[3] is False


def test_fault_17_a_dangling_link_in_a_zarr_source_does_not_stop_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "p.zarr"
    folder.mkdir()
    (folder / "c0").symlink_to(tmp_path / "gone")
    assert fingerprint(folder)[3] is True


@pytest.mark.parametrize("rows", [("a", "a"), ("a", "A"), ("sub-É", "b"), ("a", "../b"), ("a", "$(b)"), ("a", "b`id`")])
def test_faults_18_and_19_ids_that_are_none_or_not_unique_are_refused(tmp_path: Path, rows: tuple[str, str]) -> None:
    table = tmp_path / "samples.tsv"
    table.write_text("sample\tprobabilities\n" + "".join(f"{name}\tp.nii\n" for name in rows))
    with pytest.raises(ConfigError):
        check_samples(table, SCHEMA, settings())


def test_fault_20_no_pickle_is_ever_opened(tmp_path: Path) -> None:
    trace = tmp_path / "opened"
    poison = np.array([Poison(trace)] * 24).reshape(2, 3, 4)
    np.savez(tmp_path / "p.npz", probabilities=poison)
    (tmp_path / "p.pkl").write_bytes(pickle.dumps(Poison(trace)))
    np.save(tmp_path / "p.npy", poison, allow_pickle=True)
    (tmp_path / "p.zarr").mkdir()
    chunk = pickle.dumps(Poison(trace))
    metadata = (
        '{"zarr_format": 2, "shape": [2, 3, 4], "chunks": [2, 3, 4], "dtype": "|O", "fill_value": null, "order": "C",'
        ' "compressor": null, "filters": [{"id": "pickle", "protocol": 5}]}'
    )
    (tmp_path / "p.zarr/.zarray").write_text(metadata)
    (tmp_path / "p.zarr/0.0.0").write_bytes(chunk)
    for name in ("p.npz", "p.npy", "p.zarr", "p.pkl"):
        result = ended(tmp_path, str(tmp_path / name), settings(1))
        assert result["code"] in ("type_unsupported", "not_this_format")
    np.savez(tmp_path / "p.npz", probabilities=softmax_field())
    assert ended(tmp_path, str(tmp_path / "p.npz"))["status"] == "ok"
    assert not trace.exists()


HOSTILE = ['a b $(touch ran) `touch ran` it\'s "quoted";touch ran;', "Ünïcode 脳 {x} {} [a] * # & | < > ~ ! \\ %s"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study with hostile paths and cells, and with sources that cannot be read beside one that can."""
    study = Study(tmp_path_factory.mktemp("a cohort of Zoë's"))
    p = softmax_volume(1)
    for number, folder in enumerate(HOSTILE):
        save(p, study.folder / "data" / folder / "p $(touch ran).nii.gz")
        study.rows[f"hostile-{number}"] = {
            "sample": f"hostile-{number}",
            "probabilities": f"../data/{folder}/p $(touch ran).nii.gz",
            "site": "=cmd|' /C calc'!A1" if number == 0 else "<script>alert(1)</script>",
        }
    (study.folder / "data/folder.nii.gz").mkdir()
    (study.folder / "data/link.nii.gz").symlink_to(study.folder / "data/nowhere")
    for name in ("absent", "folder", "link"):
        study.add(name)
    run = study.run()
    assert run.code == 0, run.output
    return study


def test_fault_17_sources_that_cannot_be_read_are_rejected_and_the_others_run(hostile: Study) -> None:
    rejected = {row["sample"]: row for row in hostile.table("rejected")}
    assert {name: row["code"] for name, row in rejected.items()} == dict.fromkeys(
        ("absent", "folder", "link"), "file_missing"
    )
    assert "no such file" in rejected["absent"]["message"]
    assert "directory" in rejected["folder"]["message"]
    assert "dangling link" in rejected["link"]["message"]


def test_fault_17_a_finished_sample_whose_source_goes_is_refused_and_its_results_stay(hostile: Study) -> None:
    before = hostile.digests()
    source = hostile.folder / "data" / HOSTILE[0] / "p $(touch ran).nii.gz"
    source.rename(source.with_suffix(".away"))
    try:
        run = hostile.run()
    finally:
        source.with_suffix(".away").rename(source)
    assert run.code != 0
    assert "hostile-0" in run.output
    assert "nothing was touched" in run.output
    assert hostile.digests() == before


def test_fault_19_no_path_reaches_a_shell(hostile: Study) -> None:
    assert [row["sample"] for row in hostile.table("subjects")] == [f"hostile-{n}" for n in range(len(HOSTILE))]
    totals = {row["predictive_entropy_total"] for row in hostile.table("subjects")}
    assert len(totals) == 1
    assert float(totals.pop()) == pytest.approx(total(softmax_volume(1)), rel=NUMBER)
    assert [path for path in hostile.folder.rglob("ran*") if path.is_file()] == []


def test_fault_21_cells_that_a_spreadsheet_would_run_are_inert(hostile: Study) -> None:
    sites = [row["site"] for row in hostile.table("subjects")]
    assert sites[0] == "'=cmd|' /C calc'!A1"
    assert set(sites[1:]) == {"<script>alert(1)</script>"}
    for table in ("subjects", "classes", "review_queue", "rejected"):
        for row in hostile.table(table):
            assert not any(cell.startswith(("=", "@", "\t", "\r")) for cell in row.values())
