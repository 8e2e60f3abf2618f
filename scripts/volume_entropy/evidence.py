"""A closer look at a sample that cannot be used as it is: what the values of a member are, and what they sum to.

All values of the member are read once more, since one symptom alone fits several faults.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from os.path import basename
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .samples import probability_files, sample_of
from .stores.probabilities import ProbabilityStore

# A finite value beyond these is on another scale, or no probability at all: rounding and resampling stay within.
LOWEST, HIGHEST = -0.5, 1.5
# How near two sums are, as a share of either, that are taken for the same.
NEAR = 0.02
# Voxels that are looked at together, in float64.
_PIECE = 2**16
# Where one axis may be another: planes that are looked at, and the share of sums that have to be 1.
_PLANES, _MOST = 3, 0.95


@dataclass
class ClassValues:
    """Of one class: voxels that are not finite, and not 0."""

    n_not_finite: int = 0
    n_not_zero: int = 0


@dataclass
class Evidence:
    """What one member holds, as it is stored: divided by the config's `scale`.

    Attributes
    ----------
    top
        The highest sum over the classes.
    classes
        By stored class.
    n_voxels, n_empty, n_not_finite
        Of the volume; with 0 in every class; with a value that is not finite.
    n_beyond, fill
        Voxels with a value below `LOWEST` or above `HIGHEST`; and the one value that all of these have in every class,
        None if there is no such.
    whole
        Whether every finite value, times `scale`, is a whole number.
    slacks, n_near
        By total: how far a sum may be from it; and filled voxels whose sum over the classes, with what is below 0, is
        not further.
    n_logarithms
        Filled voxels in which exp of the values sums to 1.
    """

    scale: float
    top: float
    classes: list[ClassValues]
    slacks: Mapping[float, float]
    n_near: dict[float, int]
    n_voxels: int = 0
    n_empty: int = 0
    n_not_finite: int = 0
    n_beyond: int = 0
    fill: float | None = None
    whole: bool = True
    n_logarithms: int = 0

    @property
    def n_filled(self) -> int:
        """Voxels that are finite in every class, and not 0 in all."""
        return self.n_voxels - self.n_empty - self.n_not_finite

    def share_near(self, total: float) -> float:
        """The share of filled voxels whose sum is near one of the totals that were asked for."""
        return self.n_near[total] / self.n_filled if self.n_filled else 0.0

    def add(self, p: NDArray[Any]) -> None:
        """Add a block (stored class, z, y, x)."""
        flat = p.reshape(len(p), -1)
        for start in range(0, flat.shape[1], _PIECE):
            self._add(np.asarray(flat[:, start : start + _PIECE], np.float32))

    def _add(self, flat: NDArray[np.float32]) -> None:
        finite = np.isfinite(flat)
        for values, good, known in zip(flat, finite, self.classes, strict=True):
            known.n_not_finite += int(np.count_nonzero(~good))
            known.n_not_zero += int(np.count_nonzero(values))
        all_finite, empty = finite.all(axis=0), (flat == 0).all(axis=0)
        self.n_voxels += flat.shape[1]
        self.n_empty += int(np.count_nonzero(empty))
        self.n_not_finite += int(np.count_nonzero(~all_finite))
        with np.errstate(invalid="ignore", over="ignore"):
            in_file = flat.astype(np.float64) * self.scale
            # A float32 of a whole number that was divided is not quite one.
            self.whole &= bool((np.abs(in_file - np.rint(in_file)) <= 1e-6 * np.abs(in_file) + 1e-9)[finite].all())
            self._add_sums(flat[:, all_finite & ~empty].astype(np.float64))
            self._add_beyond(flat, ((flat < LOWEST) | (flat > HIGHEST)) & finite)

    def _add_sums(self, filled: NDArray[np.float64]) -> None:
        sums = filled.sum(axis=0)
        for total, slack in self.slacks.items():
            self.n_near[total] += int(np.count_nonzero(np.abs(sums - total) <= slack))
        self.n_logarithms += int(np.count_nonzero(np.abs(np.exp(filled).sum(axis=0) - 1) <= NEAR))

    def _add_beyond(self, flat: NDArray[np.float32], beyond: NDArray[np.bool_]) -> None:
        odd = flat[:, beyond.any(axis=0)]
        if odd.shape[1]:
            first = float(odd[0, 0]) if self.n_beyond == 0 else self.fill
            self.fill = first if first is not None and (odd == np.float32(first)).all() else None
            self.n_beyond += odd.shape[1]


def evidence_of(
    store: ProbabilityStore, member: int, *, top: float, slacks: Mapping[float, float], scale: float
) -> Evidence:
    """Look at a member of a store that holds it; see `Evidence`."""
    n_stored = len(store.classes) - store.complement
    evidence = Evidence(scale, top, [ClassValues() for _ in range(n_stored)], slacks, dict.fromkeys(slacks, 0))
    for box in store.layout.blocks():
        evidence.add(store.read(member, box))
    return evidence


def axis_of_ones(store: ProbabilityStore) -> str | None:
    """Name the axis along which the values sum to 1, where that is another than the classes; None if none is."""
    depth, height, width = store.layout.shape
    n_members = len(store.members)
    candidates = {"z": depth, "y": height, "x": width, "member": n_members}
    for axis, length in candidates.items():
        if length < 2:
            continue
        n_ones = n_sums = 0
        # Planes that hold the whole axis.
        across, size = ("y", height) if axis == "z" else ("z", depth)
        for place in sorted({(2 * k + 1) * size // (2 * _PLANES) for k in range(_PLANES)}):
            part = slice(place, place + 1)
            box = (
                (slice(0, depth), part, slice(0, width)) if across == "y" else (part, slice(0, height), slice(0, width))
            )
            read = np.stack([store.read(member, box) for member in range(n_members if axis == "member" else 1)])
            sums = read.astype(np.float64).sum(axis={"member": 0, "z": 2, "y": 3, "x": 4}[axis])
            n_sums += int(np.count_nonzero(sums))
            n_ones += int(np.count_nonzero(np.abs(sums - 1) <= NEAR))
        if n_sums and n_ones >= _MOST * n_sums:
            return f"the members, of which there are {length}" if axis == "member" else f"{axis}, {length} long"
    return None


def name_of(store: ProbabilityStore, recipe: Mapping[str, Any], member: int, class_index: int | None = None) -> str:
    """Name a member, or a stored class of it, by what it is and by its file."""
    settings = recipe["settings"]
    files = probability_files(sample_of(recipe), settings) if "paths" in recipe else []
    names = []
    if len(store.members) > 1:
        names.append(f"member {store.members[member]}")
    if class_index is not None:
        names.append(f"class {store.classes[class_index + store.complement]}")
    # One file may hold all members, and then all classes.
    paths = files[member if len(files) == len(store.members) else 0][1] if files else []
    if class_index is not None and len(paths) > 1:
        paths = paths[class_index : class_index + 1]
    where = basename(paths[0]) + (f" and {len(paths) - 1} more" if len(paths) > 1 else "") if paths else ""
    what = " of ".join(reversed(names))
    return f"{what} ({where})" if what and where else what or where
