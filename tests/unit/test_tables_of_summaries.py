"""What compute_entropy writes is what the tables have columns for: nothing is lost between the two."""

import csv
import math

import pytest
from sample_store import SampleStore, region_members, softmax_members
from volume_entropy.columns import class_columns, subject_columns
from volume_entropy.measures import MEASURES
from volume_entropy.tables import TableCounts, write_tables

# Keys of a summary that are no columns: what the table is chosen by, and where the numbers come from.
NO_COLUMNS = {"status", "kind", "structures", "recipe", "library_version", "schema_version", "maps"}
SOFTMAX = list(MEASURES)
REGIONS = [name for name, measure in MEASURES.items() if "regions" in measure.kinds]
COHORTS = {
    "one member": (softmax_members(1), "softmax", SOFTMAX, "bit"),
    "members": (softmax_members(2, n_members=3), "softmax", SOFTMAX, "nat"),
    "regions": (region_members(3), "regions", REGIONS, "bit"),
    "regions, members": (region_members(4, n_members=2), "regions", REGIONS, "bit"),
}


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("name", COHORTS)
def test_every_key_of_a_real_summary_is_a_filled_cell(name, tmp_path):
    p, kind, asked, unit = COHORTS[name]
    n_members = p.shape[0] if p.shape[0] > 1 else None
    store = SampleStore(p, kind=kind, settings={"members": n_members, "measures": asked, "unit": unit})
    summary = store.compute(tmp_path)
    counts = write_tables([tmp_path / "summary.json"], {"sub-01": {}}, tmp_path / "tables")
    assert counts == TableCounts(ok=1, rejected=0, missing=0, flagged=0)

    columns = subject_columns(asked, unit, kind, n_members is not None)
    assert {column.name for column in columns} == set(summary) - NO_COLUMNS
    (row,) = rows_of(tmp_path / "tables/subjects.csv")
    for column in columns:
        if column.name == "warnings":
            assert (row["warnings"], summary["warnings"]) == ("", [])
            continue
        read = {"integer": int, "number": float, "string": str}[column.type](row[column.name])
        assert read == summary[column.name], column.name
        assert column.type == "string" or math.isfinite(read)

    rows = rows_of(tmp_path / "tables/classes.csv")
    assert [row["class"] for row in rows] == store.classes
    for structure in summary["structures"]:
        expected = {column.name for column in class_columns(unit, kind, n_members is not None)}
        assert {"sample", *structure} == expected
