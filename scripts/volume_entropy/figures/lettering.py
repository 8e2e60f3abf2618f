"""Letters of figures: the font, how wide text is in it, and how text is cut to fit."""

import os
import re
from functools import cache
from importlib.util import find_spec
from typing import Literal

from PIL import ImageFont

Weight = Literal["normal", "bold"]

FILES: dict[Weight, str] = {"normal": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf"}
# Control characters and halves of surrogate pairs, most of which XML forbids; a file's name may hold either.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@cache
def fonts_folder() -> str:
    """Find matplotlib's fonts without importing it, which takes half a second."""
    package = find_spec("matplotlib")
    folders = package.submodule_search_locations if package else None
    for folder in folders or ():
        fonts = os.path.join(folder, "mpl-data", "fonts", "ttf")
        if all(os.path.exists(os.path.join(fonts, name)) for name in FILES.values()):
            return fonts
    raise FileNotFoundError(
        f"Figures are lettered in DejaVu Sans, which comes with matplotlib, and {' or '.join(FILES.values())} was not "
        f"found in {', '.join(folders) if folders else 'any matplotlib'}. Install matplotlib again."
    )


@cache
def font(size: float, weight: Weight = "normal") -> ImageFont.FreeTypeFont:
    """Give DejaVu Sans of `size` pixels; laid out plainly, so that bytes do not depend on what else is installed."""
    path = os.path.join(fonts_folder(), FILES[weight])
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def text_width(text: str, points: float, dpi: float, weight: Weight = "normal") -> float:
    """Measure a line of text in pixels."""
    return font(points * dpi / 72, weight).getlength(printable(text))


def printable(text: str) -> str:
    """Put a replacement character, or a space, where a character would break a line or a file."""
    return UNPRINTABLE.sub("\ufffd", re.sub("[\t\n\r]", " ", text))


def wrapped(text: str, points: float, dpi: float, width: float) -> list[str]:
    """Break text at spaces and, in paths, after a slash into lines of at most `width` pixels; if need be in words."""
    lines, line = [], ""
    for part in re.findall("[^ /]*[ /]?", re.sub(" +", " ", printable(text).strip())):
        if line and text_width((line + part).rstrip(), points, dpi) > width:
            lines.append(line.rstrip())
            line = ""
        line += part
        while text_width(line.rstrip(), points, dpi) > width:
            fits = max(1, sum(text_width(line[:n], points, dpi) <= width for n in range(1, len(line) + 1)))
            lines.append(line[:fits])
            line = line[fits:]
    return [*lines, line.rstrip()]


def shortened(text: str, length: int) -> str:
    """Leave out the middle of a longer text: names of one folder or family often differ at their ends."""
    return text if len(text) <= length else f"{text[: length // 2]}…{text[len(text) - (length - 1) // 2 :]}"
