"""Places are compared in voxels: the same in any unit and at any size, another from a tenth of a voxel on."""

import logging
from pathlib import Path
from typing import Any

import nibabel
import nibabel.processing
import numpy as np
import pytest
from array_files import write_mgh, write_ome
from files import AFFINE, SHAPE, recipe, settings, softmax_field, write_nifti
from hypothesis import given
from hypothesis import strategies as st
from nibabel.eulerangles import euler2mat
from volume_entropy.errors import DataError
from volume_entropy.readers import Geometry, check_same_place, read_geometry

UNITS = {"meter": 1e3, "mm": 1.0, "micron": 1e-3}
# Of the voxels' axes, as scanners and programs order them; each is half a turn, or none, away from the world's.
ORIENTATIONS = ("RAS", "LAS", "LPS", "RPS", "LSA", "PIR", "ASR")


def oriented(codes: str) -> np.ndarray:
    return nibabel.orientations.inv_ornt_aff(nibabel.orientations.axcodes2ornt(codes), (1, 1, 1))[:3, :3]


def affine_of(codes: str, angles: tuple[float, ...], zooms: tuple[float, ...], origin: tuple[float, ...]) -> np.ndarray:
    return nibabel.affines.from_matvec(euler2mat(*angles) @ oriented(codes) @ np.diag(zooms), origin)


def stored(
    path: Path, affine: np.ndarray, shape: tuple[int, ...] = SHAPE, *, sform: int = 2, qform: int = 0, unit: str = "mm"
) -> str:
    """A NIfTI of zeros with `affine`, given in mm, in the transforms whose codes are not 0."""
    scaled = affine.copy()
    scaled[:3] /= UNITS.get(unit, 1.0)
    image = nibabel.Nifti1Image(np.zeros(shape, np.uint8), None)
    image.set_sform(scaled, sform)
    image.set_qform(scaled, qform)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return str(path)


def compared(first: str, second: str) -> None:
    check_same_place(second, read_geometry(second), first, read_geometry(first))


def apart(first: str, second: str) -> DataError:
    with pytest.raises(DataError) as caught:
        compared(first, second)
    assert caught.value.code == "affine_mismatch"
    assert first in caught.value.message
    assert second in caught.value.message
    return caught.value


def geometry(affine: np.ndarray, shape: tuple[int, int, int], unit_mm: float = 1.0) -> Geometry:
    """A geometry without rounding."""
    return Geometry(shape, affine, (1.0, 1.0, 1.0), unit_mm, sform_code=1, xyzt_units=2)


def agree(one: Geometry, other: Geometry) -> bool:
    try:
        check_same_place("one", one, "other", other)
    except DataError:
        return False
    return True


PLACES = {
    "codes": st.sampled_from(ORIENTATIONS),
    "angles": st.tuples(*[st.floats(-0.5, 0.5)] * 3),
    "zooms": st.tuples(*[st.floats(0.1, 10)] * 3),
    "origin": st.tuples(*[st.floats(-200, 200)] * 3),
    "shape": st.tuples(*[st.integers(2, 600)] * 3),
    "size": st.sampled_from([1e-7, 1e-3, 1.0, 1e3]),
}


@given(**PLACES, share=st.floats(0, 2), axis=st.integers(0, 2), sign=st.sampled_from([-1, 1]))
def test_a_shift_counts_in_voxels_whatever_their_size(
    codes: str, angles: Any, zooms: Any, origin: Any, shape: Any, size: float, share: float, axis: int, sign: int
) -> None:
    affine = affine_of(codes, angles, np.array(zooms) * size, np.array(origin) * size)
    moved = affine.copy()
    moved[:3, 3] += affine[:3, axis] * share * sign
    for unit_mm in UNITS.values():
        other = moved.copy()
        other[:3] /= unit_mm
        if abs(share - 0.1) > 1e-6:
            assert agree(geometry(affine, shape), geometry(other, shape, unit_mm)) == (share < 0.1)


