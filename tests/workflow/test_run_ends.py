"""The end of a run: what was rejected and why, what was warned of, where the page is, and whether it ended well."""

import csv

import numpy as np
import pytest
from study import Study, save, softmax_volume

# What Snakemake says after that.
SNAKEMAKES = ("Complete log(s)", "Elapsed time", "WorkflowError", "At least one job")


def last_lines(run):
    """What the run said of itself at its end."""
    lines = run.output.splitlines()
    (first,) = (n for n, line in enumerate(lines) if " samples done, " in line or " rows of images measured, " in line)
    return [line for line in lines[first:] if not line.startswith(SNAKEMAKES)]


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path / "study")


def test_a_run_in_which_no_sample_could_be_used_ends_badly_every_time(study):
    study.add("sub-01")
    study.add("sub-02", softmax_volume(1, classes=3))
    study.add("sub-03")
    for jobs in (3, 0):
        run = study.run()
        assert run.code != 0
        assert run.jobs["compute_entropy"] == jobs
        assert "incomplete" not in run.output
        done, missing, other, page, verdict = last_lines(run)
        assert done.startswith("0 samples done, 3 rejected, see results/rejected.csv; ")
        assert missing.startswith("Rejected 2 × file_missing, the first is sub-01: ")
        assert "sub-01.nii.gz" in missing
        assert other.startswith("Rejected 1 × class_mismatch, the first is sub-02: ")
        assert page == f"The report is {study.folder}/results/report.html"
        assert verdict == (
            "No sample could be used: all 3 were rejected; results/rejected.csv says why, and what to do."
        )
        assert verdict in (study.folder / "logs/progress.log").read_text()
        assert "Traceback" not in run.output
    assert [row["sample"] for row in study.table("rejected")] == ["sub-01", "sub-02", "sub-03"]
    assert (study.folder / "results/report.html").exists()
    # One file that is repaired is enough.
    study.add("sub-03", softmax_volume(3))
    run = study.run()
    assert run.code == 0, run.output
    assert last_lines(run)[0].startswith(
        "1 samples done, 2 rejected, see results/rejected.csv; 2 skipped as up to date"
    )
    assert not [line for line in last_lines(run) if line.startswith("No ")]


def test_a_cohort_that_loses_its_last_usable_sample_ends_badly(study):
    path = study.add("sub-01", softmax_volume(1))
    assert study.run().code == 0
    path.write_bytes(b"no gzip")
    run = study.run()
    assert run.code != 0
    assert last_lines(run)[-1].startswith("No sample could be used: all 1 were rejected")


def test_fail_says_so_in_the_last_line_and_nothing_is_incomplete(study):
    study.configure(on_rejected="fail")
    study.add("sub-01", softmax_volume(1))
    study.add("sub-02")
    run = study.run()
    assert run.code != 0
    assert last_lines(run)[-1] == "on_rejected is `fail`, and 1 samples were rejected; see results/rejected.csv"
    assert "incomplete" not in run.output
    assert not (study.folder / "results/incomplete").exists()


def test_warnings_are_counted_also_where_nothing_was_to_be_done(study):
    for seed, order in enumerate(([0, 1, 2, 3], [0, 1, 3, 2], [0, 1, 2, 3])):
        sample = f"sub-{seed:02}"
        labels = np.array(order)[softmax_volume(seed).argmax(axis=-1)].astype(np.int16)
        save(labels, study.folder / f"data/{sample}_labels.nii.gz")
        study.add(sample, softmax_volume(seed), reference=f"../data/{sample}_labels.nii.gz")
    for skipped in (0, 3):
        run = study.run()
        assert run.code == 0, run.output
        done, warned, page = last_lines(run)
        assert f"3 samples done, 0 rejected; {skipped} skipped as up to date" in done
        assert (
            warned == "Samples with a warning: 1 × reference_permuted; see the column warnings of results/subjects.csv"
        )
        assert page.endswith("/results/report.html")
        assert page in (study.folder / "logs/progress.log").read_text()
    assert "Nothing to be done" in run.output
    first = study.table("review_queue")[0]
    assert (first["sample"], first["flags"]) == ("sub-01", "warning")
    assert "gm: 3, wm: 2" in first["reason"] or "2: 3, 3: 2" in first["reason"]


def write_images(path, *, spoil):
    with path.open("w", newline="") as stream:
        lines = [["image", "member", "a", "b"], *([f"i{n}", 0, 7.5 if n in spoil else 0.3, 0.7] for n in range(3))]
        csv.writer(stream).writerows(lines)


def test_a_study_of_images_alone_ends_in_the_same_way(tmp_path):
    study = Study(tmp_path, images={"table": "members.csv", "show": 0})
    write_images(tmp_path / "members.csv", spoil={1})
    run = study.run()
    assert run.code == 0, run.output
    done, rejected, page = last_lines(run)
    assert done.startswith("2 rows of images measured, 1 images rejected, see results/images_rejected.csv")
    assert rejected.startswith("Rejected 1 × not_probabilities, the first is i1: ")
    assert page == f"The report is {tmp_path}/results/report.html"
    write_images(tmp_path / "members.csv", spoil={0, 1, 2})
    for _ in range(2):
        run = study.run()
        assert run.code != 0
        assert last_lines(run)[-1].startswith(
            "No image could be used: all 3 were rejected; results/images_rejected.csv"
        )
        assert len(study.table("images_rejected")) == 3
