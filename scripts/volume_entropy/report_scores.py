"""The report page's section on samples that have a reference: the cohort's figure and table, and a point a sample."""

from pathlib import Path
from typing import Any

from .report import Plot, Section
from .report_data import Table, read_table

# Pairs of scores that are plotted against each other: how wrong, how well calibrated, how well errors are found.
PLOTS = (("expected_calibration_error", "error_auroc"), ("cross_entropy", "aurc"))
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
    heads = Markup("").join(
        Markup('<th scope="col"{}>{}</th>').format(Markup(' class="n"') if number else "", name)
        for name, number in (("score", 0), ("class", 0), ("samples", 1), ("pooled", 1), ("mean", 1), ("95 %", 1))
    )
    rows = Markup("").join(
        Markup(
            '<tr><th scope="row">{}</th><td>{}</td><td class="n">{}</td><td class="n">{}</td><td class="n">{}</td>'
            '<td class="n">{}</td></tr>'
        ).format(
            row["score"].replace("_", " "),
            row["class"],
            row["n_samples"],
            _short(row["pooled"]),
            _short(row["mean"]),
            f"{_short(row['ci_low'])} … {_short(row['ci_high'])}" if row["ci_low"] else "",
        )
        for row in cohort.rows
    )
    table = Markup(
        '<div class="scroll" tabindex="0" role="region" aria-label="Scores of the cohort"><table class="plain">'
        "<caption>Scores of the cohort</caption><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>"
    ).format(heads, rows)
    return (image if figure else Markup("")) + table


def _short(cell: str) -> str:
    return f"{float(cell):.4g}" if cell else ""


def _scatter(scores: Table, x: str, y: str) -> Plot | None:
    """Plot a point a sample; a click on it opens the sample."""
    rows = [row for row in scores.rows if row[x] and row[y]]
    if not rows:
        return None
    names = {name: name.replace("_", " ") for name in (x, y)}
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [float(row[x]) for row in rows],
        "y": [float(row[y]) for row in rows],
        "customdata": [row["sample"] for row in rows],
        "hovertemplate": "%{customdata}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
    }
    layout = {
        axis: {"title": {"text": f"{names[name]} ({scores.columns[name]['unit']})"}}
        for axis, name in (("xaxis", x), ("yaxis", y))
    }
    title = f"{names[y]} against {names[x]}".capitalize()
    return Plot(title, [trace], layout, f"One point a sample: {names[x]} from left to right, {names[y]} upwards.")
