"""One table says what every measure is; every list of measures or columns follows from it."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml
from cohorts import reproducible
from hypothesis import given
from hypothesis import strategies as st
from volume_entropy import measures
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
    map_suffix,
    statistic_keys,
    statistics_of,
    summarised_measures,
)

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml"
OF_SOFTMAX_ALONE = {"least_confidence", "margin", "variation_ratio", "expected_pairwise_kl"}
OF_MEMBERS = {"expected_entropy", "mutual_information", "variance", "expected_pairwise_kl", "variation_ratio"}

asked = st.lists(st.sampled_from(sorted(MEASURES)), unique=True)
kinds = st.sampled_from(["softmax", "regions"])
n_members = st.integers(1, 4)


def names(columns):
    return [column.name for column in columns]


def test_the_table_is_pure_data():
    tree = ast.parse(Path(measures.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0] for node in imports
    }
    assert modules <= set(sys.stdlib_module_names)
    assert not any(isinstance(node, ast.ImportFrom) and node.level for node in imports)


def test_the_config_offers_every_measure_there_is():
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    offered = schema["properties"]["entropy"]["properties"]["measures"]["items"]["enum"]
    assert offered == list(MEASURES)


def test_which_measures_need_members_and_which_need_exclusive_classes():
    assert {name for name, measure in MEASURES.items() if measure.needs_members} == OF_MEMBERS
    assert {name for name, measure in MEASURES.items() if "regions" not in measure.kinds} == OF_SOFTMAX_ALONE


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_is_described(name):
    measure = MEASURES[name]
    assert measure.symbol
    assert measure.definition
    assert measure.range
    assert measure.unit_in("nat") in ("nat", "1")


def test_units_follow_the_config():
    assert MEASURES["predictive_entropy"].unit_in("bit") == "bit"
    assert MEASURES["expected_pairwise_kl"].unit_in("nat") == "nat"
    assert MEASURES["normalized_entropy"].unit_in("bit") == "1"


def test_definition_and_range_follow_the_kind():
    entropy = MEASURES["predictive_entropy"]
    assert (entropy.range_of("softmax"), entropy.range_of("regions")) == ("0 … log C", "0 … R log 2")
    assert "h(P_r)" in entropy.definition_of("regions")


def test_one_member_writes_predictive_entropy_alone_unless_asked():
    assert default_measures(1, ["predictive_entropy"]) == ("predictive_entropy",)
    assert default_measures(1, sorted(MEASURES)) == (
        "predictive_entropy",
        "least_confidence",
        "margin",
        "normalized_entropy",
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
    with pytest.raises(ValueError, match=r"'entropie'.*nearest is '.*entropy'"):
        default_measures(1, ["entropie"])


def test_map_names_are_in_camel_case():
    assert map_suffix("predictive_entropy") == "predictiveEntropy"
    assert map_suffix("expected_pairwise_kl") == "expectedPairwiseKl"
    assert map_suffix("margin") == "margin"
    assert len({map_suffix(name) for name in MEASURES}) == len(MEASURES)


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
