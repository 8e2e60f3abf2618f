"""A block's measures: what the definitions say, in any cut, for any fault."""

from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import or_

import numba
import numpy as np
import pytest
import reference
import strategies as own
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from volume_entropy.kernels.buffers import NEAR_ONE
from volume_entropy.kernels.entropy import STRIP
from volume_entropy.measures import MEASURES
from volume_entropy.partials import Extremes
from volume_entropy.voxelwise import BlockMeasures

JIT = not numba.config.DISABLE_JIT
SOFTMAX = tuple(name for name, m in MEASURES.items() if "softmax" in m.kinds)
REGIONS = tuple(name for name, m in MEASURES.items() if "regions" in m.kinds)
SINGLE = tuple(name for name in SOFTMAX if not MEASURES[name].needs_members)
few = settings(max_examples=40 if JIT else 2, deadline=None)


# As plain Python the kernels divide and overflow numpy scalars, which warn; machine code does not.
pytestmark = [] if JIT else [pytest.mark.filterwarnings("ignore::RuntimeWarning")]


def run(p, *, kind="softmax", complement=False, sum_tolerance=0.01, quantum=0.0, unit="bit", measures=None, mask=None):
    if measures is None:
        measures = REGIONS if kind == "regions" else (SOFTMAX if len(p) > 1 else SINGLE)
    block = BlockMeasures(
        p.shape[2:], n_members=p.shape[0], n_classes=p.shape[1] + complement, kind=kind, complement=complement,
        sum_tolerance=sum_tolerance, quantum=quantum, unit=unit, measures=measures,
    )  # fmt: skip
    for member in p:
        block.add(member)
    return block.finish(mask)


def assert_matches(result, expected, *, exact_labels=True, looser=1):
    """Compare with the twin; labels of near ties in a mean, or in a background that is a difference, may differ."""
    for name, values in result.maps.items():
        if name == "variation_ratio" and not expected.clear_members:
            continue
        near = (MEASURES[name].relative_accuracy, looser * MEASURES[name].accuracy)
        np.testing.assert_allclose(values, expected.maps[name], *near, err_msg=name)
    assert_array_equal(np.isnan(next(iter(result.maps.values()))), expected.invalid)
    got = {name: getattr(result, name) for name in expected.counts}
    assert got == expected.counts
    assert expected.n_renormalised[0] <= result.n_renormalised <= expected.n_renormalised[1]
    clear = expected.clear_mean | exact_labels
    assert_array_equal(np.where(clear, result.segmentation, 0), np.where(clear, expected.segmentation, 0))
    n_voxels = expected.invalid.size
    np.testing.assert_allclose(
        np.array(result.expected_voxels, float) / 2**40, expected.expected, rtol=0, atol=1e-7 * n_voxels
    )
    if result.member_voxels is not None and expected.clear_members:
        assert_array_equal(result.member_voxels, expected.member_voxels)
        assert_array_equal(result.intersection, expected.intersection)
        assert_array_equal(result.union, expected.union)
        assert_array_equal(result.pair_intersection, expected.pair_intersection)


@few
@given(own.softmax_volumes())
def test_measures_are_those_of_the_definitions(p):
    assert_matches(run(p), reference.block(p), exact_labels=False)


@few
@given(own.softmax_volumes(st.just(1)))
def test_one_member_is_labelled_exactly(p):
    assert_matches(run(p), reference.block(p))


@few
@given(own.spoiled_volumes())
def test_faults_are_found_and_counted_by_reason(p):
    assert_matches(run(p), reference.block(p), exact_labels=False)


@few
@given(own.spoiled_volumes(), st.sampled_from([0.01, 0.3, None]))
def test_tolerances_decide_what_is_valid(p, sum_tolerance):
    expected = reference.block(p, sum_tolerance=sum_tolerance)
    # Sums of any size: down to 1e-9, whose logarithm costs digits.
    looser = 4 if sum_tolerance is None else 1
    assert_matches(run(p, sum_tolerance=sum_tolerance), expected, exact_labels=False, looser=looser)


@few
@given(own.spoiled_volumes())
def test_a_missing_background_is_completed(p):
    assert_matches(run(p[:, 1:], complement=True), reference.block(p[:, 1:], complement=True), exact_labels=False)


