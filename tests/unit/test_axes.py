"""Axes: what is declared is read as numpy reads it, what a file names is held against it, and nothing is guessed."""

from itertools import permutations
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from array_files import write_mgh, write_npy, write_npz, write_ome, write_zarr
from hypothesis import HealthCheck, assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from reader_contract import assemble
from volume_entropy.errors import DataError
from volume_entropy.readers import open_reader
from volume_entropy.readers.axes import choices

SIZES = {"m": 2, "c": 3, "z": 4, "y": 5, "x": 6}
ORDERS = ["".join(order) for order in permutations("mczyx")]
FORMATS = ["npy", "npy, Fortran", "npz", "zarr 2", "zarr 3", "ome-zarr"]


def field(sizes: dict[str, int] = SIZES) -> np.ndarray:
    """(m, c, z, y, x), no two values alike."""
    shape = [sizes[letter] for letter in "mczyx"]
    return 1 + np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(np.float32)


def in_order(values: np.ndarray, order: str) -> np.ndarray:
    """An array (m, c, z, y, x) as `order` names its axes; those that it does not name have length 1."""
    left_out = [axis for axis, letter in enumerate("mczyx") if letter not in order]
    letters = [letter for letter in "mczyx" if letter in order]
    kept = values.squeeze(tuple(left_out))
    return np.ascontiguousarray(kept.transpose([letters.index(letter) for letter in order]))


def written(folder: Path, array: np.ndarray, kind: str, order: str = "") -> str:
    """Write an array; only an OME image names its axes, `order`."""
    folder.mkdir(exist_ok=True)
    chunks = tuple(min(2 + axis % 2, size) for axis, size in enumerate(array.shape))
    match kind:
        case "npy":
            return write_npy(folder / "p.npy", array)
        case "npy, Fortran":
            return write_npy(folder / "p.npy", np.asfortranarray(array))
        case "npz":
            return write_npz(folder / "p.npz", p=array)
        case "nifti":
            nibabel.save(nibabel.Nifti1Image(array, np.diag([2, 2, 2, 1])), folder / "p.nii.gz")
            return str(folder / "p.nii.gz")
        case "ome-zarr":
            return write_ome(folder / "p.ome.zarr", array, "0.5", order)
    return write_zarr(folder / "p.zarr", array, chunks, int(kind[-1]))


def refused(path: str, n_classes: int | None = 3, **how: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        assemble(open_reader(path, n_classes=n_classes, **how))
    assert path in caught.value.message
    return caught.value


# What is declared


@pytest.mark.parametrize("kind", FORMATS)
def test_every_order_of_the_five_axes_is_read_as_numpy_shows_it(tmp_path: Path, kind: str) -> None:
    values = field()
    for number, order in enumerate(ORDERS):
        path = written(tmp_path / str(number), in_order(values, order), kind, order)
        reader = open_reader(path, n_classes=3, axes=order)
        assert reader.geometry.shape == (6, 5, 4)
        np.testing.assert_array_equal(assemble(reader, depth=3), values, err_msg=order)


@pytest.mark.parametrize("order", [order for order in ORDERS if "".join(c for c in order if c in "xyz") == "xyz"])
def test_a_nifti_may_hold_members_wherever_they_stand_beside_x_y_z(tmp_path: Path, order: str) -> None:
    values = field()
    path = written(tmp_path, in_order(values, order), "nifti")
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=3, axes=order)), values)


@pytest.mark.parametrize("kind", ["nifti", "mgz"])
def test_volumes_of_one_class_may_be_members(tmp_path: Path, kind: str) -> None:
    values = field({**SIZES, "c": 1})
    array = in_order(values, "xyzm")
    path = written(tmp_path, array, kind) if kind == "nifti" else write_mgh(tmp_path / "p.mgz", array)
    # Following it where they are classes would pass these off as members.
    remedy = refused(path, 1).remedy
    assert "`xyzm`" in remedy
    assert "If they are classes, list them" in remedy
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=1, axes="xyzm")), values)