@given(**PLACES, share=st.floats(0.01, 2), axes=st.sampled_from([(0, 1), (0, 2), (1, 2)]))
def test_a_turn_counts_by_where_it_takes_the_corners(
    codes: str, angles: Any, zooms: Any, origin: Any, shape: Any, size: float, share: float, axes: Any
) -> None:
    affine = affine_of(codes, angles, np.array(zooms) * size, np.array(origin) * size)
    longest = max(shape[axes[0]], shape[axes[1]]) - 1
    # A shear that moves the far end of the one axis by `share` voxels along the other.
    shear = np.eye(4)
    shear[axes[0], axes[1]] = share / (shape[axes[1]] - 1)
    assert longest >= 1
    if abs(share - 0.1) > 1e-6:
        assert agree(geometry(affine @ shear, shape), geometry(affine, shape)) == (share < 0.1)


@given(**PLACES, flips=st.tuples(*[st.booleans()] * 3).filter(any))
def test_a_flipped_grid_is_another_at_any_size_and_is_called_so(
    codes: str, angles: Any, zooms: Any, origin: Any, shape: Any, size: float, flips: Any
) -> None:
    affine = affine_of(codes, angles, np.array(zooms) * size, np.array(origin) * size)
    turns = np.array([[axis, -1 if flip else 1] for axis, flip in enumerate(flips)])
    flipped = affine @ nibabel.orientations.inv_ornt_aff(turns, shape)
    with pytest.raises(DataError, match="opposite direction") as caught:
        check_same_place("one", geometry(flipped, shape), "other", geometry(affine, shape))
    named = caught.value.message.split("along ")[2].split(" in ")[0]
    assert named == " and ".join(name for name, flip in zip("xyz", flips, strict=True) if flip)


def test_permuted_axes_of_a_cube_are_another_place(tmp_path: Path) -> None:
    affine = affine_of("RAS", (0.1, 0, 0), (1, 2, 3), (0, 0, 0))
    permuted = affine[:, [1, 0, 2, 3]]
    first, second = stored(tmp_path / "a.nii", affine, (6, 6, 6)), stored(tmp_path / "b.nii", permuted, (6, 6, 6))
    assert "another order" in apart(first, second).message


@pytest.mark.parametrize("shape", [(20, 22, 18), (512, 512, 30), (1024, 1024, 600)])
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_what_a_qform_loses_by_rounding_is_no_other_place(tmp_path: Path, codes: str, shape: Any) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        angles, zooms = rng.normal(size=3) * 10 ** rng.uniform(-5, -0.5), rng.uniform(0.2, 8, 3)
        affine = affine_of(codes, angles, zooms, rng.uniform(-200, 200, 3))
        header = nibabel.Nifti1Header()
        header.set_qform(affine, 1)
        rounded = header.get_qform()
        exact = geometry(affine.astype(np.float32).astype(np.float64), shape)
        by_qform = Geometry(shape, rounded, (1, 1, 1), qform=rounded, qform_code=1, xyzt_units=2)
        both = Geometry(shape, exact.affine, (1, 1, 1), qform=rounded, qform_code=1, sform_code=1, xyzt_units=2)
        # The qform alone beside the sform, either way round; and a mask whose sform is a qform that was read.
        assert agree(by_qform, exact)
        assert agree(exact, by_qform)
        assert agree(geometry(rounded, shape), both)
        assert agree(both, geometry(rounded, shape))


def test_that_rounding_would_be_another_place_without_its_own_rule() -> None:
    affine = affine_of("LAS", (0.0001, 0.0009, 0.0009), (0.4, 0.4, 6.0), (0, 0, 0))
    header = nibabel.Nifti1Header()
    header.set_qform(affine, 1)
    assert not agree(geometry(header.get_qform(), (512, 512, 30)), geometry(affine, (512, 512, 30)))


@pytest.mark.parametrize("turn", [0.002, 0.05])
@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_a_turned_qform_is_another_place(tmp_path: Path, codes: str, turn: float) -> None:
    shape = (400, 400, 4)
    for axis in range(3):
        angles = [0.0, 0.0, 0.0]
        angles[axis] = turn
        first = stored(tmp_path / "a.nii", affine_of(codes, (0, 0, 0), (1, 1, 1), (0, 0, 0)), shape)
        second = stored(tmp_path / "b.nii", affine_of(codes, angles, (1, 1, 1), (0, 0, 0)), shape, sform=0, qform=1)
        apart(first, second)


