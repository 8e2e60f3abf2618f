"""The Zarr stores of a sample; here its probabilities, and one door to both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import Rejection, SampleWarning
from .layout import Layout, Slices, choose_layout
from .measures import MeasureStore, MeasureWriter, open_measures, write_measure_block
from .sealed import CheckedArray, PathLike, SealedWriter, StoreError, open_sealed, read_rejection, write_rejection

if TYPE_CHECKING:
    from .in_place import InPlaceArray

__all__ = [
    "CheckedArray",
    "Layout",
    "MeasureStore",
    "MeasureWriter",
    "ProbabilityStore",
    "ProbabilityWriter",
    "Slices",
    "StoreError",
    "choose_layout",
    "open_measures",
    "open_probabilities",
    "write_measure_block",
    "write_rejection",
]


class ProbabilityWriter(SealedWriter):
    """Writes a probability store from pieces in any order.

    Parameters
    ----------
    path
        Where the store will be; what was there is replaced.
    layout
        Blocks and chunks.
    n_members, n_stored_classes
        Without a complemented background, which is never stored.
    dtype
        float32 or float16.
    attributes
        `classes`, `members`, `kind`, `complement`, `affine`, `geometry`, `voxel_volume_mm3`, `source`, `recipe`,
        `quantum`, `counts`; with a reference also `reference_classes` and `reference_unlisted`; and `warnings`, where
        there are any: a list of pairs of code and message.
    with_mask
        Whether there is an array `mask`, to be written by `write_mask`.
    reference_dtype
        uint8 or uint16 of an array `reference`, to be written by `write_reference`; None: there is none.
    with_atlas
        Whether there is an array `atlas`, to be written by `write_atlas`.
    in_place
        Where the probabilities are read instead of an array that is written here; see `stores.in_place.open_in_place`.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        layout: Layout,
        n_members: int,
        n_stored_classes: int,
        dtype: str,
        attributes: Mapping[str, Any],
        with_mask: bool = False,
        reference_dtype: str | None = None,
        with_atlas: bool = False,
        in_place: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(path, layout, attributes if in_place is None else {**attributes, "in_place": in_place})
        self._in_place = in_place is not None
        self._leading = {"member": n_members, "class": n_stored_classes}
        self._dtype = dtype
        wanted = {"mask": "uint8" if with_mask else None, "reference": reference_dtype}
        wanted["atlas"] = "int32" if with_atlas else None
        self._single = {name: kind for name, kind in wanted.items() if kind is not None}

    def _create_arrays(self) -> None:
        if not self._in_place:
            self._create("probabilities", self._dtype, self._leading)
        for name, kind in self._single.items():
            self._create(name, kind)

    def write(self, member: int, class_index: int, z: int, data: NDArray[Any], y: int = 0, x: int = 0) -> None:
        """Write the piece of one class that starts at voxel (z, y, x); it must consist of whole blocks.

        Parameters
        ----------
        data
            (depth, height, width), scaled, not normalised. float16 turns what is beyond its range into infinity,
            which counts as invalid later.
        """
        box = self._whole_blocks(_box(data, z, y, x))
        with np.errstate(over="ignore"):
            stored = data.astype(self._dtype, copy=False)
        self._arrays["probabilities"].write((member, class_index, *box), stored)

    def write_mask(self, z: int, data: NDArray[Any], y: int = 0, x: int = 0) -> None:
        """Write the piece of the mask that starts at voxel (z, y, x): 1 inside, 0 outside."""
        self._write_single("mask", z, data, y, x)

    def write_reference(self, z: int, data: NDArray[Any], y: int = 0, x: int = 0) -> None:
        """Write the piece of the reference that starts at voxel (z, y, x): codes, see `labels.ReferenceCodes`."""
        self._write_single("reference", z, data, y, x)

    def write_atlas(self, z: int, data: NDArray[Any], y: int = 0, x: int = 0) -> None:
        """Write the piece of the atlas that starts at voxel (z, y, x): its labels."""
        self._write_single("atlas", z, data, y, x)

    def _write_single(self, name: str, z: int, data: NDArray[Any], y: int, x: int) -> None:
        if name not in self._single:
            raise ValueError(f"the writer was made without a {name}")
        self._arrays[name].write(self._whole_blocks(_box(data, z, y, x)), data.astype(self._single[name], copy=False))


