"""The widths of a posterior, epoch by epoch, and their answer to the weight of the divergence: tables and a figure."""

import csv
import io
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..files import replaced_when_whole, write_text
from .training import History
from .variational import PosteriorWidth

POSTERIOR_COLUMNS = ["epoch", *(field.name for field in fields(PosteriorWidth))]
# Of matplotlib's savefig: no date in the file.
_METADATA = {"Software": None}


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
    with _figure(figure) as axes:
        for weight, curve in curves.items():
            epochs = [int(row["epoch"]) for row in curve]
            line = axes.plot(epochs, [float(row["median"]) for row in curve], marker=".", label=f"KL weight {weight:g}")
            low, high = ([float(row[name]) for row in curve] for name in ("p05", "p95"))
            axes.fill_between(epochs, low, high, color=line[0].get_color(), alpha=0.15, linewidth=0)
        axes.axhline(prior, color="0.3", linestyle="--", label="prior")
        axes.set(xlabel="epoch", ylabel="standard deviation of the posterior", yscale="log")
        axes.set_title("median, and 5 to 95 % of all weights")
        axes.legend(frameon=False)


def _all_layers(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if row["layer"] == "all"]


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    write_text(path, text.getvalue())


class _figure:
    """A context manager: axes to draw on, saved whole when the block ends well."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Any:
        from matplotlib.figure import Figure

        self._figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        return self._figure.add_subplot()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            with replaced_when_whole(self._path) as temporary:
                metadata = _METADATA if self._path.suffix == ".png" else {"Date": None}
                self._figure.savefig(temporary, dpi=120, metadata=metadata)
