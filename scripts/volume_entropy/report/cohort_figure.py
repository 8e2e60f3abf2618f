"""The distributions of a cohort as one vector figure, one mark a sample: for papers, and for `snakemake --report`.

Made from the tables alone, as text: no plotting library, so that ten thousand samples take a second, and the same
tables give the same bytes.
"""

import math
import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..files import write_text
from .data import Table, plotted, read_table
from .templating import template_environment

WIDTH, LEFT, RIGHT = 780, 170, 24
# Heights of a panel's title, of a row of marks, and of its axis.
TITLE, ROW, AXIS = 34, 44, 40
RADIUS = 2.5
# Groups with fewer samples than the first ones share a row.
MAX_GROUPS = 12
TICKS = 6


@dataclass(frozen=True)
class Row:
    """The samples of one group: their marks and the x of the median, in pixels; y is relative to the row's middle."""

    label: str
    n: int
    marks: str
    flagged: str
    median: float


@dataclass(frozen=True)
class Panel:
    """One column of the table; `ticks` are x in pixels and the text below."""

    title: str
    unit: str
    rows: list[Row]
    ticks: list[tuple[float, str]]
    top: int

    @property
    def height(self) -> int:
        """Height in pixels."""
        return TITLE + ROW * len(self.rows) + AXIS


def draw_cohort(tables: str | os.PathLike[str], figure: str | os.PathLike[str], group: str | None) -> None:
    """Draw the totals and means of every sample, a row a group, as SVG.

    Parameters
    ----------
    tables
        Folder with `subjects` and `review_queue`, each as `.csv` and `.json`.
    figure
        The file to write.
    group
        The metadata column within which samples are compared; None: one row.
    """
    subjects, queue = read_table(tables, "subjects"), read_table(tables, "review_queue")
    flagged = {row["sample"] for row in queue.rows if row["flags"]}
    panels, top = [], 0
    for name in plotted(subjects):
        panels.append(_panel(subjects, name, group, flagged, top))
        top += panels[-1].height
    text = template_environment().get_template("cohort.svg.j2").render(
        panels=panels, width=WIDTH, left=LEFT, right=WIDTH - RIGHT, title=TITLE, row=ROW, radius=RADIUS,
        n=len(subjects.rows), n_flagged=len(flagged), height=top + 46,
    )  # fmt: skip
    write_text(figure, text)


def _panel(subjects: Table, name: str, group: str | None, flagged: set[str], top: int) -> Panel:
    cells = [(row["sample"], row[group] if group else "", row[name]) for row in subjects.rows if row[name]]
    values = [float(cell) for _, _, cell in cells]
    low, high = _limits(values)
    scale = (WIDTH - LEFT - RIGHT) / (high - low)
    rows = [
        _row(label, [(LEFT + (float(cell) - low) * scale, sample in flagged) for sample, _, cell in members])
        for label, members in _groups(cells)
    ]
    about = subjects.columns[name]
    ticks = [(LEFT + (tick - low) * scale, f"{tick:.12g}") for tick in _ticks(low, high)]
    return Panel(name.replace("_", " "), about["unit"], rows, ticks, top)


def _groups(cells: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Split samples by group, in the order of the labels; the smallest groups of many become one."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for cell in cells:
        found.setdefault(cell[1], []).append(cell)
    labels = sorted(found, key=lambda label: (-len(found[label]), label))
    kept = labels if len(labels) <= MAX_GROUPS else labels[: MAX_GROUPS - 1]
    for label in sorted(kept):
        yield label, found[label]
    rest = [cell for label in labels[len(kept) :] for cell in found[label]]
    if rest:
        yield f"{len(labels) - len(kept)} further groups", rest


def _row(label: str, marks: Sequence[tuple[float, bool]]) -> Row:
    median = statistics.median(x for x, _ in marks)
    # Marks of one column of pixels stand above each other, around the middle, closer where there are many.
    columns: dict[int, list[tuple[float, bool]]] = {}
    for x, is_flagged in sorted(marks):
        columns.setdefault(int(x / (2 * RADIUS)), []).append((x, is_flagged))
    paths: dict[bool, list[str]] = {False: [], True: []}
    for column in columns.values():
        step = min(2 * RADIUS, (ROW - 8) / len(column))
        for number, (x, is_flagged) in enumerate(column):
            y = (number + 1) // 2 * step * (-1 if number % 2 else 1)
            shape = "l3.5,3.5l-3.5,3.5l-3.5,-3.5z" if is_flagged else "h0"
            paths[is_flagged].append(f"M{x:.1f},{y - 3.5 * is_flagged:.1f}{shape}")
    return Row(label, len(marks), "".join(paths[False]), "".join(paths[True]), median)


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis; of one value alone, from 0."""
    low, high = min(values), max(values)
    if low == high:
        low, high = min(0.0, low), max(0.0, high)
    margin = (high - low or 1.0) * 0.03
    return low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers, 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor for factor in (1, 2, 5, 10) if factor * power >= rough) * power
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
