"""The samples table is read as people and programs write it, or refused with the lines as an editor counts them."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_entropy.errors import ConfigError
from volume_entropy.samples import check_samples, read_samples
from volume_entropy.samples_table import read_table

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/samples.schema.yaml"
REQUIRED = ("sample", "probabilities")


@pytest.fixture
def table(tmp_path):
    def write(content):
        path = tmp_path / "samples.tsv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refused(path, required=REQUIRED):
    with pytest.raises(ConfigError) as caught:
        read_table(path, required)
    return str(caught.value)


LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
PLAIN = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf"), exclude_characters="\"'`"), min_size=1)


@given(st.lists(PLAIN.filter(str.strip), min_size=1, max_size=4), LINE_ENDS, st.booleans(), st.data())
def test_cells_and_lines_are_what_was_written_whatever_stands_between(tmp_path_factory, cells, end, bom, data):
    """Blank lines and blanks around a cell are no content, and an editor counts the lines all the same."""
    path = tmp_path_factory.getbasetemp() / "written.tsv"
    lines, expected = ["sample\tprobabilities\tremark"], []
    for number, cell in enumerate(cells):
        lines += [""] * data.draw(st.integers(0, 2)) + data.draw(st.sampled_from([[], [" \t\t "]]))
        lines.append(f" s{number}\tp.nii \t\u00a0{cell} ")
        expected.append((len(lines), f"s{number}", cell.strip()))
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + (end.join(lines) + end * 3).encode())
    read = read_table(path, REQUIRED)
    found = zip(read.lines, read.column("sample"), read.column("remark"), strict=True)
    assert list(found) == expected


PIECES = st.sampled_from(
    [
        *("\t", "\n", "\r\n", "\r", '"', "'", ",", ";", " ", "sample", "probabilities", "mask", "Mask", "n/a"),
        *("{class}", "{", "}", "<a>", "~", "~x/", "s3://", "$A", "\0", "\ufeff", "\u200b", "a", "b", "../p.nii"),
        *("é", "\x1b", "=1+1", "report", "-", "#"),
    ]
)


@given(st.one_of(st.binary(), st.lists(PIECES, max_size=40).map(lambda parts: "".join(parts).encode())))
@settings(max_examples=300)
def test_whatever_stands_in_the_file_is_read_or_refused_in_words(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.tsv"
    for text in (content, b"sample\tprobabilities\tmask\n" + content):
        path.write_bytes(text)
        try:
            check_samples(path, SCHEMA, {"members": None, "tokens": ["a"]}, "site")
            read_samples(path)
        except ConfigError as error:
            assert "samples table" in str(error)


def test_rows_that_are_longer_or_shorter_are_refused_with_their_lines(table):
    message = refused(table("sample\tprobabilities\tmask\n\na\tp\tm\nb\tp\tm\t\nc\tp\n\r\nd\tp\tm\te\nf\tp\n"))
    assert "line 4: found 4 cells, expected 3, as many as line 1 names columns; remove the tabs at the end" in message
    assert "lines 5, 8: found 2 cells, expected 3" in message
    assert "line 7: found 4 cells" in message


def test_a_header_below_blank_lines_is_counted_where_it_stands(table):
    assert "lines 5: " not in (message := refused(table("\n\nsample\tprobabilities\n\na\n")))
    assert "line 5: found 1 cell, expected 2, as many as line 3 names columns" in message


def test_the_lines_of_many_rows_are_not_all_listed(table):
    message = refused(table("sample\tprobabilities\n" + "a\tp\t\n" * 500))
    assert "lines 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 … (500 lines): found 3 cells" in message


def test_a_tab_at_the_end_of_every_line_is_a_column_without_name_and_content(table):
    read = read_table(table("sample\tprobabilities\t\na\tp\t\nb\tq\t \n"), REQUIRED)
    assert list(read.cells) == ["sample", "probabilities"]
    message = refused(table("sample\tprobabilities\t\na\tp\t\nb\tq\tm.nii\n"))
    assert "line 3: found a cell in column 3, which has no name in line 1" in message
    assert "line 2: found a cell in column 2" in refused(table("sample\t\tprobabilities\na\tx\tp\n"))


@pytest.mark.parametrize("word", ["n/a", "N/A", "NA", "na", "none", "None", "nan", "NaN", "NULL", "-", "#N/A", " n/a "])
def test_words_for_nothing_are_nothing_in_a_column_of_paths_and_text_elsewhere(table, word):
    words = "\t".join([word] * 5)
    text = f"sample\tprobabilities\timage\tmask\treference\tatlas\tage\nNA\tp.nii\t{words}\n"
    (sample,) = read_samples(table(text)).values()
    assert (sample.id, sample.image, sample.mask, sample.reference, sample.atlas) == ("NA", None, None, None, None)
    assert sample.metadata == {"age": word.strip()}
    (sample,) = read_samples(table(f"sample\tprobabilities\na\t{word}\n")).values()
    assert sample.probabilities == ""


def test_a_path_that_begins_like_nothing_is_a_path(table, tmp_path):
    (sample,) = read_samples(table("sample\tprobabilities\tmask\na\tn/a/p.nii\t-.nii\n")).values()
    assert (sample.probabilities, sample.mask) == (f"{tmp_path}/n/a/p.nii", f"{tmp_path}/-.nii")


@pytest.mark.parametrize("quoted", ['"a b.nii"', "'a b.nii'", "“a b.nii”", "`a b.nii`", '" a b.nii "', '"""a b.nii"""'])
def test_quotes_around_a_path_are_none_of_its_name(table, tmp_path, quoted):
    (sample,) = read_samples(table(f'"sample"\t"probabilities"\tsite\n"s"\t{quoted}\t"A, B"\n')).values()
    name = '"a b.nii"' if quoted.startswith('"""') else "a b.nii"
    assert sample.probabilities == f"{tmp_path}/{name}"
    assert (sample.id, dict(sample.metadata)) == ("s", {"site": "A, B"})


