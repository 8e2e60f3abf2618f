"""One bad file never loses the others, and is never lost itself."""

import numpy as np
import pytest
from study import Study, softmax_volume


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A good sample, a truncated gzip, a volume of NaN, and a file that is not there, and what a run makes of them."""
    study = Study(tmp_path_factory.mktemp("cohort") / "study")
    study.add("good", softmax_volume(1))
    cut = study.add("cut", softmax_volume(2))
    cut.write_bytes(cut.read_bytes()[:-200])
    study.add("nan", np.full((5, 4, 3, 4), np.nan, dtype=np.float32))
    study.add("absent")
    run = study.run()
    assert run.code == 0, run.output
    assert "3 rejected, see results/rejected.csv" in run.output
    study.keep()
    return study


@pytest.fixture
def study(finished):
    return finished.restored()


def test_three_bad_samples_of_four_are_rejected_with_words(study):
    assert [row["sample"] for row in study.table("subjects")] == ["good"]
    rejected = {row["sample"]: row for row in study.table("rejected")}
    assert list(rejected) == ["cut", "nan", "absent"]
    assert {sample: row["code"] for sample, row in rejected.items()} == {
        "cut": "file_truncated",
        "nan": "too_many_invalid",
        "absent": "file_missing",
    }
    for row in rejected.values():
        assert row["message"]
        assert len(row["remedy"]) > 20
    assert "absent.nii.gz" in rejected["absent"]["message"]
    for sample in rejected:
        assert (study.folder / f"results/{sample}/{sample}_qc.png").stat().st_size > 0
        assert list((study.folder / f"results/{sample}/maps").glob("*.nii.gz")) == []


def test_fail_makes_the_exit_code_and_keeps_the_tables_every_time(study):
    study.configure(on_rejected="fail")
    for _ in range(2):
        run = study.run()
        assert run.code != 0
        assert "3 samples were rejected" in (study.folder / "logs/judge_rejected.log").read_text()
        assert len(study.table("rejected")) == 3
        assert len(study.table("subjects")) == 1
    assert run.jobs["compute_entropy"] == 0
    assert run.jobs["judge_rejected"] == 1


def test_a_repaired_file_runs_and_leaves_the_rejected(study):
    study.add("absent", softmax_volume(4))
    study.add("cut", softmax_volume(5))
    run = study.run()
    assert run.code == 0, run.output
    assert run.jobs["compute_entropy"] == 2
    assert [row["sample"] for row in study.table("rejected")] == ["nan"]
    assert [row["sample"] for row in study.table("subjects")] == ["good", "cut", "absent"]
