"""A page as an SVG file: its pixels as one picture, its marks as shapes, its text as text."""

from base64 import b64encode
from collections.abc import Iterable
from html import escape

from .marks import Fill, Frame, Mark, Polygon, Text
from .raster import png
from .tiles import Bytes, Colour

ANCHORS = {"left": "start", "center": "middle", "right": "end"}
# Verdana is as wide as DejaVu Sans, and there where that is not.
FAMILY = "'DejaVu Sans', Verdana, sans-serif"


def svg(pixels: Bytes, marks: Iterable[Mark], dpi: float) -> bytes:
    """Write pixels `(height, width, 3)` and marks on them; a unit of the drawing is a pixel."""
    height, width, _ = pixels.shape
    picture = b64encode(png(pixels, dpi)).decode()
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" version="1.1" '
        f'width="{_plain(width * 72 / dpi)}pt" height="{_plain(height * 72 / dpi)}pt" '
        f'viewBox="0 0 {width} {height}" font-family="{FAMILY}">',
        f'<image width="{width}" height="{height}" style="image-rendering: pixelated" '
        f'xlink:href="data:image/png;base64,{picture}"/>',
        *map(_element, marks),
        "</svg>\n",
    ]
    return "\n".join(lines).encode()


def _element(mark: Mark) -> str:
    match mark:
        case Fill():
            opacity = f' fill-opacity="{mark.opacity:g}"' if mark.opacity < 1 else ""
            box = f'x="{mark.x}" y="{mark.y}" width="{mark.width}" height="{mark.height}"'
            return f'<rect {box} fill="{_hex(mark.colour)}"{opacity}/>'
        case Frame():
            # A stroke lies half on either side of its path.
            x, y = _plain(mark.x + mark.line / 2), _plain(mark.y + mark.line / 2)
            width, height = _plain(mark.width - mark.line), _plain(mark.height - mark.line)
            box = f'x="{x}" y="{y}" width="{width}" height="{height}"'
            return f'<rect {box} fill="none" stroke="{_hex(mark.colour)}" stroke-width="{_plain(mark.line)}"/>'
        case Polygon():
            points = " ".join(f"{_plain(x)},{_plain(y)}" for x, y in mark.points)
            return f'<polygon points="{points}" fill="{_hex(mark.colour)}"/>'
        case Text():
            weight = ' font-weight="bold"' if mark.weight == "bold" else ""
            anchor = f' text-anchor="{ANCHORS[mark.align]}"' if mark.align != "left" else ""
            place = f'x="{_plain(mark.x)}" y="{_plain(mark.y)}" font-size="{_plain(mark.size)}"'
            return f'<text {place} fill="{_hex(mark.colour)}"{weight}{anchor}>{escape(mark.text, quote=False)}</text>'


def _plain(number: float) -> str:
    return f"{number:.3f}".rstrip("0").rstrip(".")


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
