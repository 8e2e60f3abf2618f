"""What 1 is in a file: the config's `scale` for every format, and the packing of Zarr arrays by the CF conventions."""

import base64
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from array_files import arranged, write_mgh, write_npy, write_npz, write_ome, write_zarr
from fault_runs import ended
from files import recipe, settings, softmax_field, write_nifti
from hypothesis import given
from hypothesis import strategies as st
from volume_entropy.convert import convert_sample
from volume_entropy.readers.voxels import VoxelType
from volume_entropy.samples import Sample
from volume_entropy.stores.probabilities import ProbabilityStore, open_probabilities

P = softmax_field()
GREY = np.rint(P * 255).astype(np.uint8)


def total(p: np.ndarray, **how: Any) -> float:
    """Σ PE in bit of p (x, y, z, class), in float64."""
    return float(np.nansum(reference.block(p.T[None], **how).maps["predictive_entropy"]))


def one_file_a_class(folder: Path, stored: np.ndarray) -> str:
    for index in range(3):
        write_nifti(folder / f"class{index}.nii.gz", stored[..., index])
    return str(folder / "{class}.nii.gz")


FORMATS: dict[str, Callable[[Path, np.ndarray], str]] = {
    "nii.gz": lambda folder, stored: write_nifti(folder / "p.nii.gz", stored),
    "one a class": one_file_a_class,
    "mgz": lambda folder, stored: write_mgh(folder / "p.mgz", stored),
    "npy": lambda folder, stored: write_npy(folder / "p.npy", stored),
    "npz": lambda folder, stored: write_npz(folder / "p.npz", probabilities=stored),
    "zarr": lambda folder, stored: write_zarr(folder / "p.zarr", stored, (5, 6, 4, 1)),
    "zarr that is copied": lambda folder, stored: write_zarr(folder / "p.zarr", stored[None], (1, *stored.shape)),
    "ome-zarr": lambda folder, stored: write_ome(folder / "p.ome.zarr", arranged(stored, "czyx"), "0.4", "czyx"),
}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("name", FORMATS)
def test_the_scale_divides_what_every_format_holds(tmp_path: Path, name: str, dtype: str) -> None:
    summary = ended(tmp_path, FORMATS[name](tmp_path, GREY.astype(dtype)), settings(scale=255, sum_tolerance=0.03))
    assert summary["predictive_entropy_total"] == pytest.approx(total(GREY / 255, sum_tolerance=0.03), rel=1e-5)
    assert summary["n_invalid_voxels"] == 0


@pytest.mark.parametrize("scale", [100, 255, 1000, 65535, 7.5])
def test_the_scale_comes_after_the_slope_of_the_header(tmp_path: Path, scale: float) -> None:
    path = write_nifti(tmp_path / "p.nii", GREY, slope=scale / 255)
    summary = ended(tmp_path, path, settings(scale=scale))
    assert summary["predictive_entropy_total"] == pytest.approx(total(GREY / 255, quantum=1 / 255), rel=1e-5)


@pytest.mark.parametrize("name", ["nii.gz", "mgz", "npy", "zarr"])
def test_integers_that_were_rounded_down_are_tolerated_on_their_scale(tmp_path: Path, name: str) -> None:
    floored = np.floor(P * 100).astype(np.uint8)
    path = FORMATS[name](tmp_path, floored)
    summary = ended(tmp_path, path, settings(scale=100, sum_tolerance=0))
    assert summary["n_invalid_voxels"] == 0
    assert summary["predictive_entropy_total"] == pytest.approx(total(floored / 100, quantum=1 / 100), rel=1e-5)
    # As floats the same numbers are not integers that were rounded.
    other = write_nifti(tmp_path / "float.nii", floored.astype(np.float32))
    assert ended(tmp_path / "float", other, settings(scale=100, sum_tolerance=0))["status"] == "rejected"


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("steps", [100, 255, 1000, 65535])
def test_truncated_integers_are_read_right_with_a_slope_or_a_scale(tmp_path: Path, n_members: int, steps: int) -> None:
    stored = [np.floor(softmax_field(n_classes=5, seed=seed) * steps).astype(np.uint16) for seed in range(n_members)]
    expected = reference.block(np.stack([q.T / steps for q in stored]), sum_tolerance=0, quantum=1 / steps)
    for name, how, resolved in (("slope", {"slope": 1 / steps}, {}), ("scale", {}, {"scale": steps})):
        for member, q in enumerate(stored):
            write_nifti(tmp_path / f"{name}{member}.nii.gz", q, **how)
        asked = settings(5, sum_tolerance=0, members=list(map(str, range(n_members))), **resolved)
        summary = ended(tmp_path / name, str(tmp_path / f"{name}{{member}}.nii.gz"), asked)
        assert summary["n_invalid_voxels"] == 0
        right = float(expected.maps["predictive_entropy"].sum())
        assert summary["predictive_entropy_total"] == pytest.approx(right, rel=1e-5)


