"""Summaries of samples that several methods, or one, predicted → a table and a figure that compare the methods."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from .columns import Column
from .files import read_json
from .model_recipes import METHOD_COLUMN, SPLIT_COLUMN
from .samples import Sample
from .tables import write_table

# Means over samples of what stands in subjects.csv.
MEASURES = ("predictive_entropy_mean", "mutual_information_mean")
Row = dict[str, Any]


def compare_methods(
    summaries: Sequence[Path],
    samples: Mapping[str, Sample],
    table: Path,
    figure: Path,
    *,
    column: str | None,
) -> None:
    """Write one row a method, split and value of a column, and a figure of the same.

    Parameters
    ----------
    summaries
        Of the samples, in any order; rejected ones are left out, and counted.
    samples
        The cohort, whose metadata has the method, the split and the column.
    table, figure
        Files to write; the table's data dictionary is put beside it.
    column
        The column whose values are compared, or None.
    """
    found = {summary["sample"]: summary for summary in map(read_json, summaries)}
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for name, sample in samples.items():
        if name in found:
            model = found[name]["recipe"]["settings"]["model"]
            value = "" if column is None else sample.metadata.get(column, "")
            key = (model["method"], sample.metadata.get(SPLIT_COLUMN, ""), value)
            groups.setdefault(key, []).append(found[name])
    recipes: list[Row] = [summary["recipe"]["settings"] for summary in found.values()]
    settings: Row = recipes[0] if recipes else {"classes": [], "unit": "bit"}
    # The Dice of the background says how much of it the mask leaves.
    classes = {
        index: name for index, name in enumerate(settings["classes"]) if name != settings.get("background_class")
    }
    rows = [
        _row(key, members, classes) for key, members in sorted(groups.items(), key=lambda item: _order(item[0], groups))
    ]
    _add_ratios(rows)
    unit = settings["unit"]
    columns = _columns(unit, column, list(classes.values()))
    _draw(groups, unit, column, figure)
    description = "One row a method, split and group: means over the samples that could be used."
    write_table(table.parent, table.stem, description, columns, rows, {})


def _order(key: tuple[str, str, str], groups: Mapping[tuple[str, str, str], Any]) -> tuple[int, int]:
    """Methods in their order, and groups in that of the samples table."""
    keys = list(groups)
    first_of_method = next(index for index, other in enumerate(keys) if other[0] == key[0])
    return first_of_method, keys.index(key)


def _row(key: tuple[str, str, str], summaries: Sequence[Row], classes: Mapping[int, str]) -> Row:
    usable = [summary for summary in summaries if summary["status"] == "ok"]
    row: Row = {METHOD_COLUMN: key[0], SPLIT_COLUMN: key[1], "group": key[2]}
    row |= {"n_samples": len(usable), "n_rejected": len(summaries) - len(usable)}
    row |= {name: _mean(summary.get(name) for summary in usable) for name in MEASURES}
    for index, name in classes.items():
        row[f"dice_{name}"] = _mean(summary["structures"][index].get("dice") for summary in usable)
    return row


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _add_ratios(rows: Sequence[Row]) -> None:
    """Set each group's mean against that of the first group of the same method and split."""
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        base = first.setdefault((row[METHOD_COLUMN], row[SPLIT_COLUMN]), row)
        for name in MEASURES:
            known = row[name] is not None and base[name]
            row[name.replace("_mean", "_ratio")] = row[name] / base[name] if known else None


def _columns(unit: str, column: str | None, classes: Sequence[str]) -> list[Column]:
    of_group = "Value of the compared column" if column is None else f"Value of the column {column}"
    means = {"predictive_entropy": "predictive entropy", "mutual_information": "mutual information"}
    return [
        Column(METHOD_COLUMN, "How the members were made"),
        Column(SPLIT_COLUMN, "Column split of the samples table"),
        Column("group", of_group),
        Column("n_samples", "Samples that could be used", "1", "≥ 0", "integer"),
        Column("n_rejected", "Samples that could not be used", "1", "≥ 0", "integer"),
        *(Column(f"{name}_mean", f"Mean over samples of {name}_mean", unit, "≥ 0", "number") for name in means),
        *(
            Column(
                f"{name}_ratio",
                f"The mean {text} over that of the first group of the same method and split",
                "1",
                "≥ 0",
                "number",
            )
            for name, text in means.items()
        ),
        *(
            Column(f"dice_{name}", f"Mean over samples of the Dice of {name}", "1", "0 … 1", "number")
            for name in classes
        ),
    ]


def _draw(groups: Mapping[tuple[str, str, str], Sequence[Row]], unit: str, column: str | None, path: Path) -> None:
    """Draw every sample as a point, and each group's mean as a line: methods side by side, groups by colour."""
    from .figures.canvas import MUTED, PLAIN
    from .figures.charts import SERIES, chart, dress, legend

    methods = list(dict.fromkeys(key[0] for key in groups))
    kinds = list(dict.fromkeys(key[1:] for key in groups))
    with chart(path, (9.0, 4.0)) as figure:
        panels = figure.subplots(1, 2)
        for panel, name in zip(panels, MEASURES, strict=True):
            dress(panel)
            for place, kind in enumerate(kinds):
                colour, label = SERIES[place % len(SERIES)], ", ".join(part for part in kind if part) or "all"
                for index, method in enumerate(methods):
                    centre = index + (place - (len(kinds) - 1) / 2) * 0.75 / len(kinds)
                    found = (summary.get(name) for summary in groups.get((method, *kind), ()))
                    values = [value for value in found if value is not None]
                    panel.plot([centre] * len(values), values, "o", color=colour, alpha=0.75, markersize=4, label=label)
                    label = "_"
                    if values:
                        panel.hlines(fmean(values), centre - 0.1, centre + 0.1, color=colour, linewidth=2)
            panel.set_title(
                f"{name.removesuffix('_mean').replace('_', ' ').capitalize()} ({unit})", color=PLAIN, fontsize=10
            )
            panel.set_ylim(0, 1.15 * panel.get_ylim()[1])
            panel.set_xlim(-0.5, len(methods) - 0.5)
            panel.set_xticks(range(len(methods)), [method.replace("_", " ") for method in methods])
        panels[0].set_ylabel("mean of a sample", color=MUTED, fontsize=9)
        legend(panels[0], columns=len(kinds), place="upper left")
        figure.subplots_adjust(left=0.08, right=0.985, top=0.91, bottom=0.09, wspace=0.14)
