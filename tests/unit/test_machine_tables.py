"""Every CSV reads in pandas, polars and DuckDB: types are those of its data dictionary, values those that it holds."""

import csv
import json
from pathlib import Path

import cohorts
import pytest
from machine_tables import READERS, expected
from volume_entropy import columns
from volume_entropy.classification import columns as image_columns
from volume_entropy.measures import MEASURES, SCHEMA_VERSION
from volume_entropy.scoring import columns as score_columns
from volume_entropy.tables import write_table, write_tables

PINNED = Path(__file__).parents[1] / "table_columns.tsv"
TABLES = {
    # With a measure of unit 1 beside the entropies; the columns of the others are the same by another name.
    "subjects": columns.subject_columns(["margin"], "bit", "softmax", members=True),
    "classes": (*columns.class_columns("bit", "softmax", members=True), *score_columns.class_score_columns("softmax")),
    "review_queue": columns.review_columns("bit"),
    "rejected": columns.rejected_columns(),
    "failed": columns.failed_columns(),
    "regions": score_columns.region_columns("bit", members=True),
    "lesions": score_columns.lesion_columns("bit", members=True),
    "scores": score_columns.score_columns("softmax"),
    "scores_cohort": score_columns.cohort_columns(),
    "images": image_columns.image_columns("bit"),
    "image_scores": image_columns.score_columns("bit"),
    "images_rejected": image_columns.rejected_image_columns(),
    "image_classes": image_columns.class_count_columns(),
    "labelling": image_columns.labelling_columns(),
}
# What readers take for something else where nobody tells them the type.
TEXTS = ("001", "NA", "1e5", "true", "2026-01-02", 'a "quoted", text', "line\nbreak", "Zürich", "null", "-")
NUMBERS = (0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -2.5, 0.0, 12345678901234567.0, 1e-5)
VALUES = {"string": TEXTS, "integer": (0, 1, -7, 2**53 + 1), "number": NUMBERS}


def same(found, wanted):
    """Equal in value and type, column by column."""
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert found[name] == values, name
        assert [type(value) for value in found[name]] == [type(value) for value in values], name


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_every_table_reads_with_the_types_and_values_of_its_dictionary(reader, tmp_path):
    for name, of_table in TABLES.items():
        filled = [
            {column.name: VALUES[column.type][row % len(VALUES[column.type])] for column in of_table}
            for row in range(10)
        ]
        key = of_table[0]
        only_key = [{key.name: VALUES[key.type][row]} for row in range(2)]
        for rows in (filled, [*filled, *only_key], only_key, []):
            write_table(tmp_path, name, "", of_table, rows, {})
            same(reader(tmp_path / f"{name}.csv"), expected(tmp_path / f"{name}.csv"))


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_a_cohort_reads_with_columns_that_are_empty_everywhere_and_metadata_of_all_sorts(reader, tmp_path):
    # Members are configured, but each sample has one; fewer samples than a robust z needs.
    summaries = [
        cohorts.summary(name, recipe_settings={"members": 3}, predictive_entropy_foreground_mean=None)
        for name in ("001", "1e5", "NA")
    ]
    cells = {
        "age": ("-3.5", "+1e5", ".5"), "code": ("007", "12", ""), "site": ("=cmd()", "NA", "a, b"),
        "when": ("2026-01-02", "2026-02-03", ""), "nothing": ("", "", ""),
    }  # fmt: skip
    metadata = {s["sample"]: {name: values[i] for name, values in cells.items()} for i, s in enumerate(summaries)}
    write_tables(cohorts.write(tmp_path / "r", summaries), metadata, tmp_path)
    for path in tmp_path.glob("*.csv"):
        same(reader(path), expected(path))
    found = reader(tmp_path / "subjects.csv")
    assert found["sample"] == ["001", "1e5", "NA"]
    assert found["age"] == [-3.5, 1e5, 0.5]
    assert found["code"] == ["007", "12", None]
    assert found["site"] == ["'=cmd()", "NA", "a, b"]
    assert found["nothing"] == found["mutual_information_mean"] == [None] * 3


def test_names_types_units_and_order_of_all_columns_are_those_of_this_schema_version():
    """Readers count on them: who changes a line of the pinned file changes `measures.SCHEMA_VERSION` too."""
    assert SCHEMA_VERSION == "1.1"
    found = [[name, c.name, c.type, c.unit or ""] for name, of_table in TABLES.items() for c in of_table]
    with PINNED.open(encoding="utf-8", newline="") as stream:
        assert found == list(csv.reader(stream, delimiter="\t"))[1:]


@pytest.mark.parametrize("name", MEASURES)
def test_the_columns_of_a_measure_are_those_of_any_other_of_its_unit(name):
    def of(measure):
        found = columns.subject_columns([measure], "bit", "softmax", members=True)
        own = [c for c in found if c.name.startswith(f"{measure}_")]
        return [(c.name.removeprefix(measure), c.type, c.unit) for c in own]

    assert of(name) == of("predictive_entropy" if MEASURES[name].unit == "entropy" else "margin")


def test_the_dictionary_says_of_measures_what_their_table_says(tmp_path):
    asked = {"measures": list(MEASURES), "members": 3}
    summaries = [cohorts.summary("a", n_members=3, recipe_settings=asked)]
    write_tables(cohorts.write(tmp_path / "r", summaries), {"a": {}}, tmp_path)
    content = json.loads((tmp_path / "subjects.json").read_text(encoding="utf-8"))
    assert content["schema_version"] == SCHEMA_VERSION
    assert list(content["measures"]) == list(MEASURES)
    for name, measure in MEASURES.items():
        assert content["measures"][name]["definition"] == measure.softmax.definition
        if f"{name}_max" in content["columns"]:
            about = content["columns"][f"{name}_max"]
            assert (about["unit"], about["range"]) == (measure.unit_in("bit"), measure.softmax.range)
