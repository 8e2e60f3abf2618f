"""The demo's cohort looks like one: real anatomy, ambiguous borders, more noise and more entropy from row to row."""

import csv
import gzip
import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "make_demo.py"

pytestmark = pytest.mark.skipif(importlib.util.find_spec("nilearn") is None, reason="the template comes with nilearn")


@pytest.fixture(scope="module")
def make_demo():
    spec = importlib.util.spec_from_file_location("make_demo", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_demo"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cohort(make_demo, tmp_path_factory):
    """The cohort at 4 mm, all of it in about two seconds."""
    output = tmp_path_factory.mktemp("demo")
    samples = [replace(sample, voxel_mm=4) for sample in make_demo.COHORT]
    assert all(make_demo.make_sample(sample, output) for sample in samples)
    return output, samples


def load(output, sample):
    image, mask, *members = (nibabel.load(output / sample.id / name) for name in sample.file_names())
    return image, np.asanyarray(mask.dataobj), [np.asanyarray(member.dataobj) for member in members]


def entropy(p):
    p = p.astype(np.float64)
    return -(p * np.log2(np.where(p > 0, p, 1))).sum(axis=-1)


def test_every_voxel_holds_probabilities(cohort):
    for sample in cohort[1]:
        image, _mask, members = load(cohort[0], sample)
        assert len(members) == sample.n_members
        for p in members:
            assert p.dtype == np.float32
            assert p.shape == (*image.shape, 4)
            assert p.min() >= 0
            np.testing.assert_allclose(p.sum(axis=-1), 1, atol=1e-6)


def test_the_header_says_where_the_brain_is(cohort, make_demo):
    _, template = make_demo.load_template(4)
    for sample in cohort[1]:
        image, *_ = load(cohort[0], sample)
        np.testing.assert_allclose(image.affine, template)
        assert image.header.get_zooms() == (4, 4, 4)
        assert image.header["sform_code"] == image.header["qform_code"] == 4
        assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")


def test_the_brain_is_where_the_mask_is_and_has_all_tissues(cohort):
    for sample in cohort[1]:
        _, mask, members = load(cohort[0], sample)
        p = np.mean(members, axis=0)
        assert set(np.unique(mask)) == {0, 1}
        litres = mask.sum() * 4**3 / 1e6
        assert 1.3 < litres < 2.5
        shares = np.bincount(p.argmax(axis=-1)[mask == 1], minlength=4) / mask.sum()
        assert (shares > [0, 0.03, 0.3, 0.1]).all()
        assert p[..., 0][mask == 0].mean() > 0.98


def test_no_two_brains_are_alike(cohort):
    masks = [load(cohort[0], sample)[1] == 1 for sample in cohort[1]]
    for i, one in enumerate(masks):
        for other in masks[i + 1 :]:
            dice = 2 * (one & other).sum() / (one.sum() + other.sum())
            assert 0.8 < dice < 0.99


def test_borders_are_ambiguous_and_tissues_are_not(cohort):
    for sample in cohort[1]:
        _, mask, members = load(cohort[0], sample)
        p = np.mean(members, axis=0)
        labels = np.where(mask == 1, p.argmax(axis=-1), 0)
        border = np.zeros(mask.shape, bool)
        for axis in range(3):
            differs = np.diff(labels, axis=axis) != 0
            border |= np.pad(differs, [(0, 1) if a == axis else (0, 0) for a in range(3)])
        h = entropy(p)
        assert h[border & (mask == 1)].mean() > 1.2 * h[~border & (mask == 1)].mean()


def test_entropy_grows_with_the_noise(cohort):
    singles = [sample for sample in cohort[1] if sample.n_members == 1]
    assert [sample.noise for sample in singles] == sorted(sample.noise for sample in singles)
    means = []
    for sample in singles:
        _, mask, (p,) = load(cohort[0], sample)
        means.append(entropy(p)[mask == 1].mean())
    assert means == sorted(means)
    assert means[-1] > 1.2 * means[0]


def test_members_disagree_but_not_about_everything(cohort):
    (sample,) = (sample for sample in cohort[1] if sample.n_members > 1)
    assert sample.n_members == 5
    _, mask, members = load(cohort[0], sample)
    total = entropy(np.mean(members, axis=0))[mask == 1].mean()
    mutual = total - np.mean([entropy(p)[mask == 1].mean() for p in members])
    assert 0.02 * total < mutual < 0.6 * total


def test_the_same_seed_gives_the_same_bytes_without_a_time(cohort, make_demo, tmp_path):
    sample = cohort[1][1]
    make_demo.make_sample(sample, tmp_path)
    for name in sample.file_names():
        content = (cohort[0] / sample.id / name).read_bytes()
        assert (tmp_path / sample.id / name).read_bytes() == content
        assert content[4:8] == b"\0\0\0\0"


def test_what_is_whole_is_left_alone_and_what_is_not_is_made_again(cohort, make_demo, tmp_path):
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


def test_the_shipped_table_lists_what_is_made(make_demo):
    table = ROOT / "config" / "samples.tsv"
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert ["\t".join(row.values()) for row in rows] == [sample.row() for sample in make_demo.COHORT]
    for row, sample in zip(rows, make_demo.COHORT, strict=True):
        patterns = (row[column] for column in ("image", "mask", "probabilities"))
        expected = {f"../data/demo/{sample.id}/{name}" for name in sample.file_names()}
        named = {pattern.format(member=m) for pattern in patterns for m in range(sample.n_members)}
        assert named == expected


def test_without_the_template_the_message_says_what_to_install(make_demo, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install nilearn"):
        make_demo.load_template()


def test_the_options_are_explained():
    done = subprocess.run([sys.executable, SCRIPT, "--help"], capture_output=True, text=True, check=True)
    assert "--output" in done.stdout
