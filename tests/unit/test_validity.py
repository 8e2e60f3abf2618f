"""Values that are no probabilities are rejected, in words that say what they look like and which file they are in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from fault_runs import ended
from files import settings as resolved
from files import softmax_field, write_nifti
from reference_statistics import oracle
from sample_store import SHAPE, SampleStore, region_members, softmax_members
from scipy.ndimage import gaussian_filter, shift
from volume_entropy.errors import Rejection
from volume_entropy.stores.layout import Layout
from volume_entropy.stores.measures import open_measures

P = softmax_members(1)


def spoiled(fraction, value):
    p = softmax_members(1)
    p[0, 1][np.random.default_rng(0).random(SHAPE) < fraction] = value
    return p


def without_background():
    p = softmax_members(1)[:, 1:]
    return np.where(p.sum(axis=1, keepdims=True) < 0.2, 0, p).astype(np.float32)


def resampled(p, blurred=0.4):
    """Labels by a cubic spline, half a voxel off: it overshoots; by up to 0.6 if they are not blurred before."""
    crisp = np.moveaxis(np.eye(p.shape[1])[p.argmax(axis=1)], -1, 1)
    crisp = gaussian_filter(crisp, (0, 0, blurred, blurred, blurred))
    return np.stack([[shift(c, 0.45, order=3, mode="nearest") for c in m] for m in crisp]).astype(np.float32)


def with_one_below(p):
    p = p.copy()
    p[0, 0, 6, 10, 8] = -0.6
    return p


def lesion(top, where=slice(3, 6)):
    """A lesion that fills less than a thousandth of a field, 0 elsewhere: (1, 1, z, y, x)."""
    p = np.zeros((1, 1, 30, 31, 32), np.float32)
    p[0, 0, where, where, where] = top / 2
    p[0, 0, 4, 4, 4] = top
    return p


def with_fill(value):
    p = softmax_members(1)
    p[..., :4] = value
    return p


def members(*others):
    return np.concatenate([softmax_members(1, n_members=2), *others])


NOTHING, NAN = np.zeros((1, 4, *SHAPE), np.float32), np.full((1, 4, *SHAPE), np.nan, np.float32)
WRAPPED = np.rint(P * 255).astype(np.uint8).view(np.int8).astype(np.float32)
LOGITS = np.log(np.maximum(P, 1e-6)) + np.random.default_rng(0).normal(size=(1, 1, *SHAPE)) * 2

# What is found, its code, and words of the message and of the remedy.
FAULTS: dict[str, tuple[SampleStore, str, str, str]] = {
    "logits": (SampleStore(LOGITS), "not_probabilities", "before the softmax", "softmax over the classes"),
    "logits of regions": (SampleStore(LOGITS, kind="regions"), "not_probabilities", "before the sigmoid", "sigmoid"),
    "logits of one class": (SampleStore(LOGITS[:, :1] + 5, complement=True), "not_probabilities", "sigmoid", "sigmoid"),
    "logits without a background": (
        SampleStore(LOGITS[:, 1:] + 5, complement=True), "not_probabilities", "logits", "all outputs of the network",
    ),
    "logits of a network": (
        SampleStore(LOGITS, settings={"model": {}}), "not_probabilities", "last activation", "model.output: logits",
    ),
    "logarithms": (SampleStore(np.log(P)), "not_probabilities", "logarithms", "exp of the values"),
    "logarithms of regions": (SampleStore(np.log(P), kind="regions"), "not_probabilities", "logarithms", "exp of the"),
    "percentages": (SampleStore(P * 100), "not_probabilities", "percentages", "probabilities.scale: 100,"),
    "percentages of regions": (
        SampleStore(region_members(1) * 100, kind="regions"), "not_probabilities", "percentages", "scale: 100,",
    ),
    "grey values": (SampleStore(np.rint(P * 255)), "not_probabilities", "8-bit grey values", "scale: 255,"),
    "grey values of 33 classes": (
        SampleStore(np.rint(softmax_members(1, n_classes=33) * 255)), "not_probabilities", "8-bit", "scale: 255,",
    ),
    "grey values that were signed": (SampleStore(WRAPPED), "not_probabilities", "whole numbers", "as unsigned"),
    "16 bit": (SampleStore(np.rint(P * 65535)), "not_probabilities", "16-bit", "scale: 65535,"),
    "thousandths": (SampleStore(np.rint(P * 1000)), "not_probabilities", "parts per thousand", "scale: 1000,"),
    "percentages without a background": (
        SampleStore(without_background() * 70), "not_probabilities", "percentages", "100 if they are percentages, 255",
    ),
    "percentages that a spline made overshoot": (
        SampleStore(resampled(P) * 100), "not_probabilities", "percentages", "scale: 100,",
    ),
    "a lesion in percent that a spline made overshoot": (
        SampleStore(resampled(P, 0)[:, 1:2] * 100, complement=True), "not_probabilities", "percentages", "100 if they",
    ),
    "a small lesion": (SampleStore(lesion(255), complement=True), "not_probabilities", "8-bit", "scale: 255,"),
    "a small lesion, regions": (SampleStore(lesion(100), kind="regions"), "not_probabilities", "percent", "100,"),
    "a small lesion, faint": (
        SampleStore(lesion(140), complement=True), "not_probabilities", "8-bit", "255 if they are 8-bit grey values",
    ),
    "a small lesion up to 3": (SampleStore(lesion(3), complement=True), "not_probabilities", "another scale", "scale"),
    "a scale that is too small": (
        SampleStore(lesion(2.55), complement=True, settings={"scale": 100}), "not_probabilities",
        "to 255 before they are divided by probabilities.scale: 100", "probabilities.scale: 255",
    ),
    "a scale that is not the file's": (
        SampleStore(lesion(1 / 255), complement=True, settings={"scale": 255}), "not_probabilities", "already",
        "scale: null",
    ),
    "unnormalised scores": (SampleStore(P * 7), "not_probabilities", "unnormalised", "sum_tolerance: null"),
    "scores of any sum": (
        SampleStore(P * np.linspace(1, 9, SHAPE[2], dtype=np.float32)), "not_probabilities", "unnormalised",
        "shares of their sum",
    ),
    "scores below 0 of any sum": (
        SampleStore(LOGITS, settings={"sum_tolerance": None}), "not_probabilities", "logits", "softmax",
    ),
    "a fill value": (SampleStore(with_fill(-1)), "not_probabilities", "-1 in every class", "Write 0"),
    "a large fill value": (SampleStore(with_fill(1e20)), "not_probabilities", "1e+20 in every class", "Write 0"),
    "a fill value of regions": (SampleStore(with_fill(-999), kind="regions"), "not_probabilities", "-999", "mask"),
    "a fill value around a lesion": (
        SampleStore(with_fill(-1000)[:, 1:2], complement=True), "not_probabilities", "-1000", "background",
    ),
    "a spline's overshoot": (SampleStore(resampled(P)), "too_many_invalid", "overshoots", "nearest neighbour"),
    "a spline's overshoot, complement": (
        SampleStore(resampled(P)[:, 1:], complement=True), "too_many_invalid", "overshoots", "sum_tolerance: 0.",
    ),
    "a spline's overshoot, regions": (
        SampleStore(resampled(P), kind="regions"), "too_many_invalid", "overshoots", "cuts off what is beyond",
    ),
    "a spline's overshoot beyond all bounds": (
        SampleStore(resampled(P, 0)), "not_probabilities", "overshoots", "nearest neighbour",
    ),
    "a spline's overshoot beyond all bounds, complement": (
        SampleStore(resampled(P, 0)[:, 1:], complement=True), "not_probabilities", "overshoots", "nearest neighbour",
    ),
    "a spline's overshoot beyond all bounds, on a scale that is set": (
        SampleStore(resampled(P, 0), settings={"scale": 100}), "not_probabilities", "overshoots", "nearest neighbour",
    ),
    "one value beyond all bounds": (
        SampleStore(with_one_below(resampled(P)[:, 1:2]), complement=True), "not_probabilities", "overshoots", "linear",
    ),
    "modulated": (SampleStore(P * np.float32(1.3), kind="regions"), "not_probabilities", "to 1.2", "Jacobian"),
    "missing background": (SampleStore(without_background()), "not_probabilities", "missing", "background: complement"),
    "overlapping classes": (SampleStore(region_members(1)), "not_probabilities", "exclude", "kind: regions"),
    "overlapping classes, complement": (
        SampleStore(region_members(1), complement=True), "not_probabilities", "less than nothing", "kind: regions",
    ),
    "another constant sum": (SampleStore(P / 255), "not_probabilities", "another scale", "sum_tolerance: null"),
    "floats of truncated bytes": (
        SampleStore(np.floor(softmax_members(1, n_classes=6) * 255) / np.float32(255)), "not_probabilities",
        "near it everywhere", "sum_tolerance: 0.03",
    ),
    "sums over x": (SampleStore(P / P.sum(axis=4, keepdims=True)), "not_probabilities", "along x, 17 long", "axes"),
    "sums over z": (SampleStore(P / P.sum(axis=2, keepdims=True)), "not_probabilities", "along z, 13 long", "axes"),
    "classes as members": (
        SampleStore(softmax_members(1).swapaxes(0, 1)[:, [0, 0]] * [[[[[1]]], [[[1]]]]]), "not_probabilities",
        "along the members, of which there are 4", "axes",
    ),
    "a class of zeros": (
        SampleStore(P * np.float32([1, 1, 0, 1]).reshape(4, 1, 1, 1)), "no_valid_voxels", "class gm", "the file",
    ),
    "a class of NaN": (
        SampleStore(P * np.float32([1, np.nan, 1, 1]).reshape(4, 1, 1, 1)), "no_valid_voxels", "class csf", "the file",
    ),
    "a member of zeros": (SampleStore(members(NOTHING)), "no_valid_voxels", "member 2: every value is 0", "leave it"),
    "a member of NaN": (SampleStore(members(NAN)), "no_valid_voxels", "member 2: every value is NaN", "leave it out"),
    "a member of NaN, streamed": (
        SampleStore(members(NAN), streamed=True), "no_valid_voxels", "member 2: every value is NaN", "leave it out",
    ),
    "a member of percentages": (SampleStore(members(P * 100)), "not_probabilities", "member 2: values", "scale: 100,"),
    "a member that is cropped": (
        SampleStore(members(np.where(np.arange(17) < 5, 0, P))), "too_many_invalid", "member 2: 0 in every class",
        "leave it out",
    ),
    "a member that diverged in a part": (
        SampleStore(members(np.where(np.arange(17) < 5, np.nan, P))), "too_many_invalid", "member 2: NaN", "leave it",
    ),
    "all NaN": (SampleStore(NAN), "too_many_invalid", "every voxel is NaN", "overflow"),
    "some NaN": (SampleStore(spoiled(0.1, np.nan)), "too_many_invalid", "NaN", "max_invalid_fraction"),
    "some infinite": (SampleStore(spoiled(0.1, np.inf)), "too_many_invalid", "infinite", "max_invalid_fraction"),
    "some negative": (SampleStore(spoiled(0.02, -0.5)), "too_many_invalid", "below 0", "max_invalid_fraction"),
    "some wrong sums": (SampleStore(spoiled(0.003, 0.9)), "not_probabilities", "sums", "sum_tolerance"),
    "all zero": (SampleStore(NOTHING), "no_valid_voxels", "0 in every voxel", "wrote"),
    "one class": (SampleStore(P[:, :1]), "single_class", "one class", "complement"),
}  # fmt: skip
# Advice that would make a wrong number of these.
NEVER = {
    "a spline's overshoot": ("softmax", "sigmoid"),
    "a spline's overshoot, complement": ("softmax", "sigmoid", "null"),
    "a spline's overshoot, regions": ("softmax", "sigmoid"),
    "a spline's overshoot beyond all bounds": ("softmax", "sigmoid", "sum_tolerance"),
    "a spline's overshoot beyond all bounds, complement": ("softmax", "sigmoid", "sum_tolerance"),
    "a lesion in percent that a spline made overshoot": ("softmax", "sigmoid"),
    "a spline's overshoot beyond all bounds, on a scale that is set": ("scale", "softmax"),
    "one value beyond all bounds": ("Write 0", "sigmoid"),
    "a member of zeros": ("background",),
    "a member of NaN": ("background", "softmax"),
    "a member that is cropped": ("background",),
    "a class of zeros": ("complement",),
    "grey values that were signed": ("softmax", "scale"),
    "logits of one class": ("softmax",),
    "logarithms of regions": ("apply the sigmoid",),
    "percentages without a background": ("null",),
    "a small lesion, faint": ("null",),
    "another constant sum": ("complement",),
    "floats of truncated bytes": ("complement",),
    "overlapping classes, complement": ("null",),
    "sums over x": ("complement", "null"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_values_that_are_no_probabilities_are_rejected_in_words(fault: str, tmp_path: Path) -> None:
    sample, code, words, remedy = FAULTS[fault]
    summary = sample.compute(tmp_path)
    assert (summary["status"], summary["stage"], summary["code"]) == ("rejected", "compute_entropy", code)
    assert words in summary["message"]
    assert (
        "sub-01_probseg.nii.gz" in summary["message"]
        or "member 2" in summary["message"]
        or "class " in summary["message"]
    )
    assert remedy in summary["remedy"]
    for advice in NEVER.get(fault, ()):
        assert advice not in summary["remedy"]
    assert list(summary) == [
        "sample", "status", "stage", "code", "message", "remedy", "recipe", "library_version", "schema_version", "maps",
    ]  # fmt: skip
    assert isinstance(open_measures(tmp_path / "measures.zarr"), Rejection)
    assert list((tmp_path / "maps").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("fault", [name for name in FAULTS if FAULTS[name][0].p.shape[2:] == SHAPE])
def test_the_words_do_not_depend_on_the_blocks(fault: str, tmp_path: Path) -> None:
    sample = FAULTS[fault][0]
    whole = sample.compute(tmp_path / "whole")
    parts = replace(sample, layout=Layout(SHAPE, (5, 7, 9), (5, 7, 9))).compute(tmp_path / "parts", threads=3)
    assert parts == whole


@pytest.mark.parametrize("scale", [0.5, 7.0])
def test_any_positive_sum_is_divided_out_where_the_config_says_so(scale: float, tmp_path: Path) -> None:
    sample = SampleStore(softmax_members(1) * np.float32(scale), settings={"sum_tolerance": None})
    summary = sample.compute(tmp_path)
    expected = oracle(sample)[0]["predictive_entropy"].sum()
    assert summary["predictive_entropy_total"] == pytest.approx(expected, rel=1e-6)
    assert summary["n_renormalised_voxels"] == summary["n_voxels"]


def test_max_invalid_fraction_is_of_the_voxels_that_are_not_empty(tmp_path: Path) -> None:
    p = softmax_members(1, (10, 10, 20))
    p[:, :, :5] = 0
    p[0, 0, 5, 0, :10] = np.nan
    limit = {"max_invalid_fraction": 0.01}
    assert SampleStore(p, settings=limit).compute(tmp_path / "ten")["n_invalid_voxels"] == 10
    p[0, 0, 5, 0, 10] = np.nan
    assert SampleStore(p, settings=limit).compute(tmp_path / "eleven")["code"] == "too_many_invalid"


# What says nothing: (sample of 1000 voxels of which 100 say anything).
def quiet(kind: str) -> tuple[np.ndarray, dict[str, Any]]:
    says = np.arange(1000).reshape(10, 10, 10) < 100
    fractions = np.random.default_rng(0).uniform(0.1, 0.9, (10, 10, 10)).astype(np.float32)
    one = np.where(says, fractions, 0).astype(np.float32)
    match kind:
        case "complement":
            return one[None, None], {"complement": True}
        case "regions":
            return np.stack([one, one * 0])[None], {"kind": "regions"}
        case "members":
            return np.stack([np.stack([1 - one, one])] * 2) * 1, {}
        case "certain":
            return np.stack([1.0 - says, says])[None].astype(np.float32), {}
    return np.stack([1 - one, one])[None], {}


@pytest.mark.parametrize("kind", ["given", "complement", "regions", "members", "certain"])
def test_voxels_that_are_nothing_but_background_do_not_dilute_the_invalid_ones(kind: str, tmp_path: Path) -> None:
    p, how = quiet(kind)
    p[:, 0, 5, 5, 4:6] = np.nan
    # Two of 102, though of 1000 voxels.
    just = {"max_invalid_fraction": 0.0197}
    below = {"max_invalid_fraction": 0.0195}
    assert SampleStore(p, settings=just, **how).compute(tmp_path / "just")["n_invalid_voxels"] == 2
    found = SampleStore(p, settings=below, **how).compute(tmp_path / "below")
    assert found["code"] == "too_many_invalid"
    assert "2 of 102 voxels that say anything" in found["message"]


def test_every_class_says_something_where_none_is_the_background(tmp_path: Path) -> None:
    p, _ = quiet("certain")
    p[0, 0, 5, 5, 4:6] = np.nan
    how = {"max_invalid_fraction": 0.002, "background_class": None}
    assert SampleStore(p, settings=how).compute(tmp_path)["n_invalid_voxels"] == 2


@pytest.mark.parametrize("value", [1.51, -0.51])
@pytest.mark.parametrize("kind", ["given", "complement", "regions", "members"])
def test_one_value_of_another_scale_rejects_whatever_its_share(kind: str, value: float, tmp_path: Path) -> None:
    p, how = quiet(kind)
    p[-1, 0, 5, 5, 5] = value
    tolerant = {"max_invalid_fraction": 1.0, "sum_tolerance": 0.9}
    assert SampleStore(p, settings=tolerant, **how).compute(tmp_path)["code"] == "not_probabilities"
    p[-1, 0, 5, 5, 5] = 1.49 if value > 1 else -0.49
    assert SampleStore(p, settings=tolerant, **how).compute(tmp_path / "near")["status"] == "ok"


def test_a_sample_without_one_valid_voxel_is_rejected_whatever_is_tolerated(tmp_path: Path) -> None:
    p = softmax_members(1)
    p[0, 2] = np.nan
    assert SampleStore(p, settings={"max_invalid_fraction": 1.0}).compute(tmp_path)["status"] == "rejected"
    p[0, 2, 3, 4, 5] = 1 - p[0, [0, 1, 3], 3, 4, 5].sum()
    assert SampleStore(p, settings={"max_invalid_fraction": 1.0}).compute(tmp_path / "one")["n_domain_voxels"] == 1


def test_a_member_or_a_class_at_fault_is_named_by_its_file(tmp_path: Path) -> None:
    for member in range(3):
        p = softmax_field(seed=member)
        for index in range(3):
            write_nifti(tmp_path / f"pass-{member}_class{index}.nii.gz", p[..., index] * (member != 1))
    path = str(tmp_path / "pass-{member}_{class}.nii.gz")
    asked = resolved(members=["0", "1", "2"])
    found = ended(tmp_path, path, asked)
    assert found["message"].startswith("member 1 (pass-1_class0.nii.gz and 2 more): every value is 0")
    # Followed: without the member, the others are right.
    followed = ended(tmp_path / "followed", path, {**asked, "members": ["0", "2"]})
    p = np.stack([softmax_field(seed=member).T for member in (0, 2)])
    right = reference.block(p).maps["predictive_entropy"].sum()
    assert followed["predictive_entropy_total"] == pytest.approx(right, rel=1e-5)
    write_nifti(tmp_path / "pass-0_class2.nii.gz", np.full(p.shape[:1:-1], np.nan, np.float32))
    one = ended(tmp_path / "one", str(tmp_path / "pass-0_{class}.nii.gz"), resolved())
    assert one["message"].startswith("class class2 (pass-0_class2.nii.gz): every value is NaN")
