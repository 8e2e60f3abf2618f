"""What runs, and what does not run again: tests that count jobs."""

import os
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from kills import VICTIMS, Killer
from study import Study, save, softmax_volume

CHAIN = {"convert": 1, "compute_entropy": 1, "render_qc": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished cohort of two samples."""
    study = Study(tmp_path_factory.mktemp("cohort") / "study")
    for seed, sample in enumerate(("sub-01", "sub-02")):
        study.add(sample, softmax_volume(seed), site="A")
    run = study.run()
    assert run.code == 0, run.output
    assert run.jobs == Counter(
        {"convert": 2, "compute_entropy": 2, "render_qc": 2, "aggregate": 1, "report": 1, "all": 1}
    )
    study.keep()
    return study


@pytest.fixture
def study(finished):
    return finished.restored()


def ran(run):
    assert run.code == 0, run.output
    return {rule: count for rule, count in run.jobs.items() if rule != "all"}


def test_a_second_run_does_nothing_also_without_the_stores(study):
    run = study.run()
    assert ran(run) == {}
    assert "2 samples done, 0 rejected; 2 skipped as up to date; wall time" in run.output
    shutil.rmtree(study.folder / "work")
    assert ran(study.run()) == {}


def test_a_new_row_runs_its_own_jobs_and_the_tables(study):
    study.add("sub-03", softmax_volume(3), site="B")
    run = study.run()
    assert ran(run) == {**CHAIN, "aggregate": 1, "report": 1}
    assert [row["sample"] for row in study.table("subjects")] == ["sub-01", "sub-02", "sub-03"]
    # What was done is said on the terminal, and in a file.
    stages = ("convert", "compute_entropy", "aggregate", "render_qc", "report")
    steps = f"Progress: {', '.join(f'{stage} 1 of 1' for stage in stages)}; 5 of 5 jobs in "
    for said in (run.output, (study.folder / "logs/progress.log").read_text()):
        assert steps in said
        assert "3 samples done, 0 rejected; 2 skipped as up to date; wall time" in said
    # And what a job read, how long its phases took and what it cost, in its log.
    for stage, read in (("convert", "data/sub-03.nii.gz"), ("compute_entropy", "probabilities.zarr")):
        first, *phases, last = (study.folder / f"logs/{stage}/sub-03.log").read_text().splitlines()
        assert re.search(rf"INFO reads \S*{read}, [\d.]+ MiB$", first)
        assert [line for line in phases if re.search(r": \d+\.\d\d s$", line)]
        assert re.search(r"done in [\d.]+ s, peak memory \d+ MiB, \S+ million voxels a second$", last)


def test_a_removed_row_runs_the_tables_only(study):
    study.remove("sub-02")
    assert ran(study.run()) == {"aggregate": 1, "report": 1}
    assert [row["sample"] for row in study.table("subjects")] == ["sub-01"]
    assert (study.folder / "results/sub-02/sub-02_summary.json").exists()
    listed = study.run("orphans")
    assert listed.code == 0
    folders = [f"{study.folder}/{root}/sub-02" for root in ("results", "work")]
    assert [line for line in listed.output.splitlines() if line.startswith(str(study.folder))] == folders
    assert "Samples with results, and without a row in the samples table: 1, " in listed.output
    # Nor does a failed listing say anything of the cohort.
    log = study.folder / "logs/orphans.log"
    log.unlink()
    (log / "in the way").mkdir(parents=True)
    listed = study.run("orphans")
    assert (listed.code, "incomplete" in listed.output) == (1, False)
    assert not (study.folder / "results/incomplete").exists()


def test_changed_metadata_runs_the_tables_only(study):
    study.add("sub-02", site="C")
    assert ran(study.run()) == {"aggregate": 1, "report": 1}
    assert study.table("subjects")[1]["site"] == "C"


def test_figure_settings_do_not_recompute_entropy(study):
    study.configure(figures={"slices": 2})
    assert ran(study.run()) == {"render_qc": 2}


def test_a_lost_thumbnail_is_drawn_again(study):
    (study.folder / "results/sub-01/sub-01_thumb.png").unlink()
    assert ran(study.run()) == {"render_qc": 1}
    assert (study.folder / "results/sub-01/sub-01_thumb.png").exists()


def test_figures_are_made_again_without_the_stores(study):
    shutil.rmtree(study.folder / "work")
    study.configure(figures={"slices": 2})
    before = study.digests()
    assert ran(study.run())["render_qc"] == 2
    assert study.digests() == before


def test_chunk_shape_is_no_reason_and_changes_no_byte(study):
    before = study.digests()
    study.configure(storage={"chunk": 8})
    assert ran(study.run()) == {}
    run = study.run("--forceall")
    assert run.code == 0, run.output
    assert study.digests() == before


def test_one_core_gives_the_same_bytes(study):
    before = study.digests()
    run = study.run("--forceall", cores=1)
    assert run.code == 0, run.output
    assert study.digests() == before
    assert study.leftovers() == []


@pytest.mark.parametrize("seconds", [-86400, 86400])
def test_a_replaced_source_is_computed_again_whatever_its_time(study, seconds):
    path = study.folder / "data/sub-02.nii.gz"
    then = path.stat().st_mtime + seconds
    total = study.table("subjects")[1]["predictive_entropy_total"]
    save(softmax_volume(99), path)
    os.utime(path, (then, then))
    assert ran(study.run()) == {**CHAIN, "aggregate": 1, "report": 1}
    assert study.table("subjects")[1]["predictive_entropy_total"] != total


def test_a_setting_recomputes_what_depends_on_it(study):
    study.configure(entropy={"unit": "nat"})
    assert ran(study.run()) == {"convert": 2, "compute_entropy": 2, "render_qc": 2, "aggregate": 1, "report": 1}
    assert {row["unit"] for row in study.table("subjects")} == {"nat"}


def test_without_snakemakes_record_a_stale_number_is_still_computed_again(study):
    shutil.rmtree(study.folder / ".snakemake")
    assert ran(study.run()) == {}
    shutil.rmtree(study.folder / ".snakemake")
    study.configure(entropy={"unit": "nat"})
    run = study.run()
    assert ran(run)["compute_entropy"] == 2
    assert "settings.unit was" in run.output
    assert {row["unit"] for row in study.table("subjects")} == {"nat"}


def test_without_snakemakes_record_a_store_of_an_old_source_is_made_again(study):
    path = study.folder / "data/sub-02.nii.gz"
    save(softmax_volume(50), path)
    assert study.run("--until", "convert", "--notemp").code == 0
    save(softmax_volume(51), path)
    os.utime(path, (1, 1))
    shutil.rmtree(study.folder / ".snakemake")
    assert ran(study.run()) == {**CHAIN, "aggregate": 1, "report": 1}


def test_without_snakemakes_record_a_removed_row_leaves_the_tables(study):
    shutil.rmtree(study.folder / ".snakemake")
    study.remove("sub-01")
    assert ran(study.run()) == {"aggregate": 1, "report": 1}
    assert [row["sample"] for row in study.table("subjects")] == ["sub-02"]


def test_a_source_that_changes_while_a_run_is_killed_after_convert_never_leaves_an_old_number(study, tmp_path):
    """The store of the old source survives the kill; the number must be that of the new source."""
    path = study.folder / "data/sub-02.nii.gz"
    save(softmax_volume(50), path)
    run = study.run("--until", "convert", "--notemp")
    assert run.jobs["convert"] == 1
    assert (study.folder / "work/sub-02/probabilities.zarr").exists()
    old = path.stat().st_mtime
    save(softmax_volume(51), path)
    os.utime(path, (old - 100, old - 100))
    assert ran(study.run()) == {**CHAIN, "aggregate": 1, "report": 1}
    fresh = Study(tmp_path / "fresh")
    fresh.add("sub-02", softmax_volume(51))
    assert fresh.run().code == 0
    key = "predictive_entropy_total"
    assert study.table("subjects")[1][key] == fresh.table("subjects")[0][key]


def test_killed_at_three_moments_and_started_again_a_run_gives_the_same_bytes(study):
    # A main process, a job, all at once; `make kill-test` kills thirty times.
    assert set(Killer(study, seconds=6, seed=0).kill(3).kills) == set(VICTIMS)


def test_a_lost_source_of_a_finished_cohort_stops_before_anything_is_touched(study):
    before = study.digests()
    (study.folder / "data/sub-01.nii.gz").unlink()
    run = study.run()
    assert run.code != 0
    assert "sub-01" in run.output
    assert "does not exist" in run.output
    assert run.jobs == Counter()
    assert study.digests() == before


def test_numpy_agrees_with_the_table(study):
    """The sum over the whole field, as the formula says, in float64."""
    for seed, row in enumerate(study.table("subjects")):
        p = softmax_volume(seed).astype(np.float64)
        q = p / p.sum(axis=-1, keepdims=True)
        total = -(q * np.log2(q + 1e-12)).sum()
        assert abs(float(row["predictive_entropy_total"]) - total) <= 1e-6 * total + 3e-8 * q[..., 0].size


def test_snakemakes_own_report_carries_tables_and_figures_with_captions_and_labels(study, tmp_path):
    run = study.run("--report", str(tmp_path / "report.zip"))
    assert run.code == 0, run.output
    with zipfile.ZipFile(tmp_path / "report.zip") as report:
        inside = {Path(name).name: report.read(name) for name in report.namelist()}
    page = inside.pop("report.html").decode()
    results = study.folder / "results"
    assert set(inside) == {"subjects.csv", "classes.csv", "review_queue.csv", "rejected.csv", "cohort.svg"}
    assert all(content == (results / name).read_bytes() for name, content in inside.items())
    texts = ["in the order in which a human should look at them", "Totals and means of the cohort, one mark a sample"]
    texts += ['"table": "review queue"', '"figure": "cohort"', "Voxel-wise uncertainty of segmentation models over"]
    assert [text for text in texts if text not in page] == []
