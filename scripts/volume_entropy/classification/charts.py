"""Charts of images that are classified: class counts, the passes of one image, scores of methods, labelling curves."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ..figures.canvas import ACCENT, MUTED, PLAIN, WARNING
from ..figures.charts import LETTER, SECOND, SERIES, chart, dress, legend, name_places, one_axes
from ..figures.lettering import shortened

Rows = Sequence[Mapping[str, Any]]


def draw_class_counts(rows: Rows, path: str | os.PathLike[str]) -> None:
    """Draw the images of each class, stacked by split; `rows` as `folder.class_counts` gives them."""
    width = min(max(5.0, 1.5 + 0.5 * len(rows)), 14.0)
    with chart(path, (width, 3.4)) as figure:
        axes = one_axes(figure, "Images a class and split", ylabel="images")
        places = np.arange(len(rows))
        bottom = np.zeros(len(rows))
        for split, colour in zip(("training", "validation", "test"), SERIES, strict=False):
            counts = np.array([row[f"n_{split}"] for row in rows])
            axes.bar(places, counts, 0.75, bottom=bottom, color=colour, label=f"{split} ({counts.sum()})")
            bottom += counts
        name_places(figure, axes, [row["class"] for row in rows])
        axes.set_ylim(0, max(1.0, bottom.max()) * 1.22)
        legend(axes, columns=3)


def draw_passes(
    rows: Rows, classes: Sequence[str], path: str | os.PathLike[str], *, title: str, picture: NDArray[Any] | None = None
) -> None:
    """Draw one image and the class probabilities of its passes.

    Parameters
    ----------
    rows
        As `rows.pass_rows` gives them: the passes, then mean and spread.
    classes
        Names, in order.
    title
        Name of the image.
    picture
        (channel, height, width) 0 … 1, if it is known.
    """
    passes = np.array([[row[f"p_{name}"] for name in classes] for row in rows[:-2]])
    mean, spread = ([row[f"p_{name}"] for name in classes] for row in rows[-2:])
    label, predicted = rows[-2]["label"], rows[-2]["predicted"]
    width = min(max(4.2, 1.4 + 0.42 * len(classes)), 13.0)
    with chart(path, (width + (2.6 if picture is not None else 0), 3.6)) as figure:
        share = 2.6 / (width + 2.6) if picture is not None else 0.0
        if picture is not None:
            aside = figure.add_axes((0.02, 0.12, share - 0.04, 0.6))
            aside.set_axis_off()
            shown = picture[0] if len(picture) == 1 else np.moveaxis(picture, 0, 2)
            aside.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes = one_axes(figure, None, ylabel="probability", left=share)
        places = np.arange(len(classes))
        colours = [ACCENT if name == label else SECOND for name in classes]
        axes.bar(places, mean, 0.7, color=colours, alpha=0.55)
        if len(passes) > 1:
            axes.errorbar(places, mean, yerr=spread, fmt="none", ecolor=PLAIN, elinewidth=1.1, capsize=3)
            for number, values in enumerate(passes):
                shift = (number / (len(passes) - 1) - 0.5) * 0.5
                axes.plot(places + shift, values, ".", color=PLAIN, markersize=3.5)
        name_places(figure, axes, classes)
        axes.set_ylim(0, 1.04)
        n = len(passes)
        words = f"predicted {shortened(predicted, 24)} ({max(mean):.2f}) by {n} pass{'es' if n > 1 else ''}"
        words += f", label {shortened(label, 24)}" if label is not None else ", label unknown"
        colour = WARNING if label is not None and label != predicted else MUTED
        notes = ["bars: mean", "lines: standard deviation", "dots: passes"] if n > 1 else []
        notes += ["yellow: the label"] if label is not None else []
        figure.text(0.02, 0.965, shortened(title, 70), color=PLAIN, fontsize=10, weight="bold", va="top")
        figure.text(0.02, 0.89, words, color=colour, fontsize=8.5, va="top")
        figure.text(0.02, 0.82, "; ".join(notes), color=MUTED, fontsize=8, va="top")


def draw_scores(rows: Rows, path: str | os.PathLike[str]) -> None:
    """Draw accuracy, cross-entropy and error AUROC of the methods side by side; `rows` as of `image_scores.csv`."""
    panels = (("accuracy", "Accuracy"), ("cross_entropy", "Cross-entropy"), ("error_auroc", "Error AUROC"))
    with chart(path, (10.0, 1.1 + 0.36 * max(2, len(rows)))) as figure:
        grid = figure.subplots(1, 3, sharey=True)
        places = np.arange(len(rows))
        for axes, (key, name) in zip(grid, panels, strict=True):
            dress(axes)
            values = [row.get(key) for row in rows]
            known = [(place, value) for place, value in zip(places, values, strict=True) if value is not None]
            members = [row.get("member_cross_entropy") if key == "cross_entropy" else None for row in rows]
            colours = [SERIES[place % len(SERIES)] for place, _ in known]
            axes.barh([place for place, _ in known], [value for _, value in known], 0.62, color=colours, alpha=0.75)
            limit = max([value for _, value in known] + [m for m in members if m is not None], default=1.0) or 1.0
            for place, value in known:
                axes.text(0.02 * limit, place, f"{value:.4g}", color=PLAIN, fontsize=8, va="center", weight="bold")
            for place, member, row in zip(places, members, rows, strict=True):
                if member is not None and row["n_members"] > 1:
                    axes.plot([member] * 2, [place - 0.31, place + 0.31], color=PLAIN, linewidth=1.6)
            axes.set_xlim(0, limit * 1.06)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.set_title(
                name + (" (nat); line: one member" if key == "cross_entropy" else ""), color=PLAIN, fontsize=9.5
            )
        names = [row["method"].replace("_", " ") for row in rows]
        grid[0].set_yticks(places, names)
        grid[0].set_ylim(max(2, len(rows)) - 0.5, -0.5)
        left = (0.25 + LETTER * max(map(len, names), default=0)) / figure.get_figwidth()
        height = figure.get_figheight()
        figure.subplots_adjust(left=left, right=0.98, top=1 - 0.42 / height, bottom=0.36 / height, wspace=0.12)


def draw_labelling_curves(rows: Rows, path: str | os.PathLike[str]) -> None:
    """Draw the accuracy against the number of labels, a curve a strategy with the band of its interval."""
    with chart(path, (6.4, 4.2)) as figure:
        n_seeds = max(row["n_seeds"] for row in rows)
        title = f"Labelling the most uncertain images first ({n_seeds} seed{'s' if n_seeds > 1 else ''})"
        axes = one_axes(figure, title, xlabel="labelled images", ylabel="accuracy on the test split")
        for strategy, colour in (("uncertain", ACCENT), ("random", SECOND)):
            curve = [row for row in rows if row["strategy"] == strategy]
            labels = [row["n_labels"] for row in curve]
            axes.plot(labels, [row["accuracy_mean"] for row in curve], ".-", color=colour, label=f"{strategy} next")
            if all(row["accuracy_low"] is not None for row in curve):
                low, high = ([row[key] for row in curve] for key in ("accuracy_low", "accuracy_high"))
                axes.fill_between(labels, low, high, color=colour, alpha=0.22, linewidth=0)
        # The interval of few seeds can end where no accuracy is.
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, 0), min(top, 1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        figure.text(0.98, 0.02, "band: 95 % interval of the mean", color=MUTED, fontsize=7.5, ha="right")
        legend(axes, columns=1, place="lower right")
