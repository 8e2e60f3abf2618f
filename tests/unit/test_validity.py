"""Values that are no probabilities are rejected, in words that say what they look like."""

import numpy as np
import pytest
from reference_statistics import oracle
from sample_store import SHAPE, SampleStore, region_members, softmax_members
from volume_entropy.errors import Rejection
from volume_entropy.stores.measures import open_measures


def logits():
    return softmax_members(1) * 40 - 3


def spoiled(fraction, value):
    p = softmax_members(1)
    p[0, 1][np.random.default_rng(0).random(SHAPE) < fraction] = value
    return p


def nothing_but_nan():
    return np.full((1, 4, *SHAPE), np.nan, np.float32)


def without_background():
    p = softmax_members(1)[:, 1:]
    return np.where(p.sum(axis=1, keepdims=True) < 0.2, 0, p).astype(np.float32)


FAULTS = {
    "logits": (SampleStore(logits()), "not_probabilities", "logits", "softmax"),
    "logits of regions": (SampleStore(logits(), kind="regions"), "not_probabilities", "sigmoid", "sigmoid"),
    "percentages": (SampleStore(softmax_members(1) * 100), "not_probabilities", "percentages", "100"),
    "percentages of regions": (
        SampleStore(region_members(1) * 100, kind="regions"), "not_probabilities", "percentages", "100",
    ),
    "grey values": (SampleStore(np.rint(softmax_members(1) * 255)), "not_probabilities", "grey values", "255"),
    "unnormalised scores": (SampleStore(softmax_members(1) * 7), "not_probabilities", "unnormalised", "sum_tolerance"),
    "missing background": (SampleStore(without_background()), "not_probabilities", "missing", "background: complement"),
    "overlapping classes": (SampleStore(region_members(1)), "not_probabilities", "exclude", "kind: regions"),
    "all NaN": (SampleStore(nothing_but_nan()), "too_many_invalid", "every voxel", "overflow"),
    "some NaN": (SampleStore(spoiled(0.1, np.nan)), "too_many_invalid", "NaN", "max_invalid_fraction"),
    "some infinite": (SampleStore(spoiled(0.1, np.inf)), "too_many_invalid", "infinite", "max_invalid_fraction"),
    "some negative": (SampleStore(spoiled(0.02, -0.5)), "too_many_invalid", "below 0", "max_invalid_fraction"),
    "all zero": (SampleStore(np.zeros((1, 4, *SHAPE), np.float32)), "no_valid_voxels", "0 in every voxel", "wrote"),
    "one class": (SampleStore(softmax_members(1)[:, :1]), "single_class", "one class", "complement"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_values_that_are_no_probabilities_are_rejected_in_words(fault, tmp_path):
    sample, code, words, remedy = FAULTS[fault]
    summary = sample.compute(tmp_path)
    assert (summary["status"], summary["stage"], summary["code"]) == ("rejected", "compute_entropy", code)
    assert words in summary["message"]
    assert "sub-01_probseg.nii.gz" in summary["message"]
    assert remedy in summary["remedy"]
    assert list(summary) == [
        "sample", "status", "stage", "code", "message", "remedy", "recipe", "library_version", "schema_version",
    ]  # fmt: skip
    assert isinstance(open_measures(tmp_path / "measures.zarr"), Rejection)
    assert list((tmp_path / "maps").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("scale", [0.5, 7.0])
def test_any_positive_sum_is_divided_out_where_the_config_says_so(scale, tmp_path):
    sample = SampleStore(softmax_members(1) * np.float32(scale), settings={"sum_tolerance": None})
    summary = sample.compute(tmp_path)
    expected = oracle(sample)[0]["predictive_entropy"].sum()
    assert summary["predictive_entropy_total"] == pytest.approx(expected, rel=1e-6)
    assert summary["n_renormalised_voxels"] == summary["n_voxels"]


def test_max_invalid_fraction_is_of_the_voxels_that_are_not_empty(tmp_path):
    p = softmax_members(1, (10, 10, 20))
    p[:, :, :5] = 0
    p[0, 0, 5, 0, :10] = np.nan
    limit = {"max_invalid_fraction": 0.01}
    assert SampleStore(p, settings=limit).compute(tmp_path / "ten")["n_invalid_voxels"] == 10
    p[0, 0, 5, 0, 10] = np.nan
    assert SampleStore(p, settings=limit).compute(tmp_path / "eleven")["code"] == "too_many_invalid"
