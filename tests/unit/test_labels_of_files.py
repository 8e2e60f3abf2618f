"""What a file itself calls its classes is held against the config, like the sidecars beside it."""

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from array_files import edited, write_npz, write_ome, write_zarr
from files import recipe, settings, softmax_field
from producers import Poison
from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.samples import Sample
from volume_entropy.sidecars import check_labels
from volume_entropy.stores.probabilities import ProbabilityStore, open_probabilities

P = softmax_field((6, 5, 4), 3).T
CLASSES = ["background", "Gray_matter", "white-matter"]
Writer = Callable[[Path, list[str]], str]


def ome(version: str) -> Writer:
    def write(folder: Path, labels: list[str]) -> str:
        path = Path(write_ome(folder / "p.ome.zarr", P[: len(labels)], version, "czyx"))
        omero = {"channels": [{"label": label, "color": "FF0000"} for label in labels]}
        if version == "0.4":
            edited(path / ".zattrs", omero=omero)
        else:
            group = zarr.open_group(path)
            group.attrs["ome"] = {**group.attrs["ome"], "omero": omero}
        return str(path)

    return write


def attribute(version: int, of: str, value: Callable[[list[str]], Any] = list, key: str = "classes") -> Writer:
    def write(folder: Path, labels: list[str]) -> str:
        group = zarr.create_group(str(folder / "p.zarr"), zarr_format=version)
        write_zarr(folder / "p.zarr/probabilities", P[: len(labels)], (1, 2, 3, 3), version)
        (group if of == "group" else zarr.open_array(folder / "p.zarr/probabilities")).attrs[key] = value(labels)
        return str(folder / "p.zarr")

    return write


