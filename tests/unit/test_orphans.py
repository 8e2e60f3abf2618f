"""What is left of samples that are in the table no longer is found, and nothing else."""

import json
from pathlib import Path
from typing import Any

from volume_entropy.runs.orphans import Made, find_leftovers, find_orphans


def test_folders_of_samples_without_a_row_and_no_other(tmp_path: Path) -> None:
    results, work = tmp_path / "results", tmp_path / "work"
    for path in (
        "results/gone/gone_summary.json",
        "work/gone/measures.zarr/zarr.json",
        "work/started/probabilities.zarr/zarr.json",
        "results/here/here_summary.json",
        "results/report/page.js",
        "results/models/point-0.pt",
        "results/mine/notes_summary.json",
        "results/subjects.csv",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert find_orphans([results, work, tmp_path / "nowhere"], {"here"}) == {
        "gone": [results / "gone", work / "gone"],
        "started": [work / "started"],
    }


def made(**changed: Any) -> Made:
    settings = {"measures": ["predictive_entropy"], "kind": "softmax", "maps": ["nifti"]}
    usual: dict[str, Any] = {
        "parts": ["volumes", "scores"], "figure_format": "png", "referenced": ["a"], "settings": settings,
        "keep_probabilities": False, "networks": {"models": [], "networks": []}, "image_files": [],
    }  # fmt: skip
    return Made(**(usual | changed))


KEPT = (
    "results/a/a_summary.json",
    "results/a/a_qc.png",
    "results/a/a_scores.png",
    "results/a/a_scores.json",
    "results/a/maps/a_desc-predictiveEntropy_map.nii.gz",
    "results/a/maps/a_desc-mutualInformation_map.json",
    "results/a/maps/my own.nii.gz",
    "results/b/b_qc.png",
    "results/b/notes.svg",
    "results/subjects.csv",
    "results/scores_cohort.png",
    # Of a user: beside it stands no dictionary.
    "results/lesions.csv",
    "results/models/readme.txt",
    "work/a/measures.zarr/zarr.json",
)
LEFT = (
    "results/a/a_qc.svg",
    "results/a/a_scores.svg",
    "results/a/maps/a_desc-variance_map.nii.gz",
    "results/a/maps/a_maps.json",
    "results/b/b_scores.json",
    "results/b/b_scores.png",
    "results/methods.csv",
    "results/methods.png",
    "results/methods.json",
    "results/scores_cohort.svg",
    "results/models/point-0.pt",
    "results/models/point-0_losses.json",
    "work/b/probabilities.zarr/zarr.json",
)


def fill(folder: Path, paths: tuple[str, ...]) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps({"table": f"{Path(path).stem}.csv"}))


def leftovers(folder: Path, **changed: Any) -> list[str]:
    found = find_leftovers(folder / "results", folder / "work", ["a", "b"], made(**changed))
    return [str(path.relative_to(folder)) for path in found]


def test_what_another_config_made_is_found_and_nothing_of_a_user(tmp_path: Path) -> None:
    fill(tmp_path, KEPT)
    assert leftovers(tmp_path) == []
    fill(tmp_path, LEFT)
    assert sorted(leftovers(tmp_path)) == sorted(path.removesuffix("/zarr.json") for path in LEFT)


def test_a_folder_of_which_nothing_is_made_is_found_as_a_whole(tmp_path: Path) -> None:
    paths = ("results/networks/bayesian-0.pt", "results/networks/bayesian-0_losses.csv", "work/images/softmax.npz")
    fill(tmp_path, paths)
    assert leftovers(tmp_path) == ["results/networks", "work/images"]
    kept = {"models": [], "networks": ["bayesian-0"]}
    assert leftovers(tmp_path, networks=kept, image_files=["softmax.npz"]) == []
    fill(tmp_path, ("results/networks/cross_entropy-0.pt", "work/images/ensemble.npz"))
    found = ["results/networks/cross_entropy-0.pt", "work/images/ensemble.npz"]
    assert leftovers(tmp_path, networks=kept, image_files=["softmax.npz"]) == found


def test_other_settings_make_other_files(tmp_path: Path) -> None:
    fill(tmp_path, KEPT + LEFT)
    settings = {"measures": ["variance"], "kind": "softmax", "maps": ["nifti", "ome-zarr"]}
    found = leftovers(tmp_path, figure_format="svg", settings=settings, keep_probabilities=True)
    assert {"results/a/a_qc.png", "results/a/a_scores.png", "results/scores_cohort.png"} <= set(found)
    assert not [path for path in found if "maps/" in path or path.startswith("work/") or path.endswith("_qc.svg")]
