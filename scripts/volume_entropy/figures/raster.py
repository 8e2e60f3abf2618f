"""A page as a PNG file: its marks drawn on its pixels; the same content is the same bytes."""

import struct
import zlib
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from .lettering import font
from .marks import Fill, Frame, Mark, Polygon, Text
from .tiles import Bytes

PNG_ROWS = 256
ANCHORS = {"left": "ls", "center": "ms", "right": "rs"}
# Edges of polygons are smoothed by drawing them so many times as large.
SMOOTHNESS = 8


def drawn(pixels: Bytes, marks: Iterable[Mark]) -> Bytes:
    """Draw marks on pixels `(height, width, 3)`, which stay as they are."""
    image = Image.fromarray(pixels)
    canvas = ImageDraw.Draw(image, "RGBA")
    for mark in marks:
        match mark:
            case Fill():
                box = (mark.x, mark.y, mark.x + mark.width - 1, mark.y + mark.height - 1)
                canvas.rectangle(box, fill=(*mark.colour, round(255 * mark.opacity)))
            case Frame():
                box = (mark.x, mark.y, mark.x + mark.width - 1, mark.y + mark.height - 1)
                canvas.rectangle(box, outline=mark.colour, width=max(1, round(mark.line)))
            case Polygon():
                _draw_polygon(image, mark)
            case Text():
                # Hinted letters are sharp where they stand on whole pixels.
                place, letters = (round(mark.x), round(mark.y)), font(mark.size, mark.weight)
                canvas.text(place, mark.text, fill=mark.colour, font=letters, anchor=ANCHORS[mark.align])
    return np.asarray(image)


def _draw_polygon(image: Image.Image, polygon: Polygon) -> None:
    corners = np.array(polygon.points)
    start, stop = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    width, height = (stop - start).tolist()
    mask = Image.new("L", (width * SMOOTHNESS, height * SMOOTHNESS))
    ImageDraw.Draw(mask).polygon([(x, y) for x, y in ((corners - start) * SMOOTHNESS - 0.5).tolist()], fill=255)
    image.paste(polygon.colour, tuple(start.tolist()), mask.resize((width, height), Image.Resampling.BOX))


def png(pixels: Bytes, dpi: float) -> bytes:
    """Encode `(height, width, 3)` bytes, or the first three of four channels, as a PNG file without transparency.

    Unfiltered rows and zlib's level 1 make a brain's sheet in half the time of Pillow at level 1, and a tenth smaller;
    isal would need a sixth of that, for a file a sixth larger.
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
