"""What a QC figure shows: the slices of image, segmentation and measures, read slab by slab and never as a whole."""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..declared_axes import spatial_order
from ..errors import DataError
from ..readers import Geometry, Reader, check_same_place, open_reader
from ..stores.measures import MeasureStore
from .cuts import FINEST, Code, Cuts, Steps, cut, steps_of
from .sheets import MOSAIC_PIXELS, SHEET_PIXELS
from .slices import Orientation, Plane, SliceCounts, choose_slices, orientation_of, peak_slice, plane_of
from .tiles import INVALID, OUTSIDE, TOP, heat_codes, values_of

logger = logging.getLogger("volume_entropy")

Slabs = Iterable[tuple[int, NDArray[Any]]]
Stacks = dict[str, NDArray[Any]]
# A segmentation of a 1 mm brain is 8.7 MB; up to here it is kept between its two uses instead of read twice.
KEPT_BYTES = 32 * 2**20
IMAGE_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Views:
    """Everything that is drawn, by plane, the right way up, in the order of the sheet.

    Attributes
    ----------
    shape, affine, orientation
        (z, y, x) of the volume, 4 × 4 from voxel (x, y, z) to mm, and how the axes lie.
    planes
        In the order of the config.
    chosen
        By plane the slice indices.
    peaks
        By plane the index of the slice with the highest mean predictive entropy; None without a domain.
    disagreement_peaks
        The same of mutual information; None where it is not shown.
    heat
        By measure and plane the codes of `figures.tiles.heat_codes`.
    labels
        By plane 0 where there is no colour, k + 1 in the k-th coloured class. Under kind `regions` one such dict a
        region, with 1 inside.
    image
        By plane the grey values; None without a usable image.
    image_fault
        Why there is no image although one was named.
    by_region
        Whether `labels` are regions, which may overlap.
    placed
        Whether the source says how its axes lie in the body; if not, right and left are anyone's guess.
    thin
        Planes asked for that would show lines: the volume has one voxel along their rows or columns.
    skips
        Whether all slices were asked for, but of some plane there are too many.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    orientation: Orientation
    planes: list[Plane]
    chosen: dict[str, list[int]]
    peaks: dict[str, int | None]
    disagreement_peaks: dict[str, int | None]
    heat: dict[str, Stacks]
    labels: list[Stacks]
    image: Stacks | None
    image_fault: str | None
    by_region: bool
    placed: bool
    thin: list[str]
    skips: bool


@dataclass(frozen=True)
class _Selection:
    """The slices to read of a volume of `shape` (z, y, x), `steps` voxels as one."""

    shape: tuple[int, int, int]
    planes: list[Plane]
    chosen: dict[str, list[int]]
    steps: Steps

    def wants(self, start: int, stop: int) -> bool:
        """Whether any slice lies in, or crosses, the slab from z = `start` to `stop`."""
        return any(
            plane.axis != 2 or any(start <= index < stop for index in self.chosen[plane.name]) for plane in self.planes
        )

    def cut(self, slabs: Slabs, *, mean: bool = False) -> Stacks:
        return cut(slabs, self.shape, self.planes, self.chosen, self.steps, mean=mean)

    def cuts(self, coded: Code, *, mean: bool = False) -> Cuts:
        return Cuts(self.shape, self.planes, self.chosen, self.steps, mean=mean, coded=coded)


class _Segmentation:
    """The segmentation's slabs, as often as they are asked for."""

    def __init__(self, store: MeasureStore) -> None:
        self._store = store
        self._array = store.array("segmentation")
        self.void = int(np.iinfo(self._array.dtype).max)
        self.by_region = store.attributes["kind"] == "regions"
        self.background = background_of(store.attributes)
        small = int(np.prod(self._array.shape)) * self._array.dtype.itemsize <= KEPT_BYTES
        self._kept = list(_slabs(store, "segmentation")) if small else None

    def slabs(self, selection: _Selection | None = None) -> Slabs:
        return self._kept if self._kept is not None else _slabs(self._store, "segmentation", selection)

    def survey(self, *, with_entropy: bool) -> tuple[SliceCounts, SliceCounts, SliceCounts]:
        """Of every slice: object voxels, domain voxels, and if asked for the domain's predictive entropy."""
        shape = self._store.layout.shape
        objects, domain, entropy = SliceCounts(shape), SliceCounts(shape), SliceCounts(shape)
        for start, slab in self.slabs():
            z = slice(start, start + slab.shape[-3])
            counted = (slab[0] if self.by_region else slab) != self.void
            if self._store.mask is not None:
                counted &= self._store.mask[z] != 0
            inside = (slab == 1).any(axis=0) if self.by_region else slab != self.void
            if self.background is not None:
                inside &= slab != self.background
            domain.add(start, counted)
            objects.add(start, inside & counted)
            if with_entropy:
                entropy.add(start, np.where(counted, self._store.array("predictive_entropy")[z], 0))
        return objects, domain, entropy

    def labels(self, selection: _Selection) -> tuple[list[Stacks], Stacks | None]:
        """`Views.labels`, and by plane what is empty or invalid (no such thing under kind `regions`)."""
        if self.by_region:
            regions = range(self._array.shape[0])
            return [selection.cut((z, slab[r]) for z, slab in self.slabs(selection)) for r in regions], None
        codes = selection.cut(self.slabs(selection))
        # No more colours than codes: the highest code is void.
        table = np.zeros(self.void + 1, self._array.dtype)
        coloured = [c for c in range(len(self._store.attributes["classes"])) if c != self.background]
        table[coloured] = np.arange(1, len(coloured) + 1)
        labels = {name: table[stack] for name, stack in codes.items()}
        return [labels], {name: stack == self.void for name, stack in codes.items()}


