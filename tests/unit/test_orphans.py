"""What is left of samples that are in the table no longer is found, and nothing else."""

from pathlib import Path

from volume_entropy.runs.orphans import find_orphans


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
