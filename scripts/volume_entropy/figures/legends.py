"""The foot of a QC sheet: colour bars, a measure of length, what the colours mean, and notes."""

import math
from dataclasses import dataclass

from .canvas import ACCENT, MUTED, PLAIN, WARNING, Page
from .lettering import text_width, wrapped
from .sheets import MARGIN, Place
from .tiles import OVER, STATE_COLOURS, Bytes, Colour

BAR_WIDTH, BAR_HEIGHT, BARS_HEIGHT = 270, 11, 62
LINE = 18


@dataclass(frozen=True)
class Bar:
    """One colour bar from 0 to `top`; `exceeded` if the sample has voxels beyond."""

    label: str
    top: float
    exceeded: bool


@dataclass(frozen=True)
class Key:
    """One entry of the legend; no colour: the mark of a slice."""

    label: str
    colour: Colour | None = None
    mark: str = ""


@dataclass(frozen=True)
class Note:
    """One sentence; a warning stands out."""

    text: str
    warning: bool = False


@dataclass(frozen=True)
class Footer:
    """Laid out for a place on the sheet."""

    place: Place
    unit: float
    pixels_per_mm: float
    bars: list[Bar]
    keys: list[Key]
    notes: list[Note]
    scale: Bytes

    @property
    def dpi(self) -> int:
        """Pixels an inch of the page that it is for."""
        return round(100 * self.unit)

    def _key_places(self) -> list[tuple[float, int]]:
        """Left edge and line of every key."""
        places, x, line = [], 0.0, 0
        for key in self.keys:
            needed = text_width(key.label, 8.5, self.dpi) + 42 * self.unit
            if x and x + needed > self.place.width:
                x, line = 0.0, line + 1
            places.append((x, line))
            x += needed
        return places

    def _lines(self) -> list[tuple[str, str]]:
        return [
            (line, WARNING if note.warning else MUTED)
            for note in self.notes
            for line in wrapped(note.text, 8, self.dpi, self.place.width)
        ]

    def _after_keys(self) -> float:
        lines = 1 + max((line for _, line in self._key_places()), default=-1)
        return self.place.top + (24 + BARS_HEIGHT + lines * LINE + 4) * self.unit

    @property
    def bottom(self) -> int:
        """Where the sheet may end, its margin included."""
        return round(self._after_keys() + (len(self._lines()) * LINE + MARGIN) * self.unit)

    def draw(self, page: Page) -> None:
        """Draw it in its place."""
        unit, left = self.unit, self.place.left
        y = self.place.top + 38 * unit
        for number, bar in enumerate(self.bars):
            x = left + number * (BAR_WIDTH + 50) * unit
            over = STATE_COLOURS[OVER] if bar.exceeded else None
            page.colour_bar((x, y, BAR_WIDTH * unit, BAR_HEIGHT * unit), self.scale, bar.top, bar.label, over=over)
        self._draw_length(page, left + len(self.bars) * (BAR_WIDTH + 50) * unit, y)
        y = self.place.top + (24 + BARS_HEIGHT) * unit
        for key, (x, line) in zip(self.keys, self._key_places(), strict=True):
            middle = y + (line + 0.5) * LINE * unit
            if key.colour is None:
                page.text(left + x, middle, key.mark, colour=ACCENT, vertical="center")
            else:
                page.swatch(left + x, middle - 5 * unit, 14 * unit, 10 * unit, key.colour)
            page.text(left + x + 20 * unit, middle, key.label, points=8.5, colour=PLAIN, vertical="center")
        y = self._after_keys()
        for row, (text, colour) in enumerate(self._lines()):
            page.text(left, y + (row + 0.5) * LINE * unit, text, points=8, colour=colour, vertical="center")

    def _draw_length(self, page: Page, x: float, y: float) -> None:
        """Draw a bar of a round number of mm, about a hundred pixels long."""
        mm = 100 * self.unit / self.pixels_per_mm
        power = 10.0 ** math.floor(math.log10(mm))
        length = max(step * power for step in (1, 2, 5) if step * power <= mm)
        width = length * self.pixels_per_mm
        page.text(x, y - 4 * self.unit, f"{length:g} mm", points=8.5, vertical="bottom")
        page.fill(x, y, width, 3 * self.unit, PLAIN)
