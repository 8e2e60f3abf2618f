"""A job that fails for good loses neither the others nor itself."""

import csv

from study import Study, softmax_volume


def test_the_tables_of_what_finished_are_salvaged(tmp_path):
    study = Study(tmp_path)
    study.add("good", softmax_volume(1))
    study.add("stuck", softmax_volume(2))
    # A folder stands where the job's log goes: no fault of the data.
    (tmp_path / "logs/compute_entropy/stuck.log/folder").mkdir(parents=True)
    run = study.run()
    assert run.code != 0
    assert "1 of 2 samples are finished" in run.output
    assert [row["sample"] for row in study.table("incomplete/subjects")] == ["good"]
    with open(tmp_path / "results/incomplete/failed.csv", newline="") as stream:
        assert [row["sample"] for row in csv.DictReader(stream)] == ["stuck"]
