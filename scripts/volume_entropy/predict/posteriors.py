"""The widths of a posterior, epoch by epoch, and their answer to the weight of the divergence: tables and a figure."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..columns import Column
from ..tables import write_table
from .training import History

POSTERIOR_COLUMNS = (
    Column("epoch", "Number of the epoch, from 1", "1", "≥ 1", "integer"),
    Column("layer", "Name of the layer in the network, or `all`"),
    Column("n_weights", "Weights and biases that have a posterior", "1", "≥ 0", "integer"),
    Column("mean", "Mean of the standard deviations of their posteriors", "1", "> 0", "number"),
    Column("p05", "5th percentile of the standard deviations", "1", "> 0", "number"),
    Column("median", "Median of the standard deviations", "1", "> 0", "number"),
    Column("p95", "95th percentile of the standard deviations", "1", "> 0", "number"),
)
SWEEP_COLUMNS = (
    Column("kl_weight", "Weight of the divergence from the prior", "1", "≥ 0", "number"),
    *POSTERIOR_COLUMNS,
    Column("prior", "Standard deviation of the prior", "1", "> 0", "number"),
)


def write_posterior(history: History, table: Path) -> None:
    """Write standard deviations of the posterior: one row an epoch and layer, none for point weights."""
    rows = [{"epoch": epoch.epoch, **asdict(width)} for epoch in history.epochs for width in epoch.posterior]
    description = "One row an epoch and layer; none for a network of point weights."
    write_table(table.parent, table.stem, description, POSTERIOR_COLUMNS, rows, {})


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
    types = {"string": str, "integer": int, "number": float}
    last = [
        {"kl_weight": float(weight), "prior": prior}
        | {column.name: types[column.type](curve[-1][column.name]) for column in POSTERIOR_COLUMNS}
        for weight, curve in curves.items()
    ]
    description = "One row a weight of the divergence: the posterior after the last epoch."
    write_table(table.parent, table.stem, description, SWEEP_COLUMNS, last, {})
    from matplotlib.ticker import MaxNLocator

    from ..figures.canvas import PLAIN
    from ..figures.charts import SERIES, chart, legend, one_axes, plain_numbers

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
