"""The queue puts first what differs most from its group, and says why and where to look."""

import math
import random

import numpy as np
import pytest
from cohorts import reproducible, summary
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation
from volume_entropy.cohort import CRITERIA, review_queue
from volume_entropy.columns import FLAGS, review_columns
from volume_entropy.robust import MIN_GROUP, robust_z

values = st.lists(st.floats(-1e3, 1e3), min_size=MIN_GROUP, max_size=40)


def cohort(n, **changed):
    """Samples that differ little: their entropy spreads around 0.2, their volumes by five per cent."""
    seeded = random.Random(n)
    return [
        summary(f"sub-{i:02d}", predictive_entropy_foreground_mean=seeded.uniform(0.19, 0.21), **changed)
        for i in range(n)
    ]


def queue(summaries, groups=None, background="background"):
    return review_queue(summaries, groups or [""] * len(summaries), background)


def ranked(summaries, groups=None):
    return [row["sample"] for row in queue(summaries, groups)]


def volume(summary, name):
    return next(row for row in summary["structures"] if row["class"] == name)


def swap_labels(summary, a, b):
    volume(summary, a)["class"], volume(summary, b)["class"] = "?", a
    volume(summary, "?")["class"] = b


def shuffled(items):
    return random.Random(0).sample(items, len(items))


def scale_of(x):
    """1.4826 MAD, else 1.2533 mean absolute deviation; what is below rounding is 0."""
    deviations = np.abs(x - np.median(x))
    scales = np.array([1.4826 * median_abs_deviation(x), 1.2533 * deviations.mean()])
    return next((scale for scale in scales if scale > 1e-12 * np.abs(x).max()), 0)


@reproducible
@given(values)
@example([0.0] * 4 + [1.0] * 3 + [2.2250738585e-313])
@example([0.0] * 4 + [1.0] * 2 + [2.0, 1.1125369292536007e-308])
def test_robust_z_is_the_distance_from_the_median_over_the_scaled_mad(group):
    x = np.array(group)
    z, scale = robust_z(group, [""] * len(group)), scale_of(x)
    if scale == 0:
        assert z == [None] * len(group)
    else:
        np.testing.assert_allclose(np.array(z, float), (x - np.median(x)) / scale, rtol=1e-9, atol=1e-12)


@reproducible
@given(st.lists(st.floats(-1e300, 1e300), min_size=MIN_GROUP, max_size=20))
@example([0.0] * 4 + [1.0] * 3 + [5e-324])
def test_no_robust_z_is_infinite_since_a_table_cannot_hold_it(group):
    assert all(z is None or math.isfinite(z) for z in robust_z(group, [""] * len(group)))


def test_a_spread_that_is_only_rounding_is_none():
    assert robust_z([0.1 + 0.2, 0.3] * 5, [""] * 10) == [None] * 10


@reproducible
@given(values | values.map(lambda some: [0.1] * (len(some) + 1) + some), st.randoms(use_true_random=False))
def test_the_order_of_a_group_changes_no_bit_of_its_z(group, shuffle):
    order = shuffle.sample(range(len(group)), len(group))
    z = robust_z(group, [""] * len(group))
    assert robust_z([group[i] for i in order], [""] * len(group)) == [z[i] for i in order]


def test_robust_z_of_a_normal_cohort_is_its_z():
    x = np.random.default_rng(0).normal(5, 2, 20_001)
    z = np.array(robust_z(x.tolist(), [""] * x.size), float)
    np.testing.assert_allclose(z.std(), 1, atol=0.03)


def test_fewer_than_eight_values_have_no_z():
    assert robust_z([*range(7), None], [""] * 8) == [None] * 8
    assert None not in robust_z(list(range(8)), [""] * 8)


def test_where_most_values_are_equal_the_mean_deviation_judges():
    z = robust_z([1.0] * 9 + [2.0], [""] * 10)
    assert z == [0.0] * 9 + [pytest.approx(1 / (1.2533 * 0.1))]


def test_equal_values_have_no_z():
    assert robust_z([0.25] * 20, [""] * 20) == [None] * 20


