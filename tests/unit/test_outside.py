"""NaN in every class of every member is outside the field where it is connected to its border, outside the mask."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import reference
import zarr
from array_files import arranged, write_zarr
from fault_runs import ended
from files import settings, softmax_field, write_nifti
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sample_store import SampleStore, random_mask, region_members, softmax_members
from scipy import ndimage
from volume_entropy.outside import outside_of
from volume_entropy.partials import Flagged
from volume_entropy.stores.layout import Layout
from volume_entropy.stores.measures import MeasureStore, open_measures

SHAPE = (13, 21, 17)
LAYOUTS = [Layout(SHAPE, (5, 7, 9), (5, 7, 9)), Layout(SHAPE, (2, 21, 17), (4, 21, 17)), Layout(SHAPE, SHAPE, SHAPE)]


def ball(shape: tuple[int, ...] = SHAPE, share: float = 0.8) -> np.ndarray:
    axes = np.meshgrid(*[np.linspace(-1, 1, n) if n > 1 else [0.0] for n in shape], indexing="ij")
    return np.asarray(sum(axis**2 for axis in axes) < share)


def connected(blank: np.ndarray) -> np.ndarray:
    """Those of the voxels that are connected to the border of axes longer than 1, by scipy."""
    labels, _ = ndimage.label(blank)
    long = [axis for axis, size in enumerate(blank.shape) if size > 1]
    found = {label for axis in long for end in (0, -1) for label in np.unique(np.take(labels, end, axis))}
    return np.isin(labels, list(found - {0}))


@examples(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.2, 0.35, 0.5, 0.9, 1]), st.booleans())
def test_what_is_outside_does_not_depend_on_the_blocks(seed: int, density: float, masked: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(1, 13, 3))
    blank, mask = rng.random(shape) < density, (rng.random(shape) < 0.1 if masked else None)
    block = tuple(int(rng.integers(1, size + 1)) for size in shape)
    flagged = [
        Flagged.of(tuple(part.start for part in box), blank[box])
        for box in Layout(shape, block, block).blocks()
        if blank[box].any()
    ]
    found = np.zeros(shape, bool)
    for block_of in outside_of(
        [flagged[k] for k in rng.permutation(len(flagged))], shape, lambda box: None if mask is None else mask[box]
    ):
        found[block_of.box] = block_of.flags
    np.testing.assert_array_equal(found, connected(blank if mask is None else blank & ~mask))


def with_nan_outside(p: np.ndarray) -> np.ndarray:
    """NaN outside a ball, and in two voxels within it; a passage leads from one of three more to the border."""
    p = np.where(ball(), p, np.float32(np.nan))
    p[..., 6, 10, 8:10] = np.nan
    p[..., 6, 12, :5] = np.nan
    return p


SAMPLES: dict[str, SampleStore] = {
    "one member": SampleStore(with_nan_outside(softmax_members(1))),
    "members": SampleStore(with_nan_outside(softmax_members(2, n_members=3))),
    "complement": SampleStore(with_nan_outside(softmax_members(3)[:, 1:]), complement=True),
    "one class and its complement": SampleStore(with_nan_outside(softmax_members(4)[:, 1:2]), complement=True),
    "float16": SampleStore(with_nan_outside(softmax_members(5, n_members=2)).astype(np.float16), dtype="float16"),
    "many classes": SampleStore(with_nan_outside(softmax_members(6, n_classes=9))),
    "mask": SampleStore(with_nan_outside(softmax_members(7, n_members=2)), mask=random_mask(7)),
    "mask that touches": SampleStore(with_nan_outside(softmax_members(8)), mask=ball(share=0.9)),
    "all measures": SampleStore(
        with_nan_outside(softmax_members(9, n_members=3)),
        settings={"measures": ["predictive_entropy", "variance", "expected_pairwise_kl", "margin", "variation_ratio",
                               "least_confidence", "normalized_entropy"]},
    ),
}  # fmt: skip


def bytes_of(folder: Path) -> dict[str, bytes]:
    paths = [*(folder / "maps").iterdir(), folder / "summary.json"]
    return {path.name: path.read_bytes() for path in paths}


def opened(folder: Path) -> MeasureStore:
    store = open_measures(folder / "measures.zarr")
    assert isinstance(store, MeasureStore)
    return store


@pytest.mark.parametrize("name", SAMPLES)
def test_nan_outside_is_empty_and_nan_inside_is_invalid(name: str, tmp_path: Path) -> None:
    sample = replace(SAMPLES[name], settings={"max_invalid_fraction": 0.9, **SAMPLES[name].settings})
    blank = np.isnan(sample.p).all(axis=(0, 1))
    outside = connected(blank if sample.mask is None else blank & ~sample.mask)
    expected = reference.block(sample.p, complement=sample.complement)
    invalid = expected.invalid & ~outside
    assert outside.any() and invalid.any()
    summary = sample.compute(tmp_path)
    assert summary["n_empty_voxels"] == np.count_nonzero(outside)
    assert summary["n_invalid_voxels"] == np.count_nonzero(invalid)
    domain = ~outside & ~invalid & (True if sample.mask is None else sample.mask)
    assert summary["n_domain_voxels"] == np.count_nonzero(domain)
    right = np.where(outside, 0, expected.maps["predictive_entropy"])
    assert summary["predictive_entropy_total"] == pytest.approx(np.nansum(right), rel=1e-5)
    assert summary["predictive_entropy_mean"] == pytest.approx(right[domain].mean(), rel=1e-5)
    (warning,) = summary["warnings"]
    assert warning["code"] == "nan_outside"
    assert f"{np.count_nonzero(outside)} of {outside.size} voxels" in warning["message"]
    store = opened(tmp_path)
    for measure in store.arrays.keys() - {"segmentation"}:
        values = store.array(measure)[:]
        np.testing.assert_array_equal(np.isnan(values), invalid, err_msg=measure)
        assert (values[outside] == 0).all()
    assert (store.array("segmentation")[:][outside | invalid] == 255).all()
    image = np.asarray(nibabel.load(tmp_path / "maps/sub-01_desc-predictiveEntropy_map.nii.gz").dataobj).T
    np.testing.assert_allclose(image, right, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["one member", "members", "complement", "mask that touches", "all measures"])
def test_neither_blocks_nor_threads_nor_streaming_change_a_byte(name: str, tmp_path: Path) -> None:
    sample = replace(SAMPLES[name], settings={"max_invalid_fraction": 0.5, **SAMPLES[name].settings})
    sample.compute(tmp_path / "whole", threads=1)
    expected = bytes_of(tmp_path / "whole")
    for number, layout in enumerate(LAYOUTS):
        replace(sample, layout=layout).compute(tmp_path / str(number), threads=3)
        assert bytes_of(tmp_path / str(number)) == expected
    replace(sample, layout=LAYOUTS[0], streamed=True).compute(tmp_path / "streamed", threads=2)
    assert bytes_of(tmp_path / "streamed") == expected


def test_the_channels_of_an_ome_zarr_map_are_0_outside_too(tmp_path: Path) -> None:
    how = {"max_invalid_fraction": 0.5, "maps": ["ome-zarr"]}
    sample = replace(SAMPLES["members"], settings=how)
    sample.compute(tmp_path)
    (path,) = (tmp_path / "maps").glob("*.zarr")
    values = zarr.open_group(path, mode="r")["0"][:]
    outside = connected(np.isnan(sample.p).all(axis=(0, 1)))
    assert (values[:, outside] == 0).all()
    assert np.isnan(values).any()


def test_members_that_are_not_all_nan_make_a_voxel_invalid(tmp_path: Path) -> None:
    p = np.where(ball(), softmax_members(1, n_members=2), np.float32(np.nan))
    p[1, :, :, 0] = 0
    summary = SampleStore(p, settings={"max_invalid_fraction": 1.0}).compute(tmp_path)
    assert summary["n_invalid_voxels"] == np.count_nonzero(~ball()[:, 0])


def test_regions_have_no_outside(tmp_path: Path) -> None:
    p = np.where(ball(), region_members(1), np.float32(np.nan))
    summary = SampleStore(p, kind="regions", settings={"max_invalid_fraction": 1.0}).compute(tmp_path)
    assert (summary["n_invalid_voxels"], summary["n_empty_voxels"]) == (np.count_nonzero(~ball()), 0)
    assert summary["warnings"] == []


@pytest.mark.parametrize("zeros", [False, True])
def test_a_volume_of_nothing_but_nan_is_rejected(tmp_path: Path, zeros: bool) -> None:
    p = np.full((2, 4, *SHAPE), np.nan, np.float32)
    p[..., 3:6, 5:9, 5:9] = 0 if zeros else np.nan
    for limit in (0.001, 1.0):
        summary = SampleStore(p, settings={"max_invalid_fraction": limit}).compute(tmp_path / str(limit))
        assert summary["code"] == "too_many_invalid"
        assert f"every voxel is NaN{' or 0' if zeros else ''} in every class" in summary["message"]


def test_a_slice_has_its_border_in_its_plane(tmp_path: Path) -> None:
    p = np.where(ball((1, 30, 30)), softmax_members(1, (1, 30, 30)), np.float32(np.nan))
    p[..., 0, 14:17, 14:17] = np.nan
    summary = SampleStore(p, settings={"max_invalid_fraction": 0.1}).compute(tmp_path)
    assert (summary["n_empty_voxels"], summary["n_invalid_voxels"]) == (np.count_nonzero(~ball((1, 30, 30))), 9)


def test_too_much_nan_that_is_enclosed_is_rejected_in_words(tmp_path: Path) -> None:
    p = np.where(ball(share=0.3) & ~ball(share=0.1), np.float32(np.nan), softmax_members(1))
    found = SampleStore(p).compute(tmp_path)
    assert found["code"] == "too_many_invalid"
    assert "not connected to the border" in found["message"]
    assert "Write 0" in found["remedy"]
    assert SampleStore(np.nan_to_num(p)).compute(tmp_path / "followed")["status"] == "ok"


def sources(folder: Path, p: np.ndarray) -> dict[str, tuple[str, dict[str, Any]]]:
    """The same probabilities (x, y, z, class) as users have them."""
    for index in range(p.shape[-1]):
        write_nifti(folder / f"class{index}.nii.gz", p[..., index])
    write_nifti(folder / "p.nii", p)
    write_zarr(folder / "p.zarr", arranged(p, "czyx"), (1, 4, 5, 6))
    np.save(folder / "p.npy", p.astype(np.float16))
    return {
        "one file a class": (str(folder / "{class}.nii.gz"), settings()),
        "one file": (str(folder / "p.nii"), settings()),
        "zarr in place": (str(folder / "p.zarr"), settings(class_axis="first", axes="zyx")),
        "float16": (str(folder / "p.npy"), settings(dtype="float16")),
    }


@pytest.mark.parametrize("name", ["one file a class", "one file", "zarr in place", "float16"])
def test_every_source_may_have_nan_outside(name: str, tmp_path: Path) -> None:
    inside = ball((15, 13, 11))
    p = np.where(inside[..., None], softmax_field((15, 13, 11)), np.float32(np.nan))
    path, resolved = sources(tmp_path, p)[name]
    summary = ended(tmp_path, path, resolved)
    assert (summary["n_domain_voxels"], summary["n_empty_voxels"]) == (inside.sum(), (~inside).sum())
    assert [warning["code"] for warning in summary["warnings"]] == ["nan_outside"]


def test_one_class_of_labels_may_have_nan_outside(tmp_path: Path) -> None:
    inside = ball((15, 13, 11))
    p = np.where(inside, softmax_field((15, 13, 11))[..., 0] > 0.5, np.nan).astype(np.float32)
    summary = ended(tmp_path, write_nifti(tmp_path / "p.nii", p), settings(1))
    assert summary["n_domain_voxels"] == np.count_nonzero(p == 1)
