"""Every preset from end to end: the producer's tree, discovery by its command, conversion, entropy, right numbers."""

import csv
import re
import subprocess
from pathlib import Path

import numpy as np
import producers
import pytest
import yaml
from preset_runs import PRESETS, PresetStudy, assert_numbers_of, expected, rejected
from producers import PRODUCERS, probabilities
from study import ROOT, Study, environment

SUBJECTS = ("sub-01", "sub-02")
# Bytes: a sum may be off by half a step a class.
QUANTUM = {"spm": 1 / 255, "cat12": 1 / 255, "clinica": 1 / 255}


@pytest.fixture
def study(tmp_path):
    """Make the study of a preset."""

    def of(preset, **config):
        return PresetStudy(tmp_path / "my study", {"preset": preset, **config})

    return of


@pytest.mark.parametrize("name", sorted(PRODUCERS))
def test_two_subjects_of_a_producer_give_the_numbers_of_the_reference(name, study, tmp_path):
    write, classes = PRODUCERS[name]
    study, tree = study(name), tmp_path / "out put é"
    written = [write(tree, probabilities(classes, seed), subject) for seed, subject in enumerate(SUBJECTS)]
    assert "2 samples below" in study.discover(tree)
    samples = list(study.samples().values())
    assert [sample.id[:6] for sample in samples] == list(SUBJECTS)
    preset = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())["config"]["probabilities"]
    for sample, source in zip(samples, written, strict=True):
        summary, entropy = study.process(sample)
        block = expected(source.stored, study.conversion, source.mask, QUANTUM.get(name, 0.0))
        assert_numbers_of(summary, entropy, block, source.affine)
        classes = (["background"] if preset.get("background") == "complement" else []) + preset["classes"]
        assert [structure["class"] for structure in summary["structures"]] == classes
        assert summary["content"] == preset["content"]
        assert summary["n_members"] == len(source.stored)
    assert not list(tree.rglob("*was opened"))


@pytest.mark.parametrize("suffix", [".nii", ".mgz", ".npz"])
def test_synthseg_in_its_other_formats(suffix, study, tmp_path):
    study = study("synthseg")
    written = producers.synthseg(tmp_path / "tree", probabilities(33), suffix=suffix)
    study.discover(tmp_path / "tree")
    (sample,) = study.samples().values()
    assert_numbers_of(*study.process(sample), expected(written.stored, study.conversion), written.affine)


def test_a_field_that_fast_left_empty_counts_in_no_mean(study, tmp_path):
    study = study("fast")
    written = producers.fast(tmp_path / "tree", probabilities(3))
    study.discover(tmp_path / "tree")
    (sample,) = study.samples().values()
    summary, _ = study.process(sample)
    inside = producers.brain(written.stored.shape[1:])
    assert summary["n_empty_voxels"] == np.count_nonzero(~inside)
    assert summary["n_domain_voxels"] == np.count_nonzero(inside)
    p = written.stored[0][inside]
    entropies = -(p * np.log2(p)).sum(axis=-1)
    assert summary["predictive_entropy_mean"] == pytest.approx(entropies.mean(), rel=1e-6)


def test_arrays_that_nnunet_v1_cropped_are_rejected_with_the_reason(study, tmp_path):
    study = study("nnunet_v1")
    producers.nnunet_v1(tmp_path / "tree", probabilities(2), crop=2)
    study.discover(tmp_path / "tree")
    (sample,) = study.samples().values()
    error = rejected(study.process, sample)
    assert error.code == "shape_mismatch"
    assert "crop" in error.remedy


def test_the_whole_workflow_on_a_producers_tree(tmp_path):
    tree = tmp_path / "tree"
    written = producers.nnunet(tree, probabilities(2))
    study = Study(tmp_path / "study", preset="nnunet", discover={"root": str(tree)})
    assert study.run("discover").code == 0
    run = study.run()
    assert run.code == 0, run.output
    assert study.table("rejected") == []
    (row,) = study.table("subjects")
    settings = PresetStudy(tmp_path / "settings", {"preset": "nnunet"}).conversion
    assert_total(row, expected(written.stored, settings))
    # As the next prediction into the folder does, which makes no sample stale.
    for name in ("dataset.json", "plans.json"):
        (tree / name).write_text((tree / name).read_text() + " ")
    assert study.run().jobs.total() == 0
    # A reader that turns images to RAS: the row stands in the table, and is refused as discovery would.
    (tree / "plans.json").write_text(
        (tree / "plans.json").read_text().replace("SimpleITKIO", "SimpleITKIOWithReorient")
    )
    again = study.run()
    assert "beside was [], is" in again.output
    assert [row["code"] for row in study.table("rejected")] == ["refused_by_preset"]
    assert study.table("subjects") == []


def test_the_five_lines_of_the_readme_on_two_sessions_and_two_spaces(tmp_path):
    """The commands stand in README.md; only the paths are others here."""
    derivatives, folder = tmp_path / "derivatives", tmp_path / "my-study"
    written = {}
    for session in ("ses-1", "ses-2"):
        for space in ("", "space-MNI152NLin2009cAsym_res-1"):
            p = probabilities(4, seed=len(written))
            sample = "_".join(part for part in ("sub-01", session, space) if part)
            written[sample] = producers.fmriprep(derivatives, p, "sub-01", session, space)
    environ, *lines = five_lines()
    assert environ == "make env"
    for line in lines:
        here = line.replace("/data/derivatives/fmriprep", str(derivatives)).replace("../my-study", str(folder))
        here = re.sub(r"^\.venv/bin/", "", here).replace("--cores all", "--cores 2")
        process = subprocess.run(here, shell=True, cwd=ROOT, env=environment(), capture_output=True, text=True)
        assert process.returncode == 0, process.stdout + process.stderr
    with open(folder / "results/subjects.csv", newline="", encoding="utf-8") as stream:
        rows = {row["sample"]: row for row in csv.DictReader(stream)}
    assert list(rows) == sorted(written)
    settings = PresetStudy(tmp_path / "settings", {"preset": "fmriprep"}).conversion
    for sample, row in rows.items():
        block = expected(written[sample].stored, settings, written[sample].mask)
        assert_total(row, block)
        inside = producers.brain(written[sample].stored.shape[1:]).T
        assert int(row["n_domain_voxels"]) == np.count_nonzero(inside)
        mean = block.maps["predictive_entropy"][inside].mean()
        assert float(row["predictive_entropy_mean"]) == pytest.approx(mean, abs=1e-6)
        assert row["content"] == "partial_volume"
    totals = {row["predictive_entropy_total"] for row in rows.values()}
    assert len(totals) == 4, "two samples have read the same files"


def five_lines():
    """The commands of README.md from a producer's output to the tables; config/README.md has the same."""
    (block,) = (text for text in blocks("README.md") if "derivatives/fmriprep" in text)
    assert block in blocks("config/README.md")
    lines = block.strip().splitlines()
    assert len(lines) == 5
    return lines


def blocks(name):
    """What stands between the fences of a Markdown file."""
    return Path(ROOT, name).read_text(encoding="utf-8").split("```")[1::2]


def assert_total(row, block):
    """Hold the total of a row of `subjects.csv` against the float64 reference."""
    right = float(np.nansum(block.maps["predictive_entropy"]))
    slack = 1e-6 * right + 3e-8 * block.invalid.size
    assert abs(float(row["predictive_entropy_total"]) - right) <= slack