def test_groups_are_judged_apart():
    a, b = list(range(10)), [1000 + 3 * i for i in range(10)]
    assert robust_z([*a, *b], ["a"] * 10 + ["b"] * 10) == robust_z(a, [0] * 10) + robust_z(b, [0] * 10)


def test_a_row_has_the_columns_of_the_queue():
    (row,) = queue([summary("sub-01")])
    assert set(row) == {column.name for column in review_columns("bit")}


def test_an_unsure_sample_is_first():
    samples = cohort(12)
    samples[7]["predictive_entropy_foreground_mean"] = 0.5
    first = queue(samples)[0]
    assert (first["sample"], first["flags"], first["value"]) == ("sub-07", "entropy_high", 0.5)
    assert first["highest_abs_z"] == first["robust_z"] > 3.5
    assert first["reason"].startswith("mean predictive entropy of the foreground is 0.5 bit, robust z +")


def test_a_sample_that_is_too_sure_is_an_outlier_too():
    samples = cohort(12)
    samples[3]["predictive_entropy_foreground_mean"] = 0.0
    assert next((row["sample"], row["flags"]) for row in queue(samples)) == ("sub-03", "entropy_low")


@pytest.mark.parametrize(
    ("key", "flag", "words"),
    [
        ("predictive_entropy_total_mm3", "total", "total predictive entropy of the whole field is 9 bit mm^3"),
        ("predictive_entropy_interior_mean", "interior", "foreground away from boundaries is 9 bit"),
        ("mutual_information_foreground_mean", "mutual_information", "mean mutual information of the foreground is 9"),
    ],
)
def test_each_number_can_bring_a_sample_to_the_front(key, flag, words):
    samples = cohort(20, n_members=3)
    samples[9][key] = 9.0
    first, second = queue(samples)[:2]
    assert (first["sample"], first["flags"], second["flags"]) == ("sub-09", f"{flag}_high", "")
    assert first[f"{flag}_robust_z"] == first["highest_abs_z"]
    assert words in first["reason"]


def test_where_members_disagree_most_is_where_to_look_if_they_brought_it_to_the_front():
    samples = cohort(20, n_members=3)
    samples[9]["mutual_information_foreground_mean"] = 9.0
    place = {"peak_slice_x": 3, "peak_slice_x_mean": 9.0, "patch_max_x": 31, "patch_max_x_mm": -7.5}
    samples[9].update({f"mutual_information_{key}": value for key, value in place.items()})
    first, *others = queue(samples)
    assert (first["measure"], first["axis"], first["slice"]) == ("mutual_information", "x", 3)
    assert (first["box_x"], first["box_x_mm"]) == (31, -7.5)
    for row in others:
        (of_sample,) = (s for s in samples if s["sample"] == row["sample"])
        assert row["slice"] == of_sample[f"{row['measure']}_peak_slice_{row['axis']}"]


def test_samples_of_one_member_have_no_disagreement_to_compare():
    rows = queue([*cohort(10, n_members=3), summary("single")])
    (single,) = (row for row in rows if row["sample"] == "single")
    assert single["mutual_information_robust_z"] is None
    assert all(row["mutual_information_robust_z"] is not None for row in rows if row is not single)


def test_every_flag_is_in_the_dictionary_of_the_table():
    assert "warning" in FLAGS
    assert {f"{criterion.name}_{side}" for criterion in CRITERIA for side in ("high", "low")} < set(FLAGS)


def test_exchanged_labels_are_first_and_named():
    samples = cohort(20)
    swap_labels(samples[11], "gm", "csf")
    first = queue(samples)[0]
    assert (first["sample"], first["flags"]) == ("sub-11", "class_order")
    assert "volume of gm" in first["reason"]
    assert "as is usual for csf: are the classes in another order?" in first["reason"]
    assert [row["flags"] for row in queue(samples)[1:]] == [""] * 19


def test_labels_that_moved_in_a_circle_are_named():
    samples = cohort(20)
    names = {"csf": "gm", "gm": "wm", "wm": "csf"}
    for row in samples[5]["structures"]:
        row["class"] = names.get(row["class"], row["class"])
    assert next((row["sample"], row["flags"]) for row in queue(samples)) == ("sub-05", "class_order")


