"""Loss curves of a training, as table and figure; drawn from the history alone, without torch."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..columns import Column
from ..csvtext import csv_text
from ..files import write_text

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
    """Write the curves of one training as CSV, and as a figure with the kept epoch marked.

    Parameters
    ----------
    history
        What `train` returned.
    table, figure
        A CSV and a PNG file.
    loss
        What was trained by, in words; the cross-entropy is in nat.
    """
    from ..classification.charts import draw_losses

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
    write_text(Path(table), csv_text(curve_columns(loss, unit), rows))
    draw_losses(rows, figure, ylabel=f"{loss} ({unit})" if unit != "1" else loss)
