"""What became of a finished study: an older version made it, somebody deleted a part of it, or the config lost one."""

import csv
import json
import shutil

import numpy as np
import pytest
from study import Study, save, softmax_volume
from volume_entropy.files import read_json, remove
from volume_entropy.measures import SCHEMA_VERSION

SAMPLES = ("sub-01", "sub-02")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two samples with references, and maps in both formats."""
    study = Study(tmp_path_factory.mktemp("kept") / "study", storage={"maps": ["nifti", "ome-zarr"]})
    for seed, sample in enumerate(SAMPLES):
        p = softmax_volume(seed)
        save(p.argmax(axis=-1).astype(np.int16), study.folder / f"data/{sample}_labels.nii.gz")
        study.add(sample, p, reference=f"../data/{sample}_labels.nii.gz")
    run = study.run()
    assert run.code == 0, run.output
    study.keep()
    return study


@pytest.fixture
def study(finished):
    return finished.restored()


def ran(run):
    assert run.code == 0, run.output
    return {rule: count for rule, count in run.jobs.items() if rule != "all"}


def as_of_an_older_version(study):
    """Summaries and scores as a version had them before the columns that this one has; by the same recipe."""
    for sample in SAMPLES:
        for part in ("summary", "scores"):
            path = study.folder / f"results/{sample}/{sample}_{part}.json"
            content = read_json(path)
            for key in ("warnings", "maps", "schema_version"):
                content.pop(key, None)
            path.write_text(json.dumps({**content, "schema_version": "1.0"} if part == "summary" else content))


def test_results_of_an_older_version_are_computed_again_and_end_well(study):
    before = study.digests()
    as_of_an_older_version(study)
    run = study.run()
    jobs = ran(run)
    assert (jobs["compute_entropy"], jobs["render_scores"], jobs["aggregate"]) == (2, 2, 1)
    assert f"sub-01 is computed again: its results are of schema 1.0, this version has {SCHEMA_VERSION}" in run.output
    assert study.digests() == before


def test_a_run_that_fails_takes_nothing_of_an_older_version_and_says_so(study):
    as_of_an_older_version(study)
    log = study.folder / "logs/compute_entropy/sub-02.log"
    log.unlink()
    (log / "in the way").mkdir(parents=True)
    run = study.run()
    assert run.code != 0
    assert "Traceback" not in run.output.split("The run is incomplete")[1]
    assert "1 of 2 samples are finished" in run.output
    assert [row["sample"] for row in study.table("incomplete/subjects")] == ["sub-01"]
    assert [row["sample"] for row in study.table("incomplete/failed")] == ["sub-02"]
    assert [row["sample"] for row in study.table("incomplete/scores")] == ["sub-01"]


def test_a_store_of_another_version_is_not_drawn_beside_todays_numbers(study):
    """The summary is of today, the measure store was brought back from elsewhere."""
    stores = [study.folder / f"work/{sample}/measures.zarr" for sample in SAMPLES]
    shutil.rmtree(stores[0])
    shutil.copytree(stores[1], stores[0])
    (study.folder / "results/sub-01/sub-01_qc.png").unlink()
    run = study.run()
    assert run.code != 0
    log = (study.folder / "logs/render_qc/sub-01.log").read_text()
    assert "not made with the summary of sub-01" in log and "Delete this store and run again" in log
    shutil.rmtree(stores[0])
    assert study.run().code == 0


CHAIN = {"convert", "compute_entropy", "render_qc", "render_scores", "aggregate", "aggregate_scores", "report"}
TABLES = {"aggregate", "report"}
SCORES = {"aggregate_scores", "report"}
MAPS = "results/sub-01/maps"
# Files that are deleted together, and which rules run then.
DELETED = {
    "a map": ([f"{MAPS}/sub-01_desc-predictiveEntropy_map.nii.gz"], CHAIN),
    "what says of a map what it is": ([f"{MAPS}/sub-01_desc-predictiveEntropy_map.json"], CHAIN),
    "a chunk of an image of maps": ([f"{MAPS}/sub-01_maps.ome.zarr/0/c/0/0/0/0"], CHAIN),
    "all maps": ([MAPS], CHAIN),
    "a summary": (["results/sub-01/sub-01_summary.json"], CHAIN),
    "a thumbnail": (["results/sub-01/sub-01_thumb.png"], {"render_qc"}),
    "a figure": (["results/sub-02/sub-02_qc.png"], {"render_qc"}),
    "the scores of a sample": (["results/sub-01/sub-01_scores.json"], {"render_scores", *SCORES}),
    "their figure": (["results/sub-01/sub-01_scores.png"], {"render_scores", *SCORES}),
    "a dictionary": (["results/review_queue.json"], TABLES),
    "a table and a dictionary": (["results/classes.csv", "results/rejected.json"], TABLES),
    "what makes BIDS of it": (["results/dataset_description.json"], TABLES),
    "the figure of the cohort": (["results/cohort.svg"], TABLES),
    "the dictionary of the scores": (["results/scores_cohort.json"], SCORES),
    "the figure of the scores": (["results/scores_cohort.png"], SCORES),
    "a script of the page": (["results/report/plots.js"], {"report"}),
    "all that the page loads": (["results/report"], {"report"}),
    "the page": (["results/report.html"], {"report"}),
}


def content_of(study):
    files = (path for path in (study.folder / "results").rglob("*") if path.is_file())
    return {str(path.relative_to(study.folder)): path.read_bytes() for path in files if path.name[0] != "."}


@pytest.mark.parametrize("what", DELETED)
def test_what_somebody_deleted_comes_back_as_it_was(study, what):
    paths, rules = DELETED[what]
    before = content_of(study)
    for path in paths:
        assert (study.folder / path).exists()
        remove(study.folder / path)
    assert set(ran(study.run())) == rules
    assert content_of(study) == before
    assert ran(study.run()) == {}


def test_everything_that_a_run_leaves_can_be_deleted_alone(study):
    """The list above names a member of each kind; here is every file, as a dry run sees it."""
    kinds = {path for paths, _ in DELETED.values() for path in paths}
    names = {name.replace("sub-02", "sub-01") for name in content_of(study)}
    tables = {f"results/{name}.{end}" for name in ("subjects", "classes", "review_queue", "rejected", "scores",
                                                 "scores_cohort") for end in ("csv", "json")}  # fmt: skip
    known = {*kinds, *tables, "results/sub-01/sub-01_qc.png"}
    folders = ("results/report/", f"{MAPS}/")
    assert {name for name in names if not name.startswith(folders)} <= known


def test_reordered_rows_reorder_all_tables(study):
    study.rows = dict(reversed(study.rows.items()))
    study.write_table()
    assert set(ran(study.run())) == {"aggregate", "aggregate_scores", "report"}
    assert [row["sample"] for row in study.table("subjects")] == ["sub-02", "sub-01"]
    assert [row["sample"] for row in study.table("scores")] == ["sub-02", "sub-01"]
    # Without Snakemake's record, too.
    shutil.rmtree(study.folder / ".snakemake")
    study.rows = dict(reversed(study.rows.items()))
    study.write_table()
    assert set(ran(study.run())) == {"aggregate", "aggregate_scores", "report"}
    assert [row["sample"] for row in study.table("scores")] == ["sub-01", "sub-02"]


def test_the_page_shows_the_figure_of_the_format_that_is_asked_for(study):
    study.configure(storage={"maps": ["nifti", "ome-zarr"]}, figures={"format": "svg"})
    assert study.run().code == 0
    assert not (study.folder / "results/scores_cohort.png").exists()
    assert 'src="scores_cohort.svg"' in (study.folder / "results/report.html").read_text()
    listed = study.run("orphans")
    assert listed.code == 0, listed.output
    gone = [line for line in listed.output.splitlines() if line.startswith(str(study.folder))]
    assert gone == [f"{study.folder}/results/{s}/{s}_{part}.png" for s in SAMPLES for part in ("qc", "scores")]


def write_images(path):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["image", "member", "a", "b"], ["i", 0, 0.3, 0.7], ["j", 0, 0.2, 0.8]])


def test_what_is_left_of_images_goes_with_them_and_what_a_user_put_there_stays(study):
    write_images(study.folder / "members.csv")
    study.configure(storage={"maps": ["nifti", "ome-zarr"]}, images={"table": "members.csv", "show": 1})
    assert set(ran(study.run())) == {"measure_images", "show_passes", "report"}
    assert "Most uncertain images" in (study.folder / "results/report.html").read_text()
    # A file of their own, under a name that a run may use.
    (study.folder / "results/labelling.csv").write_text("mine")
    study.configure(storage={"maps": ["nifti", "ome-zarr"]})
    before = study.digests()
    assert set(ran(study.run())) == {"report"}
    left = {path.name for path in (study.folder / "results").iterdir() if path.name.startswith(("image", "passes"))}
    assert left == set()
    assert "Most uncertain images" not in (study.folder / "results/report.html").read_text()
    assert (study.folder / "results/labelling.csv").read_text() == "mine"
    assert {name: digest for name, digest in before.items() if "image" not in name and "passes" not in name} == (
        study.digests()
    )
    assert ran(study.run()) == {}


def test_the_tables_of_volumes_go_where_images_alone_are_left(study):
    write_images(study.folder / "members.csv")
    study.configure(storage={"maps": ["nifti", "ome-zarr"]}, images={"table": "members.csv", "show": 0})
    (study.folder / "config/samples.tsv").rename(study.folder / "config/later.tsv")
    run = study.run()
    assert set(ran(run)) == {"measure_images", "report"}
    assert not (study.folder / "results/subjects.csv").exists()
    assert not (study.folder / "results/scores.csv").exists()
    assert "Against the reference" not in (study.folder / "results/report.html").read_text()
    # The samples' own results stay, and without a table nobody says that they are to go.
    listed = study.run("orphans")
    assert listed.code == 0, listed.output
    assert [line for line in listed.output.splitlines() if line.startswith(str(study.folder))] == []
    (study.folder / "config/later.tsv").rename(study.folder / "config/samples.tsv")
    assert set(ran(study.run())) == {"aggregate", "aggregate_scores", "report"}
