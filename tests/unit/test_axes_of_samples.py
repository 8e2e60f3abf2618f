"""The axes of a whole sample: members that hide behind another axis, and order that nothing beside can confirm."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_files import write_npy, write_npz, write_ome, write_zarr
from files import AFFINE, recipe, settings, softmax_field, write_nifti
from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.samples import Sample
from volume_entropy.stores.probabilities import ProbabilityStore, open_probabilities

OLDER = {"class_axis": "first", "axes": "zyx"}
UNSAID = {"class_axis": None, "axes": None}


def declared(axes: str, **others: Any) -> dict[str, Any]:
    return {"class_axis": None, "axes": axes, **others}


def members(n: int) -> list[str]:
    return [str(number) for number in range(n)]


def convert(sample: Sample, folder: Path, resolved: dict[str, Any], in_place: bool = False) -> ProbabilityStore:
    convert_sample(sample, folder / "store.zarr", recipe=recipe(sample, resolved), chunk=64, in_place=in_place)
    store = open_probabilities(folder / "store.zarr")
    assert isinstance(store, ProbabilityStore)
    return store


def rejected(sample: Sample, folder: Path, resolved: dict[str, Any]) -> DataError:
    with pytest.raises(DataError) as caught:
        convert(sample, folder / "rejected", resolved)
    assert not (folder / "rejected/store.zarr").exists()
    return caught.value


def stack(n_members: int, n_classes: int, shape: tuple[int, int, int]) -> np.ndarray:
    """(m, c, z, y, x)."""
    if n_classes == 1:
        return np.stack([softmax_field(shape, 2, seed=m)[..., :1].T for m in range(n_members)])
    return np.stack([softmax_field(shape, n_classes, seed=m).T for m in range(n_members)])


def moved(p: np.ndarray, order: str) -> np.ndarray:
    """(m, c, z, y, x) as `order` says, without the axes that it leaves out."""
    kept = p.squeeze(tuple(axis for axis, letter in enumerate("mczyx") if letter not in order))
    letters = [letter for letter in "mczyx" if letter in order]
    return np.ascontiguousarray(kept.transpose([letters.index(letter) for letter in order]))


SLICE, VOLUME = (20, 24, 1), (6, 7, 8)
# Layouts in which the members are not where the older keys expect them.
HIDDEN = {
    "(1, C, H, W, T)": (stack(5, 4, SLICE), "cyxm", True),
    "(1, C, H, W, T), T = C": (stack(4, 4, SLICE), "cyxm", True),
    "(1, C, H, W, T), T = H": (stack(24, 4, SLICE), "cyxm", True),
    "(T, C, H, W)": (stack(5, 4, SLICE), "mcyx", False),
    "(T, C, H, W), T = C": (stack(4, 4, SLICE), "mcyx", False),
    "(T, C, H, W), T = W": (stack(20, 4, SLICE), "mcyx", False),
    "(C, T, H, W)": (stack(5, 4, SLICE), "cmyx", False),
    "(C, H, W, T)": (stack(5, 4, SLICE), "cyxm", False),
    "(H, W, C, T), T = C": (stack(4, 4, SLICE), "yxcm", False),
    "(T, z, y, x)": (stack(5, 1, VOLUME), "mzyx", False),
    "(T, z, y, x), T = x": (stack(6, 1, VOLUME), "mzyx", False),
    "(z, y, x, T)": (stack(5, 1, VOLUME), "zyxm", False),
    "(T, H, W)": (stack(5, 1, SLICE), "myx", False),
    "(H, W, T)": (stack(5, 1, SLICE), "yxm", False),
    "(C, T, z, y, x)": (stack(5, 4, VOLUME), "cmzyx", False),
    "(C, z, y, x, T)": (stack(5, 4, VOLUME), "czyxm", False),
}


@pytest.mark.parametrize("keys", [OLDER, {"class_axis": "last", "axes": "xyz"}, UNSAID], ids=["first", "last", "none"])
@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("ending", [".npy", ".npz", ".zarr"])
def test_members_that_hide_are_refused_with_the_right_string_and_read_by_it(
    tmp_path: Path, name: str, keys: dict[str, Any], ending: str
) -> None:
    p, order, leading = HIDDEN[name]
    array = moved(p, order)[None] if leading else moved(p, order)
    path = tmp_path / f"p{ending}"
    match ending:
        case ".npy":
            write_npy(path, array)
        case ".npz":
            write_npz(path, p=array)
        case _:
            write_zarr(path, array, tuple(min(size, 7) for size in array.shape))
    sample, n_members = Sample("s", str(path)), p.shape[0]
    how = {"kind": "regions", "members": members(n_members)}
    error = rejected(sample, tmp_path, settings(p.shape[1], **keys, **how))
    assert error.code in ("axes_unclear", "class_mismatch", "shape_mismatch")
    assert f"`{order}`" in error.remedy
    # However many a file holds: the axis would be a guess.
    assert "null" not in error.remedy
    for in_place in (False, True):
        store = convert(sample, tmp_path, settings(p.shape[1], **declared(order), **how), in_place)
        np.testing.assert_array_equal(store.array[:], p)
        assert store.members == members(n_members)
        assert store.warnings == ()


def test_a_declared_member_axis_must_have_the_configured_members(tmp_path: Path) -> None:
    p = stack(3, 4, VOLUME)
    for array, order in ((p, "mczyx"), (p[:1], "mczyx"), (moved(p[:, :1], "mzyx"), "mzyx")):
        sample = Sample("s", write_npy(tmp_path / "p.npy", array))
        how = settings(array.shape[1] if array.ndim == 5 else 1, **declared(order, members=members(5)))
        error = rejected(sample, tmp_path, how)
        assert error.code == "shape_mismatch"
        assert f"so {len(array)} member" in error.message
        assert "expected 5" in error.message
    # As many as a file holds, without a number.
    assert convert(sample, tmp_path, settings(1, **declared("mzyx"))).members == members(3)


def test_an_array_without_the_declared_member_axis_is_no_sample_of_one(tmp_path: Path) -> None:
    p = stack(1, 4, VOLUME)
    sample = Sample("s", write_npy(tmp_path / "p.npy", p[0]))
    for n in (5, None):
        error = rejected(sample, tmp_path, settings(4, **declared("mczyx", members=n and members(n))))
        assert error.code == "axes_unclear"
        assert "{member}" in error.remedy
    # A file that {member} names is one member, with or without such an axis.
    write_npy(tmp_path / "q0.npy", p)
    write_npy(tmp_path / "q1.npy", p[0])
    store = convert(
        Sample("s", str(tmp_path / "q{member}.npy")), tmp_path, settings(4, **declared("mczyx", members=members(2)))
    )
    np.testing.assert_array_equal(store.array[:], np.concatenate([p, p]))


def test_a_row_of_one_member_stays_one_where_no_axis_can_be_members(tmp_path: Path) -> None:
    p = stack(1, 3, VOLUME)
    paths = [write_npy(tmp_path / "p.npy", p[0]), write_nifti(tmp_path / "p.nii", np.ascontiguousarray(p[0].T))]
    for path, keys in zip(paths, (OLDER, UNSAID), strict=True):
        assert convert(Sample("s", path), tmp_path, settings(3, **keys, members=members(5))).members == ["0"]
    # By the standard of NIfTI the first three axes are space, however many members there are elsewhere.
    assert convert(Sample("s", paths[1]), tmp_path, settings(3, **UNSAID, members=members(8))).members == ["0"]
    # Declared, it is what is declared.
    assert convert(Sample("s", paths[0]), tmp_path, settings(3, **declared("czyx", members=members(8)))).members == [
        "0"
    ]
    error = rejected(Sample("s", paths[0]), tmp_path, settings(3, **OLDER, members=members(8)))
    assert error.code == "axes_unclear"
    assert "set `czyx`" in error.remedy


def test_a_volume_of_one_class_with_as_many_slices_as_members_can_be_declared(tmp_path: Path) -> None:
    sample = Sample("s", write_npy(tmp_path / "p.npy", softmax_field((8, 7, 5), 2)[..., 0].T))
    for keys in ({"class_axis": None, "axes": "zyx"}, UNSAID):
        error = rejected(sample, tmp_path, settings(1, **keys, members=members(5)))
        (declared_order,) = re.findall(r"one member indeed, set `(\w+)`", error.remedy)
        store = convert(sample, tmp_path, settings(1, **declared(declared_order), members=members(5)))
        assert store.members == ["0"]


def test_one_file_a_class_may_lack_the_axis_of_the_class(tmp_path: Path) -> None:
    p = stack(2, 3, VOLUME)
    for index in range(3):
        write_npy(tmp_path / f"class{index}.npy", p[:, index] if index else p[:, index : index + 1])
    sample = Sample("s", str(tmp_path / "{class}.npy"))
    np.testing.assert_array_equal(convert(sample, tmp_path, settings(3, **declared("mczyx"))).array[:], p)


@pytest.mark.parametrize("token", [None, "x"])
def test_nifti_volumes_may_be_members(tmp_path: Path, token: str | None) -> None:
    p = stack(3, 2, VOLUME)
    how = {"kind": "regions", "members": members(3)}
    path = write_nifti(tmp_path / "p.nii.gz", moved(p, "xyzcm"))
    assert "`xyzcm`" in rejected(Sample("s", path), tmp_path, settings(2, **UNSAID, **how)).remedy
    store = convert(Sample("s", path), tmp_path, settings(2, **declared("xyzcm"), **how))
    np.testing.assert_array_equal(store.array[:], p)
    np.testing.assert_array_equal(store.affine, AFFINE)


# Nothing beside can tell


CUBE = (6, 6, 4)


def beside(folder: Path, column: str, shape: tuple[int, int, int]) -> Sample:
    """A plain array without an order, class last, and a file in that column."""
    path = write_npy(folder / "p.npy", softmax_field(shape, 3))
    other = np.ones(shape, np.uint8)
    other.flat[0] = 0  # a mask of the whole field would be a warning of its own
    if column == "geometry":
        write_nifti(folder / "p.nii.gz", other)
        return Sample("s", path)
    ending = column.partition(" ")[2]
    name = write_npy(folder / "m.npy", other) if ending == "npy" else write_nifti(folder / "m.nii", other)
    return Sample("s", path, **{column.split()[0]: name})


@pytest.mark.parametrize("column", ["mask", "mask npy", "image", "reference", "atlas", "geometry"])
@pytest.mark.parametrize("shape", [CUBE, (4, 6, 6), (6, 4, 6), (6, 6, 1), (5, 5, 5)])
def test_an_array_with_two_axes_alike_and_something_beside_must_have_its_order_said(
    tmp_path: Path, column: str, shape: tuple[int, int, int]
) -> None:
    sample = beside(tmp_path, column, shape)
    others: dict[str, Any] = {"reference": {"labels": [[0], [1], [2]], "ignore_labels": []}}
    if column == "geometry":
        others["geometry"] = "{stem}.nii.gz"
    for keys in (UNSAID, {"class_axis": "last", "axes": None}):
        error = rejected(sample, tmp_path, settings(3, **keys, **others))
        assert error.code == "axes_unclear"
        assert "alike" in error.message
        assert "`zyxc`" in error.remedy or "`yxc`" in error.remedy
    for keys in ({"class_axis": "last", "axes": "xyz"}, declared("xyzc")):
        assert convert(sample, tmp_path, settings(3, **keys, **others)).warnings == ()


@pytest.mark.parametrize("column", ["mask", "reference", "atlas"])
def test_a_plain_mask_with_two_axes_alike_beside_a_nifti_must_have_its_order_said(tmp_path: Path, column: str) -> None:
    inside = np.random.default_rng(0).integers(0, 2, CUBE).astype(np.uint8)
    path = write_nifti(tmp_path / "p.nii", softmax_field(CUBE, 3))
    sample = Sample("s", path, **{column: write_npy(tmp_path / "m.npy", np.ascontiguousarray(inside.T))})
    others: dict[str, Any] = {"reference": {"labels": [[0], [1], [2]], "ignore_labels": []}}
    error = rejected(sample, tmp_path, settings(3, **UNSAID, **others))
    assert error.code == "axes_unclear"
    assert "`zyx`" in error.remedy
    store = convert(sample, tmp_path, settings(3, **declared("zyx"), **others))
    if column == "mask":
        np.testing.assert_array_equal(store.read_mask((slice(None),) * 3), inside.T)


@pytest.mark.parametrize(("axes", "order"), [("czyx", "zyx"), ("xyzc", "xyz"), ("zcyx", "zyx"), ("yxzc", "yxz")])
def test_masks_and_images_that_are_arrays_have_the_declared_order_of_space(
    tmp_path: Path, axes: str, order: str
) -> None:
    p = stack(1, 3, (5, 5, 5))
    inside = np.random.default_rng(0).integers(0, 2, (5, 5, 5)).astype(np.uint8)  # (z, y, x)
    image = inside.transpose(["zyx".index(letter) for letter in order])
    path = write_npy(tmp_path / "p.npy", moved(p, axes))
    mask = write_npy(tmp_path / "m.npy", np.ascontiguousarray(image))
    store = convert(Sample("s", path, mask=mask, image=mask), tmp_path, settings(3, **declared(axes)))
    np.testing.assert_array_equal(store.array[:], p)
    np.testing.assert_array_equal(store.read_mask((slice(None),) * 3), inside)


@pytest.mark.parametrize("write", [
    lambda path, p: write_npy(path.with_suffix(".npy"), p), lambda path, p: write_npz(path.with_suffix(".npz"), p=p),
    lambda path, p: write_zarr(path.with_suffix(".zarr"), p, (2, 2, 2, 3)),
])  # fmt: skip
def test_an_order_that_was_assumed_is_said_once_with_the_string_to_set(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / "p", softmax_field(VOLUME, 3))
    (warning,) = convert(Sample("s", path), tmp_path, settings(3, **UNSAID)).warnings
    assert warning.code == "axes_assumed"
    assert path in warning.message
    assert "`probabilities.axes: xyzc`" in warning.message
    assert "`zyxc`" in warning.message
    assert convert(Sample("s", path), tmp_path, settings(3, **declared("xyzc"))).warnings == ()
    mask = write_nifti(tmp_path / "m.nii", np.indices(VOLUME).sum(0).clip(max=1))
    assert convert(Sample("s", path, mask=mask), tmp_path, settings(3, **UNSAID)).warnings == (warning,)


@pytest.mark.parametrize("write", [
    lambda path, p: write_nifti(path.with_suffix(".nii"), p.T),
    lambda path, p: write_ome(path / "o.zarr", p, "0.5", "czyx"),
    lambda path, p: write_zarr(path.with_suffix(".zarr"), p, (1, 2, 2, 2), dimension_names=["class", "z", "y", "x"]),
])  # fmt: skip
def test_a_file_that_names_its_axes_is_not_warned_of(tmp_path: Path, write: Any) -> None:
    path = write(tmp_path / "p", stack(1, 3, VOLUME)[0])
    assert convert(Sample("s", path), tmp_path, settings(3, **UNSAID)).warnings == ()


def test_five_axes_by_the_older_keys_are_read_and_noted(tmp_path: Path) -> None:
    p = stack(3, 4, VOLUME)
    store = convert(Sample("s", write_npy(tmp_path / "p.npy", p)), tmp_path, settings(4, **OLDER, members=members(3)))
    np.testing.assert_array_equal(store.array[:], p)
    assert [warning.code for warning in store.warnings] == ["axes_assumed"]
    assert "`probabilities.axes: mczyx`" in store.warnings[0].message
