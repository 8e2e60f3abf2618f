"""Figures of scores, from stored counts: reliability, risk and coverage, and the entropy of right and wrong voxels."""

import math
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from ..errors import Rejection
from ..files import read_json
from ..joblog import phase
from ..kernels.entropy import VALUE_BITS
from ..kernels.scores import COUNT, HITS, N_CONFIDENCES, RIGHT, SUM, WRONG
from ..measures import ONE_BIT
from ..partials import bin_values
from ..scoring.blocks import ScoreSums
from ..scoring.files import from_json, write_scores
from ..scoring.scores import risk_coverage, scores_of
from ..stores.measures import open_measures
from .canvas import BACKGROUND, MUTED, PLAIN, WARNING, Page, blank
from .charts import LONGEST, chart, plain_numbers, shares
from .lettering import shortened
from .qc import number, rejection_page
from .tiles import class_colours

PathLike = str | os.PathLike[str]

DPI = 100
WIDTH, HEIGHT, TOP, BOTTOM = 1500, 560, 110, 78
PANELS = ((80, 400), (580, 400), (1080, 400))
# Points of a curve, and bars of the histogram of entropies.
MOST_POINTS, N_BARS = 600, 40
# Lines of regions that are told apart.
MOST_LINES = 8
RIGHT_COLOUR, WRONG_COLOUR, GUIDE = "#6fb3ff", "#ff8078", "#5b616b"


def render_scores(
    measures_path: PathLike,
    summary_path: PathLike,
    scores_path: PathLike,
    figure_path: PathLike,
    *,
    recipe: dict[str, Any],
    kind: Literal["png", "svg"],
) -> None:
    """Keep the counts of a sample that has a reference, and draw its figure; of a rejected one, why it is.

    Parameters
    ----------
    measures_path, summary_path
        What `compute_entropy` wrote.
    scores_path, figure_path
        The JSON file and the figure to write.
    recipe
        Of `compute_entropy`.
    kind
        File format of the figure.

    Raises
    ------
    StoreError
        The measure store is not whole.
    """
    store, summary = open_measures(measures_path), read_json(summary_path)
    content = write_scores(scores_path, store, summary, recipe)
    with phase("figure"):
        if isinstance(store, Rejection):
            rejection_page(content["sample"], store).save(figure_path, kind)
        else:
            tasks = [from_json(counts) for counts in content["counts"]]
            with _page(figure_path, kind) as figure:
                draw_scores(figure, content["sample"], tasks, content["classes"], content["kind"], content["unit"])
                of_reference = [warning["code"] for warning in summary["warnings"] if "reference" in warning["code"]]
                if of_reference:
                    note = f"Warning {', '.join(of_reference)}: the sample's other figure says what was found."
                    _write(figure, HEIGHT - 26, note, size=9, color=WARNING)


def render_cohort(
    tasks: Sequence[ScoreSums], form: tuple[str, str, Sequence[str]], n: int, path: Path, kind: Literal["png", "svg"]
) -> None:
    """Draw the pooled counts of n samples; `form` is the kind, the unit and the classes."""
    with phase("figure"):
        if tasks:
            probabilities, unit, classes = form
            with _page(path, kind) as figure:
                draw_scores(figure, f"All {n} samples with a reference", tasks, classes, probabilities, unit)
        else:
            page = Page(blank(120, WIDTH), DPI)
            page.text(40, 40, "No sample with a reference could be used.", points=12, colour=MUTED)
            page.save(path, kind)


def _page(path: PathLike, kind: Literal["png", "svg"]) -> AbstractContextManager[Figure]:
    return chart(path, (WIDTH / DPI, HEIGHT / DPI), kind, dpi=DPI)


def draw_scores(
    figure: Figure, title: str, tasks: Sequence[ScoreSums], classes: Sequence[str], kind: str, unit: str
) -> None:
    """Draw three panels; a line a region, where there are regions."""
    scores, _ = scores_of(tasks, kind)
    _write(figure, 22, title, size=15, weight="bold")
    _write(figure, 56, _headline(scores, kind), size=9, color=MUTED)
    if not scores["n_scored_voxels"]:
        _write(figure, TOP, "No voxel could be scored.", size=12)
        return
    names = [shortened(name, LONGEST) for name in classes] if kind == "regions" else [""]
    lines = list(zip(names, tasks, _colours(len(names), kind), strict=True))[:MOST_LINES]
    reliability, risk, histogram = (_panel(figure, left, width) for left, width in PANELS)
    _draw_reliability(reliability, lines)
    _draw_risk(risk, lines, n=int(scores["n_scored_voxels"]))
    # Of regions the voxels of each are one coin, and all of them together one histogram.
    top = math.log2(2 if kind == "regions" else max(len(classes), 2)) * ONE_BIT[unit]
    _draw_histogram(histogram, tasks, top, unit)
    if kind == "regions":
        # A region's voxels are sure by half at least: nothing lies at the left. The next panel has the same colours.
        shown = f"{len(lines)} of {len(names)} regions" if len(names) > len(lines) else None
        legend = reliability.legend(
            fontsize=8, labelcolor=PLAIN, frameon=False, loc="upper left", title=shown, title_fontsize=8
        )
        legend.get_title().set_color(MUTED)


def _write(figure: Figure, top: float, text: str, **style: Any) -> None:
    figure.text(40 / WIDTH, 1 - top / HEIGHT, text, **{"color": PLAIN, "va": "top", **style})


