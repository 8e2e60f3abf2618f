"""The second pass: z-slabs of stored measures, in order, for what needs neighbours (boundaries) or order (maps)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .measure_store import MeasureStore
from .partials import RoleSums
from .reductions import label_sums, roles
from .sum_kernels import N_ROLES, Labels


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
        Sealed. A slab is as deep as its blocks, so that no chunk is read twice.
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
    for z, labels, below, above in slabs_with_neighbours(store):
        mask = None if store.mask is None else store.mask[z] != 0
        slab_roles = roles(labels, below, above, mask, background)
        part = RoleSums([0] * N_ROLES, {})
        for name in {**dict.fromkeys(summed), **maps}:
            values = store.array(name)[z]
            if name in maps:
                maps[name].write(values)
            if name in summed:
                part.counts, part.totals[name] = label_sums(values, slab_roles, N_ROLES)
        total = total + part
    for image in maps.values():
        image.close()
    return total


def slabs_with_neighbours(store: MeasureStore) -> Iterator[tuple[slice, Labels, Labels | None, Labels | None]]:
    """Yield z-range, segmentation ([region,] z, y, x), and the planes ([region,] y, x) before and after it."""
    depth = store.layout.shape[0]
    edge = store.layout.block[0]
    ranges = [slice(z, min(z + edge, depth)) for z in range(0, depth, edge)]
    segmentation = store.array("segmentation")
    below, current = None, segmentation[..., ranges[0], :, :]
    for index, z in enumerate(ranges):
        following = segmentation[..., ranges[index + 1], :, :] if index + 1 < len(ranges) else None
        yield z, current, below, None if following is None else following[..., 0, :, :]
        if following is not None:
            below, current = current[..., -1, :, :].copy(), following
