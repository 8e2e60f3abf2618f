"""Lesions and atlas regions are measured one by one; scipy and plain numpy find and measure the same."""

import math
from fractions import Fraction

import numpy as np
import pytest
from files import write_nifti
from sample_store import AFFINE, SHAPE, VOXEL, SampleStore, random_mask, region_members, softmax_members
from scipy import ndimage
from volume_entropy.memory import n_voxels
from volume_entropy.stores.layout import Layout
from volume_entropy.stores.measures import open_measures

CONNECTIVITIES = {6: 1, 18: 2, 26: 3}


def asked(*classes, connectivity=26):
    return {"lesions": {"classes": list(classes), "connectivity": connectivity}}


SAMPLES = {
    "one member": SampleStore(softmax_members(1), settings=asked("gm", "csf")),
    "members, mask": SampleStore(softmax_members(2, n_members=5), mask=random_mask(2), settings=asked("gm")),
    "faces only": SampleStore(softmax_members(3, n_members=3), settings=asked("wm", connectivity=6)),
    "faces and edges": SampleStore(softmax_members(4, n_members=2), settings=asked("csf", connectivity=18)),
    "regions": SampleStore(
        region_members(5, n_members=4), kind="regions", mask=random_mask(5), settings=asked("background", "gm")
    ),
    "more members than a word holds": SampleStore(softmax_members(6, n_members=35), settings=asked("gm")),
}


def said(sample, p, name):
    """(z, y, x) domain voxels that probabilities (class, z, y, x) give to a class."""
    index = sample.classes.index(name)
    inside = p[index] > 0.5 if sample.kind == "regions" else p.argmax(axis=0) == index
    return inside if sample.mask is None else inside & sample.mask


def expected(sample, name, entropy):
    settings = sample.settings["lesions"]
    structure = ndimage.generate_binary_structure(3, CONNECTIVITIES[settings["connectivity"]])
    labels, n = ndimage.label(said(sample, sample.p.astype(float).mean(axis=0), name), structure)
    of_members = [ndimage.label(said(sample, p, name), structure)[0] for p in sample.p]
    rows = []
    for lesion in range(1, n + 1):
        mine = labels == lesion
        z, y, x = (index.mean() for index in np.nonzero(mine))
        overlaps = []
        for members_labels in of_members:
            partners = [members_labels == k for k in np.unique(members_labels[mine]) if k]
            scores = [Fraction(int((mine & other).sum()), int((mine | other).sum())) for other in partners]
            overlaps.append(max(scores, default=Fraction(0)))
        rows.append(
            {
                "first": np.flatnonzero(mine)[0],
                "n_voxels": int(mine.sum()),
                "centre": AFFINE[:3] @ [x, y, z, 1],
                "mean": entropy[mine].mean(dtype=float),
                "doubt": float(1 - sum(overlaps) / len(overlaps)),
            }
        )
    return sorted(rows, key=lambda row: row["first"])


@pytest.mark.parametrize("name", SAMPLES)
def test_every_component_is_found_and_measured(name, tmp_path):
    sample = SAMPLES[name]
    found = sample.compute(tmp_path)["lesions"]
    entropy = open_measures(tmp_path / "measures.zarr").array("predictive_entropy")[:]
    classes = sample.settings["lesions"]["classes"]
    assert [row["class"] for row in found] == sorted((row["class"] for row in found), key=classes.index)
    for wanted in classes:
        rows = [row for row in found if row["class"] == wanted]
        truth = expected(sample, wanted, entropy)
        assert [row["lesion"] for row in rows] == list(range(1, len(truth) + 1))
        assert [row["n_voxels"] for row in rows] == [row["n_voxels"] for row in truth]
        for row, true in zip(rows, truth, strict=True):
            assert row["volume_mm3"] == pytest.approx(true["n_voxels"] * VOXEL, rel=1e-12)
            assert [row[f"centre_{axis}_mm"] for axis in "xyz"] == pytest.approx(list(true["centre"]), rel=1e-9)
            assert row["predictive_entropy_mean"] == pytest.approx(true["mean"], abs=1e-9)
            if len(sample.p) > 1:
                assert row["structural_uncertainty"] == true["doubt"]
                assert 0 <= row["mutual_information_mean"] <= row["predictive_entropy_mean"]


def test_voxels_are_counted_by_the_header_alone(tmp_path):
    path = write_nifti(tmp_path / "p.nii", np.zeros((64, 12, 10, 2), np.uint8))
    assert n_voxels(path) == 64 * 12 * 10
    assert n_voxels(str(tmp_path / "absent.nii")) == 0


def test_no_component_gives_no_row(tmp_path):
    p = np.zeros((2, 3, 2, 3, 4), np.float32)
    p[:, 0] = 1
    assert SampleStore(p, settings=asked("gm")).compute(tmp_path)["lesions"] == []


def test_components_do_not_depend_on_blocks(tmp_path):
    found = []
    for number, block in enumerate([SHAPE, (4, 8, 6), (2, 21, 17)]):
        sample = SAMPLES["members, mask"]
        sample.layout = Layout(SHAPE, block, block)
        found.append(sample.compute(tmp_path / str(number))["lesions"])
    sample.layout = None
    assert found[0] == found[1] == found[2]


ATLASES = {
    "a few labels": lambda rng: rng.integers(-2, 5, size=SHAPE),
    "labels of millions": lambda rng: rng.choice([0, 3, -(10**6), 2**31 - 1], size=SHAPE),
    "no label 0": lambda rng: rng.integers(1000, 1004, size=SHAPE),
    "nothing but 0": lambda rng: np.zeros(SHAPE),
}


@pytest.mark.parametrize("name", ATLASES)
def test_every_label_of_an_atlas_is_measured_over_the_domain(name, tmp_path):
    labels = ATLASES[name](np.random.default_rng(1)).astype(np.int32)
    sample = SampleStore(softmax_members(7, n_members=3), mask=random_mask(7), atlas=labels)
    found = []
    for number, block in enumerate([SHAPE, (4, 8, 6)]):
        sample.layout = Layout(SHAPE, block, block)
        found.append(sample.compute(tmp_path / str(number)).get("regions", []))
    assert found[0] == found[1]
    store = open_measures(tmp_path / "0/measures.zarr")
    pe, mi = (store.array(measure)[:] for measure in ("predictive_entropy", "mutual_information"))
    domain = sample.mask
    assert [row["label"] for row in found[0]] == [label for label in np.unique(labels[domain]).tolist() if label]
    for row in found[0]:
        inside = (labels == row["label"]) & domain
        assert row["n_voxels"] == inside.sum()
        assert row["volume_mm3"] == pytest.approx(inside.sum() * VOXEL, rel=1e-12)
        assert row["predictive_entropy_mean"] == pytest.approx(pe[inside].mean(dtype=float), abs=1e-9)
        assert row["mutual_information_mean"] == pytest.approx(mi[inside].mean(dtype=float), abs=1e-9)
    assert math.isclose(
        sum(row["n_voxels"] for row in found[0]), np.count_nonzero(labels[domain]), rel_tol=0, abs_tol=0
    )