@few
@given(own.region_volumes())
def test_regions_are_independent_coins(p):
    assert_matches(run(p, kind="regions"), reference.block(p, kind="regions"), exact_labels=False)


@few
@given(own.region_volumes(), own.SEEDS)
def test_faults_of_regions_are_counted(p, seed):
    p = own.spoil(p, seed)
    assert_matches(run(p, kind="regions"), reference.block(p, kind="regions"), exact_labels=False)


@few
@given(own.softmax_volumes(), own.SEEDS)
def test_a_mask_narrows_the_counts_and_nothing_else(p, seed):
    mask = np.random.default_rng(seed).random(p.shape[2:]) < 0.5
    masked, whole = run(p, mask=mask), run(p)
    assert_matches(masked, reference.block(p, mask=mask), exact_labels=False)
    for name in masked.maps:
        assert_array_equal(masked.maps[name], whole.maps[name])
    assert_array_equal(masked.segmentation, whole.segmentation)


@few
@given(st.data(), own.spoiled_volumes(), st.sampled_from(["softmax", "complement", "regions"]))
def test_cutting_a_volume_never_changes_a_byte(data, p, what):
    options = {"softmax": {}, "complement": {"complement": True}, "regions": {"kind": "regions"}}[what]
    if what == "complement":
        p = p[:, 1:]
    whole = run(p, **options)
    parts = [(box, run(p[(..., *box)], **options)) for box in data.draw(own.cuts(p.shape[2:]))]
    for box, part in parts:
        for name, values in part.maps.items():
            assert values.tobytes() == whole.maps[name][box].tobytes(), name
        assert_array_equal(part.segmentation, whole.segmentation[(..., *box)])
    for name in ("n_empty", "n_invalid", "n_renormalised", "n_nan", "n_negative", "n_above_one", "n_bad_sum"):
        assert sum(getattr(part, name) for _, part in parts) == getattr(whole, name)
    assert [sum(n) for n in zip(*(part.expected_voxels for _, part in parts), strict=True)] == whole.expected_voxels
    for name in ("member_voxels", "intersection", "union", "pair_intersection"):
        if len(p) > 1:
            assert_array_equal(sum(getattr(part, name) for _, part in parts), getattr(whole, name))
    for member, extremes in enumerate(whole.member_extremes):
        found = reduce(or_, (part.member_extremes[member] for _, part in parts))
        assert (found.minimum, found.maximum) == (extremes.minimum, extremes.maximum)
        assert (found.sum_minimum, found.sum_maximum) == pytest.approx(
            (extremes.sum_minimum, extremes.sum_maximum), rel=3e-7
        )


@few
@given(own.softmax_volumes())
def test_bounds_hold_exactly(p):
    maps = run(p).maps
    top = np.float32(np.log2(p.shape[1]))
    assert (maps["predictive_entropy"] >= 0).all() and (maps["predictive_entropy"] <= top).all()
    assert (maps["normalized_entropy"] <= 1).all()
    if len(p) > 1:
        assert (maps["mutual_information"] >= 0).all()
        assert (maps["mutual_information"] <= maps["predictive_entropy"]).all()
        assert (maps["expected_entropy"] <= maps["predictive_entropy"]).all()


@few
@given(own.softmax_volumes(), own.SEEDS)
def test_the_order_of_classes_does_not_matter(p, seed):
    order = np.random.default_rng(seed).permutation(p.shape[1])
    a, b = run(p), run(p[:, order])
    for name in a.maps:
        if name not in ("variation_ratio", "margin", "least_confidence"):
            np.testing.assert_allclose(a.maps[name], b.maps[name], rtol=0, atol=2 * MEASURES[name].accuracy)


@few
@given(own.softmax_volumes(st.just(1)), st.integers(2, 8))
def test_equal_members_have_no_mutual_information(p, n_members):
    maps = run(np.repeat(p, n_members, axis=0)).maps
    for name in ("mutual_information", "variance", "expected_pairwise_kl", "variation_ratio"):
        assert (maps[name] == 0).all()
    assert_array_equal(maps["expected_entropy"], maps["predictive_entropy"])