def test_quotes_within_a_name_belong_to_it(table, tmp_path):
    (sample,) = read_samples(table('sample\tprobabilities\ns\tit\'s "q".nii\n')).values()
    assert sample.probabilities == f'{tmp_path}/it\'s "q".nii'


@pytest.mark.parametrize("cell", ['"a\tb.nii"', '"a\nb.nii"', '"a.nii'])
@pytest.mark.parametrize("column", ["probabilities", "remark"])
def test_a_quoted_cell_over_a_tab_or_a_line_end_is_refused_with_its_line(table, cell, column):
    other = "remark" if column == "probabilities" else "probabilities"
    message = refused(table(f"sample\t{other}\t{column}\n\ns\tp\t{cell}\n"))
    assert "line 3: the quote of" in message and "is not closed" in message


@pytest.mark.parametrize(
    ("separator", "kind"),
    [(",", "commas"), (";", "semicolons"), ("|", "vertical bars"), (" ", "blanks"), ("    ", "blanks")],
)
def test_other_separators_are_named(table, separator, kind):
    message = refused(table(separator.join(["sample", "probabilities", "mask"]) + "\n" + separator.join("abc") + "\n"))
    assert f"line 1: found {kind} between the names of the columns, expected tabs" in message


def test_a_row_with_blanks_instead_of_tabs_is_refused_with_a_guess(table):
    message = refused(table("sample\tprobabilities\na    p.nii\nb\tp.nii\n"))
    assert (
        "line 2: found 1 cell, expected 2, as many as line 1 names columns; are there blanks instead of tabs?"
        in message
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("sample\tprobabilities\na\tp\n".encode("utf-16"), ["text in UTF-16", "iconv -f UTF-16 -t UTF-8"]),
        ("sample\tprobabilities\na\tp\n".encode("utf-16-le"), ["text in UTF-16"]),
        ("sample\tprobabilities\n\r\nZo\xeb\tp\n".encode("latin-1"), ["line 3: found the byte 0xEB", "Windows-1252"]),
        (b"sample\tprobabilities\na\tp\0q.nii\n", ["line 2: found a NUL"]),
        (b"PK\x03\x04...", ["a spreadsheet's own file (xlsx, ods)"]),
        (b"\x1f\x8b\x08...", ["compressed with gzip"]),
        (b"", ["cannot be read: it is empty"]),
        (b"\xef\xbb\xbf\n \t\n", ["cannot be read: it is empty"]),
    ],
)
def test_what_is_no_text_is_refused_with_what_it_is(table, content, words):
    message = refused(table(content))
    for word in words:
        assert word in message


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, kind):
    path = tmp_path / "samples.tsv"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    assert ("is a folder" if kind == "folder" else "is no file") in refused(path)


def test_a_missing_table_names_what_lies_in_its_place(tmp_path):
    (tmp_path / "samples.csv").touch()
    message = refused(tmp_path / "samples.tsv")
    assert "does not exist" in message and "its folder has samples.csv" in message
    assert "does not exist" in refused(tmp_path / "no/such/folder.tsv")


def test_a_home_is_filled_in(table, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/zoe")
    (sample,) = read_samples(table("sample\tprobabilities\tmask\na\t~/p_{class}.nii\t./~/m.nii\n")).values()
    assert sample.probabilities == "/home/of/zoe/p_{class}.nii"
    assert sample.mask == f"{tmp_path}/~/m.nii"


def test_ten_thousand_rows_are_read_at_once(table):
    header = "sample\tprobabilities\timage\tmask\treference\tsite\tage\n"
    row = "sub-{0}\t../d/sub-{0}/label-{{class}}.nii.gz\t../d/sub-{0}/T1.nii.gz\tn/a\t\tOslo\t{0}\n"
    path = table(header + "".join(row.format(number) for number in range(10_000)))
    started = time.process_time()
    samples = read_samples(path)
    # Every job does it; 0.2 s of a busy core were measured.
    assert time.process_time() - started < 0.6
    assert len(samples) == 10_000 and samples["sub-7"].metadata == {"site": "Oslo", "age": "7"}
