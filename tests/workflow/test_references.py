"""References are replaced, added and removed; the right jobs run, the numbers are those of float64."""

import numpy as np
import pytest
import reference_scores as oracle
from study import Study, save, softmax_volume

LABELS = [0, 10, 20, 30]
SCORES = ("cross_entropy", "brier", "expected_calibration_error", "n_wrong_voxels", "n_scored_voxels", "ue_dice")


def labels_for(seed):
    """(x, y, z) labels: those of the most probable class, three in ten others."""
    rng, best = np.random.default_rng(seed), softmax_volume(seed % 100).argmax(axis=-1)
    other = rng.integers(4, size=best.shape)
    return np.array(LABELS)[np.where(rng.random(best.shape) < 0.3, other, best)].astype(np.int16)


def expected(*seeds):
    """Scores of the voxels of several samples together."""
    q = np.concatenate([softmax_volume(seed % 100).reshape(-1, 4).T for seed in seeds], axis=1).astype(float)
    truth = np.concatenate([np.searchsorted(LABELS, labels_for(seed)).ravel() for seed in seeds])
    return oracle.of_classes(q / q.sum(axis=0), truth)


def add(study, number, seed=None):
    sample, cells = f"sub-{number}", {}
    if seed is not None:
        save(labels_for(seed), study.folder / f"data/{sample}_labels.nii.gz")
        cells["reference"] = f"../data/{sample}_labels.nii.gz"
    study.add(sample, None if sample in study.rows else softmax_volume(number), **cells)


def check(study, **seeds):
    """Every number of the tables; `seeds` are those of the references, by sample."""
    rows = study.table("scores")
    assert [row["sample"].replace("-", "_") for row in rows] == list(seeds)
    for row, seed in zip(rows, seeds.values(), strict=True):
        wanted = expected(seed)
        for name in SCORES:
            assert float(row[name]) == pytest.approx(wanted[name], abs=1e-6), name
        dices = [line["dice"] for line in study.table("classes") if line["sample"] == row["sample"]]
        assert [float(value) for value in dices] == [line["dice"] for line in wanted["classes"]]
    pooled, wanted = {}, expected(*seeds.values())
    for row in study.table("scores_cohort"):
        pooled.setdefault(row["score"], row["pooled"])
    for name in ("cross_entropy", "brier", "expected_calibration_error", "aurc"):
        assert float(pooled[name]) == pytest.approx(wanted[name], abs=2e-5 if name == "aurc" else 1e-6), name


def ran(study):
    run = study.run()
    assert run.code == 0, run.output
    return {rule: count for rule, count in run.jobs.items() if rule != "all"}


TABLES = {"aggregate": 1, "aggregate_scores": 1, "report": 1}


def test_references_change_come_and_go(tmp_path):
    study = Study(tmp_path / "study", reference={"labels": LABELS})
    add(study, 1, 101)
    add(study, 2)
    assert ran(study) == {"convert": 2, "compute_entropy": 2, "render_qc": 2, "render_scores": 1, **TABLES}
    check(study, sub_1=101)
    assert "Against the reference" in (study.folder / "results/report.html").read_text()
    # Replaced, beside a sample that is as it was.
    add(study, 1, 201)
    assert ran(study) == {"convert": 1, "compute_entropy": 1, "render_qc": 1, "render_scores": 1, **TABLES}
    check(study, sub_1=201)
    # Taken from one, and given to the other.
    add(study, 1)
    add(study, 2, 102)
    assert ran(study) == {"convert": 2, "compute_entropy": 2, "render_qc": 2, "render_scores": 1, **TABLES}
    check(study, sub_2=102)
    assert list((study.folder / "results/sub-1").glob("*scores*")) == []
    assert {row["dice"] == "" for row in study.table("classes") if row["sample"] == "sub-1"} == {True}
