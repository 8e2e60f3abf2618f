"""Runs on images alone: a ready table of class probabilities, without any volume."""

import csv

import numpy as np
import pytest
from study import Study

CLASSES = ("cat", "dog")


def write_table(path, spoil=()):
    draws = np.random.default_rng(0)
    lines = [["image", "member", "label", *CLASSES]]
    for image in range(12):
        for member in range(3):
            p = draws.beta(2, 2) if image not in spoil else 7.5
            lines.append([f"i{image:02}", member, CLASSES[image % 2], p, 1 - p])
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)


@pytest.fixture
def study(tmp_path):
    study = Study(tmp_path, images={"table": "members.csv", "show": 2})
    write_table(tmp_path / "members.csv")
    return study


def ran(run):
    assert run.code == 0, run.output
    return {rule for rule in run.jobs if rule != "all"}


def test_a_table_alone_is_a_study_and_is_measured_once(study):
    assert ran(study.run()) == {"measure_images", "show_passes", "report"}
    assert len(study.table("images")) == 12
    assert study.table("images_rejected") == []
    assert len(list((study.folder / "results/passes").glob("*.png"))) == 2
    assert not (study.folder / "results/subjects.csv").exists()
    first = min(study.table("images"), key=lambda row: int(row["rank"]))["image"]
    page = (study.folder / "results/report.html").read_text()
    assert f'<th scope="row">{first}</th>' in page and "<script" not in page
    assert ran(study.run()) == set()
    # Other settings and other content are news; a picture more is news for the pictures alone.
    study.configure(images={"table": "members.csv", "show": ["i03"]})
    assert ran(study.run()) == {"show_passes"}
    study.configure(images={"table": "members.csv", "show": ["i03"]}, entropy={"unit": "nat"})
    assert ran(study.run()) == {"measure_images", "show_passes", "report"}
    write_table(study.folder / "members.csv", spoil={4})
    assert ran(study.run()) == {"measure_images", "show_passes", "report"}
    page = (study.folder / "results/report.html").read_text()
    assert "i04" in page and "not_probabilities" in page and 'src="image_scores.png"' in page
    assert [row["image"] for row in study.table("images_rejected")] == ["i04"]
    assert len(study.table("images")) == 11
    assert study.described() == {"images", "image_scores", "images_rejected", "table_rank-11_i03_passes"}
    assert study.leftovers() == []
    study.configure(images={"table": "members.csv", "show": ["i03"]}, entropy={"unit": "nat"}, on_rejected="fail")
    run = study.run()
    assert run.code != 0
    assert "1 images were rejected" in (study.folder / "logs/judge_rejected.log").read_text()


def test_what_is_not_there_is_refused_before_any_job(study):
    study.configure(images={"table": "gone.npz"})
    run = study.run("-n")
    assert run.code != 0 and not run.jobs
    assert "images.table: gone.npz does not exist" in run.output and "Traceback" not in run.output
    # A table of volumes that the config names must be there, images or not.
    study.configure(images={"table": "members.csv"}, samples="config/samples.tsv")
    run = study.run("-n")
    assert run.code != 0 and "samples.tsv does not exist" in run.output
