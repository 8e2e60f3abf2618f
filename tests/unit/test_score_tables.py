"""The tables and the page of scores: rows of samples, pooled rows, nothing of a cohort that is gone."""

import csv
import math

import numpy as np
import pytest
import reference_scores as oracle
from cohorts import summary, write
from volume_entropy.files import read_json, write_json
from volume_entropy.labels import ignored_code
from volume_entropy.report.scores import score_section
from volume_entropy.scoring.blocks import Reference, class_scores
from volume_entropy.scoring.files import as_json
from volume_entropy.scoring.scores import scores_of
from volume_entropy.scoring.tables import aggregate_scores, over_samples
from volume_entropy.tables import write_tables

CLASSES = ["background", "csf", "gm", "wm"]


def voxels(seed, n):
    """(class, voxel) probabilities and true classes."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(4, 0.4), n).T.astype(np.float32), rng.integers(4, size=n)


def sample_file(folder, name, seed, n=500, ignored=False):
    """The counts of a random sample, and the summary that they belong to; `ignored`: no voxel of it is scored."""
    q, truth = voxels(seed, n)
    entropy = oracle.entropy(q).astype(np.float32)
    codes = np.full_like(truth, ignored_code(np.uint8)) if ignored else truth
    reference = Reference(codes.astype(np.uint8).reshape(1, 1, n), [[0], [1], [2], [3]])
    task = class_scores(q, False, entropy, 2.0, q.argmax(axis=0).astype(np.uint8), None, reference)
    scores, rows = scores_of([task], "softmax")
    (of_summary,) = write(folder, [summary(name)])
    made = {key: read_json(of_summary)[key] for key in ("recipe", "schema_version")}
    content = {"sample": name, "status": "ok", **made, "kind": "softmax"}
    content |= {"unit": "bit", "classes": CLASSES, "scores": scores, "by_class": rows, "counts": [as_json(task)]}
    path = folder / name / f"{name}_scores.json"
    write_json(path, content)
    return path, of_summary


def table(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_tables_have_a_row_a_sample_and_a_row_a_score(tmp_path):
    scores, summaries = zip(*(sample_file(tmp_path, f"sub-{i}", i) for i in range(3)), strict=True)
    aggregate_scores(scores, summaries, tmp_path / "scores_cohort.png", kind="png")
    rows, cohort = table(tmp_path / "scores.csv"), table(tmp_path / "scores_cohort.csv")
    assert [row["sample"] for row in rows] == ["sub-0", "sub-1", "sub-2"]
    row = next(row for row in cohort if row["score"] == "brier")
    values = [float(row["brier"]) for row in rows]
    # Samples of the same size: the pooled mean of voxels is that of the samples.
    assert float(row["pooled"]) == pytest.approx(np.mean(values), rel=1e-9)
    assert float(row["mean"]) == pytest.approx(np.mean(values), rel=1e-12)
    assert float(row["std"]) == pytest.approx(np.std(values, ddof=1), rel=1e-9)
    assert min(values) <= float(row["ci_low"]) <= float(row["mean"]) <= float(row["ci_high"]) <= max(values)
    assert {row["class"] for row in cohort if row["score"] == "dice"} == set(CLASSES)
    section = score_section(tmp_path)
    assert "scores_cohort.png" in section.html
    assert section.plots[0].data[0]["customdata"] == ["sub-0", "sub-1", "sub-2"]
    write_tables(summaries, {f"sub-{i}": {} for i in range(3)}, tmp_path)
    assert not list(tmp_path.glob("scores*"))
    assert score_section(tmp_path) is None


def test_the_pooled_row_is_the_score_of_all_voxels_and_what_does_not_exist_is_empty(tmp_path):
    sizes = {"sub-0": 900, "sub-1": 1, "sub-2": 40}
    made = [sample_file(tmp_path, name, seed, n) for seed, (name, n) in enumerate(sizes.items())]
    made.append(sample_file(tmp_path, "sub-3", 3, 70, ignored=True))
    scores, summaries = zip(*made, strict=True)
    aggregate_scores(scores, summaries, tmp_path / "scores_cohort.png", kind="png")
    parts = [voxels(seed, n) for seed, n in enumerate(sizes.values())]
    q, truth = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    expected = oracle.of_classes(q / q.sum(axis=0, dtype=np.float64), truth)
    by_class = {
        (name, row): value
        for row, of in zip(CLASSES, expected.pop("classes"), strict=True)
        for name, value in of.items()
    }
    cohort = {(row["score"], row["class"]): row for row in table(tmp_path / "scores_cohort.csv")}
    wanted = {**{(name, ""): value for name, value in expected.items()}, **by_class}
    for key in cohort:
        # Ranked scores hang on a histogram: a few dozen of these thousand entropies share a bin.
        ranked = key[0] in ("error_auroc", "aurc", "eaurc")
        if key[0] != "error_auprc":
            assert float(cohort[key]["pooled"]) == pytest.approx(wanted[key], abs=1e-4 if ranked else 1e-6), key
    rows = table(tmp_path / "scores.csv")
    assert [row["n_scored_voxels"] for row in rows] == ["900", "1", "40", "0"]
    assert {name for name, cell in rows[3].items() if cell} == {
        "sample", "n_scored_voxels", "n_unlisted_voxels", "n_ignored_voxels", "n_wrong_voxels", "n_floored_voxels",
    }  # fmt: skip
    assert cohort["brier", ""]["n_samples"] == "3"
    assert cohort["error_auroc", ""]["n_samples"] == "2"


def test_scores_of_another_summary_are_refused(tmp_path):
    path, of_summary = sample_file(tmp_path, "sub-0", 0)
    content = read_json(path)
    content["recipe"]["settings"]["unit"] = "nat"
    write_json(path, content)
    with pytest.raises(ValueError, match="does not belong"):
        aggregate_scores([path], [of_summary], tmp_path / "scores_cohort.png", kind="png")


def test_statistics_over_samples_do_not_depend_on_their_order():
    values = np.random.default_rng(0).random(40).tolist()
    assert over_samples(values) == over_samples(values[::-1])
    assert over_samples([None, 0.5]) == {"n_samples": 1, "mean": 0.5, "std": None, "ci_low": None, "ci_high": None}
    assert over_samples([None]) == {"n_samples": 0}
    error = over_samples(values)["std"] / math.sqrt(40)
    found = over_samples(values)
    assert found["ci_high"] - found["ci_low"] == pytest.approx(2 * 1.96 * error, rel=0.1)