def background_of(attributes: Mapping[str, Any]) -> int | None:
    """Index of the background class; None under kind `regions`, or if all classes count."""
    name = attributes["recipe"]["settings"].get("background_class")
    if attributes["kind"] == "regions" or name not in attributes["classes"]:
        return None
    return int(attributes["classes"].index(name))


def coloured_classes(attributes: Mapping[str, Any]) -> list[str]:
    """List the classes or regions that get a colour, in the order of `Views.labels`: all but the background."""
    background = background_of(attributes)
    return [name for index, name in enumerate(attributes["classes"]) if index != background]


def gather(
    store: MeasureStore,
    summary: Mapping[str, Any],
    image: str | os.PathLike[str] | None,
    *,
    axes: Sequence[str],
    n_slices: int | Literal["all"],
    tops: Mapping[str, float],
) -> Views:
    """Choose slices and read them.

    Parameters
    ----------
    store
        Measures, segmentation and mask.
    summary
        Of the sample; without its peak slices they are found in the store.
    image
        A volume on the same grid; one that is not, or cannot be read, is a note on the figure.
    axes, n_slices
        `axes` and `slices` of the config's `figures`.
    tops
        By measure to show, the end of its colour scale.
    """
    shape, geometry = store.layout.shape, Geometry.from_header(store.attributes["geometry"])
    affine = geometry.affine_mm
    orientation = orientation_of(affine)
    asked = [plane_of(name, orientation, shape) for name in axes]
    # A volume of one voxel is shown all the same.
    planes = [plane for plane in asked if min(plane.shape) > 1] or asked
    thin = [plane.name for plane in asked if plane not in planes]
    segmentation = _Segmentation(store)
    peaks, seconds = (
        {
            plane.name: summary.get(f"{name}_peak_slice_{'xyz'[plane.axis]}") if name in tops else None
            for plane in planes
        }
        for name in ("predictive_entropy", "mutual_information")
    )
    objects, domain, entropy = segmentation.survey(with_entropy=None in peaks.values())
    chosen: dict[str, list[int]] = {}
    for plane in planes:
        if peaks[plane.name] is None:
            peaks[plane.name] = peak_slice(entropy.along(plane.axis), domain.along(plane.axis))
        where = objects if objects.along(plane.axis).any() else domain
        indices = choose_slices(where.along(plane.axis), n_slices, (peaks[plane.name], seconds[plane.name]))
        chosen[plane.name] = indices[::-1] if plane.descending else indices
    longest = max(edge for plane in planes for edge in plane.size)
    pixel_mm = longest / (MOSAIC_PIXELS if n_slices == "all" else SHEET_PIXELS)
    steps = steps_of(shape, orientation.voxel_mm, pixel_mm)
    selection = _Selection(shape, planes, chosen, steps)
    labels, void = segmentation.labels(selection)
    heat = {name: _heat(store, name, top, selection, void) for name, top in tops.items()}
    image_axes = spatial_order(store.attributes["recipe"]["settings"]["axes"])
    shown, fault = _image(image, image_axes, selection, geometry)
    placed = geometry.placed and bool(geometry.qform_code or geometry.sform_code)
    return Views(
        shape,
        affine,
        orientation,
        planes,
        chosen,
        peaks,
        seconds,
        heat,
        labels,
        shown,
        fault,
        segmentation.by_region,
        placed,
        thin,
        n_slices == "all" and any(len(chosen[plane.name]) < shape[2 - plane.axis] for plane in planes),
    )


