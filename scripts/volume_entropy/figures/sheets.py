"""Where the tiles of a QC sheet lie; every plane at one scale, so that sizes can be compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .slices import Plane

# Pixels at 100 dpi, at which sheets are about twenty inches wide; a finer sheet has more dots an inch.
TILES_WIDTH, TILES_HEIGHT = 660, 1500
MIN_WIDTH = 940
MARGIN = 16
LONGEST_TILE = 440
MOSAIC_TILE = 84
TITLE, HEADING, LABEL = 26, 16, 16
TILE_GAP, ROW_GAP, GROUP_GAP, BLOCK_GAP = 2, 6, 12, 26
# Narrower groups could not hold their slice's label.
MIN_GROUP = 112
MIN_FOOTER = 780
SCREEN, HEADER_AND_FOOTER = 1.6, 220
FINEST_UNIT = 1.6
# Pixels along the longest edge of a slice beyond which voxels are read as one: no tile is larger, and the thumbnail,
# which is cut from the same slices, may be larger than a mosaic's tiles.
SHEET_PIXELS, MOSAIC_PIXELS = LONGEST_TILE * FINEST_UNIT, 1.5 * MOSAIC_TILE


@dataclass(frozen=True)
class Block:
    """The slices of one plane: groups of one tile a column, `groups` side by side, then the next row.

    Lengths are in pixels from the top left of the sheet; `unit` is the size of a pixel at 100 dpi.
    """

    plane: Plane
    n_slices: int
    n_columns: int
    groups: int
    tile: tuple[int, int]
    unit: float
    x: int = 0
    y: int = 0

    @property
    def group_width(self) -> int:
        """Width of one slice's tiles."""
        tiles = self.n_columns * (self.tile[1] + TILE_GAP) - TILE_GAP
        return max(tiles, round(MIN_GROUP * self.unit))

    @property
    def row_height(self) -> int:
        """Height of a row of tiles with its labels and the gap below."""
        return self.tile[0] + round((LABEL + ROW_GAP) * self.unit)

    @property
    def width(self) -> int:
        """Width of the plane's groups."""
        gap = round(GROUP_GAP * self.unit)
        return self.groups * (self.group_width + gap) - gap

    @property
    def head(self) -> int:
        """Height of title and headings."""
        return round((TITLE + HEADING) * self.unit)

    @property
    def height(self) -> int:
        """Height from the title to the last row."""
        return self.head + math.ceil(self.n_slices / self.groups) * self.row_height

    def group_origin(self, position: int) -> tuple[int, int]:
        """Find the top left pixel of the group of tiles of the slice at `position`, its label left out."""
        row, column = divmod(position, self.groups)
        x = self.x + column * (self.group_width + round(GROUP_GAP * self.unit))
        return x, self.y + self.head + row * self.row_height + round(LABEL * self.unit)

    def tile_origin(self, position: int, column: int) -> tuple[int, int]:
        """Find the top left pixel of one of the slice's tiles."""
        x, y = self.group_origin(position)
        return x + column * (self.tile[1] + TILE_GAP), y


@dataclass(frozen=True)
class Place:
    """A free place of a sheet, open downwards."""

    left: int
    top: int
    width: int


@dataclass(frozen=True)
class Sheet:
    """Blocks side by side or one under the other, below a header; the footer is the caller's."""

    blocks: tuple[Block, ...]
    pixels_per_mm: float
    unit: float

    @property
    def width(self) -> int:
        """Width with both margins."""
        return max(round(MIN_WIDTH * self.unit), max(b.x + b.width for b in self.blocks) + round(MARGIN * self.unit))

    @property
    def bottom(self) -> int:
        """Where the longest block ends."""
        return max(block.y + block.height for block in self.blocks)

    def lowered(self, top: int) -> "Sheet":
        """Move the blocks down by `top` pixels."""
        return replace(self, blocks=tuple(replace(block, y=block.y + top) for block in self.blocks))

    def free_places(self) -> list[Place]:
        """List where a footer fits: across the sheet below all blocks, or below the first ones beside longer blocks."""
        margin = round(MARGIN * self.unit)
        places = [Place(margin, self.bottom, self.width - 2 * margin)]
        for n in range(1, len(self.blocks)):
            first, others = self.blocks[:n], self.blocks[n:]
            right, left = max(b.x + b.width for b in first), first[0].x
            if right < min(b.x for b in others) and right - left >= MIN_FOOTER * self.unit:
                places.append(Place(left, max(b.y + b.height for b in first), right - left))
        return places


