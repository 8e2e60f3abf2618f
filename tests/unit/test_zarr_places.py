"""Where in a Zarr store a path may point, and in which unit an image says its size."""

import os
import socket
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import zarr
from array_files import arranged, edited, write_ome, write_zarr
from files import SHAPE, recipe, settings, softmax_field, write_nifti
from reader_contract import assemble, rejected
from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.presets import geometry_file, refused
from volume_entropy.readers import open_reader, read_geometry
from volume_entropy.samples import Sample
from volume_entropy.sidecars import dataset_file, sidecar_file
from volume_entropy.stores.probabilities import open_probabilities

P = softmax_field()
CZYX = arranged(P, "czyx")
VOXEL = 1.5 * 2 * 0.5  # of write_ome, in the cube of its unit


def bioformats2raw(path: Path, images: dict[str, np.ndarray], version: str = "0.4") -> Path:
    """As bioformats2raw lays images out; since 0.5 the layout stands below `ome`."""
    number = 2 if version == "0.4" else 3
    layout: dict[str, Any] = {"bioformats2raw.layout": 3}
    zarr.create_group(
        str(path), zarr_format=number, attributes=layout if number == 2 else {"ome": {"version": "0.5", **layout}}
    )
    for name, array in images.items():
        write_ome(path / name, array, version, "czyx")
    zarr.create_group(str(path / "OME"), zarr_format=number, attributes={"series": list(images)})
    (path / "OME/METADATA.ome.xml").write_text("<OME/>")
    return path


def read(path: Path | str) -> np.ndarray:
    return assemble(open_reader(str(path), n_classes=3, class_axis="first", axes="zyx"))[0]


def ome_with_units(path: Path, units: list[Any], version: str = "0.4") -> str:
    axes: list[dict[str, Any]] = [{"name": "c", "type": "channel"}]
    for name, unit in zip("zyx", units, strict=True):
        axes.append({"name": name, "type": "space", **({} if unit == "no key" else {"unit": unit})})
    return write_ome(path, CZYX, version, "czyx", axes=axes)


# Inside a store.


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("inside", ["", "0", "0/scale0"])
def test_an_image_of_bioformats2raw_is_read_by_its_path_and_by_that_of_the_folder(
    tmp_path: Path, version: str, inside: str
) -> None:
    path = bioformats2raw(tmp_path / "x.ome.zarr", {"0": CZYX}, version) / inside
    np.testing.assert_array_equal(read(path), P.T)
    assert read_geometry(str(path)).voxel_volume_mm3 == pytest.approx(VOXEL)


def test_of_several_images_the_path_must_say_which(tmp_path: Path) -> None:
    other = arranged(softmax_field(seed=1), "czyx")
    path = bioformats2raw(tmp_path / "x.zarr", {"0": CZYX, "10": CZYX, "2": other})
    error = rejected(str(path))
    assert "the images '0', '2', '10'" in error.message
    assert str(path / "0") in error.remedy
    np.testing.assert_array_equal(read(path / "2"), softmax_field(seed=1).T)


def test_a_plate_names_its_images(tmp_path: Path) -> None:
    path = bioformats2raw(tmp_path / "x.zarr", {})
    zarr.create_group(str(path / "A"), zarr_format=2)
    for well in "12":
        zarr.create_group(str(path / "A" / well), zarr_format=2)
        write_ome(path / "A" / well / "0", CZYX, "0.4", "czyx")
    assert "'A/1/0', 'A/2/0'" in rejected(str(path)).message
    np.testing.assert_array_equal(read(path / "A/1/0"), P.T)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_level_of_an_image_lies_where_the_image_says(tmp_path: Path, version: str, level: int) -> None:
    path = tmp_path / "x.ome.zarr"
    scales = [{"type": "scale", "scale": [1, 0.5, 2.0 * 2**n, 1.5 * 2**n]} for n in (0, 1)]
    datasets = [{"path": f"scale{n}", "coordinateTransformations": [scale]} for n, scale in enumerate(scales)]
    write_ome(path, CZYX, version, "czyx", datasets=datasets)
    reader = open_reader(str(path / f"scale{level}"), n_classes=3)
    np.testing.assert_array_equal(assemble(reader)[0], P.T[:, :, :: 2**level, :: 2**level])
    assert reader.geometry.placed
    assert reader.geometry.zooms == (1.5 * 2**level, 2.0 * 2**level, 0.5)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", ["probabilities", "labels/probs", "p.zarr", "deep/er/p"])
