"""A cohort of Zarr arrays in the workflow: nothing is copied, and a store that refers to its source is never stale."""

from collections import Counter

import numpy as np
import pytest
from array_files import arranged, write_zarr
from reference import block
from study import Study, softmax_volume

CHAIN = Counter({"convert": 1, "compute_entropy": 1, "render_qc": 1, "aggregate": 1, "report": 1, "all": 1})


def total(p):
    return np.nansum(block(arranged(p, "mczyx")).maps["predictive_entropy"])


def test_a_run_that_was_killed_before_its_source_changed_ends_with_the_new_numbers(tmp_path):
    study = Study(tmp_path / "study", probabilities={"sum_tolerance": None})
    before, after = softmax_volume(1), softmax_volume(2)
    path = tmp_path / "data of another/p.zarr"
    path.parent.mkdir()
    write_zarr(path, before, (5, 11, 4, 2))
    study.rows["sub-01"] = {"sample": "sub-01", "probabilities": str(path)}
    study.write_table()
    assert study.run("--until", "convert", "--notemp").code == 0
    store = study.folder / "work/sub-01/probabilities.zarr"
    assert [file.name for file in store.iterdir() if not file.name.startswith(".")] == ["zarr.json"]

    chunk = path / "c/0/0/0/0"
    chunk.write_bytes(after[:5, :11, :4, :2].tobytes())
    changed = before.copy()
    changed[:5, :11, :4, :2] = after[:5, :11, :4, :2]
    run = study.run()
    assert run.code == 0, run.output
    assert run.jobs == CHAIN
    (row,) = study.table("subjects")
    right = total(changed / changed.sum(axis=-1, keepdims=True, dtype=np.float64))
    assert abs(right - total(before)) > 1
    assert float(row["predictive_entropy_total"]) == pytest.approx(right, rel=1e-6)
    assert not store.exists()
    assert study.run().jobs.total() == 0