def test_a_structure_that_is_gone_is_no_question_of_order():
    samples = cohort(20)
    volume(samples[2], "wm")["volume_mm3"] = 0.0
    first = queue(samples)[0]
    assert (first["sample"], first["flags"]) == ("sub-02", "class_volume")
    assert "volume of wm is 0 mm^3" in first["reason"]


def test_a_class_without_a_row_counts_as_gone():
    samples = cohort(20)
    samples[2]["structures"].remove(volume(samples[2], "wm"))
    assert queue(samples)[0]["flags"] == "class_volume"


def test_the_field_of_view_is_no_reason():
    samples = cohort(20)
    volume(samples[2], "background")["volume_mm3"] = 1e9
    assert "".join(row["flags"] for row in queue(samples)) == ""
    assert queue(samples, background=None)[0]["sample"] == "sub-02"


@pytest.mark.parametrize(
    ("wm", "entropy", "flags"),
    [
        (0.0, 0.25, "class_volume;entropy_high"),
        (1e9, 0.15, "class_volume;entropy_low"),
        (3e5, 5.0, "entropy_high;class_volume"),
        (1e6, -5.0, "entropy_low;class_volume"),
    ],
)
def test_the_strongest_reason_comes_first_whatever_its_sign(wm, entropy, flags):
    samples = cohort(20)
    # Of the other structures none, so that the volume fits no other class.
    for sample in samples:
        sample["structures"] = [volume(sample, "wm")]
    volume(samples[4], "wm")["volume_mm3"] = wm
    samples[4]["predictive_entropy_foreground_mean"] = entropy
    first = queue(samples)[0]
    assert (first["sample"], first["flags"]) == ("sub-04", flags)


def warned(sample, *codes):
    sample["warnings"] = [{"code": code, "message": f"Found {code}."} for code in codes]


@pytest.mark.parametrize("n", [3, 20])
def test_a_sample_with_a_warning_stands_above_all_that_are_not_flagged_and_says_why(n):
    samples = cohort(n)
    warned(samples[1], "mask_everywhere", "members_identical")
    first, *others = queue(samples)
    assert (first["sample"], first["flags"]) == ("sub-01", "warning")
    assert first["reason"] == "Found mask_everywhere; Found members_identical"
    assert {row["flags"] for row in others} == {""}
    # Where to look is as without it.
    assert first["slice"] is not None


def test_a_warning_stands_behind_outliers_and_beside_them_where_a_sample_is_both():
    samples = cohort(20)
    for index, entropy in ((4, 0.5), (9, 0.6)):
        samples[index]["predictive_entropy_foreground_mean"] = entropy
    for index in (2, 4):
        warned(samples[index], "unit_missing")
    rows = queue(samples)
    assert [row["sample"] for row in rows[:3]] == ["sub-09", "sub-04", "sub-02"]
    assert [row["flags"] for row in rows[:3]] == ["entropy_high", "warning;entropy_high", "warning"]
    assert rows[1]["reason"].startswith("Found unit_missing; mean predictive entropy of the foreground is 0.5 bit")


@pytest.mark.parametrize("n", [4, 20])
def test_a_reference_that_looks_permuted_stands_above_everything(n):
    samples = cohort(n)
    samples[0]["predictive_entropy_foreground_mean"] = 5.0
    warned(samples[1], "nan_outside")
    warned(samples[2], "reference_permuted")
    assert ranked(samples)[0] == "sub-02"


def test_samples_with_warnings_are_in_the_order_of_their_values():
    small, large = cohort(6), cohort(20)
    for samples in (small, large):
        for index in (0, 3):
            warned(samples[index], "axes_assumed")
    small[3]["predictive_entropy_foreground_mean"] = 0.3
    assert ranked(small)[:2] == ["sub-03", "sub-00"]
    rows = queue(large)
    z = {row["sample"]: row["highest_abs_z"] for row in rows}
    assert [row["sample"] for row in rows[:2]] == sorted(["sub-00", "sub-03"], key=lambda sample: -z[sample])