@pytest.mark.parametrize("n_classes", [2, 5, 40])
def test_one_hot_is_exactly_zero(n_classes):
    values = np.linspace(0.991, 1.009, 101 if JIT else 5)
    p = np.zeros((1, n_classes, 1, values.size + 1, n_classes), np.float32)
    for c in range(n_classes):
        p[0, c, 0, :, c] = [1, *values]
    assert (run(p).maps["predictive_entropy"] == 0).all()
    assert (run(np.repeat(p, 3, axis=0)).maps["predictive_entropy"] == 0).all()


@pytest.mark.parametrize("n_classes", range(2, 41))
def test_uniform_is_log_of_the_classes(n_classes):
    p = np.full((1, n_classes, 1, 1, 5), 1 / n_classes, np.float32)
    for members in (p, np.repeat(p, 3, axis=0)):
        for unit, log in (("bit", np.log2), ("nat", np.log)):
            np.testing.assert_allclose(run(members, unit=unit).maps["predictive_entropy"], log(n_classes), atol=1e-6)


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("n_classes", [3, 4, 16])
@pytest.mark.parametrize("complement", [False, True])
def test_expected_voxels_are_of_probabilities_that_sum_to_one(n_members, n_classes, complement):
    p = own.softmax_volume(0, n_members, n_classes, (1, 2, 30)) * np.float32(1.009)
    if complement:
        p[:, 0] = 0
        p *= np.float32(0.9)
    p = p[:, 1:] if complement else p
    result = run(p, complement=complement)
    assert sum(result.expected_voxels) / 2**40 == pytest.approx(60 - result.n_invalid, rel=1e-6)
    assert_matches(result, reference.block(p, complement=complement), exact_labels=False)


def test_half_floats_are_read_exactly():
    every = np.arange(0, 2**16, 1 if JIT else 97, dtype=np.uint16).view(np.float16)
    with np.errstate(all="ignore"):
        p = np.stack([every, np.float16(1) - every])[:, None, None, :]
    for members in (p[None], np.stack([p, p[::-1]])):
        half, single = run(members), run(members.astype(np.float32))
        for name in half.maps:
            assert half.maps[name].tobytes() == single.maps[name].tobytes()
        assert half.expected_voxels == single.expected_voxels
        assert (half.member_extremes, half.n_nan) == (single.member_extremes, single.n_nan)


def test_more_than_254_classes_have_wide_labels():
    p = own.softmax_volume(0, 2, 300, (1, 2, 3))
    result = run(p)
    assert result.segmentation.dtype == np.uint16
    assert_matches(result, reference.block(p), exact_labels=False)
    p[:] = 0
    assert (run(p).segmentation == 65535).all()


def test_extremes_tell_what_came_in():
    p = own.softmax_volume(0, 1, 3, (1, 1, 40))
    p[0, :, 0, 0, 0] = -4, 7, np.nan
    p[0, :, 0, 0, 1] = 0
    p[0, :, 0, 0, 2] = 0.25, 0.25, 0.25
    result = run(p).extremes
    assert (result.minimum, result.maximum, result.sum_minimum) == (-4, 7, 0.75)
    assert result.sum_maximum == pytest.approx(1, abs=1e-6)
    assert run(np.full((1, 3, 1, 1, 4), np.nan, np.float32)).extremes == Extremes()


@pytest.mark.parametrize("kind", ["softmax", "regions"])
def test_extremes_are_those_of_each_member(kind):
    p = own.softmax_volume(0, 4, 4, (2, 5, 40))
    p[1], p[2] = 0, np.nan
    p[3, :, 0, 0] *= 9
    result = run(p, kind=kind)
    for member, extremes in zip(p, result.member_extremes, strict=True):
        finite = member[np.isfinite(member)]
        assert extremes.minimum == finite.min(initial=np.inf) and extremes.maximum == finite.max(initial=-np.inf)
    assert result.extremes.maximum == p[3].max()


def test_negative_values_within_the_tolerance_show_in_the_minimum():
    p = own.softmax_volume(0, 1, 3, (1, 1, 40))
    p[0, :, 0, 0, 3] = 1, -0.004, -0.009
    result = run(p)
    assert result.extremes.minimum == np.float32(-0.009) and result.n_invalid == 0
    assert result.maps["predictive_entropy"][0, 0, 3] == 0