def test_an_array_anywhere_in_a_store_is_read_by_its_path(tmp_path: Path, version: int, name: str) -> None:
    group = zarr.create_group(str(tmp_path / "x.zarr"), zarr_format=version)
    group.create_group("another")
    group.create_array("image", shape=(2, 2), dtype="f4")
    folders = name.split("/")[:-1]
    for depth in range(1, len(folders) + 1):
        group.require_group("/".join(folders[:depth]))
    path = write_zarr(tmp_path / "x.zarr" / name, CZYX, (1, 7, 6, 5), version)
    np.testing.assert_array_equal(read(path), P.T)
    np.testing.assert_array_equal(read(f"{path}/"), P.T)


def test_a_store_may_have_any_name(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(write_zarr(tmp_path / "store", CZYX, (1, 7, 6, 5))), P.T)
    np.testing.assert_array_equal(read(write_ome(tmp_path / "image.v2", CZYX, "0.4", "czyx")), P.T)
    (tmp_path / "nothing").mkdir()
    assert "without Zarr metadata" in rejected(str(tmp_path / "nothing")).message


def test_a_nifti_in_a_folder_with_a_zarrs_name_stays_one(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "cohort.zarr/p.nii.gz", P)
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=3))[0], P.T)
    assert sidecar_file(path) == str(tmp_path / "cohort.zarr/p.json")


def test_a_wrong_path_in_a_store_is_answered_with_what_there_is(tmp_path: Path) -> None:
    zarr.create_group(str(tmp_path / "x.zarr"))
    write_zarr(tmp_path / "x.zarr/probabilities", CZYX, (1, 7, 6, 5))
    error = rejected(str(tmp_path / "x.zarr/probs"))
    assert error.code == "file_missing"
    assert "holds 'probabilities'" in error.remedy
    for name in ("images/a", "images/b"):
        write_ome(tmp_path / "y.zarr" / name, CZYX, "0.5", "czyx")
    zarr.create_group(str(tmp_path / "y.zarr"))
    zarr.create_group(str(tmp_path / "y.zarr/images"))
    error = rejected(str(tmp_path / "y.zarr"))
    assert error.code == "not_this_format"
    assert "'images/a', 'images/b'" in error.remedy


def test_what_stands_beside_a_part_of_a_store_stands_beside_the_store() -> None:
    assert geometry_file("/d/case.zarr/probs", "{stem}.nii.gz") == "/d/case.nii.gz"
    assert geometry_file("/d/case.ome.zarr/0", "{stem}.nii.gz") is None
    assert geometry_file("/d/case", "{stem}.nii.gz") == "/d/case.nii.gz"
    assert sidecar_file("/d/case.ome.zarr/0") == "/d/case.json"
    assert dataset_file("/d/case.zarr/probs/0") == "/d/dataset.json"
    rule = {"pattern": "^case", "reason": "no", "remedy": "none"}
    with pytest.raises(DataError):
        refused("/d/case.zarr/probs", [rule])


# Units.


@pytest.mark.parametrize(("unit", "mm"), [
    ("micrometer", 1e-3), ("micron", 1e-3), ("microns", 1e-3), ("um", 1e-3), ("\u00b5m", 1e-3), ("\u03bcm", 1e-3),
    ("Micrometre", 1e-3), ("micrometers", 1e-3), ("nm", 1e-6), ("nanometer", 1e-6), ("mm", 1.0), ("millimeter", 1.0),
    ("cm", 10.0), ("centimeter", 10.0), ("m", 1e3), ("meter", 1e3), ("decimeter", 100.0), ("\u00c5", 1e-7),
    ("\u212b", 1e-7), ("angstrom", 1e-7), ("inch", 25.4), ("foot", 304.8), ("picometer", 1e-9), ("kilometer", 1e6),
])  # fmt: skip
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_unit_of_length_is_read_as_programs_write_it(tmp_path: Path, unit: str, mm: float, version: str) -> None:
    geometry = read_geometry(ome_with_units(tmp_path / "p.ome.zarr", [unit] * 3, version))
    assert geometry.zooms == pytest.approx((1.5 * mm, 2 * mm, 0.5 * mm))
    assert geometry.unitless == ()


