"""What the report page shows of the cohort's tables; every cell stays the text that stands in the CSV."""

import csv
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..columns import reserved_columns
from ..errors import WARNINGS
from ..files import read_json
from ..measures import MAIN
from ..warned import codes_of, count_warnings, widespread

# The columns of the page's table that are shown before somebody asks for others, after those of the samples table.
SHOWN_STATISTICS = ("total", "mean", "foreground_mean", "interior_mean", "fraction_high", "max")
SHOWN_COUNTS = ("n_domain_voxels", "n_invalid_voxels", "n_members")
# Plots shown before somebody asks for others: every total, and of the main measures what size does not change.
PLOTTED_STATISTICS = ("foreground_mean", "interior_mean")
QUEUE_COLUMNS = ("rank", "flags", "reason")
# Samples that the list of warnings names for each.
MOST_WARNED = 12


@dataclass(frozen=True)
class Table:
    """A CSV table and its data dictionary.

    Attributes
    ----------
    columns
        By name, in order: `description`, `unit`, `range`, `type`.
    rows
        By column the cell's text, "" where there is no value.
    """

    columns: Mapping[str, Mapping[str, Any]]
    rows: Sequence[Mapping[str, str]]

    def texts(self, name: str) -> list[str]:
        """List the cells of a column."""
        return [row[name] for row in self.rows]

    def numbers(self, name: str) -> list[float]:
        """List the values of a column of numbers, less the empty cells."""
        return [float(cell) for cell in self.texts(name) if cell]


def read_table(folder: str | os.PathLike[str], name: str) -> Table:
    """Read `<folder>/<name>.csv` and its dictionary `<name>.json`.

    Raises
    ------
    ValueError
        They do not have the same columns.
    """
    columns = read_json(Path(folder) / f"{name}.json")["columns"]
    with (Path(folder) / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
        header = list(reader.fieldnames or [])
    if header != list(columns):
        raise ValueError(f"{name}.csv and {name}.json in {os.fspath(folder)} are of different runs; delete both")
    return Table(columns, rows)


def metadata_of(subjects: Table) -> list[str]:
    """List the columns that came from the samples table."""
    return [name for name in subjects.columns if name not in reserved_columns()]


def measures_of(subjects: Table) -> list[str]:
    """List the measures that have statistics, in the order of their columns."""
    return [name.removesuffix("_total_mm3") for name in subjects.columns if name.endswith("_total_mm3")]


def plotted(subjects: Table) -> list[str]:
    """Choose the columns whose distribution the page shows at first; one without any value is left out."""
    wanted = []
    for measure in measures_of(subjects):
        wanted.append(f"{measure}_total")
        if measure in MAIN:
            wanted += [f"{measure}_{statistic}" for statistic in PLOTTED_STATISTICS]
    return [name for name in wanted if any(subjects.texts(name))]


def page_data(subjects: Table, queue: Table, *, group: str | None, figure_format: str) -> dict[str, Any]:
    """Collect what the page's scripts need, small enough for ten thousand samples.

    Columns are lists of texts in the order of `subjects`; the queue is a list of indices into them.
    """
    position = {sample: index for index, sample in enumerate(subjects.texts("sample"))}
    metadata = metadata_of(subjects)
    statistics_shown = [f"{m}_{s}" for m in measures_of(subjects) for s in SHOWN_STATISTICS]
    warnings = ["warnings"] if any(subjects.texts("warnings")) else []
    shown = [*metadata, *warnings, *statistics_shown, *SHOWN_COUNTS]
    return {
        "figureFormat": figure_format,
        "group": group,
        "metadata": metadata,
        "plots": plotted(subjects),
        "shown": [name for name in shown if name in subjects.columns],
        "columns": _columns(subjects),
        "queue": [position[sample] for sample in queue.texts("sample")],
        "queueColumns": _columns(queue),
        "warnings": WARNINGS,
    }


def _columns(table: Table) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "description": about["description"],
            "unit": about["unit"],
            "number": about["type"] != "string",
            "cells": table.texts(name),
        }
        for name, about in table.columns.items()
    ]


def overview(subjects: Table) -> list[dict[str, Any]]:
    """Summarise the columns that are plotted: over how many samples, lowest, quartiles, highest."""
    rows = []
    for name in plotted(subjects):
        values = subjects.numbers(name)
        rows.append({"name": name, **subjects.columns[name], "n": len(values), **_spread(values)})
    return rows


def _spread(values: Sequence[float]) -> dict[str, float]:
    # One value has no quantiles in the statistics module, but is all of its own.
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    names = ("lowest", "q1", "median", "q3", "highest")
    return dict(zip(names, (min(values), *quartiles, max(values)), strict=True))


def warnings(subjects: Table) -> list[dict[str, Any]]:
    """List the warnings of the cohort: what each means, whether more than half have it, how many do, and the first."""
    codes = [codes_of(cell) for cell in subjects.texts("warnings")]
    of_cohort, rows = widespread(codes), []
    for code, n in count_warnings(codes).items():
        places = [place for place, of_sample in enumerate(codes) if code in of_sample][:MOST_WARNED]
        samples = [(place, subjects.rows[place]["sample"]) for place in places]
        rows.append({"code": code, "text": WARNINGS[code], "widespread": code in of_cohort, "n": n, "samples": samples})
    return rows


def counts(subjects: Table, queue: Table, rejected: Table) -> dict[str, int]:
    """Count samples: all, usable, flagged for review, with a warning, rejected."""
    flagged, warned = (
        sum(1 for cell in table.texts(name) if cell) for table, name in ((queue, "flags"), (subjects, "warnings"))
    )
    usable, refused = len(subjects.rows), len(rejected.rows)
    return {"all": usable + refused, "usable": usable, "flagged": flagged, "warned": warned, "rejected": refused}


def span(values: Iterable[str]) -> str:
    """Write the range of whole numbers: `5`, or `1 to 5`."""
    numbers = sorted({int(value) for value in values if value})
    if not numbers:
        return "–"
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
