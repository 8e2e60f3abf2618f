"""Loss curves of a training, as table and figure; drawn from the history alone, without torch."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..columns import Column
from ..tables import write_table

if TYPE_CHECKING:
    from .training import History

PathLike = str | os.PathLike[str]


def curve_columns(loss: str, unit: str) -> tuple[Column, ...]:
    """List the columns of the loss curves: one row an epoch."""
    return (
        Column("epoch", "Number of the epoch, from 1", "1", "≥ 1", "integer"),
        Column("learning_rate", "Learning rate of the epoch", "1", "> 0", "number"),
        Column("training_loss", f"Mean {loss} of the training split, during the epoch", unit, "≥ 0", "number"),
        Column("validation_loss", f"Mean {loss} of the validation split after the epoch", unit, "≥ 0", "number"),
        Column("divergence_loss", "Weighted divergence of the posterior from the prior, a label; empty without",
               "nat", "≥ 0", "number"),
        Column("best", "1 for the epoch whose weights were kept, else 0", "1", "0 or 1", "integer"),
    )  # fmt: skip


def write_curves(history: "History", table: PathLike, figure: PathLike, *, loss: str = "cross-entropy") -> None:
    """Write the curves of one training as a table, and as a figure with the kept epoch marked.

    Parameters
    ----------
    history
        What `train` returned.
    table, figure
        A CSV and a PNG file.
    loss
        What was trained by, in words; the cross-entropy is in nat.
    """
    unit = "nat" if loss == "cross-entropy" else "1"
    rows = [
        {
            "epoch": epoch.epoch,
            "learning_rate": epoch.learning_rate,
            "training_loss": epoch.training_loss,
            "validation_loss": epoch.validation_loss,
            "divergence_loss": epoch.divergence_loss,
            "best": int(epoch.epoch == history.best),
        }
        for epoch in history.epochs
    ]
    path = Path(table)
    write_table(path.parent, path.stem, "One row an epoch of the training.", curve_columns(loss, unit), rows, {})
    _draw(rows, figure, ylabel=f"{loss} ({unit})" if unit != "1" else loss)


def _draw(rows: Sequence[Mapping[str, Any]], path: PathLike, *, ylabel: str) -> None:
    """Draw training and validation loss by epoch; rows with `epoch`, the two losses, and `best` for the kept epoch."""
    from matplotlib.ticker import MaxNLocator

    from ..figures.canvas import ACCENT, PLAIN
    from ..figures.charts import SECOND, chart, legend, one_axes, plain_numbers

    with chart(path, (5.6, 3.4)) as figure:
        axes = one_axes(figure, "Loss curves", xlabel="epoch", ylabel=ylabel)
        epochs = [row["epoch"] for row in rows]
        for key, colour in (("training_loss", SECOND), ("validation_loss", ACCENT)):
            axes.plot(epochs, [row[key] for row in rows], color=colour, label=key.split("_")[0])
        for row in rows:
            if row["best"]:
                axes.plot(row["epoch"], row["validation_loss"], "o", color=PLAIN, label=f"kept: epoch {row['epoch']}")
        axes.set_yscale("log")
        plain_numbers(axes.yaxis)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(axes, columns=1)
