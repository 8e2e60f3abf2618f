"""The tables follow from summaries and metadata alone: byte for byte, whatever order or thread they were read in."""

import io
import json
from pathlib import Path

import cohorts
import pandas as pd
import pytest
from cohorts import reproducible
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_entropy.columns import subject_columns
from volume_entropy.errors import WARNINGS
from volume_entropy.measures import SCHEMA_VERSION
from volume_entropy.tables import TableCounts, write_tables

TABLES = ("subjects", "classes", "review_queue", "rejected")
COHORT = [
    cohorts.summary("sub-02"),
    cohorts.rejected("sub-03"),
    cohorts.summary("sub-01"),
    cohorts.rejected("sub-04", message="=HYPERLINK(1)"),
]
METADATA = {
    "sub-02": {"site": "=cmd()", "age": "-3.5"},
    "sub-03": {"site": "Kiel", "age": ""},
    "sub-01": {"site": 'Oslo, "north"', "age": "+1e5"},
    "sub-04": {"site": "", "age": "61"},
}


def table(folder, name, **options):
    return pd.read_csv(Path(folder) / f"{name}.csv", **options)


def dictionary(folder, name):
    return json.loads((Path(folder) / f"{name}.json").read_text(encoding="utf-8"))


def content(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def tabulate(folder, summaries, metadata=None, **options):
    """The folder of the tables of these summaries, and what was counted."""
    paths = cohorts.write(folder / "results", summaries)
    if metadata is None:
        metadata = {summary["sample"]: {} for summary in summaries}
    counts = write_tables(paths, metadata, folder / "tables", **options)
    return folder / "tables", counts


@pytest.fixture
def written(tmp_path):
    return tabulate(tmp_path, COHORT, METADATA)[0]


def test_samples_are_counted(tmp_path):
    metadata = {**METADATA, "sub-05": {"site": "", "age": ""}}
    assert tabulate(tmp_path, COHORT, metadata)[1] == TableCounts(ok=2, rejected=2, missing=1, flagged=0)


def test_outliers_are_counted(tmp_path):
    means = [i / 1000 for i in range(12)]
    samples = [
        cohorts.summary(f"sub-{i}", predictive_entropy_foreground_mean=mean, structures=[])
        for i, mean in enumerate(means)
    ]
    samples[4]["predictive_entropy_foreground_mean"] = 1.0
    assert tabulate(tmp_path, samples)[1].flagged == 1


def test_good_samples_stand_in_subjects_in_the_order_of_the_samples_table(written):
    assert table(written, "subjects")["sample"].tolist() == ["sub-02", "sub-01"]


def test_a_rejected_sample_stands_in_rejected_and_nowhere_else(written):
    assert table(written, "rejected")["sample"].tolist() == ["sub-03", "sub-04"]
    for name in ("subjects", "classes", "review_queue"):
        assert set(table(written, name)["sample"]) == {"sub-01", "sub-02"}


def test_a_rejection_says_what_and_why(written):
    row = table(written, "rejected").iloc[0]
    assert list(row.index) == ["sample", "stage", "code", "message", "remedy"]
    assert row.tolist()[1:3] == ["convert", "file_truncated"]


def test_every_class_of_every_sample_is_a_row(written):
    rows = table(written, "classes")
    assert rows["sample"].tolist() == ["sub-02"] * 4 + ["sub-01"] * 4
    assert rows["class"].tolist() == [*cohorts.CLASSES] * 2


def test_columns_are_summary_keys_then_metadata(written):
    expected = [column.name for column in subject_columns(["predictive_entropy"], "bit", "softmax", members=False)]
    assert list(table(written, "subjects").columns) == [*expected, "site", "age"]


def test_numbers_of_the_metadata_are_untouched_and_formulas_inert(written):
    rows = table(written, "subjects", dtype=str, keep_default_na=False)
    assert rows["age"].tolist() == ["-3.5", "+1e5"]
    assert rows["site"].tolist() == ["'=cmd()", 'Oslo, "north"']
    assert table(written, "rejected")["message"][1] == "'=HYPERLINK(1)"


def test_a_metadata_column_may_have_the_name_of_a_key_that_is_no_column(tmp_path):
    folder, _ = tabulate(tmp_path, [cohorts.summary("a")], {"a": {"status": "patient", "kind": "x"}})
    row = table(folder, "subjects").iloc[0]
    assert (row["status"], row["kind"]) == ("patient", "x")


def test_values_read_back_exactly_with_their_types(written):
    rows = table(written, "subjects").set_index("sample")
    for summary in COHORT:
        if summary["status"] != "ok":
            continue
        for column in subject_columns(["predictive_entropy"], "bit", "softmax", members=False):
            if column.name == "warnings":
                assert table(written, "subjects")["warnings"].isna().all()
            elif column.name != "sample":
                assert rows.loc[summary["sample"], column.name] == summary[column.name]
                kind = {"integer": "i", "number": "f"}.get(column.type)
                assert kind is None or rows[column.name].dtype.kind == kind


@settings(reproducible, max_examples=20)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_summaries_changes_no_byte(tmp_path_factory, shuffle):
    folder = tmp_path_factory.mktemp("cohort")
    paths = cohorts.write(folder, [*COHORT, *(cohorts.summary(f"more-{i}") for i in range(12))])
    metadata = {**METADATA, **{f"more-{i}": {"site": "x", "age": "1"} for i in range(12)}}
    write_tables(paths, metadata, folder / "a")
    shuffle.shuffle(paths)
    write_tables(paths, metadata, folder / "b")
    assert content(folder / "a") == content(folder / "b")
    assert len(content(folder / "a")) == 9


def test_every_measure_that_the_config_asks_for_has_its_columns(tmp_path):
    of_config = {"measures": ["predictive_entropy", "margin"]}
    folder, _ = tabulate(tmp_path, [summary := cohorts.summary("a", recipe_settings=of_config)])
    assert table(folder, "subjects")["margin_mean"].tolist() == [summary["margin_mean"]]
    assert "margin_fraction_high" not in table(folder, "subjects")


def test_a_value_that_does_not_exist_is_an_empty_cell(tmp_path):
    folder, _ = tabulate(tmp_path, [cohorts.summary("a", predictive_entropy_foreground_mean=None)])
    header, row = (folder / "subjects.csv").read_text().splitlines()
    assert dict(zip(header.split(","), row.split(","), strict=True))["predictive_entropy_foreground_mean"] == ""


@pytest.mark.parametrize("members", [None, 3])
def test_which_samples_were_rejected_changes_no_column(tmp_path, members):
    of_config = {"members": members, "measures": ["predictive_entropy", "margin"]}
    for name, summaries in {
        "good": [cohorts.summary(s, n_members=members or 1, recipe_settings=of_config) for s in "ab"],
        "mixed": [
            cohorts.summary("a", n_members=members or 1, recipe_settings=of_config),
            cohorts.rejected("b", of_config),
        ],
        "bad": [cohorts.rejected(s, of_config) for s in "ab"],
    }.items():
        tabulate(tmp_path / name, summaries)
    for name in TABLES:
        headers = {(tmp_path / k / f"tables/{name}.csv").read_text().splitlines()[0] for k in ("good", "mixed", "bad")}
        assert len(headers) == 1
        assert len({json.dumps(dictionary(tmp_path / k / "tables", name)) for k in ("good", "mixed", "bad")}) == 1


def test_an_empty_cohort_gives_tables_with_headers(tmp_path):
    folder, counts = tabulate(tmp_path, [], {})
    assert counts == TableCounts(0, 0, 0, 0)
    for name in TABLES:
        rows = table(folder, name)
        assert len(rows) == 0
        assert rows.columns[0] in ("sample", "rank")


def test_a_single_member_leaves_the_member_columns_empty(tmp_path):
    of_config = {"members": 3}
    samples = [cohorts.summary("a", n_members=3), cohorts.summary("b", recipe_settings=of_config)]
    folder, _ = tabulate(tmp_path, samples)
    rows = table(folder, "subjects").set_index("sample")
    assert rows["mutual_information_mean"].notna().to_dict() == {"a": True, "b": False}
    assert table(folder, "classes").groupby("sample")["volume_cv"].count().to_dict() == {"a": 4, "b": 0}


def test_members_found_in_a_file_add_their_columns(tmp_path):
    folder, _ = tabulate(tmp_path, [cohorts.summary("a", n_members=2, recipe_settings={"members": None})])
    assert "mutual_information_mean" in table(folder, "subjects")


def test_samples_are_judged_within_their_group(tmp_path):
    samples = [cohorts.summary(f"s{i:02d}", predictive_entropy_foreground_mean=0.2 + i / 1000) for i in range(20)]
    for sample in samples[10:]:
        sample["predictive_entropy_foreground_mean"] += 5
    metadata = {sample["sample"]: {"site": "A" if i < 10 else "B"} for i, sample in enumerate(samples)}
    folder, counts = tabulate(tmp_path, samples, metadata, group="site")
    assert counts.flagged == 0
    queue = table(folder, "review_queue").set_index("sample")
    assert queue["group"].to_dict() == {sample: cells["site"] for sample, cells in metadata.items()}
    assert queue["robust_z"].abs().max() < 2


def test_every_column_is_in_the_data_dictionary(written):
    for name in TABLES:
        described = dictionary(written, name)
        assert list(described["columns"]) == list(table(written, name).columns)
        assert described["schema_version"] == SCHEMA_VERSION
        for column in described["columns"].values():
            assert list(column) == ["description", "unit", "range", "type"]


def test_warnings_stand_in_their_column_and_the_dictionary_says_what_each_code_means(tmp_path):
    twice = [{"code": "sigmoid_twice", "message": f"Region {region} is."} for region in "ab"]
    last = {"code": "axes_assumed", "message": "They are."}
    samples = [cohorts.summary("sub-01", warnings=[*twice, last]), *map(cohorts.summary, ("sub-02", "sub-03"))]
    folder, counts = tabulate(tmp_path, samples)
    assert counts.flagged == 1
    assert table(folder, "subjects")["warnings"].fillna("").tolist() == ["sigmoid_twice;axes_assumed", "", ""]
    about = dictionary(folder, "subjects")
    assert about["warnings"] == WARNINGS
    assert about["columns"]["warnings"]["range"] == ", ".join(WARNINGS)
    assert table(folder, "review_queue")["reason"][0] == "Region a is; Region b is; They are"


def test_the_data_dictionary_tells_types_of_metadata_and_definitions(written):
    described = dictionary(written, "subjects")
    assert described["columns"]["age"]["type"] == "number"
    assert described["columns"]["site"]["type"] == "string"
    assert described["measures"]["predictive_entropy"]["definition"] == "-Σ_c P_c log P_c"


def test_the_definitions_are_those_of_the_kind(tmp_path):
    folder, _ = tabulate(tmp_path, [cohorts.summary("a", recipe_settings={"kind": "regions"})])
    described = dictionary(folder, "subjects")
    assert described["measures"]["predictive_entropy"]["definition"].startswith("Σ_r h(P_r)")
    assert described["columns"]["predictive_entropy_mean"]["range"] == "0 … R log 2"


def test_the_unit_of_the_dictionary_is_the_configs(tmp_path):
    folder, _ = tabulate(tmp_path, [cohorts.summary("a", unit="nat", recipe_settings={"unit": "nat"})])
    assert dictionary(folder, "subjects")["columns"]["predictive_entropy_mean"]["unit"] == "nat"
    assert dictionary(folder, "review_queue")["columns"]["value"]["unit"] == "nat"


def test_files_are_utf_8_with_line_feeds_and_no_temporary_is_left(tmp_path):
    folder, _ = tabulate(tmp_path, [cohorts.summary("a")], {"a": {"ort": "Zürich"}})
    expected = {f"{name}.{suffix}" for name in TABLES for suffix in ("csv", "json")}
    assert set(content(folder)) == expected | {"dataset_description.json"}
    assert "Zürich" in (folder / "subjects.csv").read_text(encoding="utf-8")
    assert b"\r" not in b"".join(content(folder).values())


def test_a_failed_write_leaves_the_old_tables(tmp_path):
    folder, _ = tabulate(tmp_path, [cohorts.summary("a")])
    before = content(folder)
    with pytest.raises(ValueError, match="column n_voxels of a"):
        tabulate(tmp_path, [cohorts.summary("a", n_voxels=1.5)])
    assert content(folder) == before


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda s: s.pop("n_domain_voxels"), "summary of a lacks n_domain_voxels"),
        (lambda s: s.pop("predictive_entropy_p95"), "summary of a lacks predictive_entropy_p95"),
        (lambda s: s.pop("structures"), "summary of a lacks structures"),
        (lambda s: s.pop("recipe"), "a_summary.json has no key 'recipe'"),
        (lambda s: s.update(sample="z"), "not in the samples table: z"),
        (lambda s: s["recipe"]["settings"].update(unit="nat"), "a and b were made with different settings"),
    ],
)
def test_a_summary_that_does_not_belong_is_refused(tmp_path, spoil, complaint):
    samples = [cohorts.summary("a"), cohorts.summary("b")]
    paths = [Path("a"), Path("b")]
    spoil(samples[0])
    for i, sample in enumerate(samples):
        paths[i] = tmp_path / f"{'ab'[i]}_summary.json"
        paths[i].write_text(json.dumps(sample))
    with pytest.raises(ValueError, match=complaint):
        write_tables(paths, {"a": {}, "b": {}}, tmp_path / "tables")


def test_one_sample_with_two_summaries_is_refused(tmp_path):
    (path,) = cohorts.write(tmp_path, [cohorts.summary("a")])
    with pytest.raises(ValueError, match="more than one summary"):
        write_tables([path, path], {"a": {}}, tmp_path / "tables")


@settings(reproducible, max_examples=25)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\r\n"))
        | st.floats(allow_nan=False).map(repr),
        min_size=1,
        max_size=6,
    )
)
def test_metadata_reads_back_as_written(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("metadata")
    metadata = {f"s{i}": {"note": text} for i, text in enumerate(texts)}
    tabulate(folder, [cohorts.summary(sample) for sample in metadata], metadata)
    text = (folder / "tables/subjects.csv").read_text(encoding="utf-8")
    column = pd.read_csv(io.StringIO(text, newline=""), dtype=str, keep_default_na=False)["note"]
    assert [cell.removeprefix("'") for cell in column] == [text.removeprefix("'") for text in texts]