def _slabs(store: MeasureStore, name: str, selection: _Selection | None = None) -> Iterator[tuple[int, NDArray[Any]]]:
    """Slabs as thick as the store's shards, so that each is read once; those without a chosen slice are skipped."""
    array, depth = store.array(name), store.layout.block[0]
    for start in range(0, store.layout.shape[0], depth):
        if selection is None or selection.wants(start, start + depth):
            yield start, array[..., start : start + depth, :, :]


def _heat(store: MeasureStore, name: str, top: float, selection: _Selection, void: Stacks | None) -> Stacks:
    # Coded where they are cut, so that slices are held in bytes rather than floats. At a coarser level values are
    # averaged; the states are no numbers.
    states, means = selection.cuts(lambda values: heat_codes(values, top)), None
    if selection.steps != FINEST:
        means = selection.cuts(lambda values: values_of(heat_codes(values, top)), mean=True)
    for start, slab in _slabs(store, name, selection):
        states.add(start, slab)
        if means is not None:
            means.add(start, slab)
    codes = states.stacks()
    for plane, mean in (means.stacks() if means is not None else {}).items():
        np.copyto(codes[plane], np.rint(mean), where=codes[plane] <= TOP, casting="unsafe")
    for plane, where in (void or {}).items():
        codes[plane][where & (codes[plane] != INVALID)] = OUTSIDE
    return codes


def _image(
    path: str | os.PathLike[str] | None, axes: str | None, selection: _Selection, geometry: Geometry
) -> tuple[Stacks | None, str | None]:
    """Read the image's slices, or say why there are none; `axes` is the order of those of a plain array."""
    name = os.fspath(path or "")
    if not name:
        return None, None
    try:
        reader = _single_volume(name, axes)
        check_same_place(name, reader.geometry, "the segmentation", geometry)
        depth = max(1, IMAGE_BYTES // (4 * geometry.shape[0] * geometry.shape[1]))
        slabs = ((slab.z, slab.data) for slab in reader.slabs(min(depth, geometry.shape[2]), scaled_only=True))
        return selection.cut(slabs, mean=True), None
    except (DataError, OSError) as error:
        logger.warning("the figure has no image: %s", error)
        return None, str(error).replace(name, os.path.basename(name))


def _single_volume(path: str, axes: str | None) -> Reader:
    """Open an image; a `DataError` says that it cannot be read, or is a series of volumes."""
    try:
        reader = open_reader(path, n_classes=1, axes=axes)
    except DataError as error:
        if error.code != "class_mismatch":
            raise
        reader = open_reader(path, n_classes=None, axes=axes)
    if (volumes := reader.n_classes * reader.n_members) != 1:
        raise DataError(
            "axes_unclear", f"{path} holds {volumes} volumes, expected one", "Give one volume as the image."
        )
    return reader