@pytest.mark.parametrize(("n_warned", "flagged"), [(5, {"0", "1", "2", "3", "4"}), (6, {"0"})])
def test_a_warning_of_more_than_half_of_the_cohort_is_no_reason(n_warned, flagged):
    samples = [summary(str(index)) for index in range(10)]
    for sample in samples[:n_warned]:
        warned(sample, "axes_assumed")
    # Another one of such a sample is.
    warned(samples[0], "axes_assumed", "mask_everywhere")
    rows = queue(samples)
    assert {row["sample"] for row in rows if "warning" in row["flags"].split(";")} == flagged
    (reason,) = (row["reason"] for row in rows if row["sample"] == "0")
    assert ("Found axes_assumed" in reason, "Found mask_everywhere" in reason) == (n_warned == 5, True)


def test_small_cohorts_are_ranked_by_the_mean_of_the_foreground():
    means = [0.1, 0.3, 0.2]
    samples = [summary(f"sub-{i}", predictive_entropy_foreground_mean=mean) for i, mean in enumerate(means)]
    rows = queue(samples)
    assert [row["sample"] for row in rows] == ["sub-1", "sub-2", "sub-0"]
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert all(row["robust_z"] is None and row["highest_abs_z"] is None and row["flags"] == "" for row in rows)
    assert "too few samples" in rows[0]["reason"]


def test_ties_are_broken_by_the_id():
    alike = [summary(f"sub-{i}", predictive_entropy_foreground_mean=0.2) for i in "cab"]
    assert ranked(alike) == ["sub-a", "sub-b", "sub-c"]
    outliers = [summary(name, predictive_entropy_foreground_mean=0.9) for name in ("sub-2a", "sub-1b")]
    assert ranked([*cohort(12), *outliers])[:2] == ["sub-1b", "sub-2a"]


def test_a_sample_without_foreground_is_judged_by_its_domain_among_its_like():
    samples = cohort(12)
    samples[0]["predictive_entropy_foreground_mean"] = None
    samples[0]["predictive_entropy_mean"] = 0.01
    row = next(row for row in queue(samples) if row["sample"] == "sub-00")
    assert (row["value"], row["robust_z"]) == (0.01, None)


def test_a_sample_without_any_value_is_last_and_says_so():
    nothing = {"predictive_entropy_foreground_mean": None, "predictive_entropy_mean": None}
    rows = queue([summary("sub-a", **nothing), summary("sub-b")])
    assert rows[1]["sample"] == "sub-a"
    assert rows[1]["reason"] == "no voxel has a predictive entropy"


def test_a_large_group_comes_before_a_group_too_small_to_judge():
    assert ranked([*cohort(8), summary("a")], ["big"] * 8 + ["small"])[-1] == "a"


def test_the_order_of_the_samples_changes_nothing():
    samples = cohort(15)
    assert queue(shuffled(samples)) == queue(samples)


def test_where_to_look_is_the_sharpest_slice_and_the_whole_box():
    prefix = "predictive_entropy_"
    place = {f"{prefix}peak_slice_{axis}": 10 + i for i, axis in enumerate("xyz")}
    place |= {f"{prefix}peak_slice_{axis}_mean": mean for axis, mean in zip("xyz", (0.1, 0.4, 0.3), strict=True)}
    place |= {f"{prefix}patch_max_{axis}": start for axis, start in zip("xyz", (0, 30, 60), strict=True)}
    (row,) = queue([summary("sub-01", **place)])
    assert (row["axis"], row["slice"]) == ("y", 11)
    assert [row[f"slice_{axis}"] for axis in "xyz"] == [10, 11, 12]
    assert [row[f"box_{axis}"] for axis in "xyz"] == [0, 30, 60]
    assert [row[f"box_size_{axis}"] for axis in "xyz"] == [10, 10, 4]


def test_a_sample_without_a_peak_has_nowhere_to_look():
    prefix = "predictive_entropy_"
    keys = (
        [f"peak_slice_{a}" for a in "xyz"] + [f"peak_slice_{a}_mean" for a in "xyz"] + [f"patch_max_{a}" for a in "xyz"]
    )
    (row,) = queue([summary("sub-01", **{prefix + key: None for key in keys})])
    assert (row["axis"], row["slice"], row["box_x"], row["box_size_x"]) == (None, None, None, None)
