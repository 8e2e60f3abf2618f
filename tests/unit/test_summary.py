"""From exact sums to scalars: one rounding, defined ties, and None where there is nothing to divide by."""

import json
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from volume_entropy.kernels.sums import N_ROLES
from volume_entropy.measures import statistic_keys
from volume_entropy.partials import Extremes, MemberCounts, RoleSums, SampleSums
from volume_entropy.reductions import domain_counts, label_sums, measure_sums, roles
from volume_entropy.summary import Field, mean_dice, mean_of, quantile, summarise, variation

SHAPE = (12, 25, 33)


def summary_of(values, segmentation=None, domain=None, members=None, voxel_volume=1.0):
    """The summary of one measure map, all of class 1 of two unless a segmentation is given."""
    values = values.astype(np.float32)
    segmentation = np.ones(values.shape, np.uint8) if segmentation is None else segmentation
    domain = np.ones(values.shape, bool) if domain is None else domain
    sums = measure_sums(values, domain, start=(0, 0, 0), threshold=0.5, edge=10)
    labels = np.where(domain, segmentation, 255).astype(np.uint8)
    class_voxels, sums.class_totals = label_sums(values, labels, 2)
    role_counts, role_totals = label_sums(values, roles(segmentation, None, None, domain, 0), N_ROLES)
    sample = SampleSums(
        counts=Counter(domain=int(domain.sum()), field=domain.size),
        extremes=[Extremes()],
        expected_voxels=[2**40, 2**41],
        class_voxels=class_voxels,
        slice_counts=domain_counts(domain, (0, 0, 0)),
        members=members,
        measures={"predictive_entropy": sums},
    )
    field = Field(
        sample="sub-01",
        shape=values.shape,
        affine=np.diag([2.0, 3.0, 4.0, 1.0]).tolist(),
        voxel_volume_mm3=voxel_volume,
        classes=["background", "organ"],
        n_members=1,
        kind="softmax",
        unit="bit",
        content="posterior",
        measures=["predictive_entropy"],
    )
    return summarise(field, sample, RoleSums(role_counts, {"predictive_entropy": role_totals}))


@pytest.mark.parametrize("middle", [1.0, 0.1, 1e-3])
@pytest.mark.parametrize("spread", [1e-4, 1e-6])
def test_a_small_spread_around_a_large_mean_is_not_lost(middle, spread):
    values = (middle + spread * np.random.default_rng(0).standard_normal(SHAPE)).astype(np.float32)
    exact = np.std(values.astype(np.longdouble))
    assert summary_of(values)["predictive_entropy_std"] == pytest.approx(float(exact), rel=1e-5)


@pytest.mark.parametrize("value", [0.1, 0.3, 1.0, 1e-6, 1.9999999])
def test_the_spread_of_a_constant_is_0(value):
    assert summary_of(np.full(SHAPE, value))["predictive_entropy_std"] == 0.0


def test_a_mean_is_rounded_once():
    values = np.random.default_rng(1).random(SHAPE, np.float32)
    exact = Fraction(sum(Fraction(float(v)) for v in values.ravel())) / values.size
    assert summary_of(values)["predictive_entropy_mean"] == float(exact)


def test_quantiles_are_inverted_cdf():
    one = int(np.float32(1).view(np.int32)) >> 12
    bins, counts = np.array([0, *range(one + 1, one + 5)]), np.array([5, 1, 1, 1, 2])
    edges = [0.0, 1.0, 1 + 2**-11, 1 + 2**-10, 1 + 3 * 2**-11]
    assert quantile(bins, counts, Fraction(1, 2)) == edges[0]
    assert quantile(bins, counts, Fraction(51, 100)) == edges[1]
    assert quantile(bins, counts, Fraction(8, 10)) == edges[3]
    assert quantile(bins, counts, Fraction(1)) == edges[4]
    assert quantile(bins[:0], counts[:0], Fraction(1, 2)) is None


