"""Slices → coloured tiles: grey image, segmentation over it, heat map of a measure. Arrays only, no figure.

A stack is `(slice, row, column)`, the right way up; its tiles are `(slice, height, width, 3)` bytes.
"""

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Colour = tuple[int, int, int]

# What a heat map's byte means: 0 … TOP is the colour scale, the rest are states. Colours are chosen to be no part of
# the scale, which runs from black over purple and orange to pale yellow.
TOP, OUTSIDE, OVER, INVALID = 252, 253, 254, 255
STATE_COLOURS: dict[int, Colour] = {OUTSIDE: (30, 33, 38), OVER: (255, 255, 255), INVALID: (0, 229, 255)}

FILL, MOST_OUTLINE = 0.38, 0.5
# Okabe & Ito's colours, which colour-blind readers can tell apart, in an order that keeps neighbours different.
PALETTE: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 200, 140),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (90, 120, 255),
)


def class_colours(n: int) -> NDArray[np.uint8]:
    """`(n, 3)` colours; beyond the palette hues advance by the golden angle, so that neighbours differ."""
    further = [
        tuple(round(255 * part) for part in colorsys.hsv_to_rgb(i * 0.618034 % 1, 0.55 + 0.3 * (i % 2), 0.95))
        for i in range(max(0, n - len(PALETTE)))
    ]
    return np.array([*PALETTE, *further][:n], np.uint8).reshape(n, 3)


def heat_codes(values: NDArray[Any], top: float) -> Bytes:
    """Values 0 … `top` as bytes 0 … TOP; above it OVER, NaN INVALID."""
    # float32 maps may exceed the theoretical maximum by rounding; that is not over range.
    over = values > np.float32(top * (1 + 1e-5))
    invalid = np.isnan(values)
    scaled = values * np.float32(TOP / top)
    scaled[invalid] = 0
    codes = np.rint(scaled.clip(0, TOP, out=scaled), out=scaled).astype(np.uint8)
    codes[over] = OVER
    codes[invalid] = INVALID
    return codes


def values_of(codes: Bytes) -> Bytes:
    """Codes as numbers 0 … TOP that have a mean: beyond the scale is its end, no value is 0."""
    table = np.arange(256, dtype=np.uint8)
    table[[OUTSIDE, OVER, INVALID]] = 0, TOP, 0
    return table[codes]


def window_of(stacks: Sequence[NDArray[Any]], objects: Sequence[NDArray[np.bool_]]) -> tuple[float, float]:
    """Intensities to show as black and white, from the slices that are shown.

    The object decides, with half its range to both sides, so that a liver in Hounsfield units is not squeezed between
    air and bone; what no voxel reaches is not spent on it.
    """
    everything = np.concatenate([_sampled(stack) for stack in stacks])
    everything = everything[np.isfinite(everything)]
    if not everything.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(everything, (0.5, 99.8)))
    inside = np.concatenate([_sampled(stack)[_sampled(where)] for stack, where in zip(stacks, objects, strict=True)])
    inside = inside[np.isfinite(inside)]
    if inside.size:
        first, last = (float(value) for value in np.percentile(inside, (1, 99)))
        low, high = max(low, first - (last - first) / 2), min(high, last + (last - first) / 2)
    # Next to a large value, half a unit is nothing.
    half = max(0.5, 1e-6 * abs(low))
    return (low, high) if high > low else (low - half, low + half)


