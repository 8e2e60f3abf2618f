"""What lies on a page's pixels, from the bottom up; lengths are in pixels from its top left."""

from dataclasses import dataclass
from typing import Literal

from .lettering import Weight
from .tiles import Colour

Align = Literal["left", "center", "right"]


@dataclass(frozen=True)
class Fill:
    """A box of whole pixels in one colour."""

    x: int
    y: int
    width: int
    height: int
    colour: Colour
    opacity: float = 1.0


@dataclass(frozen=True)
class Frame:
    """The outermost `line` pixels of a box of whole pixels; on a raster their number is rounded."""

    x: int
    y: int
    width: int
    height: int
    colour: Colour
    line: float


@dataclass(frozen=True)
class Polygon:
    """A filled polygon."""

    points: tuple[tuple[float, float], ...]
    colour: Colour


@dataclass(frozen=True)
class Text:
    """One line of printable text of `size` pixels; its left, middle or right is at x, and its baseline at y."""

    x: float
    y: float
    text: str
    size: float
    colour: Colour
    weight: Weight
    align: Align


Mark = Fill | Frame | Polygon | Text
