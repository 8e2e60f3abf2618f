"""The second pass: z-slabs of stored measures, in order, for what needs neighbours (boundaries) or order (maps)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .kernels.sums import N_ROLES, Labels
from .partials import RoleSums
from .reductions import label_sums, roles
from .stores.measures import MeasureStore


class Map(Protocol):
    """A file that takes z-slabs in order."""

    def write(self, slab: NDArray[np.float32]) -> None:
        """Append planes, (z, y, x)."""

    def close(self) -> None:
        """Write what is left."""


def sum_roles(
    store: MeasureStore, summed: Sequence[str], maps: Mapping[str, Map], *, background: int | None
) -> RoleSums:
    """Sum over foreground, boundary and interior; on the way hand every measure to its map.

    Parameters
    ----------
    store
        Sealed. No chunk is read twice, but for those of the segmentation at the rim of rows.
    summed
        Measures to sum up.
    maps
        By measure; closed at the end.
    background
        Index of the class that is no foreground, or None.

    Returns
    -------
    RoleSums
        Of the whole volume.
    """
    total = RoleSums([0] * N_ROLES, {name: [0] * N_ROLES for name in summed})
    for piece in pieces_of(store):
        mask = None if store.mask is None else store.mask[piece.z, piece.rim] != 0
        piece_roles = roles(piece.labels, piece.below, piece.above, mask, background)[:, piece.rows]
        part = RoleSums([0] * N_ROLES, {})
        for name in {**dict.fromkeys(summed), **maps}:
            values = store.array(name)[piece.z, piece.y]
            if name in maps:
                maps[name].write(values)
            if name in summed:
                part.counts, part.totals[name] = label_sums(values, piece_roles, N_ROLES)
        total = total + part
    for image in maps.values():
        image.close()
    return total


@dataclass(frozen=True)
class Piece:
    """Slices z, or rows y of one slice.

    Attributes
    ----------
    rim
        `y` and a row more at either side, where there is one.
    labels
        Segmentation ([region,] z, rim, x).
    below, above
        The planes before and after it, ([region,] rim, x); None at the end of the volume.
    """

    z: slice
    y: slice
    rim: slice
    labels: Labels
    below: Labels | None
    above: Labels | None

    @property
    def rows(self) -> slice:
        """Rows of `labels` that are `y`."""
        return slice(self.y.start - self.rim.start, self.y.stop - self.rim.start)


def pieces_of(store: MeasureStore) -> Iterator[Piece]:
    """Cut a volume into pieces in file order: slabs as deep as its blocks, or rows where even one slice is large."""
    depth, height, _ = store.layout.shape
    edge, rows = store.layout.slab
    if rows < height:
        yield from _rows_of(store, rows)
        return
    everything = slice(0, height)
    ranges = [slice(z, min(z + edge, depth)) for z in range(0, depth, edge)]
    segmentation = store.array("segmentation")
    below, current = None, segmentation[..., ranges[0], :, :]
    for index, z in enumerate(ranges):
        following = segmentation[..., ranges[index + 1], :, :] if index + 1 < len(ranges) else None
        above = None if following is None else following[..., 0, :, :]
        yield Piece(z, everything, everything, current, below, above)
        if following is not None:
            below, current = current[..., -1, :, :].copy(), following


def _rows_of(store: MeasureStore, rows: int) -> Iterator[Piece]:
    depth, height, _ = store.layout.shape
    segmentation = store.array("segmentation")
    for z in range(depth):
        for start in range(0, height, rows):
            y = slice(start, min(start + rows, height))
            rim = slice(max(0, y.start - 1), min(height, y.stop + 1))
            below, above = (
                segmentation[..., plane, rim, :] if 0 <= plane < depth else None for plane in (z - 1, z + 1)
            )
            yield Piece(slice(z, z + 1), y, rim, segmentation[..., z : z + 1, rim, :], below, above)
