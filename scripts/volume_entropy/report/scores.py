"""The report page's section on samples that have a reference: the cohort's figure and table, and a point a sample."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .data import Table, read_table
from .page import Plot, Section

if TYPE_CHECKING:
    from markupsafe import Markup

# Pairs of scores that are plotted against each other: how wrong, how well calibrated, how well errors are found.
PLOTS = (("expected_calibration_error", "error_auroc"), ("cross_entropy", "aurc"))
NAMES = {
    "cross_entropy": "cross-entropy",
    "brier": "Brier score",
    "error_auroc": "error AUROC",
    "error_auprc": "error AUPRC",
    "aurc": "AURC (risk over coverage)",
    "eaurc": "excess AURC",
    "ue_dice": "uncertainty-error Dice",
    "ue_threshold": "threshold of that Dice",
    "dice": "Dice",
    "qu_brats": "QU-BraTS score",
}
TEXT = (
    "Samples that have a reference segmentation, scored over the domain. Pooled: the score of all voxels together; "
    "mean: over samples, with the 95 % interval of a bootstrap.",
    "An uncertainty that finds errors has an error AUROC near 1, and a risk that rises with coverage. Probabilities "
    "that are calibrated lie on the dashed line of the reliability diagram.",
)


def score_section(tables: Path) -> Section | None:
    """Make the section from `scores.csv`, `scores_cohort.csv` and the figure beside them; None where they are not."""
    if not (tables / "scores_cohort.csv").exists():
        return None
    scores, cohort = read_table(tables, "scores"), read_table(tables, "scores_cohort")
    plots = [plot for x, y in PLOTS if (plot := _scatter(scores, x, y)) is not None]
    return Section("Against the reference", "scores", TEXT, _table(cohort, _figure_name(tables)), plots)


def _figure_name(tables: Path) -> str | None:
    return next((name for name in ("scores_cohort.png", "scores_cohort.svg") if (tables / name).exists()), None)


def _table(cohort: Table, figure: str | None) -> Any:
    from markupsafe import Markup

    image = Markup(
        '<p><a href="{0}"><img src="{0}" alt="Reliability, risk and coverage, and the entropy of right and wrong '
        'voxels, of all samples together" style="max-width: 100%" loading="lazy"></a></p>'
    ).format(figure)
    whole, parts = ([row for row in cohort.rows if bool(row["class"]) is of_class] for of_class in (False, True))
    tables = _rows(whole, "Scores of the cohort")
    if parts:
        tables += Markup("<details><summary>Scores of each class</summary>{}</details>").format(
            _rows(parts, "Scores of each class")
        )
    return (image if figure else Markup("")) + tables


def _rows(rows: Sequence[Mapping[str, str]], caption: str) -> "Markup":
    """Make a table of rows of `scores_cohort.csv`; the class is left out where none has one."""
    from markupsafe import Markup

    of_class = any(row["class"] for row in rows)
    heads = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(Markup(' class="n"') if number else "", name)
        for name, number in (
            ("score", 0), *([("class", 0)] if of_class else []),
            ("samples", 1), ("pooled", 1), ("mean", 1), ("95 % interval", 1),
        )
    )  # fmt: skip
    cells = Markup("").join(
        Markup(
            '<tr><th scope="row">{}</th>{}<td class="n">{}</td><td class="n">{}</td><td class="n">{}</td>'
            '<td class="n">{}</td></tr>'
        ).format(
            _title(row["score"]),
            Markup("<td>{}</td>").format(row["class"]) if of_class else "",
            row["n_samples"],
            _short(row["pooled"]),
            _short(row["mean"]),
            f"{_short(row['ci_low'])} … {_short(row['ci_high'])}" if row["ci_low"] else "",
        )
        for row in rows
    )
    return Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="{0}"><table class="plain">'
        "<caption>{0}</caption><thead><tr>{1}</tr></thead><tbody>{2}</tbody></table></div>"
    ).format(caption, heads, cells)


def _title(score: str) -> str:
    return NAMES.get(score, score.replace("_", " ").replace("classwise", "class-wise"))


def _short(cell: str) -> str:
    return f"{float(cell):.4g}" if cell else ""


def _with_unit(name: str, unit: str | None) -> str:
    return name if unit in (None, "1") else f"{name} ({unit})"


def _scatter(scores: Table, x: str, y: str) -> Plot | None:
    """Plot a point a sample; a click on it opens the sample."""
    rows = [row for row in scores.rows if row[x] and row[y]]
    if not rows:
        return None
    names = {name: _title(name) for name in (x, y)}
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [float(row[x]) for row in rows],
        "y": [float(row[y]) for row in rows],
        "marker": {"size": 8, "opacity": 0.7, "color": "#2463a8"},
        "customdata": [row["sample"] for row in rows],
        "hovertemplate": "%{customdata}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
    }
    layout = {
        axis: {"title": {"text": _with_unit(names[name], scores.columns[name]["unit"])}}
        for axis, name in (("xaxis", x), ("yaxis", y))
    }
    title = f"{names[y][0].upper()}{names[y][1:]} against {names[x]}"
    return Plot(title, [trace], layout, f"One point a sample: {names[x]} from left to right, {names[y]} upwards.")
