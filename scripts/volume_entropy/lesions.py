"""Connected components of chosen classes, one by one: size, place, mean uncertainty, agreement of the members.

A whole class is in memory at once, about 10 bytes a voxel of the volume: components have no bounds known beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kernels.buffers import label_bits
from .measures import MAIN
from .reductions import label_sums
from .stores.measures import MeasureStore
from .summary import mean_of

Row = dict[str, Any]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Components:
    """Components of one mask: `label` (n,), 1 … count, of the voxels at `place` (n,), flat and ascending."""

    place: NDArray[np.int64]
    label: NDArray[np.int64]
    sizes: NDArray[np.int64]


def measure_lesions(
    store: MeasureStore, *, wanted: Sequence[str], connectivity: int, n_members: int, affine: Sequence[Sequence[float]]
) -> list[Row]:
    """Measure every component of the wanted classes in the segmentation.

    Parameters
    ----------
    store
        Sealed; with several members it has `votes`, see `kernels.member_pass`.
    wanted
        Names of classes or regions.
    connectivity
        6, 18 or 26 neighbours.
    n_members
        Of the sample.
    affine
        (4, 4), voxel (x, y, z) → mm.

    Returns
    -------
    A row a component, by class, then by its first voxel in z, y, x order; without the sample.
    """
    classes = store.attributes["classes"]
    rows = []
    for name in wanted:
        index = classes.index(name)
        found = _components(_mask_of(store, index), connectivity)
        means = {f"{measure}_mean": _means(store, measure, found) for measure in MAIN if measure in store.arrays}
        centres = _centres(store.layout.shape, found, affine)
        doubts = _disagreement(store, index, found, connectivity, n_members) if n_members > 1 else None
        for lesion, size in enumerate(found.sizes.tolist()):
            volume = float(size * Fraction(store.attributes["voxel_volume_mm3"]))
            row: Row = {"class": name, "lesion": lesion + 1, "n_voxels": size, "volume_mm3": volume}
            row |= dict(zip(("centre_x_mm", "centre_y_mm", "centre_z_mm"), centres[lesion], strict=True))
            row |= {measure: values[lesion] for measure, values in means.items()}
            if doubts is not None:
                row["structural_uncertainty"] = doubts[lesion]
            rows.append(row)
    return rows


def _components(mask: Flags, connectivity: int) -> _Components:
    import cc3d

    labels = cc3d.connected_components(mask, connectivity=connectivity)
    place = np.flatnonzero(mask)
    label = labels.reshape(-1)[place].astype(np.int64)
    # By the first voxel, whatever order the library numbers them in.
    found, first, label = np.unique(label, return_index=True, return_inverse=True)
    rank = np.empty(found.size, np.int64)
    rank[np.argsort(first)] = np.arange(1, found.size + 1)
    label = rank[label] if found.size else label.astype(np.int64)
    return _Components(place, label, np.bincount(label, minlength=found.size + 1)[1:])


def _slabs(store: MeasureStore) -> list[slice]:
    depth, edge = store.layout.shape[0], store.layout.block[0]
    return [slice(z, min(z + edge, depth)) for z in range(0, depth, edge)]


def _mask_of(store: MeasureStore, index: int) -> Flags:
    """(z, y, x) domain voxels that are predicted as a class or region."""
    regions, segmentation = store.attributes["kind"] == "regions", store.array("segmentation")
    out = np.empty(store.layout.shape, np.bool_)
    for z in _slabs(store):
        np.equal(segmentation[index, z] if regions else segmentation[z], 1 if regions else index, out=out[z])
        if store.mask is not None:
            out[z] &= store.mask[z] != 0
    return out


def _said_by(store: MeasureStore, member: int, index: int) -> Flags:
    """(z, y, x) domain voxels that a member labels as a class or region."""
    classes, votes, segmentation = store.attributes["classes"], store.array("votes"), store.array("segmentation")
    regions = store.attributes["kind"] == "regions"
    bits = label_bits(len(classes), store.attributes["kind"])
    slots = 32 // bits
    word = index * (votes.shape[0] // len(classes)) + member // slots if regions else member // slots
    shift, mask, wanted = np.uint32(bits * (member % slots)), np.uint32((1 << bits) - 1), 1 if regions else index
    out = np.empty(store.layout.shape, np.bool_)
    for z in _slabs(store):
        predicted = segmentation[0, z] if regions else segmentation[z]
        out[z] = ((votes[word, z] >> shift) & mask) == wanted
        out[z] &= predicted != np.iinfo(predicted.dtype).max
        if store.mask is not None:
            out[z] &= store.mask[z] != 0
    return out


def _means(store: MeasureStore, measure: str, found: _Components) -> list[float | None]:
    """Mean of a measure in each component, of exact sums."""
    values, plane = np.empty(found.place.size, np.float32), int(np.prod(store.layout.shape[1:]))
    for z in _slabs(store):
        start, stop = np.searchsorted(found.place, (z.start * plane, z.stop * plane))
        if stop > start:
            values[start:stop] = store.array(measure)[z].reshape(-1)[found.place[start:stop] - z.start * plane]
    counts, totals = label_sums(
        values.reshape(1, 1, -1), (found.label - 1).astype(np.uint32).reshape(1, 1, -1), found.sizes.size
    )
    return [mean_of(total, count) for count, total in zip(counts, totals, strict=True)]


def _centres(
    shape: tuple[int, int, int], found: _Components, affine: Sequence[Sequence[float]]
) -> list[tuple[float, float, float]]:
    """Mean place of each component in mm; sums of indices are exact in float64."""
    sums = [
        np.bincount(found.label, weights=index, minlength=found.sizes.size + 1)[1:]
        for index in np.unravel_index(found.place, shape)[::-1]
    ]
    centres = []
    for *total, n in zip(*sums, found.sizes.tolist(), strict=True):
        mean = [value / n for value in total]
        x, y, z = (sum(a * v for a, v in zip(row, [*mean, 1.0], strict=True)) for row in affine[:3])
        centres.append((float(x), float(y), float(z)))
    return centres


def _disagreement(
    store: MeasureStore, index: int, found: _Components, connectivity: int, n_members: int
) -> list[float]:
    """1 less the mean over members of each component's best intersection over union with one of the member's."""
    totals = [Fraction(0)] * found.sizes.size
    for member in range(n_members):
        for lesion, best in enumerate(_best_overlaps(found, _components(_said_by(store, member, index), connectivity))):
            totals[lesion] += best
    return [float(1 - total / n_members) for total in totals]


def _best_overlaps(found: _Components, other: _Components) -> list[Fraction]:
    """The highest intersection over union of each component with one of the others; 0 where none touches it."""
    _, here, there = np.intersect1d(found.place, other.place, assume_unique=True, return_indices=True)
    pairs, counts = np.unique(found.label[here] * (other.sizes.size + 1) + other.label[there], return_counts=True)
    best = [Fraction(0)] * found.sizes.size
    for pair, common in zip(pairs.tolist(), counts.tolist(), strict=True):
        lesion, partner = divmod(pair, other.sizes.size + 1)
        union = int(found.sizes[lesion - 1] + other.sizes[partner - 1]) - common
        best[lesion - 1] = max(best[lesion - 1], Fraction(common, union))
    return best
