"""Maps as OME-Zarr 0.5: one image a sample, its channels the measures, with a pyramid of means.

Source of the metadata: https://ngff.openmicroscopy.org/0.5/ ("multiscales", "omero"). That version has scales and
translations, but no rotation: where the axes of the voxels are not those of the world, positions are relative to the
first voxel, and the affine stands in the attributes of the group.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..stores.layout import Layout, Shape, Slices
from ..stores.measures import MeasureStore
from ..stores.sealed import create_group
from ..stores.shards import ShardedArray, create_array
from .nifti import affine_mm

VERSION = "0.5"
# The edge of the cube whose voxels a chunk has at most, and the chunks of a shard along an axis: 1 and 8 MiB of
# float32. They do not follow `storage.chunk`, since the same input gives the same bytes.
CHUNK, CHUNKS_OF_SHARD = 64, 2
# An axis is not halved while its voxels are this much longer than the shortest: thick slices stay.
ANISOTROPY = 2.0
# Of the largest entry of an affine: what counts as 0 beside it.
ROUNDING = 1e-6

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Channel:
    """A measure as a viewer shows it.

    Attributes
    ----------
    measure
        Its name, and that of its array in the measure store.
    label
        What a viewer writes beside it.
    colour
        Six hexadecimal digits, RGB.
    highest
        Upper end of its range; 0 where it has none: the highest value found is taken.
    """

    measure: str
    label: str
    colour: str
    highest: float


@dataclass(frozen=True)
class Level:
    """One resolution; every triple is (z, y, x).

    Attributes
    ----------
    layout
        Shape, chunks and shards.
    factors
        Voxels of the level before that become one here.
    step, start
        Edges of a voxel, and the centre of the first one, in mm.
    """

    layout: Layout
    factors: Shape
    step: Triple
    start: Triple


def write_ome_maps(path: Path, store: MeasureStore, channels: Sequence[Channel], *, name: str, pool: Executor) -> None:
    """Write measures as one OME-Zarr image (c, z, y, x), float32, every shard once.

    The bytes depend on the values, and on where they lie, alone. Memory: three shards a thread of `pool`, whatever the
    size of the volume.

    Parameters
    ----------
    path
        The folder to create.
    store
        Sealed.
    channels
        In order.
    name
        Of the image.
    pool
        Reads, compresses and writes shards.
    """
    geometry = store.attributes["geometry"]
    affine = affine_mm(store.attributes["affine"], geometry)
    x, y, z = (float(zoom) * geometry["unit_mm"] for zoom in geometry["zooms"])
    levels = levels_of(store.layout.shape, (z, y, x), start_of(affine))
    group = create_group(path, {})
    arrays = [
        create_array(path, str(number), level.layout, "float32", {"c": len(channels)}, separator="/")
        for number, level in enumerate(levels)
    ]

    def copy(task: tuple[int, Slices]) -> float:
        channel, box = task
        values = store.array(channels[channel].measure)[box]
        arrays[0].write((channel, *box), values)
        return float(np.nanmax(values, initial=0.0))

    found = [0.0] * len(channels)
    tasks = _tasks(levels[0], channels)
    for (channel, _), value in zip(tasks, pool.map(copy, tasks), strict=True):
        found[channel] = max(found[channel], value)
    for number, level in enumerate(levels[1:], start=1):
        coarsen = partial(_coarsen, arrays[number - 1], arrays[number], level)
        # To the end, before the next level reads it.
        deque(pool.map(coarsen, _tasks(level, channels)), maxlen=0)
    group.attributes["ome"] = {
        "version": VERSION,
        "multiscales": [_multiscale(name, levels)],
        "omero": _omero(name, channels, found, middle=store.layout.shape[0] // 2),
    }
    group.attributes["volume_entropy"] = {"affine": affine.tolist(), "affine_maps": "voxel (x, y, z) to mm"}
    group.save()


def levels_of(shape: Shape, step: Triple, start: Triple) -> list[Level]:
    """Halve a volume until it is one chunk; an axis of odd length keeps its last, half voxel."""
    levels = [Level(_layout(shape), (1, 1, 1), step, start)]
    while prod(levels[-1].layout.grid) > 1 or levels[-1].layout.chunk != levels[-1].layout.block:
        before = levels[-1]
        shape, step = before.layout.shape, before.step
        limit = ANISOTROPY * min(edge for edge, size in zip(step, shape, strict=True) if size > 1)
        fz, fy, fx = (2 if size > 1 and edge < limit else 1 for edge, size in zip(step, shape, strict=True))
        factors = fz, fy, fx
        z, y, x = (-(-size // factor) for size, factor in zip(shape, factors, strict=True))
        steps = [edge * factor for edge, factor in zip(step, factors, strict=True)]
        centres = [
            first + (factor - 1) / 2 * edge for first, factor, edge in zip(before.start, factors, step, strict=True)
        ]
        levels.append(
            Level(_layout((z, y, x)), factors, (steps[0], steps[1], steps[2]), (centres[0], centres[1], centres[2]))
        )
    return levels


def start_of(affine: NDArray[np.float64]) -> Triple:
    """Return (z, y, x) of the first voxel in mm where its axes are those of the world, else 0."""
    matrix = affine[:3, :3]
    others = np.abs(matrix - np.diag(np.diag(matrix))).max()
    if others > ROUNDING * np.abs(matrix).max() or (np.diag(matrix) <= 0).any():
        return 0.0, 0.0, 0.0
    x, y, z = (float(value) for value in affine[:3, 3])
    return z, y, x


def mean_of_boxes(values: NDArray[np.float32], factors: Shape) -> NDArray[np.float32]:
    """Average boxes of `factors` voxels over those that are there and not NaN; NaN where there is none.

    In float64 and in a fixed order, so that the bytes do not depend on how the volume was cut.
    """
    shape = [-(-size // factor) for size, factor in zip(values.shape, factors, strict=True)]
    total, count = np.zeros(shape), np.zeros(shape)
    for offsets in product(*map(range, factors)):
        part = values[tuple(slice(first, None, factor) for first, factor in zip(offsets, factors, strict=True))]
        inside = tuple(slice(size) for size in part.shape)
        valid = ~np.isnan(part)
        np.add(total[inside], part, out=total[inside], where=valid)
        count[inside] += valid
    with np.errstate(invalid="ignore"):
        return (total / count).astype(np.float32)


def _layout(shape: Shape) -> Layout:
    """Cut a volume into cubes, or into wider chunks where it is thin."""
    depth, edge = min(CHUNK, shape[0]), CHUNK
    while depth * (2 * edge) ** 2 <= CHUNK**3:
        edge *= 2
    z, y, x = (min(longest, size) for longest, size in zip((depth, edge, edge), shape, strict=True))
    chunk = z, y, x
    z, y, x = (n * min(CHUNKS_OF_SHARD, -(-size // n)) for n, size in zip(chunk, shape, strict=True))
    return Layout(shape, chunk, (z, y, x))


def _tasks(level: Level, channels: Sequence[Channel]) -> list[tuple[int, Slices]]:
    return list(product(range(len(channels)), level.layout.blocks()))


def _coarsen(fine: ShardedArray, coarse: ShardedArray, level: Level, task: tuple[int, Slices]) -> None:
    """Write one shard of a level from the level before, a chunk at a time: what that reads is a shard's size."""
    channel, box = task
    values = np.empty([part.stop - part.start for part in box], np.float32)
    for chunk in Layout(values.shape, level.layout.chunk, level.layout.chunk).blocks():
        source = tuple(
            slice((outer.start + part.start) * factor, min((outer.start + part.stop) * factor, size))
            for outer, part, factor, size in zip(box, chunk, level.factors, fine.shape[1:], strict=True)
        )
        values[chunk] = mean_of_boxes(fine[(channel, *source)], level.factors)
    coarse.write((channel, *box), values)


