"""The samples table is text, checked as a whole, and never trusted as a path to a shell."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volume_entropy.errors import ConfigError
from volume_entropy.samples import (
    STUDY_FOLDERS,
    Sample,
    check_samples,
    metadata_digest,
    probability_files,
    read_samples,
    recipe,
    sample_of,
    source_paths,
    used_settings,
)

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/samples.schema.yaml"
SETTINGS = {"members": ["0", "1"], "tokens": ["GM", "WM"]}


@pytest.fixture
def table(tmp_path):
    def write(*lines):
        path = tmp_path / "samples.tsv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def refused(path, group=None):
    with pytest.raises(ConfigError) as caught:
        check_samples(path, SCHEMA, SETTINGS, group)
    return str(caught.value)


def test_cells_are_text_and_paths_are_relative_to_the_table(table, tmp_path):
    path = table(
        "sample\tprobabilities\timage\tsite\tage", "001\ta b/é.nii\t\tNA\t1e5", "NA\t/x/{class}.nii\tt1.nii\t\t-3"
    )
    check_samples(path, SCHEMA, SETTINGS)
    samples = read_samples(path)
    assert list(samples) == ["001", "NA"]
    assert samples["001"] == Sample("001", f"{tmp_path}/a b/é.nii", metadata={"site": "NA", "age": "1e5"})
    assert samples["NA"].image == f"{tmp_path}/t1.nii"


def test_classes_and_members_fill_the_pattern_in_their_order():
    sample = Sample("a", "/d/{member}/label-{class}_{other}.nii", mask="/d/mask.nii")
    assert probability_files(sample, SETTINGS) == [
        ("0", ["/d/0/label-GM_{other}.nii", "/d/0/label-WM_{other}.nii"]),
        ("1", ["/d/1/label-GM_{other}.nii", "/d/1/label-WM_{other}.nii"]),
    ]
    assert source_paths(sample, SETTINGS)[-1] == "/d/mask.nii"
    assert probability_files(Sample("b", "/d/p.nii"), SETTINGS) == [(None, ["/d/p.nii"])]


def test_a_token_that_looks_like_a_placeholder_is_not_filled_again():
    settings = {"members": ["{class}"], "tokens": ["{member}"]}
    assert probability_files(Sample("a", "{member}{class}"), settings) == [("{class}", ["{class}{member}"])]


def test_every_problem_of_the_table_stands_in_one_message(table):
    path = table(
        "sample\tprobabilities\tmask",
        "../evil\tp.nii\t",
        "a\tp.nii\t",
        "A\tp.nii\t",
        "b\tp.nii\t",
        "b\tp.nii\t",
        "$(id)\tp.nii\t",
        "c\t\tmask_{class}.nii",
        "\u0430\tp.nii\t",
    )
    message = refused(path)
    assert "line 2: sample '../evil'" in message
    assert "lines 3, 4: A and a differ only in case" in message
    assert "lines 5, 6: b stands twice" in message
    assert "'$(id)'" in message
    assert "sample 'c' has no probabilities" in message
    assert "{class} is not filled in column mask" in message
    assert "line 9" in message


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12))
def test_only_plain_ids_pass(tmp_path_factory, name):
    path = tmp_path_factory.getbasetemp() / "hypothesis.tsv"
    path.write_text(f"sample\tprobabilities\n{name}\tp.nii\n", encoding="utf-8")
    plain = all(character.isascii() and (character.isalnum() or character in "_-") for character in name)
    # Hypothesis also tries the texts that stand in the code, those names among them.
    if plain and name.lower() not in STUDY_FOLDERS:
        check_samples(path, SCHEMA, SETTINGS)
    else:
        refused(path)


def test_no_sample_takes_the_name_of_a_folder_of_the_study(table):
    """Every folder that a rule, or the end of a run, makes directly below `results` or `work`."""
    root = SCHEMA.parents[2]
    code = [*root.glob("workflow/rules/*.smk"), root / "scripts/volume_entropy/runs/ending.py"]
    text = "".join(path.read_text(encoding="utf-8") for path in code)
    folders = set(re.findall(r"\{(?:RESULTS|WORK|results)\}/([a-z]+)(?=[/\"])", text)) | {"report", "incomplete"}
    assert folders == set(STUDY_FOLDERS)
    for name in (*folders, "Report"):
        message = refused(table("sample\tprobabilities", "ok\tp", f"{name}\tp"))
        assert f"line 3: sample '{name}' has the name of a folder" in message
    check_samples(table("sample\tprobabilities", "report-1\tp"), SCHEMA, SETTINGS)


def test_a_member_pattern_needs_configured_members(table):
    path = table("sample\tprobabilities", "a\tp_{member}.nii")
    with pytest.raises(ConfigError, match=r"probabilities\.members is null"):
        check_samples(path, SCHEMA, {"members": None, "tokens": ["x"]})


def test_metadata_cannot_take_the_name_of_a_result(table):
    assert "n_voxels" in refused(table("sample\tprobabilities\tn_voxels", "a\tp\t1"))
    assert "'site' stands twice" in refused(table("sample\tprobabilities\tsite\tsite", "a\tp\t1\t2"))


def test_the_group_must_be_a_column(table):
    assert "'site'" in refused(table("sample\tprobabilities", "a\tp"), group="site")


@pytest.mark.parametrize(
    ("group", "meant"), [("Site", "site"), ("site ", "site"), ("sites", "site"), ("Scaner", "scanner")]
)
def test_a_group_that_is_nearly_a_column_names_it(table, group, meant):
    path = table("sample\tprobabilities\tsite\tscanner", "a\tp\tA\tX")
    check_samples(path, SCHEMA, SETTINGS, "site")
    assert f"column {group!r}, which `group` names, is not in the table; did you mean {meant}?" in refused(path, group)


@pytest.mark.parametrize("group", ["mask", "sample", "probabilities"])
def test_a_group_is_a_column_of_metadata(table, group):
    path = table("sample\tprobabilities\tmask\tsite", "a\tp\tm\tA")
    assert f"`group` names the column {group!r}; expected one of metadata" in refused(path, group)


def test_lines_are_those_of_an_editor_where_blank_ones_stand_between(table):
    message = refused(
        table("", "sample\tprobabilities\tmask", "", "\t\t", "../x\tp\t", "b\t\t{class}.nii", "", "b\tp\ts3://m")
    )
    assert "line 5: sample '../x'" in message
    assert "line 6: sample 'b' has no probabilities" in message
    assert "line 6: {class} is not filled in column mask" in message
    assert "lines 6, 8: b stands twice" in message
    assert "line 8, column mask: found 's3://m'; nothing is read from s3://. Download it" in message


def test_a_table_without_a_row_is_refused(table):
    assert "no row below line 1" in refused(table("sample\tprobabilities"))


@pytest.mark.parametrize("column", ["probabilities", "image", "mask", "reference", "atlas"])
@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("s3://bucket/x.nii", "nothing is read from s3://"),
        ("HTTPS://host/x.nii.gz", "nothing is read from https://"),
        ("gs://b/x_{class}.nii", "nothing is read from gs://"),
        ("file:///data/x.nii", "write the path without file://, as /data/x.nii"),
        ("~no-such-user/x.nii", "no user 'no-such-user' is known"),
        ("$HOME/x.nii", "variables of a shell are not filled in"),
        ("${DATA}/x.nii", "variables of a shell are not filled in"),
        ("C:\\data\\x.nii", "a path of Windows"),
    ],
)
def test_what_leads_nowhere_on_this_machine_is_refused_in_every_column(table, column, cell, words):
    columns = dict.fromkeys(["sample", "probabilities", column], "a") | {column: cell}
    message = refused(table("\t".join(columns), "\t".join(columns.values())))
    assert f"line 2, column {column}: found" in message and words in message


def test_what_only_looks_like_it_is_a_path(table, tmp_path):
    for name in ("$HOME.nii", "~x.nii", "C:\\x.nii", "a:b.nii", "$(x).nii"):
        (tmp_path / name).touch()
        path = table("sample\tprobabilities", f"a\t{name}")
        check_samples(path, SCHEMA, SETTINGS)
        assert read_samples(path)["a"].probabilities == f"{tmp_path}/{name}"


def test_a_table_that_is_none_is_refused(table, tmp_path):
    assert "no column probabilities" in refused(table("sample,probabilities", "a,p"))
    assert "does not exist" in refused(tmp_path / "absent.tsv")
    (tmp_path / "empty.tsv").touch()
    assert "cannot be read" in refused(tmp_path / "empty.tsv")


def test_a_recipe_knows_size_time_and_absence(tmp_path):
    source = tmp_path / "p.nii"
    source.write_bytes(b"1234")
    sample = Sample("a", str(source), image=str(tmp_path / "gone.nii"))
    made = recipe(sample, source_paths(sample, SETTINGS), SETTINGS, 1)
    assert made["sources"][0] == [str(source), 4, source.stat().st_mtime_ns, True]
    assert made["sources"][1] == [str(tmp_path / "gone.nii"), None, None, False]
    assert sample_of(made) == sample


def test_how_a_reference_is_read_counts_only_where_there_is_one():
    def settings(reference, labels):
        sample = Sample("a", "p.nii", reference=reference)
        return used_settings(sample, {**SETTINGS, "reference": {"labels": labels, "ignore_labels": []}})

    assert settings(None, [[0]]) == settings(None, [[1]])
    assert settings("r.nii", [[0]]) != settings("r.nii", [[1]])


def test_the_digest_sees_metadata_and_order():
    def cohort(*sites):
        return {f"s{i}": Sample(f"s{i}", "p", metadata={"site": site}) for i, site in enumerate(sites)}

    assert metadata_digest(cohort("A", "B")) == metadata_digest(cohort("A", "B"))
    assert metadata_digest(cohort("A", "B")) != metadata_digest(cohort("B", "A"))
