"""NIfTI: types, scaling, byte order, axes and affines, as the standard and nibabel have them."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from files import AFFINE, SHAPE, softmax_field, write_nifti
from reader_contract import assemble, rejected
from volume_entropy.readers import open_reader, read_geometry

REAL_TYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


@pytest.mark.parametrize("dtype", REAL_TYPES)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("slope", "inter"), [(1, 0), (0.25, 0), (-0.5, 3), (0, 7), (np.nan, 1), (np.inf, 0)])
def test_values_are_those_that_nibabel_gives(
    tmp_path: Path, dtype: str, order: str, slope: float, inter: float
) -> None:
    stored = np.random.default_rng(1).integers(0, 127, (*SHAPE, 2)).astype(dtype)
    path = write_nifti(tmp_path / "p.nii", stored, order=order, slope=slope, inter=inter)
    expected = np.asarray(nibabel.load(path).dataobj, dtype=np.float64)
    np.testing.assert_allclose(assemble(open_reader(path, n_classes=2))[0], expected.T, rtol=1e-7, atol=0)


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_negative_integers_are_scaled_with_their_sign(tmp_path: Path, dtype: str) -> None:
    limits = np.iinfo(dtype)
    stored = np.array([limits.min, -1, 0, 1, limits.max], dtype=dtype).reshape(5, 1, 1)
    path = write_nifti(tmp_path / "p.nii", stored, slope=0.5, inter=1)
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=1)).ravel(), stored.ravel() * 0.5 + 1)


@pytest.mark.parametrize(
    ("dtype", "slope", "quantum"),
    [("uint8", 1 / 256, 1 / 256), ("int16", -0.5, 0.5), ("uint8", 1, 0), ("uint8", 0, 0), ("float32", 0.5, 0)],
)
def test_the_quantum_is_the_step_of_a_scaled_integer(tmp_path: Path, dtype: str, slope: float, quantum: float) -> None:
    path = write_nifti(tmp_path / "p.nii", np.ones(SHAPE, dtype), slope=slope)
    assert open_reader(path, n_classes=1).quantum == quantum


def test_a_float64_beyond_float32_becomes_infinite(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "p.nii", np.full(SHAPE, 1e300))
    assert np.isinf(assemble(open_reader(path, n_classes=1))).all()


def test_a_slope_with_an_infinite_intercept_is_rejected(tmp_path: Path) -> None:
    assert rejected(write_nifti(tmp_path / "p.nii", softmax_field(), slope=2, inter=np.inf)).code == "header_invalid"


@pytest.mark.parametrize("class_axis", ["first", "last"])
def test_a_slice_with_classes_is_a_volume_of_one_slice(tmp_path: Path, class_axis: str) -> None:
    p = softmax_field((5, 6, 1))
    stored = p[:, :, 0]
    path = write_nifti(tmp_path / "p.nii.gz", np.moveaxis(stored, -1, 0) if class_axis == "first" else stored)
    reader = open_reader(path, n_classes=3, class_axis=class_axis)
    assert reader.geometry.shape == (5, 6, 1)
    np.testing.assert_array_equal(assemble(reader)[0], p.T)


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 1, 1), (5, 6, 1, 1, 1, 1)])
def test_a_slice_of_one_class_may_have_any_number_of_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    p = softmax_field((5, 6, 1))[..., 0]
    path = write_nifti(tmp_path / "p.nii", p.reshape(shape))
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=1))[0, 0], p.T)


def test_a_vector_image_has_its_classes_last_whatever_is_declared(tmp_path: Path) -> None:
    p = softmax_field()
    path = write_nifti(tmp_path / "p.nii", p[:, :, :, None, :])
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=3, class_axis="first"))[0], p.T)


@pytest.mark.parametrize("class_axis", ["first", "last"])
@pytest.mark.parametrize("shape", [(1, *SHAPE), (*SHAPE, 1)])
def test_an_axis_of_a_single_class_may_stand_on_either_side(
    tmp_path: Path, class_axis: str, shape: tuple[int, ...]
) -> None:
    p = softmax_field()[..., 0]
    path = write_nifti(tmp_path / "p.nii", p.reshape(shape))
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=1, class_axis=class_axis))[0, 0], p.T)


def test_the_declared_class_axis_decides_and_the_other_is_named(tmp_path: Path) -> None:
    error = rejected(write_nifti(tmp_path / "p.nii", np.moveaxis(softmax_field(), -1, 0)))
    assert error.code == "class_mismatch"
    assert "`cxyz`" in error.remedy


@pytest.mark.parametrize("shape", [(5,), (5, 6, 7, 2, 3), (5, 6, 7, 3, 2, 2)])
def test_axes_that_cannot_be_told_apart_are_rejected(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert rejected(write_nifti(tmp_path / "p.nii", np.zeros(shape, np.float32))).code == "axes_unclear"


def test_a_volume_without_class_axis_is_rejected_where_classes_are_expected(tmp_path: Path) -> None:
    error = rejected(write_nifti(tmp_path / "p.nii", softmax_field()[..., 0]))
    assert error.code == "class_mismatch"
    assert "{class}" in error.remedy


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 2), (3, 4)])
def test_the_affine_is_the_one_that_nibabel_takes(tmp_path: Path, codes: tuple[int, int]) -> None:
    image = nibabel.Nifti1Image(softmax_field(), None)
    turned = nibabel.affines.from_matvec(nibabel.eulerangles.euler2mat(0.1, -0.2, 0.3) @ np.diag([1, 2, 3]), [4, 5, 6])
    image.set_qform(turned, codes[0])
    image.set_sform(AFFINE, codes[1])
    image.header["pixdim"][1:4] = [1, 2, 3]
    nibabel.save(image, tmp_path / "p.nii")
    geometry = read_geometry(str(tmp_path / "p.nii"))
    loaded = nibabel.load(tmp_path / "p.nii")
    np.testing.assert_allclose(geometry.affine, loaded.header.get_best_affine(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(geometry.zooms, nibabel.affines.voxel_sizes(geometry.affine))
    assert (geometry.qform_code, geometry.sform_code) == codes
    if codes[0]:
        np.testing.assert_allclose(geometry.qform, loaded.header.get_qform())


@pytest.mark.parametrize(("units", "volume"), [(0, 3.0), (1, 3e9), (2, 3.0), (3, 3e-9), (2 + 8, 3.0)])
def test_the_voxel_volume_is_in_cubic_millimetres(tmp_path: Path, units: int, volume: float) -> None:
    path = write_nifti(tmp_path / "p.nii", softmax_field(), xyzt_units=units)
    assert read_geometry(path).voxel_volume_mm3 == pytest.approx(volume)


@pytest.mark.parametrize("fields", [{"srow_x": [np.nan] * 4}, {"srow_x": [0.0] * 4}, {"srow_y": [np.inf] * 4}])
def test_an_affine_that_leads_nowhere_is_rejected(tmp_path: Path, fields: dict[str, list[float]]) -> None:
    assert rejected(write_nifti(tmp_path / "p.nii", softmax_field(), **fields)).code == "header_invalid"


def test_a_qform_that_is_no_rotation_matters_only_without_sform(tmp_path: Path) -> None:
    broken = {"qform_code": 1, "quatern_b": 5.0}
    assert read_geometry(write_nifti(tmp_path / "a.nii", softmax_field(), **broken)).qform is None
    error = rejected(write_nifti(tmp_path / "b.nii", softmax_field(), sform_code=0, **broken))
    assert error.code == "header_invalid"


def test_the_geometry_is_that_of_json_too(tmp_path: Path) -> None:
    import json

    geometry = read_geometry(write_nifti(tmp_path / "p.nii", softmax_field()))
    header = json.loads(json.dumps(geometry.header(), allow_nan=False))
    assert header["shape"] == list(SHAPE)
    assert header["affine"] == AFFINE.tolist()


@pytest.mark.parametrize("qform_code", [0, 1])
def test_a_geometry_comes_back_from_json(tmp_path: Path, qform_code: int) -> None:
    import json

    from volume_entropy.readers import Geometry, check_same_place

    geometry = read_geometry(write_nifti(tmp_path / "p.nii", softmax_field(), qform_code=qform_code))
    restored = Geometry.from_header(json.loads(json.dumps(geometry.header())))
    assert restored.header() == geometry.header()
    assert (restored.shape, restored.other_mm is None) == (geometry.shape, qform_code == 0)
    check_same_place("one", restored, "other", geometry)