def _multiscale(name: str, levels: Sequence[Level]) -> dict[str, Any]:
    space = [{"name": axis, "type": "space", "unit": "millimeter"} for axis in "zyx"]
    return {
        "name": name,
        "axes": [{"name": "c", "type": "channel"}, *space],
        "datasets": [
            {
                "path": str(number),
                "coordinateTransformations": [
                    {"type": "scale", "scale": [1.0, *level.step]},
                    {"type": "translation", "translation": [0.0, *level.start]},
                ],
            }
            for number, level in enumerate(levels)
        ],
        "type": "mean",
        "metadata": {
            "description": "Each level is the mean of boxes of the level before, over its valid voxels.",
            "factors": [list(level.factors) for level in levels[1:]],
        },
    }


def _omero(name: str, channels: Sequence[Channel], found: Sequence[float], middle: int) -> dict[str, Any]:
    """Tell viewers how to show the channels; one window for a whole cohort where the measure has a range."""
    shown = []
    for number, (channel, top) in enumerate(zip(channels, found, strict=True)):
        # A window must not be empty.
        end = channel.highest or top or 1.0
        shown.append(
            {
                "label": channel.label,
                "color": channel.colour,
                "window": {"min": 0.0, "max": end, "start": 0.0, "end": end},
                "active": number == 0,
                "coefficient": 1.0,
                "family": "linear",
                "inverted": False,
            }
        )
    return {"name": name, "channels": shown, "rdefs": {"defaultT": 0, "defaultZ": middle, "model": "color"}}
