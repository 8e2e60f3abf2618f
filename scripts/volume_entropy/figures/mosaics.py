"""The tiles of a QC sheet: painted into its pixels, then labelled on its page."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..measures import MEASURES
from .canvas import ACCENT, MUTED, PLAIN, Page
from .sheets import TILE_GAP, TITLE, Block
from .slices import NEGATIVE, POSITIVE, Plane
from .tiles import Bytes, grey, grey_tiles, heat_tiles, label_tiles, region_tiles
from .views import Views

# Of the columns that are no measure: what they are headed with where there is room, and where there is not.
HEADINGS = {"image": ("image", "image"), "segmentation": ("segmentation", "segm.")}
# Marks of the slices where the means of predictive entropy and mutual information are highest, and their words.
PEAK, DISAGREEMENT_PEAK = "▲", "△"
PEAK_WORDS = {PEAK: "highest mean entropy", DISAGREEMENT_PEAK: "highest mean MI", "▲△": "highest means"}
# Pixels at 100 dpi that "predictive entropy" takes.
HEADING_WIDTH = 118
Window = tuple[float, float]


def paint(
    pixels: Bytes,
    block: Block,
    views: Views,
    columns: Sequence[str],
    *,
    window: Window | None,
    colours: Bytes,
    scale: Bytes,
) -> None:
    """Put the tiles of one plane in their places.

    Parameters
    ----------
    pixels
        `(height, width, 3)` of the sheet.
    columns
        `image`, `segmentation`, and measures.
    window
        Intensities shown as black and white; None without an image.
    colours, scale
        `(K, 3)` of the classes or regions, and of the heat map's codes.
    """
    name = block.plane.name
    image = None
    if views.image is not None and window is not None:
        image = grey_tiles(grey(views.image[name], window), block.tile)
    for column, heading in enumerate(columns):
        if heading == "segmentation":
            labels = [stacks[name] for stacks in views.labels]
            line = max(1, round(block.unit * 1.2))
            tiles = segmented(block.tile, labels, views.by_region, image, colours, line=line)
        elif heading == "image" and image is not None:
            tiles = image
        else:
            tiles = heat_tiles(views.heat[heading][name], block.tile, scale)
        for position, tile in enumerate(tiles):
            x, y = block.tile_origin(position, column)
            pixels[y : y + block.tile[0], x : x + block.tile[1]] = tile


def segmented(
    size: tuple[int, int],
    labels: Sequence[NDArray[Any]],
    by_region: bool,
    image: Bytes | None,
    colours: Bytes,
    *,
    line: int,
) -> Bytes:
    """Draw a segmentation over the image's tiles, or alone.

    Parameters
    ----------
    size
        Height and width of a tile.
    labels
        One stack of classes, or one stack a region.
    by_region
        Whether they are regions.
    image
        Grey tiles of that size, or None.
    colours
        `(K, 3)` of the classes or regions.
    line
        Width of an outline in pixels.
    """
    tiles = np.zeros((len(labels[0]), *size, 3), np.uint8) if image is None else image.copy()
    if by_region:
        for region, colour in zip(labels, colours, strict=True):
            region_tiles(tiles, region, colour, line=line)
        return tiles
    return label_tiles(tiles, labels[0], colours, solid=image is None, line=line)


def annotate(page: Page, block: Block, views: Views, columns: Sequence[str]) -> None:
    """Write the plane's title, the columns' headings, each slice's place and the sides of the body."""
    unit, (height, width) = block.unit, block.tile
    narrow = width < HEADING_WIDTH * unit
    page.text(block.x, block.y, block.plane.name.capitalize(), points=11, weight="bold")
    for group in range(block.groups):
        for column, key in enumerate(columns):
            left, _ = block.tile_origin(group, column)
            heading = _headings(key)[narrow]
            page.text(left + width / 2, block.y + TITLE * unit, heading, points=8, colour=MUTED, align="center")
    places = slice_places(block.plane, views)
    for position, index in enumerate(views.chosen[block.plane.name]):
        x, y = block.group_origin(position)
        mark = PEAK if index == views.peaks[block.plane.name] else ""
        mark += DISAGREEMENT_PEAK if index == views.disagreement_peaks[block.plane.name] else ""
        label = f"{'xyz'[block.plane.axis]} {index}{places[position]}"
        if mark:
            label = f"{mark} {label}" + (f" · {PEAK_WORDS[mark]}" if block.group_width > 290 * unit else "")
        if PEAK in mark:
            page.frame(x - 2, y - 2, block.n_columns * (width + TILE_GAP) - TILE_GAP + 4, height + 4, ACCENT)
        page.text(x, y - 3 * unit, label, points=8, colour=ACCENT if mark else MUTED, vertical="bottom")
        if views.placed:
            _mark_sides(page, block, position)


def _headings(column: str) -> tuple[str, str]:
    return HEADINGS[column] if column in HEADINGS else (MEASURES[column].words, MEASURES[column].symbol)


def slice_places(plane: Plane, views: Views) -> list[str]:
    """Say where the middle of each slice lies along its anatomical axis, in mm of the affine's space."""
    if not views.placed:
        return [""] * len(views.chosen[plane.name])
    anatomical = views.orientation.anatomical[plane.axis]
    row = views.affine[anatomical]
    middle = (np.array(views.shape[::-1], np.float64) - 1) / 2
    places = []
    for index in views.chosen[plane.name]:
        middle[plane.axis] = index
        mm = float(row[:3] @ middle + row[3])
        letter = (POSITIVE if mm > 0 else NEGATIVE)[anatomical]
        places.append(f" · {letter} {abs(mm):.0f} mm" if abs(mm) >= 0.5 else " · 0 mm")
    return places


def _mark_sides(page: Page, block: Block, position: int) -> None:
    """Letters at the edges of the slice's first tile; right and left on every slice, the others on the first ones."""
    unit, (height, width) = block.unit, block.tile
    x, y = block.tile_origin(position, 0)
    left, right, top, bottom = block.plane.edges
    first = position < block.groups
    if height < 24 * unit or width < 40 * unit or not (first or (left == "R" and width >= HEADING_WIDTH * unit)):
        return
    colour = PLAIN if left == "R" else MUTED
    middle = y + height / 2
    page.text(x + 3 * unit, middle, left, points=8, colour=colour, weight="bold", vertical="center", plate=True)
    page.text(
        x + width - 3 * unit,
        middle,
        right,
        points=8,
        colour=colour,
        weight="bold",
        align="right",
        vertical="center",
        plate=True,
    )
    if first and height > 60 * unit:
        page.text(x + width / 2, y + 2 * unit, top, points=8, colour=MUTED, align="center", plate=True)
        page.text(
            x + width / 2,
            y + height - 2 * unit,
            bottom,
            points=8,
            colour=MUTED,
            align="center",
            vertical="bottom",
            plate=True,
        )
