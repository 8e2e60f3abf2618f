"""CSV text reads back exactly, whoever reads it, and nothing in it is executed."""

import csv
import io
import math

import pandas as pd
import pytest
from cohorts import reproducible
from hypothesis import example, given
from hypothesis import strategies as st
from volume_entropy.columns import Column
from volume_entropy.csvtext import csv_text, inert, is_number, metadata_type

SAMPLE = Column("sample", "")
FLOAT = Column("value", "", type="number")
INTEGER = Column("count", "", type="integer")
TEXT = Column("text", "")
AGE = Column("age", "", type="number", as_written=True)

# NUL and lone surrogates have no place in a CSV file and are replaced; see the test for them.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
FORMULAS = [
    "=cmd|' /C calc'!A0",
    "=1+1",
    "+A1",
    "-A1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "-",
    "--1",
    "+1e5x",
    "-3.5.1",
    "\n=1",
]
NUMBERS = ["-3.5", "+1e5", "1e5", "0", "-.5", "5.", "-0.0", "001", "+12", "1E-07"]


def cells(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def read(text):
    return pd.read_csv(io.StringIO(text, newline=""))


@reproducible
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none()))
@example([5e-324, 1.7976931348623157e308, 0.1 + 0.2, -0.0, None])
def test_every_float_reads_back_exactly_in_pandas(values):
    rows = [{"sample": f"sub-{n}", "value": value} for n, value in enumerate(values)]
    column = read(csv_text([SAMPLE, FLOAT], rows))["value"].astype("float64")
    assert [None if math.isnan(value) else value.hex() for value in column] == [
        None if value is None else value.hex() for value in values
    ]


@reproducible
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_read_back_as_integers(values):
    column = read(csv_text([SAMPLE, INTEGER], [{"sample": "s", "count": value} for value in values]))["count"]
    assert column.dtype == "int64"
    assert column.tolist() == values


@reproducible
@given(st.lists(st.tuples(texts, texts)))
def test_text_reads_back_as_the_inert_text_it_is(pairs):
    columns = [SAMPLE, TEXT, Column("more", "")]
    written = csv_text(columns, [{"sample": "s", "text": a, "more": b} for a, b in pairs])
    assert cells(written) == [["sample", "text", "more"], *(["s", inert(a), inert(b)] for a, b in pairs)]


@reproducible
@given(texts)
def test_no_text_cell_begins_like_a_formula_unless_it_is_a_number(text):
    written = inert(text)
    assert not written.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) or is_number(text)
    assert written in (text, "'" + text)


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_inert(text):
    assert inert(text) == "'" + text


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_are_untouched(text):
    assert inert(text) == text
    assert cells(csv_text([SAMPLE, AGE], [{"sample": "s", "age": text}]))[1] == ["s", text]


@reproducible
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_every_number_that_python_prints_is_a_number(value):
    assert is_number(repr(value))


@pytest.mark.parametrize("text", ["", "-", "nan", "inf", "-inf", "1_000", "0x10", "1 ", "1,5", "١٢", "1e", ".", "+"])
def test_other_text_is_no_number(text):
    assert not is_number(text)


def test_an_id_is_never_changed_since_tables_are_joined_on_it():
    assert cells(csv_text([SAMPLE, TEXT], [{"sample": "-x1", "text": "-x1"}]))[1] == ["-x1", "'-x1"]


def test_a_header_is_inert_too():
    assert csv_text([SAMPLE, Column("=1+1", "")], []) == "sample,'=1+1\n"


def test_lines_end_with_a_line_feed_and_quotes_are_doubled():
    rows = [{"sample": "a", "text": 'say "no", please\r\nnow'}, {"sample": "b", "text": None}]
    assert csv_text([SAMPLE, TEXT], rows) == 'sample,text\na,"say ""no"", please\r\nnow"\nb,\n'


def test_what_has_no_place_in_utf_8_is_replaced():
    written = csv_text([SAMPLE, TEXT], [{"sample": "a", "text": "x\0\udcff.nii"}])
    assert written.encode("utf-8").decode("utf-8") == "sample,text\na,x\ufffd?.nii\n"


@pytest.mark.parametrize(
    ("column", "value"),
    [(FLOAT, math.nan), (FLOAT, math.inf), (FLOAT, "0.5"), (FLOAT, True), (INTEGER, 1.0), (INTEGER, True), (TEXT, 1)],
)
def test_a_value_of_another_type_is_refused_by_sample_and_column(column, value):
    with pytest.raises(ValueError, match=f"column {column.name} of sub-01"):
        csv_text([SAMPLE, column], [{"sample": "sub-01", column.name: value}])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["1", "", "-3.5", "+1e5"], "number"),
        (["1", "x"], "string"),
        (["", ""], "string"),
        (["007", "8"], "string"),
        (["0", "0.5"], "number"),
    ],
)
def test_a_metadata_column_is_numeric_if_all_its_cells_are(written, expected):
    assert metadata_type(written) == expected
