"""Files that two readers read in two ways, found by fuzzing: rejected, or read as the format's own library does."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr
from fault_runs import ended
from files import SHAPE, settings, softmax_field, write_nifti
from reader_contract import assemble, rejected
from volume_entropy.readers import open_reader


def saved(folder: Path, p: np.ndarray, **how: object) -> Path:
    array = zarr.create_array(str(folder / "p.zarr"), shape=p.shape, dtype=p.dtype, chunks=(5, 6, 7, 1), **how)
    array[:] = p
    return folder / "p.zarr"


@pytest.mark.parametrize("space", ["\xa0", "\x85"])
def test_a_numpy_header_with_a_space_that_numpy_does_not_know_is_rejected(tmp_path: Path, space: str) -> None:
    path = tmp_path / "p.npy"
    np.save(path, softmax_field())
    content = path.read_bytes()
    path.write_bytes(content.replace(b"': ", f"':{space}".encode("latin-1"), 1))
    assert rejected(str(path)).code == "header_invalid"
    path.write_bytes(content.replace(b" \n", space.encode("latin-1") + b"\n", 1))
    assert rejected(str(path)).code == "header_invalid"


@pytest.mark.parametrize("content", ["[1]", "{}", '{"zarr_format": 3}', "x"])
def test_a_group_whose_metadata_are_damaged_is_rejected(tmp_path: Path, content: str) -> None:
    group = zarr.create_group(str(tmp_path / "p.zarr"), zarr_format=2)
    p = softmax_field()
    group.create_array("probabilities", shape=p.shape, dtype=p.dtype)[:] = p
    np.testing.assert_array_equal(assemble(open_reader(str(tmp_path / "p.zarr"), n_classes=3))[0], p.T)
    (tmp_path / "p.zarr/.zgroup").write_text(content)
    assert rejected(str(tmp_path / "p.zarr")).code in ("header_invalid", "not_this_format")


def test_chunks_with_names_other_than_the_metadata_declare_do_not_count(tmp_path: Path) -> None:
    p = softmax_field()
    path = saved(tmp_path, p)
    for index in range(3):
        # What an earlier array may have left, and what looks like the same number.
        (path / f"c.0.0.0.{index}").write_bytes(b"left")
        (path / f"c/0/0/0/0{index}").write_bytes(b"left")
    np.testing.assert_array_equal(assemble(open_reader(str(path), n_classes=3))[0], p.T)
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["chunk_key_encoding"]["configuration"]["separator"] = "."
    (path / "zarr.json").write_text(json.dumps(metadata))
    assert rejected(str(path)).code == "file_corrupt"


@pytest.mark.parametrize("encoding", [{"name": "other"}, {"name": "default", "configuration": {"separator": "-"}}])
def test_an_unknown_way_to_name_chunks_is_rejected(tmp_path: Path, encoding: dict[str, object]) -> None:
    path = saved(tmp_path, softmax_field())
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["chunk_key_encoding"] = encoding
    (path / "zarr.json").write_text(json.dumps(metadata))
    assert rejected(str(path)).code == "header_invalid"


@pytest.mark.parametrize("key", ["zarr_format", "node_type", "shape", "fill_value", "data_type", "chunk_key_encoding"])
def test_a_message_does_not_repeat_a_whole_file(tmp_path: Path, key: str) -> None:
    path = saved(tmp_path, softmax_field())
    metadata = json.loads((path / "zarr.json").read_text())
    (path / "zarr.json").write_text(json.dumps({**metadata, key: "x" * 100_000}))
    assert len(rejected(str(path)).message) < 2000


@pytest.mark.parametrize("name", ["x" * 100_000, "\ud800"])
def test_the_name_of_an_unknown_codec_is_shortened_and_has_a_place_in_utf_8(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, softmax_field())
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["codecs"][-1]["name"] = name
    (path / "zarr.json").write_text(json.dumps(metadata))
    message = rejected(str(path)).message
    assert len(message) < 2000
    assert message.encode("utf-8")


@pytest.mark.parametrize("value", [0, {}, None, {"must_understand": True}])
def test_a_field_that_is_not_known_must_say_that_it_need_not_be_understood(tmp_path: Path, value: object) -> None:
    path = saved(tmp_path, p := softmax_field())
    metadata = json.loads((path / "zarr.json").read_text())
    (path / "zarr.json").write_text(json.dumps({**metadata, "attribuibutes": value}))
    error = rejected(str(path))
    assert error.code == "header_invalid"
    assert "attribuibutes" in error.message
    (path / "zarr.json").write_text(json.dumps({**metadata, "origin": {"must_understand": False}}))
    np.testing.assert_array_equal(assemble(open_reader(str(path), n_classes=3))[0], p.T)


@pytest.mark.parametrize("value", [0, None, [], "x", {"unheard of": 1}])
@pytest.mark.parametrize("place", ["chunk_grid", "chunk_key_encoding", "bytes", "last"])
def test_a_configuration_that_is_no_object_or_has_unknown_keys_is_rejected(
    tmp_path: Path, place: str, value: object
) -> None:
    path = saved(tmp_path, softmax_field())
    metadata = json.loads((path / "zarr.json").read_text())
    codecs = {"bytes": metadata["codecs"][0], "last": metadata["codecs"][-1]}
    codecs.get(place, metadata.get(place))["configuration"] = value
    (path / "zarr.json").write_text(json.dumps(metadata))
    assert rejected(str(path)).code == "header_invalid"


def test_a_step_beyond_what_float32_holds_is_rejected_without_a_warning(tmp_path: Path) -> None:
    numbers = np.rint(softmax_field() * 1000).astype(np.int16)
    path = write_nifti(tmp_path / "p.nii", numbers, slope=3e38, inter=0.06, order=">")
    assert ended(tmp_path, path)["code"] == "not_probabilities"


def test_a_file_without_a_transform_is_centred_on_its_axes_of_space(tmp_path: Path) -> None:
    p = softmax_field()
    path = write_nifti(tmp_path / "p.nii", np.moveaxis(p, -1, 0), sform_code=0, pixdim=[1, 9, 2, 3, 4, 1, 1, 1])
    geometry = open_reader(path, n_classes=3, class_axis="first").geometry
    np.testing.assert_array_equal(geometry.affine, [[-2, 0, 0, 4], [0, 3, 0, -7.5], [0, 0, 4, -12], [0, 0, 0, 1]])


def signalling(values: np.ndarray) -> np.ndarray:
    """With a NaN at which the processor reports an invalid operation, in two voxels."""
    values = values.copy()
    values.view(np.uint32)[2, 3, 1:3] = 0x7FA00000
    return values


@pytest.mark.parametrize("scaling", [{}, {"slope": 1.0, "inter": 1e-9}])
def test_a_signalling_nan_is_as_any_other(tmp_path: Path, scaling: dict[str, float]) -> None:
    path = write_nifti(tmp_path / "p.nii", signalling(softmax_field((10, 20, 30))), **scaling)
    assert ended(tmp_path, path)["n_invalid_voxels"] == 2
    good = write_nifti(tmp_path / "good.nii", softmax_field())
    labels = write_nifti(tmp_path / "labels.nii", signalling(np.ones(SHAPE, np.float32)), **scaling)
    assert ended(tmp_path / "mask", good, mask=labels)["n_domain_voxels"] == 208
    for column in ("reference", "atlas"):
        seen = settings(reference={"labels": [[0], [1], [2]], "ignore_labels": []})
        assert ended(tmp_path / column, good, seen, **{column: labels})["code"] == "labels_invalid"


def test_a_file_that_ends_at_the_bound_itself_is_on_no_scale(tmp_path: Path) -> None:
    p = softmax_field()
    p[0, 0, 0] = (0, 0, 1.5)
    path = write_nifti(tmp_path / "p.nii", p)
    summary = ended(tmp_path, path, settings(p.shape[-1], scale=255.0, sum_tolerance=None))
    assert summary["code"] == "not_probabilities"
    assert "probabilities.scale" in summary["remedy"]


@pytest.mark.parametrize("codec", [zarr.codecs.ZstdCodec(), zarr.codecs.GzipCodec(), zarr.codecs.BloscCodec()])
def test_a_compressor_without_its_configuration_is_rejected(tmp_path: Path, codec: object) -> None:
    path = saved(tmp_path, softmax_field(), compressors=[codec])
    metadata = json.loads((path / "zarr.json").read_text())
    assert "configuration" in metadata["codecs"][-1]
    open_reader(str(path), n_classes=3)
    del metadata["codecs"][-1]["configuration"]
    (path / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(ValueError):
        zarr.open(path, mode="r")
    assert rejected(str(path)).code == "header_invalid"


@pytest.mark.parametrize(
    "bits", [0x7F800000, 0xFF800000, 0x7FC00000, 0x7FA00001]
)  # infinities; NaN, and a signalling one
def test_scores_that_are_no_numbers_among_unsure_ones_are_invalid_in_silence(tmp_path: Path, bits: int) -> None:
    p = np.full((8, 8, 8, 3), 2.0, np.float32)
    p.view(np.uint32)[0, 0, 0, 0] = bits
    path = write_nifti(tmp_path / "p.nii", p)
    summary = ended(tmp_path, path, settings(3, sum_tolerance=None, max_invalid_fraction=0.01))
    assert summary["n_invalid_voxels"] == 1
    assert summary["predictive_entropy_total"] == pytest.approx(511 * np.log2(3), rel=1e-6)


@pytest.mark.parametrize("version", [b"\1\x40", b"\3\1", b"\0\0", b"\4\0"])
def test_a_numpy_file_of_a_version_that_there_is_not_is_rejected(tmp_path: Path, version: bytes) -> None:
    path = tmp_path / "p.npy"
    np.save(path, softmax_field())
    content = path.read_bytes()
    path.write_bytes(content[:6] + version + content[8:])
    with pytest.raises(ValueError, match="format version"):
        np.load(path)
    assert rejected(str(path)).code == "not_this_format"
