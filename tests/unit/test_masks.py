"""A mask is a mask if its values are nearly 0 or 1, or whole numbers; or where the config says above what it is one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_files import write_zarr
from fault_runs import ended
from files import SHAPE, settings, softmax_field, write_nifti
from hypothesis import given
from hypothesis import strategies as st
from volume_entropy.errors import DataError
from volume_entropy.masks import MaskJudge
from volume_entropy.stores import layout as layouts

INSIDE = np.random.default_rng(0).random(SHAPE) < 0.4


def measured(folder: Path, mask: np.ndarray, resolved: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
    """The summary of a sample with this mask, as NIfTI."""
    folder.mkdir(parents=True, exist_ok=True)
    path = write_nifti(folder / "m.nii.gz", mask, **how)
    return ended(folder, write_nifti(folder / "p.nii", softmax_field()), resolved, mask=path)


# What people's masks hold inside and outside.
MASKS = {
    "0 and 1": INSIDE.astype(np.uint8),
    "0 and 255": np.where(INSIDE, 255, 0).astype(np.uint8),
    "labels": (INSIDE * np.random.default_rng(1).integers(1, 40, SHAPE)).astype(np.int16),
    "labels as floats": (INSIDE * np.random.default_rng(1).integers(1, 4, SHAPE)).astype(np.float32),
    "below 0": np.where(INSIDE, -7, 0).astype(np.int32),
    "noise of a spline": np.where(INSIDE, 1, 1e-15 * np.random.default_rng(2).standard_normal(SHAPE)),
    "noise on both sides": INSIDE + np.random.default_rng(2).uniform(-1e-3, 1e-3, SHAPE),
    "noise beside other labels": np.where(INSIDE, 2, 4e-4).astype(np.float32),
    "NaN outside": np.where(INSIDE, 1, np.nan).astype(np.float32),
    "minus 0 outside": np.where(INSIDE, 1, -0.0).astype(np.float32),
}


@pytest.mark.parametrize("block_bytes", [2**25, 60])
@pytest.mark.parametrize("name", MASKS)
def test_what_is_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, block_bytes: int) -> None:
    monkeypatch.setattr(layouts, "BLOCK_BYTES", block_bytes)
    summary = measured(tmp_path, MASKS[name])
    assert summary["n_domain_voxels"] == np.count_nonzero(INSIDE)
    assert summary["warnings"] == []


def test_a_scaled_mask_is_judged_by_its_values(tmp_path: Path) -> None:
    stored = np.where(INSIDE, 255, 0).astype(np.uint8)
    assert measured(tmp_path, stored, slope=1 / 255)["n_domain_voxels"] == np.count_nonzero(INSIDE)
    assert measured(tmp_path / "half", stored, slope=1 / 510)["code"] == "mask_invalid"


def test_missing_voxels_of_a_zarr_mask_are_outside(tmp_path: Path) -> None:
    path = write_zarr(
        tmp_path / "m.zarr", np.where(INSIDE, 1, 99).astype(np.uint8), SHAPE, attributes={"_FillValue": 99}
    )
    summary = ended(tmp_path, write_nifti(tmp_path / "p.nii", softmax_field()), mask=path)
    assert summary["n_domain_voxels"] == np.count_nonzero(INSIDE)


SOFT = np.where(INSIDE, 0.8, 0.1).astype(np.float32)
FRACTIONS = {
    "a probability": (SOFT, {}),
    "a spline's overshoot": (np.where(INSIDE, 1.12, -0.11), {}),
    "a mask of 0 and 255 that was resampled": (SOFT * 255 + 0.3, {}),
    "0 and 1 with the slope of the probabilities": (INSIDE.astype(np.uint8), {"slope": 1 / 255}),
    "a fraction in one voxel": (np.where(np.indices(SHAPE).sum(0) == 0, 0.3, INSIDE).astype(np.float32), {}),
}


@pytest.mark.parametrize("block_bytes", [2**25, 60])
@pytest.mark.parametrize("name", FRACTIONS)
def test_a_mask_of_fractions_is_rejected_and_its_remedy_gives_the_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, block_bytes: int
) -> None:
    monkeypatch.setattr(layouts, "BLOCK_BYTES", block_bytes)
    mask, how = FRACTIONS[name]
    found = measured(tmp_path, mask, **how)
    assert found["code"] == "mask_invalid"
    assert "m.nii.gz" in found["message"]
    key, number = found["remedy"].split("above which a voxel is inside: ")
    assert "probabilities.mask_threshold" in key
    followed = settings(mask_threshold=float(number.split()[0]))
    assert measured(tmp_path / "followed", mask, followed, **how)["n_domain_voxels"] == np.count_nonzero(
        INSIDE & (mask > 0)
    )


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_a_mask_with_infinity_is_rejected_with_the_slice(tmp_path: Path, value: float, threshold: float | None) -> None:
    mask = np.ones(SHAPE, np.float32)
    mask[1, 2, 4] = value
    found = measured(tmp_path, mask, settings(mask_threshold=threshold))
    assert (found["code"], "z = 4" in found["message"]) == ("mask_invalid", True)


@pytest.mark.parametrize("value", [0, -0.0, 1e-4, np.nan])
def test_a_mask_of_nothing_is_rejected(tmp_path: Path, value: float) -> None:
    found = measured(tmp_path, np.full(SHAPE, value, np.float32))
    assert found["code"] == "mask_empty"
    assert "leave its cell in the table empty" in found["remedy"]


def test_a_threshold_that_nothing_is_above_is_named(tmp_path: Path) -> None:
    found = measured(tmp_path, SOFT, settings(mask_threshold=50))
    assert found["code"] == "mask_empty"
    assert "mask_threshold: 50; the highest is 0.8" in found["message"]


def test_a_mask_of_everything_is_worth_a_word(tmp_path: Path) -> None:
    warnings = measured(tmp_path, np.ones(SHAPE, np.uint8))["warnings"]
    assert [warning["code"] for warning in warnings] == ["mask_everywhere"]
    assert "all 210 voxels" in warnings[0]["message"]
    nearly = np.ones(SHAPE, np.uint8)
    nearly[2, 3, 4] = 0
    assert measured(tmp_path / "nearly", nearly)["warnings"] == []


def test_a_mask_is_not_divided_by_the_scale_of_the_probabilities(tmp_path: Path) -> None:
    p = np.rint(softmax_field() * 255).astype(np.uint8)
    mask = write_nifti(tmp_path / "m.nii", INSIDE.astype(np.uint8))
    summary = ended(tmp_path, write_nifti(tmp_path / "p.nii", p), settings(scale=255), mask=mask)
    assert summary["n_domain_voxels"] == np.count_nonzero(INSIDE)


@given(
    st.lists(st.floats(width=32) | st.sampled_from([0.0, 1.0, 2.0, 0.0009, 1.0009]), min_size=1, max_size=40), st.data()
)
def test_a_mask_is_judged_as_one_file_however_it_is_cut(values: list[float], data: st.DataObject) -> None:
    mask = np.array(values, np.float32).reshape(-1, 1, 1)
    threshold = data.draw(st.none() | st.floats(-2, 2))
    cut = data.draw(st.integers(0, len(values)))

    def judged(pieces: list[np.ndarray]) -> tuple[str, list[bool]]:
        judge, flags, z = MaskJudge("m.nii", threshold), [], 0
        try:
            for piece in pieces:
                flags += judge.inside(piece, z).ravel().tolist()
                z += len(piece)
            judge.require_mask()
        except DataError as error:
            return f"{error.code} {error.message} {error.remedy}", []
        return "", flags

    whole = judged([mask])
    assert judged([mask[:cut], mask[cut:]] if 0 < cut < len(values) else [mask]) == whole
    if not whole[0]:
        expected = mask > threshold if threshold is not None else ~np.isnan(mask) & (np.abs(mask) > 0.5)
        assert whole[1] == expected.ravel().tolist()
