"""A page of pixels with vector text on it, written as PNG or SVG; the same content is the same bytes."""

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ..files import replaced_when_whole
from .tiles import COLOUR_MAP, TOP, Colour

BACKGROUND = (14, 15, 18)
PLAIN, MUTED, ACCENT, WARNING = "#e9ebee", "#a3a9b3", "#ffc14d", "#ff8078"
PNG_ROWS = 256
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


def blank(height: int, width: int) -> NDArray[np.uint8]:
    """Make pixels `(height, width, 4)` of the background's colour."""
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[:] = (*BACKGROUND, 255)
    return pixels


class _Pixels(AxesImage):
    """An image of exactly the page's pixels: resampling it would cost twenty times its drawing, for the same bytes."""

    def make_image(self, renderer: Any, magnification: float = 1.0, unsampled: bool = False) -> Any:
        if unsampled:
            return super().make_image(renderer, magnification, unsampled)
        pixels: Any = self.get_array()
        return pixels[::-1], 0, 0, None


class Page:
    """A page whose coordinates are pixels from its top left; make, fill and save it inside `plain_style`.

    Parameters
    ----------
    pixels
        `(height, width, 4)` bytes, opaque, as `blank` makes them.
    dpi
        Pixels an inch, by which points of text become pixels.
    """

    def __init__(self, pixels: NDArray[np.uint8], dpi: float) -> None:
        self.height, self.width = pixels.shape[:2]
        self.dpi = dpi
        self.figure = Figure(figsize=(self.width / dpi, self.height / dpi), dpi=dpi)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_axis_off()
        self.axes.set(xlim=(0, self.width), ylim=(self.height, 0))
        image = _Pixels(self.axes, interpolation="none", extent=(0, self.width, self.height, 0))
        image.set_data(pixels)
        self.axes.add_artist(image)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        points: float = 8.5,
        colour: str = PLAIN,
        weight: Literal["normal", "bold"] = "normal",
        align: Literal["left", "center", "right"] = "left",
        vertical: Literal["top", "center", "bottom", "baseline"] = "top",
        plate: bool = False,
    ) -> None:
        """Write text at a point; `plate` puts it on a dark plate, to be read on any image."""
        box = {"facecolor": (0, 0, 0, 0.55), "edgecolor": "none", "pad": 1.0} if plate else None
        self.axes.text(
            x, y, text, fontsize=points, color=colour, fontweight=weight, ha=align, va=vertical, bbox=box, zorder=3
        )

    def frame(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Draw a thin frame around a box."""
        line = 1.2 * 72 / 100
        self.axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=line, zorder=2))

    def swatch(self, x: float, y: float, width: float, height: float, colour: Colour | str) -> None:
        """Fill a box with one colour."""
        face = colour if isinstance(colour, str) else _shares(colour)
        self.axes.add_patch(Rectangle((x, y), width, height, facecolor=face, edgecolor=MUTED, linewidth=0.4, zorder=2))

    def colour_bar(
        self,
        box: tuple[float, float, float, float],
        scale: NDArray[np.uint8],
        top: float,
        label: str,
        *,
        over: Colour | None,
    ) -> None:
        """Draw a colour bar 0 … `top` in `box` (x, y, width, height), its label above and its ticks below.

        `over`: the colour of values beyond, shown as an arrow; None if there are none.
        """
        x, y, width, height = box
        colours: Colormap = ListedColormap(scale / 255.0)
        if over is not None:
            colours = colours.with_extremes(over=_shares(over))
        axes = self.figure.add_axes(
            (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        )
        mappable = ScalarMappable(Normalize(0, top), colours)
        bar = Colorbar(axes, mappable, orientation="horizontal", extend="neither" if over is None else "max")
        ticks = _ticks(top)
        bar.set_ticks(ticks, labels=[f"{tick:.3g}" for tick in ticks])
        axes.tick_params(labelsize=8, colors=MUTED, length=2, width=0.6, pad=1.5)
        bar.outline.set(edgecolor=MUTED, linewidth=0.5)
        self.text(x, y - 4 * self.dpi / 100, label, points=8.5, vertical="bottom")

    def save(self, path: str | os.PathLike[str], kind: Literal["png", "svg"]) -> None:
        """Write the page whole or not at all, without dates or versions."""
        with replaced_when_whole(path) as temporary:
            if kind == "svg":
                from matplotlib.backends.backend_svg import FigureCanvasSVG

                self.figure.set_facecolor(_shares(BACKGROUND))
                metadata = {"Date": None, "Creator": "volume-entropy"}
                svg: Any = FigureCanvasSVG(self.figure)
                svg.print_svg(os.fspath(temporary), metadata=metadata)
            else:
                canvas: Any = FigureCanvasAgg(self.figure)
                canvas.draw()
                temporary.write_bytes(png(np.asarray(canvas.buffer_rgba()), self.dpi))


def _shares(colour: Colour) -> tuple[float, float, float]:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


def _ticks(top: float) -> list[float]:
    """Give at most six places on a scale 0 … `top`: round ones, and its end."""
    step = next((step for step in (0.1, 0.2, 0.25) if top / step <= 5), 0.5)
    return [*(i * step for i in range(6) if i * step < top - 0.6 * step), top]


def png(pixels: NDArray[np.uint8], dpi: float) -> bytes:
    """Encode `(height, width, 4)` opaque bytes as a PNG file without transparency.

    Unfiltered rows and zlib's level 1 make a brain's sheet in half the time of Pillow at level 1, and a tenth smaller;
    isal would need a sixth of that, but its bytes may differ from CPU to CPU.
    """
    height, width, _ = pixels.shape
    compressor, parts = zlib.compressobj(1), []
    for start in range(0, height, PNG_ROWS):
        rows = pixels[start : start + PNG_ROWS, :, :3]
        unfiltered = np.zeros((len(rows), 1 + width * 3), np.uint8)
        unfiltered[:, 1:] = rows.reshape(len(rows), -1)
        parts.append(compressor.compress(unfiltered.data))
    per_metre = round(dpi / 0.0254)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1)),
        (b"IDAT", b"".join(parts) + compressor.flush()),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
        for name, content in chunks
    )


def colour_scale() -> NDArray[np.uint8]:
    """Give the colours `(TOP + 1, 3)` of a heat map's codes: perceptually even, dark to light."""
    colours = matplotlib.colormaps[COLOUR_MAP](np.linspace(0, 1, TOP + 1), bytes=True)
    return np.ascontiguousarray(colours[:, :3])