def coordinate(version: int, dtype: Any) -> Writer:
    """As xarray lays out a data set with a coordinate of text along the dimension of classes.

    Zarr 3 has no stable type of text yet, and zarr-python warns of that.
    """

    def write(folder: Path, labels: list[str]) -> str:
        root, names = zarr.create_group(str(folder / "p.zarr"), zarr_format=version), ["class", "z", "y", "x"]
        how: dict[str, Any] = (
            {"dimension_names": names} if version == 3 else {"attributes": {"_ARRAY_DIMENSIONS": names}}
        )
        write_zarr(folder / "p.zarr/probabilities", P[: len(labels)], (1, 2, 3, 3), version, **how)
        values = np.array(labels, dtype=None if dtype is str else dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            root.create_array("class", shape=values.shape, dtype=dtype if dtype is str else values.dtype)[:] = values
        return str(folder / "p.zarr")

    return write


def npz(folder: Path, labels: list[str]) -> str:
    return write_npz(folder / "p.npz", probabilities=P[: len(labels)], labels=np.array(labels))


WRITERS: dict[str, Writer] = {
    "OME-Zarr 0.4": ome("0.4"),
    "OME-Zarr 0.5": ome("0.5"),
    "an attribute of the group": attribute(2, "group"),
    "an attribute of the array": attribute(3, "array", key="class_names"),
    "an attribute by number": attribute(3, "group", lambda labels: {str(n): name for n, name in enumerate(labels)}),
    "an attribute by name": attribute(2, "array", lambda labels: {name: n for n, name in enumerate(labels)}, "labels"),
    "a coordinate, Zarr 2": coordinate(2, "U"),
    "a coordinate, Zarr 2, of any length": coordinate(2, str),
    "a coordinate, Zarr 3": coordinate(3, "U"),
    "a coordinate, Zarr 3, of any length": coordinate(3, str),
    "npz": npz,
}


def convert(path: str, folder: Path, **changes: Any) -> ProbabilityStore:
    how = settings(3, class_axis=None, axes="czyx", **{"classes": CLASSES, **changes})
    sample = Sample("s", path)
    convert_sample(sample, folder / "store.zarr", recipe=recipe(sample, how), chunk=64)
    store = open_probabilities(folder / "store.zarr")
    assert isinstance(store, ProbabilityStore)
    return store


@pytest.mark.parametrize("name", WRITERS)
def test_labels_that_a_file_carries_must_be_the_configured_classes_in_their_order(tmp_path: Path, name: str) -> None:
    # As another program would write the same names.
    path = WRITERS[name](tmp_path, ["Background", "gray matter", "White_Matter"])
    assert convert(path, tmp_path).classes == CLASSES
    for classes, words in ((CLASSES[::-1], "another order"), (["a", "b", "c"], "other classes")):
        with pytest.raises(DataError) as caught:
            convert(path, tmp_path, classes=classes)
        assert caught.value.code == "class_mismatch"
        assert words in caught.value.message
        assert path in caught.value.message
        assert '["Background", "gray matter", "White_Matter"]' in caught.value.remedy
        np.testing.assert_array_equal(convert(path, tmp_path, classes=classes, labels="ignore").array[0], P)
    # The remedy, followed.
    np.testing.assert_array_equal(
        convert(path, tmp_path, classes=["Background", "gray matter", "White_Matter"]).array[0], P
    )


@pytest.mark.parametrize("labels", [
    ["Channel 0", "Channel 1", "Channel 2"], ["channel_1", "channel_2", "channel_3"], ["0", "1", "2"], ["", "", ""],
    ["C:0", "C:1", "C:2"], ["Red", "Green", "Blue"], ["FF0000", "00FF00", "0000FF"], ["class 0", "class 1", "class 2"],
    ["Channel:0:0", "Channel:0:1", "Channel:0:2"], ["probability", "probability", "probability"],
])  # fmt: skip
@pytest.mark.parametrize("name", ["OME-Zarr 0.4", "npz"])
def test_names_that_say_nothing_are_no_labels(tmp_path: Path, labels: list[str], name: str) -> None:
    convert(WRITERS[name](tmp_path, labels), tmp_path)


def held(labels: list[str], classes: list[str], first: int = 0, n: int | None = None, **changes: Any) -> None:
    how = settings(len(classes), **changes)
    how["classes"] = [*(["background"] if changes.get("background") == "complement" else []), *classes]
    check_labels("p.zarr", labels, how, first, len(classes) if n is None else n)


@pytest.mark.parametrize(("labels", "classes"), [
    # Nothing is a name, unless a class is called so.
    (["class 1", "class 0"], ["class 0", "class 1"]), (["green", "red"], ["red", "green"]), (["1", "0"], ["0", "1"]),
    # One name is enough to contradict.
    (["Channel 0", "csf", "Channel 2"], ["csf", "gm", "wm"]),
    (["background", "gm"], ["gm", "wm"]), (["gm", "gm"], ["gm", "wm"]), (["gm", "wm", "csf"], ["gm", "wm"]),
])  # fmt: skip
def test_what_contradicts_is_refused(labels: list[str], classes: list[str]) -> None:
    with pytest.raises(DataError, match="itself names") as caught:
        held(labels, classes)
    assert caught.value.code == "class_mismatch"


def test_a_complemented_background_has_no_label_and_each_file_its_own() -> None:
    held(["gm", "wm"], ["gm", "wm"], background="complement")
    held(["WM"], ["gm", "wm"], first=1, n=1)
    held(["gm", "Channel 1"], ["gm", "wm"])
    with pytest.raises(DataError, match='found \\["gm"\\], expected \\["wm"\\]') as caught:
        held(["gm"], ["gm", "wm"], first=1, n=1)
    assert "tokens" in caught.value.remedy


def test_the_remedy_says_what_becomes_of_the_background() -> None:
    with pytest.raises(DataError) as caught:
        held(["BG", "gm"], ["background", "gm"])
    assert "background_class" in caught.value.remedy


def test_objects_beside_the_probabilities_are_never_loaded(tmp_path: Path) -> None:
    poison = Poison(tmp_path / "opened")
    np.savez(tmp_path / "p.npz", probabilities=P, classes=np.array([poison] * 3, dtype=object))
    convert(str(tmp_path / "p.npz"), tmp_path)
    path = Path(coordinate(2, str)(tmp_path, CLASSES))
    edited(path / "class/.zarray", filters=[{"id": "pickle", "protocol": 5}], compressor=None)
    (path / "class/0").write_bytes(pickle.dumps(np.array([poison] * 3, dtype=object)))
    convert(str(path), tmp_path)
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("value", [3, [1, 2, 3], "gm", {"gm": "x"}, [["gm"]], None, {}, []])
def test_attributes_that_are_no_list_of_names_say_nothing(tmp_path: Path, value: Any) -> None:
    convert(attribute(3, "array", lambda _: value, "labels")(tmp_path, CLASSES), tmp_path)


def test_numbers_along_the_classes_and_volumes_of_labels_say_nothing(tmp_path: Path) -> None:
    root = Path(attribute(2, "group", key="title")(tmp_path, CLASSES))
    write_zarr(root / "class", np.array([0, 7, 9]), (3,), 2)
    edited(root / "probabilities/.zattrs", _ARRAY_DIMENSIONS=["class", "z", "y", "x"])
    convert(str(root), tmp_path)
    write_npz(tmp_path / "p.npz", probabilities=P, labels=P.argmax(0))
    convert(str(tmp_path / "p.npz"), tmp_path)


def test_a_coordinate_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    path = Path(coordinate(2, "U")(tmp_path, CLASSES))
    (path / "class/0").write_bytes(b"no text")
    with pytest.raises(DataError) as caught:
        convert(str(path), tmp_path)
    assert caught.value.code == "file_corrupt"
