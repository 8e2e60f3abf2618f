"""The widths of a posterior, epoch by epoch, and their answer to the weight of the divergence: tables and a figure."""

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..files import write_text
from .training import History
from .variational import PosteriorWidth

POSTERIOR_COLUMNS = ["epoch", *(field.name for field in fields(PosteriorWidth))]


def write_posterior(history: History, table: Path) -> None:
    """Write standard deviations of the posterior: one row an epoch and layer, none for point weights."""
    rows = [
        [epoch.epoch, *(getattr(width, name) for name in POSTERIOR_COLUMNS[1:])]
        for epoch in history.epochs
        for width in epoch.posterior
    ]
    _write_csv(table, POSTERIOR_COLUMNS, rows)


def write_sweep(weights: Sequence[float], posteriors: Sequence[Path], prior: float, table: Path, figure: Path) -> None:
    """Write where the posterior's standard deviations end for each weight of the divergence.

    Parameters
    ----------
    weights
        Of the divergence.
    posteriors
        For each the table of `write_posterior`.
    prior
        The standard deviation of the prior.
    table, figure
        One row a weight; and the figure, in which the prior is a line.
    """
    curves = {weight: _all_layers(path) for weight, path in sorted(zip(weights, posteriors, strict=True))}
    columns = ["kl_weight", *POSTERIOR_COLUMNS, "prior"]
    last = [[weight, *(curve[-1][name] for name in POSTERIOR_COLUMNS), prior] for weight, curve in curves.items()]
    _write_csv(table, columns, last)
    from matplotlib.ticker import MaxNLocator

    from ..canvas import PLAIN
    from ..charts import SERIES, chart, legend, one_axes, plain_numbers

    with chart(figure, (7.2, 4.2)) as drawn:
        title = "Posterior by weight of the divergence: median, band 5 to 95 % of all weights"
        axes = one_axes(drawn, title, xlabel="epoch", ylabel="standard deviation")
        for number, (weight, curve) in enumerate(curves.items()):
            colour, epochs = SERIES[number % len(SERIES)], [int(row["epoch"]) for row in curve]
            low, middle, high = ([float(row[name]) for row in curve] for name in ("p05", "median", "p95"))
            axes.plot(epochs, middle, ".-", color=colour, label=f"KL weight {weight:g}")
            axes.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.axhline(prior, color=PLAIN, linestyle="--", linewidth=1, label="prior")
        axes.set_yscale("log")
        axes.set_ylim(top=1.35 * axes.get_ylim()[1])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        plain_numbers(axes.yaxis)
        legend(axes, columns=len(curves) + 1)


def _all_layers(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if row["layer"] == "all"]


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    write_text(path, text.getvalue())