def _headline(scores: dict[str, Any], kind: str) -> str:
    parts = [f"{number(int(scores['n_scored_voxels']))} voxels scored"]
    if kind == "regions":
        parts.append("means over the regions")
    for name, words in (
        ("cross_entropy", "cross-entropy {:.4g} nat"),
        ("brier", "Brier {:.4g}"),
        ("expected_calibration_error", "expected calibration error {:.4g}"),
        ("error_auroc", "error AUROC {:.4g}"),
        ("aurc", "area under risk and coverage {:.4g}"),
    ):
        if scores[name] is not None:
            parts.append(words.format(scores[name]))
    return " · ".join(parts)


def _colours(n: int, kind: str) -> list[Any]:
    return [RIGHT_COLOUR] if kind != "regions" else [tuple(colour / 255) for colour in class_colours(n)]


def _panel(figure: Figure, left: int, width: int) -> Any:
    height = HEIGHT - TOP - BOTTOM
    axes = figure.add_axes((left / WIDTH, BOTTOM / HEIGHT, width / WIDTH, height / HEIGHT))
    axes.set_facecolor(shares(BACKGROUND))
    for spine in axes.spines.values():
        spine.set(color=MUTED, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=MUTED, length=3, width=0.6)
    return axes


def _named(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=10, color=PLAIN, loc="left", pad=8)
    axes.set_xlabel(x, fontsize=8.5, color=MUTED)
    axes.set_ylabel(y, fontsize=8.5, color=MUTED)


def _draw_reliability(axes: Any, lines: Sequence[tuple[str, ScoreSums, Any]]) -> None:
    """Share of right voxels by confidence; below, as bars, the share of the voxels in each bin."""
    axes.plot([0, 1], [0, 1], color=GUIDE, linewidth=1, linestyle=(0, (4, 3)))
    centres = (np.arange(N_CONFIDENCES) + 0.5) / N_CONFIDENCES
    voxels = np.sum([[int(n) for n in task.confidence[:, COUNT]] for _, task, _ in lines], axis=0)
    axes.bar(centres, voxels / max(voxels.sum(), 1), width=0.9 / N_CONFIDENCES, color=GUIDE, alpha=0.5)
    for name, task, colour in lines:
        filled = [row for row in task.confidence if row[COUNT]]
        confidence = [int(row[SUM]) / (int(row[COUNT]) << VALUE_BITS) for row in filled]
        share = [int(row[HITS]) / int(row[COUNT]) for row in filled]
        axes.plot(confidence, share, color=colour, marker="o", markersize=4.5, linewidth=1.3, label=name or None)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    _named(
        axes, "Reliability", "mean probability of the predicted class", "share of right voxels (bars: of all voxels)"
    )


def _draw_risk(axes: Any, lines: Sequence[tuple[str, ScoreSums, Any]], n: int) -> None:
    """Share of wrong voxels among the most certain ones; dashed: had the entropy put all wrong voxels last."""
    highest = 0.0
    for name, task, colour in lines:
        points = np.array(risk_coverage(task.counts), np.float64)
        chosen = np.unique(np.linspace(0, len(points) - 1, MOST_POINTS).astype(int))
        coverage, risk = points[chosen, 0] / n, points[chosen, 1] / points[chosen, 0]
        if len(points) == 1:
            coverage, risk = np.array([0, 1]), np.repeat(risk, 2)
        axes.plot(coverage, risk, color=colour, linewidth=1.5, label=name or None)
        right = n - points[-1, 1]
        best = np.linspace(right / n, 1, 50)
        axes.plot(best, 1 - right / n / np.maximum(best, 1e-300), color=colour, linewidth=1, linestyle=(0, (4, 3)))
        highest = max(highest, float(risk.max()), points[-1, 1] / n)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.08 * highest or 1))
    _named(
        axes, "Risk and coverage", "share of voxels, the most certain first", "share of wrong ones (dashed: at best)"
    )


def _draw_histogram(axes: Any, tasks: Sequence[ScoreSums], top: float, unit: str) -> None:
    """Shares of the right, and of the wrong, voxels by entropy."""
    edges = np.linspace(0, top, N_BARS + 1)
    lowest = 1.0
    for outcome, colour, name in ((RIGHT, RIGHT_COLOUR, "right voxels"), (WRONG, WRONG_COLOUR, "wrong voxels")):
        heights = np.zeros(N_BARS)
        for task in tasks:
            values = bin_values(task.bins)
            place = np.minimum((values / top * N_BARS).astype(int), N_BARS - 1)
            np.add.at(heights, place, task.counts[:, outcome])
        if heights.any():
            shares = heights / heights.sum()
            lowest = min(lowest, float(shares[shares > 0].min()))
            axes.stairs(shares, edges, color=colour, fill=True, alpha=0.3)
            axes.stairs(shares, edges, color=colour, linewidth=1.3, label=f"{name} ({number(int(heights.sum()))})")
    axes.set_yscale("log")
    axes.set(xlim=(0, top), ylim=(max(lowest / 2, 1e-9), 1.5))
    plain_numbers(axes.yaxis)
    axes.legend(fontsize=8, labelcolor="linecolor", frameon=False, loc="upper right")
    _named(axes, "Entropy of right and wrong voxels", f"predictive entropy ({unit})", "share of these voxels")