@dataclass(frozen=True)
class ProbabilityStore:
    """A sealed probability store, open for reading.

    Attributes
    ----------
    array
        (member, stored class, z, y, x), scaled as the file says, not normalised; read from the sources where the store
        only refers to them.
    mask
        (z, y, x), 0 or 1, or None.
    reference
        (z, y, x) codes, or None; see `labels.ReferenceCodes`.
    reference_classes
        By code, the classes or regions that a voxel of the reference belongs to.
    reference_unlisted
        The labels of no class to which the codes that follow belong.
    atlas
        (z, y, x) labels, or None.
    classes
        Names; a complemented background is the first and has no plane in `array`.
    quantum
        Slope of an integer storage, 0 for floats: what a stored value can be off by, twice.
    warnings
        What the conversion found.
    """

    path: Path
    array: "CheckedArray | InPlaceArray"
    mask: CheckedArray | None
    layout: Layout
    classes: list[str]
    members: list[str]
    kind: str
    complement: bool
    affine: NDArray[np.float64]
    geometry: dict[str, Any]
    voxel_volume_mm3: float
    source: list[Any]
    recipe: dict[str, Any]
    quantum: float
    counts: dict[str, int]
    reference: CheckedArray | None = None
    reference_classes: list[list[int]] | None = None
    reference_unlisted: tuple[int, ...] = ()
    atlas: CheckedArray | None = None
    warnings: tuple[SampleWarning, ...] = ()

    def read(self, member: int, slices: Slices) -> NDArray[Any]:
        """Read (stored class, z, y, x) of one member.

        Raises
        ------
        StoreError
            A chunk of the store is damaged, or a source that it refers to has changed.
        DataError
            A source that it refers to is damaged.
        """
        return self.array[(member, slice(None), *slices)]

    def require_unchanged(self) -> None:
        """Raise `StoreError` if sources that the store refers to are not what they were when it was made."""
        if not isinstance(self.array, CheckedArray):
            self.array.require_unchanged()

    def read_mask(self, slices: Slices) -> NDArray[np.bool_] | None:
        """Read (z, y, x) of the mask, or None where the sample has none."""
        return None if self.mask is None else self.mask[slices] != 0

    def read_reference(self, slices: Slices) -> NDArray[Any] | None:
        """Read (z, y, x) codes of the reference, or None where the sample has none."""
        return None if self.reference is None else self.reference[slices]

    def read_atlas(self, slices: Slices) -> NDArray[Any] | None:
        """Read (z, y, x) labels of the atlas, or None where the sample has none."""
        return None if self.atlas is None else self.atlas[slices]


def open_probabilities(path: PathLike) -> ProbabilityStore | Rejection:
    """Open a probability store, or give the rejection that it holds.

    Raises
    ------
    StoreError
        The store is absent, not sealed, or misses a shard; or a source that it refers to has changed.
    """
    group = open_sealed(path)
    attributes = group.attributes
    rejection = read_rejection(attributes)
    if rejection is not None:
        return rejection
    array: CheckedArray | InPlaceArray
    if "in_place" in attributes:
        from .in_place import open_in_place

        array = open_in_place(path, attributes["in_place"], attributes["recipe"]["settings"])
    else:
        array = CheckedArray(path, "probabilities")
    mask, reference, atlas = (
        CheckedArray(path, name) if name in attributes["sealed"]["bytes"] else None
        for name in ("mask", "reference", "atlas")
    )
    given = ("classes", "members", "kind", "complement", "geometry", "voxel_volume_mm3", "source", "recipe")
    return ProbabilityStore(
        path=Path(path),
        array=array,
        mask=mask,
        reference=reference,
        atlas=atlas,
        reference_classes=attributes.get("reference_classes"),
        reference_unlisted=tuple(attributes.get("reference_unlisted", ())),
        layout=array.layout,
        affine=np.array(attributes["affine"], dtype=np.float64),
        quantum=attributes["quantum"],
        counts=attributes["counts"],
        warnings=tuple(SampleWarning(code, message) for code, message in attributes.get("warnings", ())),
        **{name: attributes[name] for name in given},
    )


def _box(data: NDArray[Any], z: int, y: int, x: int) -> Slices:
    depth, height, width = data.shape
    return slice(z, z + depth), slice(y, y + height), slice(x, x + width)
