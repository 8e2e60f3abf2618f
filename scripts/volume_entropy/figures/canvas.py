"""A page of pixels with text and shapes on it, written as PNG or SVG; the same content is the same bytes."""

import os
from typing import Literal

import numpy as np

from ..files import replaced_when_whole
from .lettering import Weight, printable, text_width
from .marks import Align, Fill, Frame, Mark, Polygon, Text
from .raster import drawn, png
from .tiles import Bytes, Colour

BACKGROUND: Colour = (14, 15, 18)
PLAIN, MUTED, ACCENT, WARNING = "#e9ebee", "#a3a9b3", "#ffc14d", "#ff8078"
# Of the size of text: how far its letters reach above and below the baseline, and how far below the top, the middle
# or the bottom of a line the baseline is.
ASCENT, DESCENT = 0.76, 0.24
BASELINES = {"top": ASCENT, "center": (ASCENT - DESCENT) / 2, "bottom": -DESCENT}
# Of a colour bar for which there are values beyond: its length against that with its arrow.
BEFORE_ARROW = 1 / 1.05


def blank(height: int, width: int) -> Bytes:
    """Make pixels `(height, width, 3)` of the background's colour."""
    rows = np.empty((height, width * 3), np.uint8)
    # Row by row takes a tenth of the time of pixel by pixel.
    rows[:] = np.frombuffer(bytes(BACKGROUND) * width, np.uint8)
    return rows.reshape(height, width, 3)


class Page:
    """A page whose coordinates are pixels from its top left.

    Parameters
    ----------
    pixels
        `(height, width, 3)` bytes, as `blank` makes them; colour bars are painted into them.
    dpi
        Pixels an inch, by which points of text become pixels.
    """

    def __init__(self, pixels: Bytes, dpi: float) -> None:
        self.width = pixels.shape[1]
        self.dpi = dpi
        self._pixels = pixels
        self._marks: list[Mark] = []

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        points: float = 8.5,
        colour: str = PLAIN,
        weight: Weight = "normal",
        align: Align = "left",
        vertical: Literal["top", "center", "bottom"] = "top",
        plate: bool = False,
    ) -> None:
        """Write text at a point; `plate` puts it on a dark plate, to be read on any image."""
        size = points * self.dpi / 72
        baseline = y + BASELINES[vertical] * size
        if plate:
            width, pad = text_width(text, points, self.dpi, weight), self.dpi / 72
            left = x - {"left": 0.0, "center": 0.5, "right": 1.0}[align] * width
            box = (left - pad, baseline - ASCENT * size - pad, width + 2 * pad, (ASCENT + DESCENT) * size + 2 * pad)
            self._marks.append(Fill(*_whole(box), (0, 0, 0), opacity=0.55))
        self._marks.append(Text(x, baseline, printable(text), size, _rgb(colour), weight, align))

    def frame(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Draw a thin frame just inside a box."""
        self._marks.append(Frame(*_whole((x, y, width, height)), _rgb(colour), 1.2 * self.dpi / 100))

    def fill(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Fill a box with one colour."""
        self._marks.append(Fill(*_whole((x, y, width, height)), _rgb(colour)))

    def swatch(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Show a colour in a box with an edge, that it be seen on any ground."""
        box = _whole((x, y, width, height))
        self._marks += [Fill(*box, colour), Frame(*box, _rgb(MUTED), 1)]

    def colour_bar(
        self, box: tuple[float, float, float, float], scale: Bytes, top: float, label: str, *, over: Colour | None
    ) -> None:
        """Draw a colour bar 0 … `top` in `box` (x, y, width, height), its label above and its ticks below.

        `scale`: its colours `(n, 3)`. `over`: the colour of values beyond, shown as an arrow; None if there are none.
        """
        x, y, width, height = _whole(box)
        length = width if over is None else round(width * BEFORE_ARROW)
        places = np.arange(length) * len(scale) // length
        self._pixels[y : y + height, x : x + length] = scale[places]
        self._marks.append(Frame(x, y, length, height, _rgb(MUTED), 1))
        if over is not None:
            corners = ((x + length, y), (x + width, y + height / 2), (x + length, y + height))
            self._marks.append(Polygon(corners, over))
        point = self.dpi / 72
        for tick in _ticks(top):
            place = x + round((length - 1) * tick / top)
            self.fill(place, y + height, 1, 2 * point, MUTED)
            label_top = y + height + 3.5 * point
            self.text(place + 0.5, label_top, f"{tick:.3g}", points=8, colour=MUTED, align="center")
        self.text(x, y - 4 * self.dpi / 100, label, points=8.5, vertical="bottom")

    def save(self, path: str | os.PathLike[str], kind: Literal["png", "svg"]) -> None:
        """Write the page whole or not at all, without dates or versions."""
        if kind == "svg":
            from .vector import svg

            content = svg(self._pixels, self._marks, self.dpi)
        else:
            content = png(drawn(self._pixels, self._marks), self.dpi)
        with replaced_when_whole(path) as temporary:
            temporary.write_bytes(content)


def _whole(box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Move the edges of a box (x, y, width, height) to whole pixels, one apart at least."""
    x, y, width, height = box
    left, top = round(x), round(y)
    return left, top, max(1, round(x + width) - left), max(1, round(y + height) - top)


def _rgb(colour: str) -> Colour:
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _ticks(top: float) -> list[float]:
    """Give at most six places on a scale 0 … `top`: round ones, and its end."""
    step = next((step for step in (0.1, 0.2, 0.25) if top / step <= 5), 0.5)
    return [*(i * step for i in range(6) if i * step < top - 0.6 * step), top]
