"""The small picture of one sample for the contact sheet: its most uncertain slice, segmentation beside entropy."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Rejection
from .canvas import ACCENT, PLAIN, WARNING, Page, blank
from .mosaics import Window, segmented
from .slices import Plane
from .tiles import OUTSIDE, TOP, Bytes, grey, grey_tiles, heat_tiles
from .views import Views

# At twice its size on the page it is sharp on a fine screen; 2 000 of them are 80 MB, of which few are loaded.
WIDTH, HEIGHT = 400, 212
MARGIN, GAP, LABEL = 4, 4, 18
DPI = 100
# Of the colour scale: below it a voxel is as good as certain, and no reason to show its surroundings.
FAINT = 0.04


def save_thumbnail(
    path: str | os.PathLike[str],
    views: Views,
    summary: Mapping[str, Any],
    *,
    window: Window | None,
    colours: Bytes,
    scale: Bytes,
) -> None:
    """Draw the slice with the highest mean predictive entropy of those that the figure shows, cut to what is in it.

    Parameters
    ----------
    path
        Of the PNG; the same sample gives the same bytes.
    views
        What the figure shows.
    summary
        Of the sample; it tells which of the planes' peaks is the highest.
    window, colours, scale
        As for `figures.mosaics.paint`.
    """
    plane = _most_uncertain(views, summary)
    chosen = views.chosen[plane.name]
    index = views.peaks[plane.name]
    # Without a domain there is no peak.
    position = chosen.index(index) if index in chosen else len(chosen) // 2
    heat = views.heat["predictive_entropy"][plane.name][position : position + 1]
    labels = [stacks[plane.name][position : position + 1] for stacks in views.labels]
    rows, columns = _content(heat[0], [stack[0] for stack in labels])
    part = (slice(None), rows, columns)
    size = _tile(plane, heat.shape[1:], rows, columns)
    image = None
    if views.image is not None and window is not None:
        image = grey_tiles(grey(views.image[plane.name][position : position + 1][part], window), size)
    left = segmented(size, [stack[part] for stack in labels], views.by_region, image, colours, line=1)
    right = heat_tiles(heat[part], size, scale)
    pixels = blank(HEIGHT, WIDTH)
    for tile, x in ((left[0], (WIDTH - GAP) // 2 - size[1]), (right[0], (WIDTH + GAP) // 2)):
        y = (HEIGHT - LABEL - size[0]) // 2
        pixels[y : y + size[0], x : x + size[1]] = tile
    page = Page(pixels, DPI)
    label = f"{'xyz'[plane.axis]} = {chosen[position]} ({plane.name})" if views.placed else f"slice {chosen[position]}"
    page.text(WIDTH / 2, HEIGHT - 2, label, points=8, colour=ACCENT, align="center", vertical="bottom")
    page.save(path, "png")


def save_rejection(path: str | os.PathLike[str], rejection: Rejection) -> None:
    """Say that the sample was rejected, and why, in one word."""
    page = Page(blank(HEIGHT, WIDTH), DPI)
    page.text(WIDTH / 2, HEIGHT / 2 - 4, "rejected", points=12, colour=WARNING, align="center", vertical="bottom")
    page.text(WIDTH / 2, HEIGHT / 2 + 4, rejection.code, points=9, colour=PLAIN, align="center")
    page.save(path, "png")


def _most_uncertain(views: Views, summary: Mapping[str, Any]) -> Plane:
    def mean(plane: Plane) -> float:
        value = summary.get(f"predictive_entropy_peak_slice_{'xyz'[plane.axis]}_mean")
        return -1.0 if value is None else float(value)

    # Of equal ones the one along the earlier axis, as in the review queue.
    return max(sorted(views.planes, key=lambda plane: plane.axis), key=mean)


def _content(heat: Bytes, labels: Sequence[NDArray[Any]]) -> tuple[slice, slice]:
    """Rows and columns that hold the object or uncertainty, with a margin; all of them where there is neither."""
    there = (heat > FAINT * TOP) & (heat != OUTSIDE)
    for label in labels:
        there |= label > 0
    if not there.any():
        return slice(None), slice(None)
    ranges = []
    for along in (1, 0):
        where = np.flatnonzero(there.any(axis=along))
        margin = max(2, (where[-1] - where[0]) // 16)
        ranges.append(slice(max(0, int(where[0] - margin)), int(where[-1] + margin) + 1))
    return ranges[0], ranges[1]


def _tile(plane: Plane, shape: tuple[int, ...], rows: slice, columns: slice) -> tuple[int, int]:
    """The largest tile of the proportions of a part of a slice of `shape` of which two fit."""
    height, width = (
        len(range(*part.indices(voxels))) * length / voxels
        for part, length, voxels in zip((rows, columns), plane.size, shape, strict=True)
    )
    room = (HEIGHT - LABEL - MARGIN, (WIDTH - GAP) // 2 - MARGIN)
    scale = min(room[0] / height, room[1] / width)
    return max(1, int(height * scale)), max(1, int(width * scale))