@pytest.mark.parametrize("units", [("micron", "mm"), ("mm", "micron"), ("meter", "micron"), ("unknown", "mm")])
def test_the_same_place_in_two_units_is_one(tmp_path: Path, units: tuple[str, str]) -> None:
    affine = affine_of("LPS", (0.1, -0.2, 0.3), (0.0018, 0.0018, 0.005), (1.5, -2.25, 0.125))
    first, second = (stored(tmp_path / f"{unit}.nii", affine, unit=unit) for unit in units)
    compared(first, second)


@pytest.mark.parametrize("wrong", [0, 1])
@pytest.mark.parametrize("unit", ["micron", "meter"])
def test_a_unit_that_is_missing_is_said_and_the_remedy_helps(tmp_path: Path, unit: str, wrong: int) -> None:
    affine = affine_of("RAS", (0.1, 0.2, 0), (0.5, 0.5, 2), (3, 4, 5))
    paths = [stored(tmp_path / "a.nii", affine, unit=unit), stored(tmp_path / "b.nii", affine)]
    lacking = paths[wrong]
    image = nibabel.load(lacking)
    # Numbers of the one unit, in a header that says none: they count as mm.
    scaled = affine.copy()
    scaled[:3] /= UNITS[unit]
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), scaled)
    nibabel.save(image, lacking)
    other = stored(tmp_path / "c.nii", affine)
    pair = (lacking, other) if wrong else (other, lacking)
    error = apart(*pair)
    assert {"micron": "micrometres", "meter": "metres"}[unit] in error.message
    assert "does not say its unit, which counts as millimetres" in error.message
    assert lacking in error.remedy
    image.header.set_xyzt_units(unit)
    nibabel.save(image, lacking)
    compared(*pair)


@pytest.mark.parametrize("which", ["former", "latter", "both"])
def test_the_transform_that_fits_is_named_and_the_remedy_makes_it_count(tmp_path: Path, which: str) -> None:
    right, wrong = (affine_of("LAS", (0, 0, 0.1), (1, 1, 3), (x, 0, 0)) for x in (0, 7))
    paths = {"latter": stored(tmp_path / "a.nii", right, qform=1), "former": stored(tmp_path / "b.nii", right, qform=1)}
    for number, name in enumerate(paths if which == "both" else [which]):
        image = nibabel.load(paths[name])
        image.set_sform(nibabel.affines.from_matvec(wrong[:3, :3], wrong[:3, 3] + number), 1)
        nibabel.save(image, paths[name])
    error = apart(paths["latter"], paths["former"])
    said = "their qforms agree" if which == "both" else f"the qform of the {which} lies where"
    assert said in error.message
    for name in paths if which == "both" else [which]:
        assert paths[name] in error.remedy
        image = nibabel.load(paths[name])
        image.set_sform(image.get_qform(), 1)
        nibabel.save(image, paths[name])
    compared(paths["latter"], paths["former"])


def test_no_transform_is_tried_that_does_not_count() -> None:
    affine = affine_of("RAS", (0, 0, 0), (1, 1, 1), (0, 0, 0))
    moved = affine_of("RAS", (0, 0, 0), (1, 1, 1), (5, 0, 0))
    beside = Geometry(SHAPE, moved, (1, 1, 1), qform=affine, qform_code=0, sform_code=1, xyzt_units=2)
    with pytest.raises(DataError) as caught:
        check_same_place("one", beside, "other", geometry(affine, SHAPE))
    assert "qform" not in caught.value.message


@pytest.mark.parametrize("order", ["mask", "probabilities"])
def test_a_file_that_says_no_place_is_told_so(tmp_path: Path, order: str) -> None:
    mute = write_nifti(tmp_path / "mute.nii", np.zeros(SHAPE, np.uint8), sform_code=0, qform_code=0, xyzt_units=2)
    placed = stored(tmp_path / "placed.nii", AFFINE)
    error = apart(placed, mute) if order == "mask" else apart(mute, placed)
    assert "its sform_code and qform_code are 0" in error.message
    assert mute in error.remedy
    image = nibabel.load(mute)
    image.set_sform(nibabel.load(placed).affine, 1)
    nibabel.save(image, mute)
    compared(placed, mute)