@pytest.mark.parametrize("n_classes", [4, 5, 9])
@pytest.mark.parametrize("n_members", [1, 2])
def test_a_negative_zero_is_a_zero(n_members, n_classes):
    p = own.softmax_volume(0, n_members, n_classes, (1, 1, 40))
    p[..., 7:20] = 0
    negative = np.where(p == 0, np.float32(-0.0), p)
    result, expected = run(negative), run(p)
    for name, values in expected.maps.items():
        assert_array_equal(result.maps[name], values, err_msg=name)
    assert (result.n_empty, result.extremes.minimum) == (13, 0)
    assert result.extremes.sum_minimum == expected.extremes.sum_minimum


def test_a_negative_zero_is_not_looked_at_slowly(monkeypatch):
    monkeypatch.setattr("volume_entropy.members.explain", None)
    for n_members, n_classes in ((1, 4), (2, 4), (1, 9), (2, 9)):
        run(np.full((n_members, n_classes, 1, 1, 40), -0.0, np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("complement", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3, 4, 5, 8, 9, 10, 16, 17])
@pytest.mark.parametrize("n_members", [1, 2, 3])
def test_a_tie_goes_to_the_lower_class(n_members, n_classes, complement, dtype):
    """Of each pair of classes with a half each, exactly; a complemented background is the lowest class."""
    lower, higher = np.triu_indices(n_classes, 1)
    p = np.zeros((n_classes, 1, 1, lower.size), dtype)
    p[lower, 0, 0, range(lower.size)] = p[higher, 0, 0, range(lower.size)] = 0.5
    result = run(p[None].repeat(n_members, axis=0)[:, int(complement) :], complement=complement)
    assert_array_equal(result.segmentation[0, 0], lower)
    assert_array_equal(result.maps["predictive_entropy"], 1)
    if n_members > 1:
        assert_array_equal(result.member_voxels, [np.bincount(lower, minlength=n_classes)] * n_members)
    expected = np.bincount(np.concatenate([lower, higher]), minlength=n_classes) / 2
    assert_array_equal(np.array(result.expected_voxels) / 2**40, expected)


@pytest.mark.parametrize("complement", [False, True])
@pytest.mark.parametrize("n_classes", [4, 6])
@pytest.mark.parametrize("n_members", [1, 3])
def test_faults_are_counted_where_kernels_go_on_in_the_next_strip(n_members, n_classes, complement):
    shape = (1, 3, STRIP - 500 if JIT else 50)
    p = own.softmax_volume(0, n_members, n_classes, shape)[:, int(complement) :].copy()
    flat = p.reshape(*p.shape[:2], -1)
    size = flat.shape[-1]
    flat[..., : size // 3] = 0
    flat[..., size // 3 : size // 2] *= np.float32(1.001)
    flat[-1, 1, size // 2 + 3] = np.nan
    flat[0, 0, size // 2 + 9] = -3
    flat[-1, :, size - 2] = 0
    assert_matches(run(p, complement=complement), reference.block(p, complement=complement), exact_labels=False)


def test_values_other_than_0_and_1_are_counted_for_one_class():
    p = np.array([0, 1, 1, 0.25, 1, np.nan], np.float32).reshape(1, 1, 1, 1, 6)
    result = run(p, measures=("predictive_entropy", "normalized_entropy"))
    assert result.n_not_binary == 1
    assert result.n_invalid == 2 and result.n_empty == 1
    for values in result.maps.values():
        assert_array_equal(values[0, 0], [0, 0, 0, np.nan, 0, np.nan])


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("n_classes", [2, 4, 8, 33])
def test_integer_storage_is_tolerated_by_a_step_a_class(n_members, n_classes):
    exact = np.random.default_rng(0).dirichlet(np.ones(n_classes), size=(n_members, 640))
    exact = np.moveaxis(exact, 2, 1).reshape(n_members, n_classes, 1, 2, 320)
    for rounded in (np.rint, np.floor):
        stored = (rounded(exact * 255) / 255).astype(np.float32)
        result = run(stored, sum_tolerance=0.001, quantum=1 / 255)
        assert result.n_invalid == 0
        assert_matches(result, reference.block(stored, sum_tolerance=0.001, quantum=1 / 255), exact_labels=False)
        exact_sums = rounded is np.rint and n_classes == 2
        assert (run(stored, sum_tolerance=0.001).n_invalid == 0) == exact_sums


def test_a_coarse_step_never_makes_every_sum_right():
    p = np.array([0.4, 0.0, 0.75, 0.0, 1.0, 0.25], np.float32).reshape(1, 2, 1, 1, 3)
    for quantum in (0.5, 4.0, 1e30):
        assert run(p, quantum=quantum).n_invalid == 1


@pytest.mark.parametrize("complement", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4, 9])
def test_voxels_that_are_nan_in_every_class_of_every_member_are_told_apart(n_classes, complement):
    p = own.spoil(own.softmax_volume(3, 3, n_classes + complement, (3, 9, 37 if JIT else 5)), 3)[:, int(complement) :]
    flat = p.reshape(3, n_classes, -1)
    flat[:, :, 7:50] = np.nan
    flat[1, :, 9:20] = 0
    flat[0, 1, 25:30] = 0.5
    result = run(p, complement=complement)
    expected = np.isnan(p).all(axis=(0, 1))
    assert expected.any()
    assert_array_equal(result.blank, expected)
    assert_matches(result, reference.block(p, complement=complement), exact_labels=False)
    assert_array_equal(run(p[:1], complement=complement).blank, np.isnan(p[:1]).all(axis=(0, 1)))
    assert run(np.nan_to_num(p, nan=0.5), complement=complement).blank is None
    if not complement:
        assert run(p, kind="regions").blank is None


def test_members_that_differ_in_being_empty_make_a_voxel_invalid():
    p = np.repeat(own.softmax_volume(0, 1, 4, (1, 2, 3)), 2, axis=0)
    p[1, :, 0, 0, 0] = 0
    p[:, :, 0, 1, 1] = 0
    result = run(p)
    assert (result.n_invalid, result.n_bad_sum, result.n_empty) == (1, 1, 1)
    assert np.isnan(result.maps["mutual_information"][0, 0, 0])
    assert result.maps["variation_ratio"][0, 1, 1] == 0


def test_blocks_may_be_measured_in_several_threads():
    volumes = [own.spoil(own.softmax_volume(seed, 3, 5, (3, 40 if JIT else 2, 41)), seed) for seed in range(6)]
    with ThreadPoolExecutor(4) as pool:
        for result, p in zip(pool.map(run, volumes), volumes, strict=True):
            for name, values in run(p).maps.items():
                assert values.tobytes() == result.maps[name].tobytes()


def test_a_complement_needs_a_scale_of_one():
    with pytest.raises(ValueError, match="needs a sum_tolerance"):
        run(own.softmax_volume(0, 1, 3, (1, 2, 3)), complement=True, sum_tolerance=None)


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("n_classes", [3, 4, 7, 40])
def test_sums_as_far_from_one_as_the_quick_kernels_take_are_divided_out(n_members, n_classes):
    p = own.softmax_volume(5, n_members, n_classes, (1, 7, 300 if JIT else 9))
    for factor in (1 - NEAR_ONE + 1e-5, 1 + NEAR_ONE - 1e-5):
        scaled = p * np.float32(factor)
        tolerance = NEAR_ONE - 2e-6
        expected = reference.block(scaled, sum_tolerance=tolerance)
        assert_matches(run(scaled, sum_tolerance=tolerance), expected, exact_labels=False)


def test_misuse_is_told():
    p = own.softmax_volume(0, 2, 3, (1, 2, 3))
    block = BlockMeasures(
        (1, 2, 3),
        n_members=2,
        n_classes=3,
        kind="softmax",
        complement=False,
        sum_tolerance=0.01,
        quantum=0.0,
        unit="bit",
        measures=("predictive_entropy",),
    )
    with pytest.raises(ValueError, match="expected \\(3, 1, 2, 3\\)"):
        block.add(p[0, :2])
    block.add(p[0])
    with pytest.raises(ValueError, match="1 members were added, expected 2"):
        block.finish()
    block.add(p[1])
    with pytest.raises(ValueError, match="all 2 members"):
        block.add(p[1])
    with pytest.raises(ValueError, match="mask"):
        block.finish(np.ones((2, 2, 3), bool))
    block.finish()
    with pytest.raises(ValueError, match="already"):
        block.finish()
    with pytest.raises(ValueError, match="not a measure of kind regions: margin"):
        run(p, kind="regions", measures=("margin",))
