"""One table says what every measure is; every list of measures or columns follows from it."""

import math
import re
import subprocess
import sys

import pytest
from cohorts import reproducible
from hypothesis import given
from hypothesis import strategies as st
from study import ROOT
from volume_entropy.columns import (
    SAMPLE_COLUMNS,
    class_columns,
    rejected_columns,
    reserved_columns,
    review_columns,
    subject_columns,
)
from volume_entropy.measures import (
    MEASURES,
    STATISTICS,
    default_measures,
    statistic_keys,
    statistics_of,
    summarised_measures,
)

OF_SOFTMAX_ALONE = {name for name, measure in MEASURES.items() if measure.regions is None}
OF_MEMBERS = {name for name, measure in MEASURES.items() if measure.needs_members}

asked = st.lists(st.sampled_from(sorted(MEASURES)), unique=True)
kinds = st.sampled_from(["softmax", "regions"])
n_members = st.integers(1, 4)


def names(columns):
    return [column.name for column in columns]


def test_the_table_imports_the_standard_library_alone():
    """Every job and the main process import it; kernels are loaded where they are used."""
    code = "import sys; before = set(sys.modules); import volume_entropy.measures; print(*set(sys.modules) - before)"
    environment = {"PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    others = {name.split(".")[0] for name in done.stdout.split()} - set(sys.stdlib_module_names)
    assert others == {"volume_entropy"}


def test_which_measures_need_members_and_which_need_exclusive_classes():
    assert {
        "expected_entropy", "mutual_information", "variance", "expected_pairwise_kl", "variation_ratio"
    } <= OF_MEMBERS  # fmt: skip
    assert {"least_confidence", "margin", "variation_ratio", "expected_pairwise_kl"} <= OF_SOFTMAX_ALONE
    assert not {"predictive_entropy", "normalized_entropy"} & (OF_MEMBERS | OF_SOFTMAX_ALONE)
    with pytest.raises(ValueError, match="margin is not defined for kind regions"):
        MEASURES["margin"].form("regions")


def test_units_follow_the_config():
    assert MEASURES["predictive_entropy"].unit_in("bit") == "bit"
    assert MEASURES["expected_pairwise_kl"].unit_in("nat") == "nat"
    assert MEASURES["normalized_entropy"].unit_in("bit") == "1"


def test_definition_and_range_follow_the_kind():
    entropy = MEASURES["predictive_entropy"]
    assert (entropy.form("softmax").range, entropy.form("regions").range) == ("0 … log C", "0 … R log 2")
    assert "h(P_r)" in entropy.form("regions").definition
    assert MEASURES["expected_pairwise_kl"].form("softmax").range == "≥ 0"


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("predictive_entropy", "softmax", 2.0),
        ("mutual_information", "regions", 4.0),
        ("variance", "softmax", 1 - 1 / 3),
        ("variance", "regions", 1.0),
        ("least_confidence", "softmax", 0.75),
        ("variation_ratio", "softmax", 1 - 1 / 3),
        ("expected_pairwise_kl", "softmax", 0.0),
        ("normalized_entropy", "regions", 1.0),
    ],
)
def test_the_upper_end_of_a_range_is_a_number_too(name, kind, expected):
    measure = MEASURES[name]
    assert measure.highest(kind, "bit", 4, 3) == pytest.approx(expected)
    of_a_bit = math.log(2) if measure.unit == "entropy" else 1
    assert measure.highest(kind, "nat", 4, 3) == pytest.approx(expected * of_a_bit)


def test_one_member_writes_predictive_entropy_alone_unless_asked():
    assert default_measures(1, ["predictive_entropy"]) == ("predictive_entropy",)
    assert default_measures(1, ["margin", "variance", "least_confidence"]) == (
        "predictive_entropy",
        "least_confidence",
        "margin",
    )


def test_members_add_both_parts_of_the_entropy():
    assert default_measures(2, ["predictive_entropy"]) == (
        "predictive_entropy",
        "expected_entropy",
        "mutual_information",
    )