@pytest.mark.parametrize("unit", ["no key", None, "", "pixel", "pixels", "px", "reference frame"])
def test_what_is_no_length_counts_as_mm_and_is_told(tmp_path: Path, unit: str | None) -> None:
    path = ome_with_units(tmp_path / "p.ome.zarr", [unit] * 3)
    sample = Sample("s", path)
    convert_sample(sample, tmp_path / "p.zarr", recipe=recipe(sample, settings()), chunk=64)
    store = open_probabilities(tmp_path / "p.zarr")
    assert store.voxel_volume_mm3 == pytest.approx(VOXEL)
    (warning,) = store.warnings
    assert warning.code == "unit_missing"
    assert path in warning.message
    assert "axes z, y, x" in warning.message
    assert "1.5 × 2 × 0.5 mm" in warning.message


def test_each_axis_has_its_own_unit(tmp_path: Path) -> None:
    geometry = read_geometry(ome_with_units(tmp_path / "p.ome.zarr", ["pixel", "um", "micron"]))
    assert geometry.zooms == pytest.approx((1.5e-3, 2e-3, 0.5))
    assert geometry.unitless == ("z",)


def test_an_image_with_a_unit_has_no_warning(tmp_path: Path) -> None:
    sample = Sample("s", write_ome(tmp_path / "p.ome.zarr", CZYX, "0.5", "czyx"))
    convert_sample(sample, tmp_path / "p.zarr", recipe=recipe(sample, settings()), chunk=64)
    assert open_probabilities(tmp_path / "p.zarr").warnings == ()


@pytest.mark.parametrize("unit", ["furlong", "second", 3, ["um"], {"um": 1}, True])
def test_an_unknown_unit_is_rejected_in_words(tmp_path: Path, unit: Any) -> None:
    path = ome_with_units(tmp_path / "p.ome.zarr", ["micrometer", unit, "micrometer"])
    error = rejected(path)
    assert error.code == "header_invalid"
    assert str(unit) in error.message
    assert "'y'" in error.message
    axes = [{"name": "c", "type": "channel"}, *({"name": name, "unit": "micrometer"} for name in "zyx")]
    attributes = zarr.open_group(path).attrs.asdict()
    attributes["multiscales"][0]["axes"] = axes  # the remedy
    edited(Path(path) / ".zattrs", **attributes)
    np.testing.assert_array_equal(read(path), P.T)


def test_a_mask_four_voxels_off_in_micrometres_is_rejected(tmp_path: Path) -> None:
    path = ome_with_units(tmp_path / "p.ome.zarr", ["micrometer"] * 3)
    geometry = read_geometry(path)
    for shift, fits in ((0, True), (4, False)):
        affine = geometry.affine.copy()
        affine[0, 3] += shift * geometry.zooms[0]
        image = nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, tmp_path / "m.nii")
        sample = Sample("s", path, mask=str(tmp_path / "m.nii"))
        made = {"recipe": recipe(sample, settings()), "chunk": 64}
        if fits:
            convert_sample(sample, tmp_path / "p.zarr", **made)
        else:
            with pytest.raises(DataError, match="4 voxels apart along x"):
                convert_sample(sample, tmp_path / "q.zarr", **made)


# What is no file where one is expected.


