"""The demo's cohort looks like one: real anatomy, ambiguous borders, two sites, and samples with what goes wrong."""

import csv
import gzip
import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import make_demo
import nibabel
import numpy as np
import pytest
import template_scans
import yaml
from in_process import run_cohort
from scipy.ndimage import map_coordinates
from volume_entropy.samples import read_samples

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "make_demo.py"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """The files of the cohort at 4 mm, all of it in about five seconds, and its samples."""
    output = tmp_path_factory.mktemp("demo") / "data"
    samples = [replace(sample, voxel_mm=4) for sample in make_demo.COHORT]
    assert all(make_demo.make_sample(sample, output) for sample in samples)
    return output, samples


@pytest.fixture(scope="module")
def usable(cohort):
    return [sample for sample in cohort[1] if not sample.cut_short]


@pytest.fixture(scope="module")
def results(cohort):
    """The tables of the cohort at 4 mm, with the demo's own config and table."""
    folder = cohort[0].parent
    (folder / "config").mkdir()
    (folder / "config/samples.tsv").write_text(make_demo.table())
    samples = read_samples(folder / "config/samples.tsv")
    return run_cohort(folder, samples, **yaml.safe_load((ROOT / "config/demo.yaml").read_text()))


def rows(results, name):
    with (results / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def load(output, sample):
    image, mask, *members = (nibabel.load(output / sample.id / name) for name in sample.file_names())
    return image, np.asanyarray(mask.dataobj), [np.asanyarray(member.dataobj) for member in members]


def entropy(p):
    p = p.astype(np.float64)
    return -(p * np.log2(np.where(p > 0, p, 1))).sum(axis=-1)


def test_every_voxel_holds_probabilities(cohort, usable):
    for sample in usable:
        image, _mask, members = load(cohort[0], sample)
        assert len(members) == sample.n_members
        for p in members:
            assert p.dtype == np.float32
            assert p.shape == (*image.shape, 4)
            assert p.min() >= 0
            np.testing.assert_allclose(p.sum(axis=-1), 1, atol=1e-6)


def test_the_header_says_where_the_brain_is(cohort, usable):
    _, template = template_scans.load_template(4)
    for sample in usable:
        image, *_ = load(cohort[0], sample)
        np.testing.assert_allclose(image.affine, template)
        assert image.header.get_zooms() == (4, 4, 4)
        assert image.header["sform_code"] == image.header["qform_code"] == 4
        assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")


def test_the_brain_is_where_the_mask_is_and_has_all_tissues(cohort, usable):
    for sample in usable:
        _, mask, members = load(cohort[0], sample)
        p = np.mean(members, axis=0)
        assert set(np.unique(mask)) == {0, 1}
        litres = mask.sum() * 4**3 / 1e6
        assert 1.3 < litres < 2.5
        shares = np.bincount(p.argmax(axis=-1)[mask == 1], minlength=4) / mask.sum()
        assert (shares > [0, 0.03, 0.3, 0.1]).all()
        assert p[..., 0][mask == 0].mean() > 0.98


def test_no_two_brains_are_alike(cohort, usable):
    masks = [load(cohort[0], sample)[1] == 1 for sample in usable]
    for i, one in enumerate(masks):
        for other in masks[i + 1 :]:
            dice = 2 * (one & other).sum() / (one.sum() + other.sum())
            assert 0.8 < dice < 0.99


def test_borders_are_ambiguous_and_tissues_are_not(cohort, usable):
    for sample in usable:
        _, mask, members = load(cohort[0], sample)
        p = np.mean(members, axis=0)
        labels = np.where(mask == 1, p.argmax(axis=-1), 0)
        border = np.zeros(mask.shape, bool)
        for axis in range(3):
            differs = np.diff(labels, axis=axis) != 0
            border |= np.pad(differs, [(0, 1) if a == axis else (0, 0) for a in range(3)])
        h = entropy(p)
        assert h[border & (mask == 1)].mean() > 1.2 * h[~border & (mask == 1)].mean()


def test_the_noisier_site_has_the_higher_entropies(results):
    means = {"north": [], "south": []}
    for row in rows(results, "subjects"):
        if float(row["noise"]) < 0.1:
            means[row["site"]].append(float(row["predictive_entropy_mean"]))
    assert max(means["north"]) < min(means["south"])


def test_members_disagree_but_not_about_everything(cohort, usable):
    (sample,) = (sample for sample in usable if sample.n_members > 1 and sample.members_differ)
    assert sample.n_members == 5
    _, mask, members = load(cohort[0], sample)
    total = entropy(np.mean(members, axis=0))[mask == 1].mean()
    mutual = total - np.mean([entropy(p)[mask == 1].mean() for p in members])
    assert 0.02 * total < mutual < 0.6 * total


def test_the_members_of_one_sample_are_all_the_same(cohort, usable):
    (sample,) = (sample for sample in usable if not sample.members_differ)
    first, *others = load(cohort[0], sample)[2]
    assert len(others) == 4
    assert all(np.array_equal(first, other) for other in others)


def test_each_site_has_as_many_samples_as_a_comparison_takes(results):
    subjects = rows(results, "subjects")
    assert len(subjects) >= 12
    assert {row["site"]: sum(other["site"] == row["site"] for other in subjects) for row in subjects} == {
        "north": 8,
        "south": 8,
    }


def test_the_noisiest_sample_alone_is_flagged_and_by_far(results):
    first, *others = rows(results, "review_queue")
    noisiest = max(make_demo.COHORT, key=lambda sample: sample.noise)
    assert first["sample"] == noisiest.id
    assert first["flags"].split(";")[0] == "interior_high"
    assert float(first["highest_abs_z"]) > 3 * 3.5
    assert "mean predictive entropy of the foreground is" in first["reason"]
    # The others are ordinary, and not by a hair; a warning is no outlier.
    assert max(float(row["highest_abs_z"]) for row in others) < 3
    assert {flag for row in others for flag in row["flags"].split(";")} <= {"", "warning"}


def test_the_file_that_was_cut_short_is_rejected_with_a_remedy(results):
    (cut,) = (sample for sample in make_demo.COHORT if sample.cut_short)
    (row,) = rows(results, "rejected")
    assert (row["sample"], row["code"]) == (cut.id, "file_truncated")
    assert row["remedy"].startswith("Copy the file again")


def test_the_bend_samples_as_scipy_does():
    rng = np.random.default_rng(0)
    volume = rng.random((9, 7, 5), dtype=np.float32)
    for shape in ((9, 7, 5), (3, 4, 6)):
        # Also beyond every edge, and on voxels.
        places = rng.uniform(-3, 12, (3, *shape)).astype(np.float32)
        places[:, 0] = np.rint(places[:, 0])
        expected = map_coordinates(volume, places, order=1, mode="nearest")
        np.testing.assert_array_equal(template_scans.sampled(volume, places), expected)


def test_the_same_seed_gives_the_same_bytes_without_a_time(cohort, tmp_path):
    sample = cohort[1][1]
    make_demo.make_sample(sample, tmp_path)
    for name in sample.file_names():
        content = (cohort[0] / sample.id / name).read_bytes()
        assert (tmp_path / sample.id / name).read_bytes() == content
        assert content[4:8] == b"\0\0\0\0"


def test_what_is_whole_is_left_alone_and_what_is_not_is_made_again(cohort, tmp_path):
    sample = cohort[1][1]
    folder = tmp_path / sample.id
    assert make_demo.make_sample(sample, tmp_path)
    before = {name: (folder / name).stat().st_mtime_ns for name in os.listdir(folder)}
    assert not make_demo.make_sample(sample, tmp_path)
    assert {name: (folder / name).stat().st_mtime_ns for name in os.listdir(folder)} == before

    image, mask, probabilities = sample.file_names()
    content = (folder / probabilities).read_bytes()
    (folder / probabilities).write_bytes(content[:100])
    (folder / mask).unlink()
    assert make_demo.make_sample(sample, tmp_path)
    assert (folder / probabilities).read_bytes() == content
    assert gzip.decompress((folder / mask).read_bytes())
    assert (folder / image).stat().st_mtime_ns == before[image]

    (folder / make_demo.STAMP).write_text("{}")
    assert make_demo.make_sample(sample, tmp_path)
    assert make_demo.make_sample(replace(sample, noise=0.5), tmp_path)


def test_the_table_names_the_files_that_are_made(cohort):
    lines = list(csv.DictReader(make_demo.table().splitlines(), delimiter="\t"))
    for row, sample in zip(lines, make_demo.COHORT, strict=True):
        assert (row["sample"], row["site"], float(row["noise"])) == (sample.id, sample.site, sample.noise)
        patterns = [row[column] for column in ("image", "mask", "probabilities")]
        named = {pattern.format(member=m) for pattern in patterns for m in range(sample.n_members)}
        assert named == {f"../data/{sample.id}/{name}" for name in sample.file_names()}
        assert all((cohort[0] / sample.id / name).is_file() for name in sample.file_names())


def test_the_cohort_is_made_without_the_tools_of_developers(tmp_path):
    """Of nilearn only the data are read; its modules would import scipy, which `make demo` does not install."""
    code = (
        "import sys; sys.modules |= dict.fromkeys(['scipy', 'sklearn', 'joblib'])\n"
        "import dataclasses, pathlib, make_demo\n"
        "sample = dataclasses.replace(make_demo.COHORT[-3], voxel_mm=4)\n"
        "make_demo.make_sample(sample, pathlib.Path(sys.argv[1]))\n"
        "assert 'nilearn' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SCRIPT.parent)
    assert done.returncode == 0, done.stderr


def test_without_the_template_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install nilearn"):
        template_scans.load_template()


def test_the_options_are_explained():
    done = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True)
    assert "--output" in done.stdout


def test_one_sample_carries_a_warning(results):
    warned = {row["sample"]: row["warnings"] for row in rows(results, "subjects") if row["warnings"]}
    assert warned == {"sub-16": "members_identical"}
