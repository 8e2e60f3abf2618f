"""The tables as programs read them: with the types that the data dictionary beside each says."""

import csv
import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl

TYPES = {
    "pandas": {"string": "string", "integer": "Int64", "number": "float64"},
    "polars": {"string": pl.String, "integer": pl.Int64, "number": pl.Float64},
    "duckdb": {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE"},
}
PYTHON = {"string": str, "integer": int, "number": float}


def dictionary(path: Path) -> dict[str, str]:
    """Type of each column of a CSV table, in order."""
    content = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    return {name: about["type"] for name, about in content["columns"].items()}


def expected(path: Path) -> dict[str, list[Any]]:
    """Columns of a table by the standard library: None where a cell is empty."""
    types = dictionary(path)
    with path.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == list(types), path
    return {
        name: [None if row[place] == "" else PYTHON[kind](row[place]) for row in rows]
        for place, (name, kind) in enumerate(types.items())
    }


def read_pandas(path: Path) -> dict[str, list[Any]]:
    types = {name: TYPES["pandas"][kind] for name, kind in dictionary(path).items()}
    table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=[""])
    assert {name: str(kind) for name, kind in table.dtypes.items()} == types
    return {name: [None if pd.isna(value) else value for value in table[name].tolist()] for name in table.columns}


def read_polars(path: Path) -> dict[str, list[Any]]:
    schema = {name: TYPES["polars"][kind] for name, kind in dictionary(path).items()}
    table = pl.read_csv(path, schema=schema)
    assert dict(table.schema) == schema
    return table.to_dict(as_series=False)


def read_duckdb(path: Path) -> dict[str, list[Any]]:
    columns = {name: TYPES["duckdb"][kind] for name, kind in dictionary(path).items()}
    # Not a connection of its own, which takes 40 ms.
    found = duckdb.execute("SELECT * FROM read_csv(?, header = true, columns = ?)", [str(path), columns])
    assert [(name, str(kind)) for name, kind, *_ in found.description] == list(columns.items())
    rows = found.fetchall()
    return {name: [row[place] for row in rows] for place, name in enumerate(columns)}


READERS = {"pandas": read_pandas, "polars": read_polars, "duckdb": read_duckdb}