def _sampled(stack: NDArray[Any]) -> NDArray[Any]:
    # A hundred thousand voxels a plane settle two percentiles.
    flat = stack.reshape(-1)
    return flat[:: max(1, flat.size // 100_000)]


def grey(stack: NDArray[Any], window: tuple[float, float]) -> Bytes:
    """Show the image as bytes; what is not finite is black."""
    low, high = window
    out = np.empty(stack.shape, np.uint8)
    for target, source in zip(out, stack, strict=True):
        with np.errstate(over="ignore", invalid="ignore"):  # values at the ends of what float32 holds
            scaled = (source.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
        target[:] = np.clip(np.nan_to_num(scaled, nan=0, posinf=255, neginf=0), 0, 255)
    return out


def resized(stack: Bytes, size: tuple[int, int], *, smooth: bool) -> Bytes:
    """Every slice at `size` (height, width) pixels.

    Enlarged, a smooth stack is interpolated and another keeps its voxels; reduced, a smooth stack is averaged, and
    another takes the nearest voxel, since a mean of labels is none.
    """
    if stack.shape[1:] == size:
        return stack
    from PIL import Image

    shrinks = size[0] < stack.shape[1] or size[1] < stack.shape[2]
    method = Image.Resampling.NEAREST if not smooth else Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    out = np.empty((len(stack), *size), np.uint8)
    for target, source in zip(out, stack, strict=True):
        target[:] = np.asarray(Image.fromarray(np.ascontiguousarray(source)).resize(size[::-1], method))
    return out


def grey_tiles(stack: Bytes, size: tuple[int, int]) -> Bytes:
    """Tiles of an image in grey."""
    return np.repeat(resized(stack, size, smooth=True)[..., np.newaxis], 3, axis=3)


def heat_tiles(codes: Bytes, size: tuple[int, int], scale: Bytes) -> Bytes:
    """Tiles of a heat map; `scale` `(TOP + 1, 3)` are the colours of the codes 0 … TOP."""
    table = np.zeros((256, 3), np.uint8)
    table[: TOP + 1] = scale
    for state, colour in STATE_COLOURS.items():
        table[state] = colour
    if size[0] >= codes.shape[1] and size[1] >= codes.shape[2]:
        return table[resized(codes, size, smooth=False)]
    # Reduced, values are averaged; the states are no numbers and are put back.
    reduced = resized(values_of(codes), size, smooth=True).copy()
    nearest = resized(codes, size, smooth=False)
    np.copyto(reduced, nearest, where=nearest > TOP)
    return table[reduced]


def label_tiles(tiles: Bytes, labels: NDArray[Any], colours: Bytes, *, solid: bool, line: int) -> Bytes:
    """Paint a segmentation over grey tiles: classes filled, translucent or `solid`, with an outline on their own side.

    Parameters
    ----------
    tiles
        `(slice, height, width, 3)`, painted over in place.
    labels
        `(slice, row, column)`, 0 … K of which 0 has no colour.
    colours
        `(K, 3)` of the labels 1 … K.
    line
        Width of the outline in pixels.
    """
    kind = np.uint8 if len(colours) < 256 else np.uint16
    shown = _nearest(labels.astype(kind), (tiles.shape[1], tiles.shape[2]))
    table = np.vstack([np.zeros((1, 3), np.uint8), colours])
    fill = 1.0 if solid else FILL
    # One table look-up a pixel: grey level and label fix the colour of a translucent fill.
    if not solid:
        levels = np.arange(256)[np.newaxis, :, np.newaxis]
        blend = np.rint(levels * (1 - fill) + table[:, np.newaxis] * fill).astype(np.uint8)
        blend[0] = levels[0]
        tiles[:] = blend[shown, tiles[..., 0]]
    else:
        tiles[:] = table[shown]
    if not solid:
        rim = _rim(shown, line)
        # Where outlines would cover most of the thin structures, as in small tiles, the fill alone says more.
        if np.count_nonzero(rim) <= MOST_OUTLINE * np.count_nonzero(shown):
            tiles[rim] = table[shown[rim]]
    return tiles


def region_tiles(tiles: Bytes, region: NDArray[Any], colour: Bytes, *, line: int) -> Bytes:
    """One region of several that may overlap: a faint fill and an outline inside it, painted over `tiles` in place."""
    shown = _nearest((region == 1).astype(np.uint8), (tiles.shape[1], tiles.shape[2]))
    inside = shown == 1
    tiles[inside] = np.rint(tiles[inside] * (1 - FILL / 2) + colour * (FILL / 2)).astype(np.uint8)
    tiles[_rim(shown, line)] = colour
    return tiles


def _nearest(labels: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Labels at `size` pixels; the pixel's centre decides, as in PIL."""
    if labels.shape[1:] == size:
        return labels
    rows, columns = (
        ((np.arange(n) + 0.5) * old / n).astype(np.intp) for n, old in zip(size, labels.shape[1:], strict=True)
    )
    return labels[:, rows[:, np.newaxis], columns]


def _rim(labels: NDArray[Any], line: int) -> NDArray[np.bool_]:
    """Labelled pixels within `line` pixels, along rows and columns, of another label."""
    rim = np.zeros(labels.shape, bool)
    for distance in range(1, line + 1):
        rows = labels[:, distance:] != labels[:, :-distance]
        columns = labels[:, :, distance:] != labels[:, :, :-distance]
        rim[:, distance:] |= rows
        rim[:, :-distance] |= rows
        rim[:, :, distance:] |= columns
        rim[:, :, :-distance] |= columns
    rim &= labels != 0
    return rim