def test_two_files_that_say_no_place_are_compared_by_their_voxels(tmp_path: Path) -> None:
    how = {"sform_code": 0, "qform_code": 0}
    first, second, third = (
        write_nifti(tmp_path / f"{name}.nii", np.zeros(SHAPE, np.uint8), pixdim=[1, *zooms, 1, 1, 1, 1], **how)
        for name, zooms in {"a": (1, 1, 2), "b": (1, 1, 2), "c": (1, 1, 3)}.items()
    )
    compared(first, second)
    assert "voxel sizes differ" in apart(first, third).remedy


def test_an_mgh_file_without_geometry_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "p.mgh"
    content = bytearray(Path(write_mgh(path, softmax_field()[..., 0])).read_bytes())
    content[28:30] = b"\0\0"
    path.write_bytes(content)
    assert "marks its geometry as not valid" in apart(stored(tmp_path / "a.nii", AFFINE), str(path)).message


def test_formats_are_compared_with_each_other(tmp_path: Path) -> None:
    p = softmax_field()
    ome = write_ome(tmp_path / "p.ome.zarr", np.moveaxis(p, -1, 0).transpose(0, 3, 2, 1), "0.4", "czyx")
    affine = np.array([[1.5, 0, 0, -7], [0, 2, 0, 0], [0, 0, 0.5, 9], [0, 0, 0, 1]])
    compared(ome, stored(tmp_path / "a.nii", affine, unit="micron"))
    compared(ome, write_mgh(tmp_path / "a.mgz", p[..., 0], affine))
    affine[0, 3] += 4 * 1.5
    assert "4 voxels apart along x" in apart(ome, stored(tmp_path / "b.nii", affine, unit="micron")).message


# Headers that say their place badly.


@pytest.mark.parametrize("zeros", [{}, {"srow_x": [0, 0, 0, 5.0]}])
def test_an_sform_of_zeros_leaves_the_place_to_the_qform(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, zeros: dict[str, Any]
) -> None:
    affine = affine_of("LAS", (0, 0.1, 0.1), (1, 2, 3), (4, 5, 6))
    path = stored(tmp_path / "a.nii", affine, qform=1)
    image = nibabel.load(path)
    rows = {"srow_x": [0] * 4, "srow_y": [0] * 4, "srow_z": [0] * 4, **zeros}
    for name, row in rows.items():
        image.header[name] = row
    content = bytearray(Path(path).read_bytes())
    content[:348] = image.header.binaryblock
    Path(path).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        found = read_geometry(path)
    np.testing.assert_allclose(found.affine, affine, atol=1e-4)
    assert (found.qform_code, found.sform_code, found.assumed) == (1, 0, "")
    assert "its qform is used instead" in caplog.text
    compared(stored(tmp_path / "b.nii", affine), path)


@pytest.mark.parametrize("qform", [{"qform_code": 0}, {"qform_code": 1, "quatern_b": 5.0}])
def test_an_sform_of_zeros_without_a_qform_is_told_in_words(tmp_path: Path, qform: dict[str, Any]) -> None:
    zeros = {name: [0.0] * 4 for name in ("srow_x", "srow_y", "srow_z")}
    path = write_nifti(tmp_path / "a.nii", softmax_field()[..., 0], sform_code=1, **zeros, **qform)
    with pytest.raises(DataError, match="sform of zeros, and no qform") as caught:
        read_geometry(path)
    assert caught.value.code == "header_invalid"
    image = nibabel.Nifti1Image(softmax_field()[..., 0], AFFINE)  # the remedy: the place of the image it was made from
    nibabel.save(image, tmp_path / "b.nii")
    compared(stored(tmp_path / "c.nii", AFFINE), str(tmp_path / "b.nii"))


def test_an_sform_that_leads_nowhere_beside_a_qform_names_it(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "a.nii", softmax_field(), qform_code=1, quatern_b=0.1, srow_x=[np.nan] * 4)
    with pytest.raises(DataError, match="put the voxels nowhere") as caught:
        read_geometry(path)
    assert "qform" in caught.value.remedy