def arrange(planes: Sequence[Plane], counts: Mapping[str, int], n_columns: int, *, mosaic: bool) -> Sheet:
    """Find the arrangement that shows the tiles largest on a wide sheet.

    Where there is room, a voxel's shortest edge is a whole number of pixels, or one and a half, so that voxels are
    drawn alike. A sheet of larger volumes is up to 1.6 times finer before voxels are averaged.

    Parameters
    ----------
    planes, counts
        The planes in order and how many slices each has.
    n_columns
        Tiles a slice.
    mosaic
        All slices in small tiles, however long the sheet becomes.
    """
    longest = max(edge for plane in planes for edge in plane.size)
    finest = min(length / voxels for plane in planes for length, voxels in zip(plane.size, plane.shape, strict=True))
    if mosaic:
        return _arranged(planes, counts, n_columns, MOSAIC_TILE / longest, 1.0, groups=None, stacked=True)
    unit = min(max(1.0, sum(plane.size[1] for plane in planes) / finest / TILES_WIDTH), FINEST_UNIT)
    sheets = []
    for groups in range(1, max(counts.values()) + 1):
        for stacked in (False, True):
            scale = _largest_scale(planes, counts, n_columns, unit, groups, stacked=stacked)
            scale = _even(min(scale, LONGEST_TILE * unit / longest), finest)
            sheets.append(_arranged(planes, counts, n_columns, scale, unit, groups=groups, stacked=stacked))
    # Of those that are almost as large as can be, the one whose shape is nearest a screen's.
    largest = max(sheet.pixels_per_mm for sheet in sheets)
    return min(
        (sheet for sheet in sheets if sheet.pixels_per_mm >= 0.9 * largest),
        key=lambda sheet: abs(math.log(sheet.width / (sheet.bottom + HEADER_AND_FOOTER * unit) / SCREEN)),
    )


def _even(scale: float, finest: float) -> float:
    """Find the next smaller scale at which the shortest edge of a voxel is 1, 1.5, 2, 3, … pixels, if there is one."""
    pixels = scale * finest
    if pixels < 1:
        return scale
    return max(math.floor(pixels), 1.5 if pixels >= 1.5 else 1.0) / finest


def _largest_scale(
    planes: Sequence[Plane], counts: Mapping[str, int], n_columns: int, unit: float, groups: int, *, stacked: bool
) -> float:
    """Find the pixels a mm at which the blocks fill the sheet's width or height, whichever is first."""
    widths, heights, fixed_widths, fixed_heights = [], [], [], []
    for plane in planes:
        across = min(groups, counts[plane.name])
        rows = math.ceil(counts[plane.name] / across)
        widths.append(across * n_columns * plane.size[1])
        heights.append(rows * plane.size[0])
        fixed_widths.append(across * (n_columns * TILE_GAP + GROUP_GAP) + BLOCK_GAP)
        fixed_heights.append(TITLE + HEADING + rows * (LABEL + ROW_GAP) + BLOCK_GAP)
    across_sheet, down_sheet = (max, sum) if stacked else (sum, max)
    free_width = (TILES_WIDTH * n_columns + 60 - across_sheet(fixed_widths)) * unit
    free_height = (TILES_HEIGHT - down_sheet(fixed_heights)) * unit
    return max(1e-9, min(free_width / across_sheet(widths), free_height / down_sheet(heights)))


def _arranged(
    planes: Sequence[Plane],
    counts: Mapping[str, int],
    n_columns: int,
    scale: float,
    unit: float,
    *,
    groups: int | None,
    stacked: bool,
) -> Sheet:
    """Arrange the sheet at `scale` pixels a mm; `groups` None: as many as its width holds."""
    blocks: list[Block] = []
    x, y = round(MARGIN * unit), 0
    for plane in planes:
        tile = (max(1, round(plane.size[0] * scale)), max(1, round(plane.size[1] * scale)))
        block = Block(plane, counts[plane.name], n_columns, 1, tile, unit, x, y)
        across = groups or max(1, TILES_WIDTH * 3 // (block.group_width + GROUP_GAP))
        block = replace(block, groups=min(across, block.n_slices))
        blocks.append(block)
        if stacked:
            y += block.height + round(BLOCK_GAP * unit)
        else:
            x += block.width + round(BLOCK_GAP * unit)
    return Sheet(tuple(blocks), scale, unit)