def test_a_scale_that_is_not_the_files_is_refused(tmp_path: Path) -> None:
    lesion = np.zeros((20, 20, 20), np.float32)
    lesion[4:9, 4:9, 4:9] = 0.6
    path = write_nifti(tmp_path / "p.nii", lesion)
    for how in ({"background": "complement"}, {"kind": "regions"}):
        found = ended(tmp_path, path, settings(1, scale=255, **how))
        assert found["code"] == "not_probabilities"
        assert "probabilities on 0 … 1 already" in found["message"]
        assert "probabilities.scale: null" in found["remedy"]
        # Nothing to be seen is no other scale.
        nothing = write_nifti(tmp_path / "none.nii", np.zeros_like(lesion))
        assert ended(tmp_path / "none", nothing, settings(1, scale=255, **how))["status"] == "ok"


def store_of(folder: Path, path: str, resolved: dict[str, Any], in_place: bool) -> ProbabilityStore:
    sample = Sample("s", path)
    made = {**recipe(sample, resolved), "sources": [[path, 1, 1, True]]}
    convert_sample(sample, folder / f"{in_place}.zarr", recipe=made, chunk=64, in_place=in_place)
    store = open_probabilities(folder / f"{in_place}.zarr")
    assert isinstance(store, ProbabilityStore)
    return store


def values_of(folder: Path, path: str, resolved: dict[str, Any]) -> tuple[np.ndarray, float]:
    """What is stored of a Zarr source, the same in place and copied, and its quantum."""
    copy, place = (store_of(folder, path, resolved, in_place) for in_place in (False, True))
    assert not (folder / "True.zarr/probabilities").exists()
    np.testing.assert_array_equal(copy.array[:], place.array[:])
    assert copy.quantum == place.quantum
    return copy.array[:][0].T, copy.quantum


PACKED: dict[str, dict[str, Any]] = {
    "scale_factor": {"scale_factor": 1 / 255},
    "with an offset": {"scale_factor": 1 / 255, "add_offset": -0.25},
    "in lists": {"scale_factor": [1 / 255], "add_offset": [0.0]},
    "an offset alone": {"add_offset": 1},
}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("scale", [None, 2.0])
@pytest.mark.parametrize("name", PACKED)
def test_zarr_arrays_are_unpacked(tmp_path: Path, name: str, scale: float | None, version: int) -> None:
    attributes = PACKED[name]
    slope, inter = (np.ravel(attributes.get(key, other))[0] for key, other in (("scale_factor", 1), ("add_offset", 0)))
    path = write_zarr(tmp_path / "p.zarr", GREY, (5, 3, 4, 1), version, attributes=attributes)
    values, quantum = values_of(tmp_path, path, settings(scale=scale))
    divided = scale or 1.0
    np.testing.assert_allclose(values, (GREY * slope + inter) / divided, rtol=1e-6, atol=1e-7)
    assert quantum == pytest.approx(slope / divided)


def test_packed_floats_have_no_step(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "p.zarr", P * 100, (5, 3, 4, 1), attributes={"scale_factor": 0.01})
    values, quantum = values_of(tmp_path, path, settings())
    np.testing.assert_allclose(values, P, rtol=1e-6)
    assert quantum == 0


