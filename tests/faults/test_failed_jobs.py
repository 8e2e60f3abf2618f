"""A job that fails for good loses neither the others nor itself."""

import numpy as np
from study import Study, save, softmax_volume


def test_the_tables_of_what_finished_are_salvaged(tmp_path):
    study = Study(tmp_path)
    save(softmax_volume(1).argmax(axis=-1).astype(np.uint8), tmp_path / "data/labels.nii.gz")
    study.add("good", softmax_volume(1), reference="../data/labels.nii.gz")
    study.add("stuck", softmax_volume(2))
    # A folder stands where the job's log goes: no fault of the data.
    (tmp_path / "logs/compute_entropy/stuck.log/folder").mkdir(parents=True)
    # Of an earlier run that failed, too, when there were lesions to measure.
    (tmp_path / "results/incomplete").mkdir(parents=True)
    (tmp_path / "results/incomplete/lesions.csv").touch()
    run = study.run()
    assert run.code != 0
    assert "1 of 2 samples are finished" in run.output
    assert [row["sample"] for row in study.table("incomplete/subjects")] == ["good"]
    assert [row["cross_entropy"] != "" for row in study.table("incomplete/scores")] == [True]
    assert not (tmp_path / "results/incomplete/lesions.csv").exists()
    assert study.table("incomplete/failed") == [{"sample": "stuck", "log": "logs/compute_entropy/stuck.log"}]
    assert {"failed", "subjects", "scores_cohort"} <= study.described()
