"""Charts in the style of all figures: dark, plain, and the same bytes for the same content."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from .canvas import ACCENT, BACKGROUND, MUTED, PLAIN, WARNING, plain_style, png
from .files import replaced_when_whole

DPI = 150
SECOND = "#6fb7ff"
SERIES = (ACCENT, SECOND, "#9fd86b", WARNING, "#c8a2ff", MUTED)


@contextmanager
def chart(path: str | os.PathLike[str], size: tuple[float, float]) -> Iterator[Figure]:
    """A figure in the style of all figures, written whole at the end; the same rows are the same bytes."""
    with plain_style():
        figure = Figure(figsize=size, dpi=DPI, facecolor=_shares(BACKGROUND))
        yield figure
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        with replaced_when_whole(path) as temporary:
            temporary.write_bytes(png(np.asarray(canvas.buffer_rgba()), DPI))


def one_axes(figure: Figure, title: str | None, *, xlabel: str = "", ylabel: str = "", left: float = 0.0) -> Axes:
    """Add the axes that a figure has alone, right of the share `left`."""
    width, height = figure.get_size_inches()
    begin = left + 0.62 / width
    top = 0.38 / height if title else 0.72 / height
    axes = figure.add_axes((begin, 0.56 / height, 1 - begin - 0.15 / width, 1 - top - 0.56 / height))
    dress(axes)
    axes.set_xlabel(xlabel, color=MUTED, fontsize=9)
    axes.set_ylabel(ylabel, color=MUTED, fontsize=9)
    if title:
        axes.set_title(title, color=PLAIN, fontsize=10, weight="bold", loc="left")
    return axes


def dress(axes: Axes) -> None:
    """Give axes the colours of the style, a grid, and lines on two sides."""
    axes.set_facecolor(_shares(BACKGROUND))
    axes.tick_params(colors=MUTED, labelsize=8, length=2)
    axes.grid(axis="both", color="#2b2e35", linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color("#555a63")


def legend(
    axes: Axes, *, columns: int, place: Literal["upper right", "upper left", "lower right"] = "upper right"
) -> None:
    """Add a legend without a frame."""
    shown = axes.legend(loc=place, ncols=columns, fontsize=8, frameon=False)
    for text in shown.get_texts():
        text.set_color(PLAIN)


def plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis at 1, 2 and 5 of each decade, in plain digits: the style has no mathematics in it."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _shares(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