def test_the_packed_numbers_are_those_of_the_header_of_a_nifti(tmp_path: Path) -> None:
    packed = write_zarr(tmp_path / "p.zarr", GREY, (5, 3, 4, 1), attributes={"scale_factor": 1 / 255})
    headed = write_nifti(tmp_path / "p.nii", GREY, slope=1 / 255)
    one, other = ended(tmp_path / "zarr", packed), ended(tmp_path / "nifti", headed)
    assert one["predictive_entropy_total"] == pytest.approx(other["predictive_entropy_total"], rel=1e-6)


def encoded(value: float) -> str:
    """A fill value of floats as xarray writes it into Zarr version 3."""
    return base64.b64encode(struct.pack("<d", value)).decode()


MISSING: dict[str, tuple[Any, Any, dict[str, Any], int]] = {
    "_FillValue": ("uint8", 255, {"scale_factor": 0.01, "_FillValue": 255}, 3),
    "missing_value": ("int16", -999, {"missing_value": [-999, 70000], "scale_factor": 0.01}, 3),
    "of floats": ("float32", 1e20, {"_FillValue": 1e20}, 3),
    "of floats, by xarray": ("float32", 1e20, {"_FillValue": encoded(1e20)}, 3),
    "by xarray, version 2": ("uint8", 255, {"scale_factor": 0.01, "_ARRAY_DIMENSIONS": ["x", "y", "z", "class"]}, 2),
}


@pytest.mark.parametrize("name", MISSING)
def test_missing_numbers_of_a_zarr_array_are_nan(tmp_path: Path, name: str) -> None:
    dtype, fill, attributes, version = MISSING[name]
    stored = (P * 100 if "scale_factor" in attributes else P).astype(dtype)
    stored[:2] = fill
    how = {"fill_value": fill} if version == 2 else {}
    path = write_zarr(tmp_path / "p.zarr", stored, (5, 3, 4, 1), version, attributes=attributes, **how)
    values, _ = values_of(tmp_path, path, settings(classes=["a", "b", "c"]))
    expected = stored * np.float64(attributes.get("scale_factor", 1))
    expected[:2] = np.nan
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-9)


def test_a_fill_value_of_zero_is_a_zero(tmp_path: Path) -> None:
    attributes = {"scale_factor": 1 / 255, "_ARRAY_DIMENSIONS": ["x", "y", "z", "class"]}
    path = write_zarr(tmp_path / "p.zarr", GREY, (5, 3, 4, 1), 2, attributes=attributes)
    assert not np.isnan(values_of(tmp_path, path, settings())[0]).any()


def test_bytes_that_are_meant_as_unsigned_are_read_so(tmp_path: Path) -> None:
    attributes = {"_Unsigned": "true", "scale_factor": 1 / 255}
    path = write_zarr(tmp_path / "p.zarr", GREY.view(np.int8), (5, 3, 4, 1), attributes=attributes)
    np.testing.assert_allclose(values_of(tmp_path, path, settings())[0], GREY / 255, rtol=1e-6)


@pytest.mark.parametrize("attribute", [{"scale_factor": 0}, {"scale_factor": "1"}, {"add_offset": True}])
def test_a_packing_that_is_none_is_rejected(tmp_path: Path, attribute: dict[str, Any]) -> None:
    path = write_zarr(tmp_path / "p.zarr", GREY, (5, 3, 4, 1), attributes=attribute)
    found = ended(tmp_path, path)
    assert found["code"] == "header_invalid"
    assert next(iter(attribute)) in found["message"]


@given(
    st.sampled_from(["u1", "i1", ">u2", "i2", "i4", "u8", "f2", "f4", ">f8"]),
    st.floats(1e-3, 1e5),
    st.floats(-9, 9),
    st.data(),
)
def test_a_value_is_the_stored_number_times_the_slope_over_the_scale(
    dtype: str, scale: float, inter: float, data: st.DataObject
) -> None:
    kind = np.dtype(dtype)
    limits = (0, 120) if kind.kind != "f" else (0, 1)
    stored = np.array(data.draw(st.lists(st.integers(*limits), min_size=1, max_size=9)), kind).reshape(1, 1, -1)
    slope = data.draw(st.sampled_from([1.0, 1 / 255, 0.5]))
    values = VoxelType(kind, slope, inter).over(scale).values(stored)
    expected = (stored.astype(np.float64) * slope + inter) / scale
    np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-6 * (1 + abs(inter)) / scale)