def test_predictive_entropy_is_written_whatever_is_asked():
    assert default_measures(1, ["margin"]) == ("predictive_entropy", "margin")


@reproducible
@given(n_members, asked, kinds)
def test_what_is_written_exists_for_the_sample_and_keeps_the_table_order(n, wanted, kind):
    written = default_measures(n, wanted, kind)
    assert written == tuple(name for name in MEASURES if name in written)
    assert n > 1 or not OF_MEMBERS.intersection(written)
    assert kind == "softmax" or not OF_SOFTMAX_ALONE.intersection(written)
    assert written == default_measures(n, reversed(wanted), kind)


@reproducible
@given(n_members, asked, kinds)
def test_every_asked_measure_that_is_written_has_statistics(n, wanted, kind):
    written, summarised = default_measures(n, wanted, kind), summarised_measures(n, wanted, kind)
    assert set(summarised) <= set(written)
    assert set(written) - set(summarised) <= {"expected_entropy"} - set(wanted)


def test_an_unknown_measure_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"'varianz'.*nearest is 'variance'"):
        default_measures(1, ["varianz"])


def test_map_names_are_in_camel_case():
    assert MEASURES["predictive_entropy"].suffix == "predictiveEntropy"
    assert MEASURES["expected_pairwise_kl"].suffix == "expectedPairwiseKl"
    assert MEASURES["margin"].suffix == "margin"
    assert len({measure.suffix for measure in MEASURES.values()}) == len(MEASURES)


def test_only_entropies_are_held_against_a_fraction_of_log_2():
    assert "fraction_high" in [statistic.name for statistic in statistics_of("mutual_information")]
    assert "fraction_high" not in [statistic.name for statistic in statistics_of("margin")]


def test_statistics_stand_in_the_order_of_the_table():
    keys = statistic_keys("predictive_entropy")
    assert keys == tuple(f"predictive_entropy_{statistic.name}" for statistic in STATISTICS)
    assert keys[:4] == tuple(f"predictive_entropy_{name}" for name in ("total", "total_mm3", "domain_total", "mean"))


def test_every_mean_names_a_denominator_that_is_a_column():
    columns = names(SAMPLE_COLUMNS)
    for statistic in STATISTICS:
        if statistic.name in ("mean", "foreground_mean", "boundary_mean", "interior_mean"):
            (denominator,) = re.findall(r"\((n_\w+)\)", statistic.description)
            assert denominator in columns


@reproducible
@given(asked, kinds, st.booleans())
def test_no_column_stands_twice_and_all_are_described(wanted, kind, members):
    for columns in (
        subject_columns(wanted, "bit", kind, members),
        class_columns("bit", kind, members),
        review_columns("bit"),
        rejected_columns(),
    ):
        assert len(set(names(columns))) == len(columns)
        for column in columns:
            assert column.description
            assert "{" not in column.description + str(column.unit) + str(column.range)
            assert column.type == "string" or column.unit


def test_units_of_products_are_written_out():
    columns = {column.name: column.unit for column in subject_columns(["margin"], "nat", "softmax", members=False)}
    assert columns["predictive_entropy_total_mm3"] == "nat mm^3"
    assert columns["margin_total_mm3"] == "mm^3"
    assert columns["margin_mean"] == "1"


@reproducible
@given(asked, kinds, st.booleans())
def test_reserved_names_cover_every_config(wanted, kind, members):
    assert set(names(subject_columns(wanted, "bit", kind, members))) <= reserved_columns()


def test_member_columns_come_after_what_every_sample_has():
    single = names(subject_columns(["margin"], "bit", "softmax", members=False))
    several = names(subject_columns(["margin"], "bit", "softmax", members=True))
    assert [name for name in several if name in set(single)] == single
    assert {name.removeprefix("mutual_information_") for name in set(several) - set(single)} == {
        statistic.name for statistic in STATISTICS
    }
