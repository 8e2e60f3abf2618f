"""The Zarr store of what was computed: one array a measure, the segmentation, and the mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Rejection
from .layout import Layout, Slices
from .sealed import CheckedArray, PathLike, SealedWriter, StoreError, open_sealed, read_rejection
from .shards import ShardedArray, open_array


class MeasureWriter(SealedWriter):
    """Writes a measure store block by block, from several threads, or by `write_measure_block` from elsewhere.

    Parameters
    ----------
    path
        Where the store will be; what was there is replaced.
    layout
        Of the probability store, so that a task's block is a shard here as well.
    measures
        Names of the arrays, float32.
    n_regions
        0: `segmentation` is (z, y, x); else (region, z, y, x).
    attributes
        Whatever the readers of the store need.
    segmentation_dtype
        uint8, or uint16 with more than 254 classes.
    with_mask
        Whether there is an array `mask`.
    n_words
        Words of an array `votes`, the members' labels as `kernels.member_pass` packs them; 0: there is none.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        layout: Layout,
        measures: Sequence[str],
        n_regions: int = 0,
        attributes: Mapping[str, Any],
        segmentation_dtype: str = "uint8",
        with_mask: bool = False,
        n_words: int = 0,
    ) -> None:
        super().__init__(path, layout, attributes)
        self._n_words = n_words
        self._measures = tuple(measures)
        self._n_regions = n_regions
        self._segmentation_dtype = segmentation_dtype
        self._with_mask = with_mask

    def _create_arrays(self) -> None:
        for name in self._measures:
            self._create(name, "float32")
        regions = {"region": self._n_regions} if self._n_regions else {}
        self._create("segmentation", self._segmentation_dtype, regions)
        if self._with_mask:
            self._create("mask", "uint8")
        if self._n_words:
            self._create("votes", "uint32", {"word": self._n_words})

    def write(
        self,
        slices: Slices,
        maps: Mapping[str, NDArray[Any]],
        segmentation: NDArray[Any],
        mask: NDArray[Any] | None = None,
    ) -> None:
        """Write one block: (z, y, x) of every measure, ([region,] z, y, x) of the segmentation, the mask if kept."""
        _write_block(self._arrays, self._whole_blocks(slices), maps, segmentation, mask)


def write_measure_block(
    location: PathLike,
    slices: Slices,
    maps: Mapping[str, NDArray[Any]],
    segmentation: NDArray[Any],
    mask: NDArray[Any] | None = None,
    votes: NDArray[np.uint32] | None = None,
) -> None:
    """`MeasureWriter.write` from another process, which needs only the writer's `location`.

    `votes` are (word, z, y, x).
    """
    names = [*maps, "segmentation", *([] if mask is None else ["mask"]), *([] if votes is None else ["votes"])]
    arrays = {name: open_array(Path(location) / name) for name in names}
    _write_block(arrays, slices, maps, segmentation, mask)
    if votes is not None:
        arrays["votes"].write((..., *slices), votes)


def write_zeros(location: PathLike, slices: Slices, measures: Sequence[str], voxels: NDArray[np.bool_]) -> None:
    """Set measures to 0 in some voxels (z, y, x) of a block that was written, in a store that is not sealed yet."""
    for name in measures:
        array = open_array(Path(location) / name)
        values = array[slices]
        values[voxels] = 0
        array.write(slices, values)


@dataclass(frozen=True)
class MeasureStore:
    """A sealed measure store, open for reading.

    Attributes
    ----------
    arrays
        By name: measures (z, y, x) float32; `segmentation` ([region,] z, y, x).
    mask
        (z, y, x), 0 or 1, or None.
    attributes
        What the writer was given, at its start and when it sealed.
    """

    path: Path
    layout: Layout
    arrays: dict[str, CheckedArray]
    mask: CheckedArray | None
    attributes: dict[str, Any]

    def array(self, name: str) -> CheckedArray:
        """Return a measure, or `segmentation`; reading a damaged chunk of it is a `StoreError`."""
        return self.arrays[name]


def open_measures(path: PathLike) -> MeasureStore | Rejection:
    """Open a measure store, or give the rejection that it holds.

    Raises
    ------
    StoreError
        The store is absent, not sealed, or misses a shard.
    """
    group = open_sealed(path)
    attributes = group.attributes
    rejection = read_rejection(attributes)
    if rejection is not None:
        return rejection
    arrays = {name: CheckedArray(path, name) for name in attributes["sealed"]["bytes"]}
    layout = arrays["segmentation"].layout
    return MeasureStore(Path(path), layout, arrays, arrays.pop("mask", None), attributes)


def require_same(store: MeasureStore, summary: Mapping[str, Any]) -> None:
    """Refuse a measure store that was not made with a summary.

    Raises
    ------
    StoreError
        It is of other sources, settings or versions; what is drawn from both would be of two samples.
    """
    for key in ("schema_version", "recipe"):
        if store.attributes.get(key) != summary[key]:
            message = f"it was not made with the summary of {summary['sample']}, but by another version or recipe"
            raise StoreError(store.path, message)


def _write_block(
    arrays: Mapping[str, ShardedArray],
    slices: Slices,
    maps: Mapping[str, NDArray[Any]],
    segmentation: NDArray[Any],
    mask: NDArray[Any] | None,
) -> None:
    for name, values in maps.items():
        arrays[name].write(slices, values)
    arrays["segmentation"].write((..., *slices), segmentation)
    if mask is not None:
        arrays["mask"].write(slices, mask.astype(np.uint8, copy=False))