@pytest.mark.parametrize("how", ["qform", "sform", "both"])
@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1)])
def test_a_slice_without_thickness_is_read(tmp_path: Path, shape: tuple[int, ...], how: str) -> None:
    thin = {"pixdim": [1, 2, 3, 0, 0, 0, 0, 0], "qform_code": 0, "sform_code": 0}
    if how != "sform":
        thin |= {"qform_code": 1, "quatern_d": np.sin(0.2)}
    if how != "qform":
        thin |= {"sform_code": 1, "srow_x": [2, 0, 0, 0], "srow_y": [0, 3, 0, 0], "srow_z": [0, 0, 0, 7]}
    found = read_geometry(write_nifti(tmp_path / "p.nii", np.zeros(shape, np.float32), **thin))
    assert found.shape == (5, 6, 1)
    assert found.zooms == pytest.approx((2, 3, 1))
    assert found.voxel_volume_mm3 == pytest.approx(6)


def test_a_volume_without_thickness_is_not(tmp_path: Path) -> None:
    thin = {"pixdim": [1, 2, 3, 0, 0, 0, 0, 0], "qform_code": 1, "sform_code": 0}
    with pytest.raises(DataError, match="nowhere"):
        read_geometry(write_nifti(tmp_path / "p.nii", np.zeros((5, 6, 2), np.float32), **thin))


def test_the_thickness_of_one_slice_does_not_count(tmp_path: Path) -> None:
    affines = [affine_of("LPS", (0, 0, 0.1), (1, 1, thickness), (1, 2, 3)) for thickness in (1, 5)]
    first, second = (stored(tmp_path / f"{n}.nii", affine, (5, 6, 1)) for n, affine in enumerate(affines))
    compared(first, second)
    affines[1][:3, 3] += affines[1][:3, 2]
    assert "along z" in apart(first, stored(tmp_path / "b.nii", affines[1], (5, 6, 1))).message


def test_resampling_as_the_remedy_says_ends_the_mismatch(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    affine = affine_of("LPS", (0, 0, 0), (1, 1, 2), (0, 0, 0))
    like = nibabel.Nifti1Image(np.zeros((*SHAPE, 3), np.float32), affine)
    truth = rng.integers(0, 4, SHAPE).astype(np.uint8)
    # The same labels, counted from the other end of x.
    flipped = affine @ nibabel.orientations.inv_ornt_aff([[0, -1], [1, 1], [2, 1]], SHAPE)
    nibabel.save(like, tmp_path / "p.nii")
    nibabel.save(nibabel.Nifti1Image(truth[::-1], flipped), tmp_path / "y.nii")
    error = apart(str(tmp_path / "p.nii"), str(tmp_path / "y.nii"))
    assert "resample_from_to(image, (like.shape[:3], like.affine), order=0)" in error.remedy
    image = nibabel.load(tmp_path / "y.nii")
    made = nibabel.processing.resample_from_to(image, (like.shape[:3], like.affine), order=0)
    np.testing.assert_array_equal(np.asarray(made.dataobj), truth)
    nibabel.save(made, tmp_path / "z.nii")
    compared(str(tmp_path / "p.nii"), str(tmp_path / "z.nii"))


def test_the_map_lies_where_the_probabilities_do(tmp_path: Path) -> None:
    from volume_entropy.convert import convert_sample
    from volume_entropy.samples import Sample
    from volume_entropy.stores.probabilities import open_probabilities

    affine = affine_of("LAS", (0, 0, 0.0003), (0.4, 0.4, 6.0), (1, 2, 3))
    nibabel.save(nibabel.Nifti1Image(softmax_field(), affine), tmp_path / "p.nii")
    mask = nibabel.Nifti1Image(np.ones(SHAPE, np.uint8), None)
    mask.set_qform(affine, 1)
    nibabel.save(mask, tmp_path / "m.nii")
    sample = Sample("s", str(tmp_path / "p.nii"), mask=str(tmp_path / "m.nii"))
    convert_sample(sample, tmp_path / "p.zarr", recipe=recipe(sample, settings()), chunk=64)
    np.testing.assert_array_equal(open_probabilities(tmp_path / "p.zarr").affine, affine.astype(np.float32))