def test_quantiles_hold_for_a_spike_at_0_with_a_thin_tail():
    values = np.zeros(SHAPE)
    tail = np.random.default_rng(2).random(values.size // 30) * 2
    values.ravel()[: tail.size] = tail
    found = summary_of(values)
    assert found["predictive_entropy_median"] == found["predictive_entropy_p95"] == 0.0
    exact = np.quantile(values.astype(np.float32), 0.99, method="inverted_cdf")
    assert exact * (1 - 2**-11) <= found["predictive_entropy_p99"] <= exact


def test_of_equal_boxes_the_first_in_z_y_x_order_is_named():
    values = np.zeros(SHAPE)
    values[11, 22, 31] = values[3, 5, 12] = values[3, 14, 2] = 1
    found = summary_of(values)
    # The box at (10, 20, 30) has 2 · 5 · 3 voxels, so its mean is the highest.
    assert [found[f"predictive_entropy_patch_max_{axis}"] for axis in "xyz"] == [30, 20, 10]
    assert found["predictive_entropy_patch_max"] == 1 / 30
    assert [found[f"predictive_entropy_patch_max_{axis}_mm"] for axis in "xyz"] == [31 * 2, 22 * 3, 10.5 * 4]
    values[11, 22, 31] = 0
    found = summary_of(values)
    assert [found[f"predictive_entropy_patch_max_{axis}"] for axis in "xyz"] == [10, 0, 0]


def test_equal_means_of_boxes_of_different_size_are_a_tie():
    found = summary_of(np.full(SHAPE, 0.3))
    assert [found[f"predictive_entropy_patch_max_{axis}"] for axis in "xyz"] == [0, 0, 0]


def test_slices_with_few_domain_voxels_are_left_out():
    domain = np.zeros((5, 20, 20), bool)
    domain[:3] = True
    domain[3].ravel()[:19], domain[4].ravel()[:20] = True, True
    values = np.zeros(domain.shape)
    values[3], values[4], values[1] = 2, 1, 0.5
    # 20 of 400 voxels are 5 %, 19 are less.
    assert summary_of(values, domain=domain)["predictive_entropy_peak_slice_z"] == 4
    values[4] = 0.5
    assert summary_of(values, domain=domain)["predictive_entropy_peak_slice_z"] == 1


def test_without_a_domain_only_totals_are_defined():
    found = summary_of(np.ones(SHAPE), domain=np.zeros(SHAPE, bool), voxel_volume=2.0)
    assert found["predictive_entropy_total"] == math.prod(SHAPE)
    assert found["predictive_entropy_total_mm3"] == 2 * math.prod(SHAPE)
    assert found["predictive_entropy_domain_total"] == 0
    others = [key for key in statistic_keys("predictive_entropy") if "total" not in key]
    assert [found[key] for key in others] == [None] * len(others)


def test_every_mean_has_its_denominator():
    segmentation = np.zeros(SHAPE, np.uint8)
    segmentation[:, 10:, :] = 1
    values = np.random.default_rng(3).random(SHAPE).astype(np.float32)
    found = summary_of(values, segmentation)
    border = np.zeros(SHAPE, bool)
    border[:, 9:11] = True
    front = segmentation == 1
    pairs = {"domain": np.ones(SHAPE, bool), "foreground": front, "boundary": border, "interior": front & ~border}
    for name, voxels in pairs.items():
        assert found[f"n_{name}_voxels"] == np.count_nonzero(voxels)
        key = "predictive_entropy_mean" if name == "domain" else f"predictive_entropy_{name}_mean"
        assert found[key] == pytest.approx(values[voxels].astype(np.float64).mean(), rel=1e-12)


def test_overlap_of_members():
    voxels, pairs = np.array([4, 2, 0]), np.zeros((3, 3), np.int64)
    pairs[0, 1] = 2
    assert mean_dice(voxels, pairs) == float(Fraction(4, 6) / 3)
    assert mean_dice(voxels * 0, pairs * 0) is None
    assert mean_dice(voxels[2:].repeat(2), pairs[:2, :2] * 0) is None
    assert variation([3, 3, 3]) == 0.0
    assert variation([0, 0]) is None
    assert variation([1, 2, 3, 6]) == pytest.approx(np.std([1, 2, 3, 6]) / 3, rel=1e-15)


def test_an_absent_structure_has_a_volume_of_0_and_no_means():
    members = MemberCounts(
        np.array([[5, 0], [5, 0]]), np.array([5, 0]), np.array([5, 0]), np.zeros((2, 2, 2), np.int64)
    )
    rows = summary_of(np.ones(SHAPE), np.zeros(SHAPE, np.uint8), members=members, voxel_volume=0.5)["structures"]
    assert rows[1] == {
        "class": "organ",
        "n_voxels": 0,
        "volume_mm3": 0.0,
        "expected_volume_mm3": 1.0,
        "predictive_entropy_mean": None,
        "volume_cv": None,
        "iou": None,
        "pairwise_dice": None,
    }
    assert (rows[0]["iou"], rows[0]["volume_cv"]) == (1.0, 0.0)


def test_numbers_are_pythons_own_and_survive_json():
    found = summary_of(np.random.default_rng(4).random(SHAPE))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    plain = (str, int, float, type(None), list)
    assert {type(value) for value in found.values()} <= set(plain)


def test_means_of_nothing_are_none():
    assert mean_of(0, 0) is None
    assert mean_of(3 << 40, 2) == 1.5
