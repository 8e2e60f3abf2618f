"""Charts in the style of all figures: dark, plain, and the same bytes for the same content."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from ..files import replaced_when_whole
from .canvas import ACCENT, BACKGROUND, MUTED, PLAIN, WARNING
from .lettering import shortened
from .raster import png

DPI = 150
SECOND = "#6fb7ff"
# Of a label of 8 points: inches a letter and a line take, and letters it may have.
LETTER, LINE, LONGEST = 0.066, 0.13, 24
SERIES = (ACCENT, SECOND, "#9fd86b", WARNING, "#c8a2ff", MUTED)


# Text stays text, in SVG as well, and a `$` in it is one.
STYLE: dict[str, Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "svg.fonttype": "none",
    "svg.hashsalt": "volume-entropy",
    "text.parse_math": False,
}


@contextmanager
def plain_style() -> Iterator[None]:
    """Matplotlib's defaults and `STYLE`, whatever the user's matplotlibrc says."""
    style: Any = {key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"}
    style.update(STYLE)
    with matplotlib.rc_context(style):
        yield


@contextmanager
def chart(
    path: str | os.PathLike[str], size: tuple[float, float], kind: Literal["png", "svg"] = "png", *, dpi: float = DPI
) -> Iterator[Figure]:
    """Give a figure of `size` inches in the style of all figures; it is written whole at the end, without dates.

    The same content is the same bytes.
    """
    with plain_style():
        figure = Figure(figsize=size, dpi=dpi, facecolor=shares(BACKGROUND))
        yield figure
        with replaced_when_whole(path) as temporary:
            if kind == "svg":
                from matplotlib.backends.backend_svg import FigureCanvasSVG

                svg: Any = FigureCanvasSVG(figure)
                svg.print_svg(os.fspath(temporary), metadata={"Date": None, "Creator": "volume-entropy"})
            else:
                canvas: Any = FigureCanvasAgg(figure)
                canvas.draw()
                temporary.write_bytes(png(np.asarray(canvas.buffer_rgba()), dpi))


def one_axes(figure: Figure, title: str | None, *, xlabel: str = "", ylabel: str = "", left: float = 0.0) -> Axes:
    """Add the axes that a figure has alone, right of the share `left`."""
    width, height = figure.get_size_inches()
    begin = left + 0.62 / width
    top = 0.38 / height if title else 0.92 / height
    axes = figure.add_axes((begin, 0.56 / height, 1 - begin - 0.15 / width, 1 - top - 0.56 / height))
    dress(axes)
    axes.set_xlabel(xlabel, color=MUTED, fontsize=9)
    axes.set_ylabel(ylabel, color=MUTED, fontsize=9)
    if title:
        axes.set_title(title, color=PLAIN, fontsize=10, weight="bold", loc="left")
    return axes


def dress(axes: Axes) -> None:
    """Give axes the colours of the style, a grid, and lines on two sides."""
    axes.set_facecolor(shares(BACKGROUND))
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
    """Label a logarithmic axis in plain digits, since the style has no mathematics in it; call it after drawing.

    Over three decades and more at each, over one at 1, 2 and 5 of it; a shorter axis would have one label, or none.
    """
    low, high = axis.get_view_interval()
    decades = LogLocator(subs=(1,) if high > 1000 * low else (1, 2, 5))
    axis.set_major_locator(decades if high > 10 * low else MaxNLocator(6, steps=[1, 2, 5, 10]))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def name_places(figure: Figure, axes: Axes, names: Sequence[str]) -> None:
    """Name the places 0, 1, … along x; upright where they are narrow, below axes that make room; of very many some."""
    box, (width, height) = axes.get_position(), figure.get_size_inches()
    labels = [shortened(name, LONGEST) for name in names]
    longest, room = max(map(len, labels), default=0) * LETTER, box.width * width / max(1, len(labels))
    every = max(1, math.ceil(LINE / room))
    axes.set_xticks(range(0, len(labels), every), labels[::every], rotation=0 if longest < room else 90)
    if longest >= room:
        bottom = (longest + 0.12) / height
        axes.set_position((box.x0, bottom, box.width, box.y1 - bottom))


def shares(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    """Give a colour of bytes as matplotlib takes it."""
    red, green, blue = colour
    return red / 255, green / 255, blue / 255
