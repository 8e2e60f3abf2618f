"""References and atlases in every format: read right, or rejected with the file and the reason."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_files import write_mgh, write_npy, write_npz, write_zarr
from fault_runs import ended
from files import AFFINE, SHAPE, settings, softmax_field, write_nifti

# What writes a label image (x, y, z) to a path; plain arrays know no place.
WRITERS = {
    ".nii.gz": lambda path, labels: write_nifti(path, labels),
    ".mgz": write_mgh,
    ".npy": write_npy,
    ".npz": lambda path, labels: write_npz(path, labels=labels),
    ".zarr": lambda path, labels: write_zarr(path, labels, labels.shape),
}
SEEN = {"reference": {"labels": [[0], [1], [40, 41]], "ignore_labels": [9]}}


def labels(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(3).choice([0, 1, 40, 41, 9, 77], size=shape).astype(np.int32)


def with_labels(folder: Path, column: str, path: str, **changes: Any) -> dict[str, Any]:
    p = write_nifti(folder / "p.nii", softmax_field())
    return ended(folder, p, settings(**{**SEEN, **changes}), **{column: path})


@pytest.mark.parametrize("ending", WRITERS)
def test_labels_are_read_from_every_format(tmp_path: Path, ending: str) -> None:
    values = labels()
    path = WRITERS[ending](tmp_path / f"r{ending}", values)
    scores = with_labels(tmp_path / "reference", "reference", path)["scores"]
    truth = np.select([values == 0, values == 1, np.isin(values, [40, 41])], [0, 1, 2], -1)
    wrong = (softmax_field().argmax(axis=-1) != truth) & (truth >= 0)
    assert (scores["n_unlisted_voxels"], scores["n_ignored_voxels"]) == ((values == 77).sum(), (values == 9).sum())
    assert (scores["n_scored_voxels"], scores["n_wrong_voxels"]) == ((truth >= 0).sum(), wrong.sum())
    regions = with_labels(tmp_path / "atlas", "atlas", path)["regions"]
    found = {row["label"]: row["n_voxels"] for row in regions}
    assert found == {label: (values == label).sum() for label in (1, 9, 40, 41, 77)}


@pytest.mark.parametrize("column", ["reference", "atlas"])
@pytest.mark.parametrize("ending", WRITERS)
def test_labels_of_another_shape_are_rejected_naming_both(tmp_path: Path, ending: str, column: str) -> None:
    path = WRITERS[ending](tmp_path / f"r{ending}", labels((5, 6, 8)))
    result = with_labels(tmp_path, column, path)
    assert result["code"] == "shape_mismatch"
    assert path in result["message"]
    assert str(tmp_path / "p.nii") in result["message"]


@pytest.mark.parametrize("column", ["reference", "atlas"])
@pytest.mark.parametrize("ending", [".nii.gz", ".mgz"])
def test_labels_in_another_place_are_rejected_naming_both(tmp_path: Path, ending: str, column: str) -> None:
    moved = AFFINE.copy()
    moved[0, 3] += 2
    if ending == ".mgz":
        path = write_mgh(tmp_path / "r.mgz", labels(), moved)
    else:
        path = write_nifti(tmp_path / "r.nii.gz", labels(), srow_x=moved[0])
    result = with_labels(tmp_path, column, path)
    assert result["code"] == "affine_mismatch"
    assert path in result["message"]
    assert str(tmp_path / "p.nii") in result["message"]


@pytest.mark.parametrize("value", [np.nan, np.inf, 1.5, 3e9])
@pytest.mark.parametrize("column", ["reference", "atlas"])
@pytest.mark.parametrize("ending", WRITERS)
def test_what_is_no_label_is_rejected_with_its_slice(tmp_path: Path, ending: str, column: str, value: float) -> None:
    values = labels().astype(np.float32)
    values[2, 3, 4] = value
    path = WRITERS[ending](tmp_path / f"r{ending}", values)
    result = with_labels(tmp_path, column, path)
    assert result["code"] == "labels_invalid"
    assert path in result["message"]
    assert "z = 4" in result["message"]


def test_labels_beyond_32_bits_are_rejected(tmp_path: Path) -> None:
    values = labels().astype(np.uint32)
    values[0, 0, 0] = 2**32 - 1
    path = write_nifti(tmp_path / "r.nii", values)
    assert with_labels(tmp_path, "atlas", path)["code"] == "labels_invalid"


def test_a_reference_of_nothing_but_other_labels_scores_nothing_and_says_so(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "r.nii", np.full(SHAPE, 1000, np.int16))
    scores = with_labels(tmp_path, "reference", path)["scores"]
    assert (scores["n_scored_voxels"], scores["n_unlisted_voxels"]) == (0, np.prod(SHAPE))
    assert scores["cross_entropy"] is None
    assert scores["error_auroc"] is None


@pytest.mark.parametrize("kind", ["absent", "cut", "probabilities"])
def test_a_reference_that_cannot_be_read_rejects_its_sample(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "r.nii.gz"
    if kind != "absent":
        write_nifti(path, softmax_field() if kind == "probabilities" else labels())
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    codes = {"absent": "file_missing", "cut": "file_truncated", "probabilities": "class_mismatch"}
    assert with_labels(tmp_path, "reference", str(path))["code"] == codes[kind]