def unusable(path: Path, kind: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "socket":
            here = os.getcwd()
            os.chdir(path.parent)  # the name of a socket has at most 107 letters
            try:
                with socket.socket(socket.AF_UNIX) as bound:
                    bound.bind(path.name)
            finally:
                os.chdir(here)
        case "device":
            path.symlink_to("/dev/zero")
        case "directory":
            path.mkdir()
        case "dangling link":
            path.symlink_to(path.parent / "nowhere")
        case "link to itself":
            path.symlink_to(path)


KINDS = ["pipe", "socket", "device", "directory", "dangling link", "link to itself"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mgz", ".mgh", ".npy", ".npz"])
def test_what_is_no_file_is_rejected_and_never_opened(tmp_path: Path, ending: str, kind: str) -> None:
    unusable(tmp_path / f"p{ending}", kind)
    error = rejected(str(tmp_path / f"p{ending}"))
    assert error.code == "file_missing"
    assert kind.removesuffix(" to itself") in error.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("version", "name"), [
    (2, ".zgroup"), (2, ".zattrs"), (2, "scale0/.zarray"), (2, "scale0/.zattrs"), (2, "scale0/0.0.0.0"),
    (3, "zarr.json"), (3, "scale0/zarr.json"), (3, "scale0/c/0/0/0/0"),
])  # fmt: skip
def test_metadata_and_chunks_that_are_no_files_are_rejected(tmp_path: Path, version: int, name: str, kind: str) -> None:
    path = write_ome(tmp_path / "p.ome.zarr", CZYX, {2: "0.4", 3: "0.5"}[version], "czyx")
    unusable(Path(path) / name, kind)
    if kind == "directory" and "0/0" in name:
        return  # a chunk's name within another: a folder of the store, so that the chunk is absent
    assert rejected(path).code in ("file_missing", "not_this_format")


def test_a_pipe_for_a_mask_or_a_sidecar_rejects_the_sample(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "p.nii", P)
    os.mkfifo(tmp_path / "m.nii")
    os.mkfifo(tmp_path / "p.json")
    os.mkfifo(tmp_path / "dataset.json")
    for column in ("mask", "reference", "atlas"):
        sample = Sample("s", path, **{column: str(tmp_path / "m.nii")})
        with pytest.raises(DataError, match="a pipe"):
            convert_sample(sample, tmp_path / "s", recipe=recipe(sample, settings()), chunk=64)
    for sidecar in ("labelmap", "dataset_json"):
        sample = Sample("s", path)
        with pytest.raises(DataError, match="a pipe"):
            convert_sample(sample, tmp_path / "s", recipe=recipe(sample, settings(sidecar=sidecar)), chunk=64)


def test_chunks_that_may_not_be_seen_are_not_taken_for_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_zarr(tmp_path / "p.zarr", CZYX, (1, 7, 6, 5))
    scandir = os.scandir

    def forbidden(folder: Any) -> Any:
        if os.fspath(folder).endswith("c/1"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", forbidden)
    assert rejected(path, class_axis="first").code == "file_unreadable"


def test_linked_folders_of_a_store_are_read(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "p.zarr", CZYX, (1, 7, 6, 5))
    (tmp_path / "p.zarr/c/1").rename(tmp_path / "elsewhere")
    (tmp_path / "p.zarr/c/1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "p.zarr")
    np.testing.assert_array_equal(read(path), P.T)


# Sparse arrays.


@pytest.mark.parametrize("version", [2, 3])
def test_a_nearly_empty_array_is_read(tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture) -> None:
    p = np.zeros((1, 40, 40, 40), np.float32)
    p[0, :4, :4, :4] = 0.5
    path = write_zarr(tmp_path / "p.zarr", p, (1, 4, 4, 4), version)
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=1, class_axis="first", axes="zyx"))[0], p)
    assert "999 of 1000 chunks are absent and count as 0" in caplog.text


@pytest.mark.parametrize("change", [
    {"shape": [1, 2**30, 2**30, 2**10], "chunks": [1, 2**8, 2**8, 2**8]},
    {"shape": [1, 2**11, 2**11, 2**9], "chunks": [1, 4, 4, 4]},
    {"shape": [1, 2**12, 2**12, 2**12], "chunks": [1, 256, 256, 256]},
])  # fmt: skip
def test_an_array_that_promises_far_more_than_it_has_is_rejected(tmp_path: Path, change: dict[str, Any]) -> None:
    path = write_zarr(tmp_path / "p.zarr", np.ones((1, 4, 4, 4), np.float32), (1, 4, 4, 4), 2)
    edited(tmp_path / "p.zarr/.zarray", **change)
    error = rejected(path, n_classes=1, class_axis="first")
    assert error.code == "file_truncated"