@pytest.mark.parametrize(("order", "shape"), [
    ("cyx", (3, 5, 6)), ("yxc", (5, 6, 3)), ("mcyx", (2, 3, 5, 6)), ("mzyx", (2, 4, 5, 6)), ("zyxm", (4, 5, 6, 2)),
    ("cyxm", (1, 3, 5, 6, 2)), ("zyx", (1, 4, 5, 6)), ("yx", (5, 6)), ("yx", (1, 5, 6)), ("czyx", (1, 3, 4, 5, 6)),
    ("mczyx", (2, 4, 5, 6)),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["npy", "zarr 3"])
def test_axes_may_be_left_out_and_lone_ones_of_length_1_need_no_name(
    tmp_path: Path, order: str, shape: tuple[int, ...], kind: str
) -> None:
    n_classes = 3 if 3 in shape else 1
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    reader = open_reader(written(tmp_path, array, kind), n_classes=n_classes, axes=order)
    assert (reader.n_members, reader.n_classes) == (2 if 2 in shape else 1, n_classes)
    letters = [letter for letter in order if letter != "c" or n_classes > 1]
    kept = array.squeeze()
    expected = kept.transpose([letters.index(letter) for letter in "mczyx" if letter in letters])
    np.testing.assert_array_equal(assemble(reader).reshape(expected.shape), expected)


@st.composite
def declared_arrays(draw: st.DrawFn) -> tuple[str, np.ndarray, np.ndarray]:
    """A string, an array whose axes it names but for further ones of length 1, and the truth (m, c, z, y, x)."""
    letters = ["y", "x", *draw(st.lists(st.sampled_from("mcz"), unique=True))]
    order = "".join(draw(st.permutations(letters)))
    sizes = {letter: draw(st.integers(1, 3)) if letter in letters else 1 for letter in "mczyx"}
    values = field(sizes)
    array = in_order(values, order)
    for _ in range(draw(st.integers(0, 2))):
        array = np.expand_dims(array, draw(st.integers(0, array.ndim)))
    return order, array, values


@given(declared_arrays(), st.sampled_from(["npy", "zarr 2"]))
@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_declared_array_is_read_right_or_refused(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[str, np.ndarray, np.ndarray], kind: str
) -> None:
    order, array, values = made
    # Alone they leave open where the class is: the older form of the key.
    assume(order not in ("xyz", "zyx"))
    path = written(tmp_path_factory.mktemp("axes"), array, kind)
    try:
        found = assemble(open_reader(path, n_classes=values.shape[1], axes=order))
    except DataError as error:
        assert error.code == "axes_unclear"
        assert array.ndim > len(order)
        assert (np.array(array.shape) == 1).sum() > array.ndim - len(order)
        return
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(("order", "shape"), [
    ("czyx", (2, 3, 4, 5, 6)), ("mczyx", (3, 5, 6)), ("cyx", (3, 4, 5, 6)), ("czyx", (5, 6)),
    ("xyzc", (3, 4, 5, 6, 7, 8)),
])  # fmt: skip
def test_another_number_of_axes_than_declared_is_refused(tmp_path: Path, order: str, shape: tuple[int, ...]) -> None:
    error = refused(written(tmp_path, np.ones(shape, np.float32), "npy"), axes=order)
    assert error.code == "axes_unclear"
    assert f"`probabilities.axes: {order}`" in error.message
    assert f"{len(shape)} axes" in error.message


@pytest.mark.parametrize(("order", "shape"), [("czyx", (4, 5, 6, 3)), ("mzyx", (3, 4, 5, 6)), ("zyxc", (3, 4, 5, 6))])
def test_a_declared_class_axis_of_another_length_is_refused(tmp_path: Path, order: str, shape: tuple[int, ...]) -> None:
    error = refused(written(tmp_path, np.ones(shape, np.float32), "npy"), axes=order)
    assert error.code == "class_mismatch"
    assert order in error.message
    assert any(f"`{other}`" in error.remedy for other in choices(shape, 3))


def test_which_axis_of_length_1_is_meant_has_to_be_plain(tmp_path: Path) -> None:
    path = written(tmp_path, np.ones((1, 1, 5, 1), np.float32), "npy")
    assert refused(path, 1, axes="myx").code == "axes_unclear"
    assert open_reader(path, n_classes=1, axes="mcyx").geometry.shape == (1, 5, 1)


# What a file names


@pytest.mark.parametrize("write", [
    lambda path, array, names: write_zarr(path, array, (1,) * array.ndim, dimension_names=names),
    lambda path, array, names: write_zarr(path, array, (1,) * array.ndim, 2, attributes={"_ARRAY_DIMENSIONS": names}),
], ids=["dimension_names", "xarray"])  # fmt: skip
def test_names_of_dimensions_say_the_roles_and_a_string_is_held_against_them(tmp_path: Path, write: Any) -> None:
    values = field({"m": 2, "c": 2, "z": 2, "y": 3, "x": 1})
    words = {"m": "realization", "c": "Class", "z": "z", "y": "Y", "x": "x"}
    for number, order in enumerate(ORDERS[::7]):
        path = write(tmp_path / f"{number}.zarr", in_order(values, order), [words[letter] for letter in order])
        for axes in (None, "xyz", order):
            reader = open_reader(path, n_classes=2, axes=axes)
            np.testing.assert_array_equal(assemble(reader), values, err_msg=order)
            assert not reader.roles.assumed
        error = refused(path, 2, axes=order[::-1])
        assert error.code == "axes_unclear"
        assert order[::-1] in error.message
        assert " ".join(order) in error.message
        assert f"`probabilities.axes: {order}`" in error.remedy


@pytest.mark.parametrize("names", ["time", "t", "sample", "batch", "depth"])
def test_a_long_axis_with_another_name_is_never_guessed(tmp_path: Path, names: str) -> None:
    values = field({**SIZES, "z": 1})
    path = write_zarr(
        tmp_path / "p.zarr", in_order(values, "mcyx"), (1, 1, 2, 2), dimension_names=[names, "c", "y", "x"]
    )
    error = refused(path)
    assert error.code == "axes_unclear"
    assert f"{names} (2)" in error.message
    assert "`mcyx`" in error.remedy
    np.testing.assert_array_equal(assemble(open_reader(path, n_classes=3, axes="mcyx")), values)
    assert refused(path, axes="cmyx").code == "axes_unclear"


@pytest.mark.parametrize("order", ["tczyx", "ctzyx", "cztyx", "czytx", "czyxt"])
def test_an_axis_of_length_1_with_another_name_changes_nothing(tmp_path: Path, order: str) -> None:
    values = field({**SIZES, "m": 1, "z": 1})
    array = np.expand_dims(in_order(values, "cyx"), (order.index("z"), order.index("t")))
    path = write_zarr(tmp_path / "p.zarr", array, (2, 2, 2, 2, 2), dimension_names=list(order))
    for axes in (None, "czyx", "cyx"):
        np.testing.assert_array_equal(assemble(open_reader(path, n_classes=3, axes=axes)), values)


def test_the_older_keys_go_on_to_say_what_names_leave_open_but_never_members(tmp_path: Path) -> None:
    older, values = {"class_axis": "first", "axes": "zyx"}, field({**SIZES, "m": 1})
    for number, names in enumerate((["class", "depth", "height", "width"], ["tissue", "z", "y", "x"])):
        path = write_zarr(tmp_path / f"{number}.zarr", values[0], (1, 2, 2, 2), dimension_names=names)
        np.testing.assert_array_equal(assemble(open_reader(path, n_classes=3, **older)), values)
        assert refused(path).code == "axes_unclear"
    path = write_zarr(tmp_path / "m.zarr", field(), (1, 1, 2, 2, 2), dimension_names=["time", "class", "z", "y", "x"])
    assert refused(path, **older).code == "axes_unclear"
    path = write_zarr(tmp_path / "c.zarr", values[0], (1, 2, 2, 2), dimension_names=["t", "class", "y", "x"])
    assert refused(path, **older).code == "axes_unclear"


def test_two_dimensions_that_may_both_be_the_class_are_not_guessed(tmp_path: Path) -> None:
    names = ["channel", "label", "y", "x"]
    path = write_zarr(tmp_path / "p.zarr", np.ones((3, 3, 5, 6), np.float32), (1, 1, 2, 2), dimension_names=names)
    assert refused(path).code == "axes_unclear"
    assert open_reader(path, n_classes=3, axes="mcyx").n_members == 3


@pytest.mark.parametrize("names", [None, [None] * 4, ["dim_0", "dim_1", "dim_2", "dim_3"]])
def test_names_that_say_nothing_are_none(tmp_path: Path, names: Any) -> None:
    path = write_zarr(tmp_path / "p.zarr", np.ones((3, 4, 5, 6), np.float32), (1, 2, 2, 2), dimension_names=names)
    assert open_reader(path, n_classes=3, class_axis="first").roles.assumed
    assert not open_reader(path, n_classes=3, axes="czyx").roles.assumed


def test_time_in_an_ome_image_is_members_only_where_that_is_declared(tmp_path: Path) -> None:
    values = field()
    path = write_ome(tmp_path / "p.ome.zarr", in_order(values, "mczyx"), "0.4", "tczyx")
    error = refused(path)
    assert error.code == "axes_unclear"
    assert "t (2)" in error.message
    assert "`mczyx`" in error.remedy
    assert refused(path, class_axis="first", axes="zyx").code == "axes_unclear"
    reader = open_reader(path, n_classes=3, axes="mczyx")
    np.testing.assert_array_equal(assemble(reader), values)
    assert reader.geometry.affine[0, 0] == 1.5


def test_an_axis_of_an_ome_image_is_no_z_unless_it_is_named_so(tmp_path: Path) -> None:
    # Its scale would be lost.
    path = write_ome(tmp_path / "p.ome.zarr", np.ones((3, 4, 5, 6), np.float32), "0.5", "cqyx")
    assert refused(path, axes="czyx").code == "axes_unclear"


@pytest.mark.parametrize("axes", ["czyx", "zyxc", "mczyx", "cyx", "xyzcm"])
def test_nifti_and_mgh_are_x_y_z_whatever_is_declared(tmp_path: Path, axes: str) -> None:
    array = np.ones((4, 5, 6, 3), np.float32)
    for path in (written(tmp_path, array, "nifti"), write_mgh(tmp_path / "p.mgh", array)):
        if axes == "xyzcm":  # convert holds the members against the config
            assert open_reader(path, n_classes=3, axes=axes).n_members == 1
            continue
        error = refused(path, axes=axes)
        assert error.code == "axes_unclear"
        assert axes in error.message
        assert "`probabilities.axes: xyzc`" in error.remedy
        assert open_reader(path, n_classes=3, axes="zyx").geometry.shape == (4, 5, 6)


# What nobody says


@pytest.mark.parametrize(("shape", "n_classes", "how"), [
    ((3, 5, 6, 3), 3, {}),
    ((3, 5, 3), 3, {}),
    ((5, 3, 6, 3), 3, {}),
    ((2, 3, 4, 5, 6), 3, {}),
    ((2, 3, 4, 5, 6), 3, {"class_axis": "first"}),
    ((1, 3, 5, 6, 2), 3, {"class_axis": "first"}),
    ((2, 1, 4, 5, 6), 1, {}),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["npy", "npz", "zarr 2", "zarr 3"])
def test_what_could_be_several_things_is_refused_with_the_strings_to_choose_from(
    tmp_path: Path, shape: tuple[int, ...], n_classes: int, how: dict[str, Any], kind: str
) -> None:
    path = written(tmp_path, np.ones(shape, np.float32), kind)
    error = refused(path, n_classes, **how)
    assert error.code == "axes_unclear"
    listed = choices(shape, n_classes)
    assert listed
    assert f"`{listed[0]}`" in error.remedy
    for order in listed:
        assert open_reader(path, n_classes=n_classes, axes=order).n_classes == n_classes


@pytest.mark.parametrize(("shape", "n_classes", "order"), [
    ((3, 4, 5, 6), 3, "czyx"), ((2, 3, 5, 6), 3, "mcyx"), ((2, 4, 5, 6), 1, "mzyx"), ((4, 5, 6, 2), 1, "zyxm"),
    ((1, 3, 5, 6, 2), 3, "cyxm"), ((2, 3, 4, 5, 6), 3, "mczyx"), ((4, 5, 6, 3, 2), 3, "zyxcm"), ((3, 5, 6), 3, "cyx"),
])  # fmt: skip
def test_the_advice_names_the_order_that_the_file_has(
    tmp_path: Path, shape: tuple[int, ...], n_classes: int, order: str
) -> None:
    path = written(tmp_path, np.ones(shape, np.float32), "npy")
    assert f"`{order}`" in refused(path, n_classes).remedy
    sizes = dict.fromkeys("mczyx", 1) | dict(zip(order, [n for n in shape if n > 1], strict=True))
    reader = open_reader(path, n_classes=n_classes, axes=order)
    assert (reader.n_members, reader.geometry.shape) == (sizes["m"], (sizes["x"], sizes["y"], sizes["z"]))


@pytest.mark.parametrize(("shape", "how", "order", "assumed"), [
    ((4, 5, 6, 3), {}, "xyzc", True),
    ((3, 4, 5, 6), {"class_axis": "first"}, "cxyz", True),
    ((3, 4, 5, 6), {"class_axis": "first", "axes": "zyx"}, "czyx", False),
    ((4, 5, 6, 3), {"axes": "zyx"}, "zyxc", False),
    ((3, 5, 6, 3), {"axes": "zyx"}, "zyxc", True),
    ((3, 5, 6, 3), {"axes": "zyxc"}, "zyxc", False),
])  # fmt: skip
def test_a_plain_array_is_read_in_the_old_order_where_none_is_given_and_known_to_be(
    tmp_path: Path, shape: tuple[int, ...], how: dict[str, Any], order: str, assumed: bool
) -> None:
    roles = open_reader(written(tmp_path, np.ones(shape, np.float32), "npy"), n_classes=3, **how).roles
    assert (roles.letters, roles.assumed) == (order, assumed)


def test_the_older_keys_read_five_axes_as_before_and_say_so(tmp_path: Path) -> None:
    values = field()
    path = written(tmp_path, in_order(values, "mczyx"), "npy")
    reader = open_reader(path, n_classes=3, class_axis="first", axes="zyx")
    np.testing.assert_array_equal(assemble(reader), values)
    assert reader.roles.assumed
