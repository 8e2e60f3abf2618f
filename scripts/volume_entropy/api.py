"""Uncertainty of probabilities in memory: arrays in, arrays out."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple
from numpy.typing import ArrayLike, NDArray

from .kernels.buffers import (
    is_near_one,
    make_members,
    make_output,
    make_scratch,
    make_settings,
    make_split,
    rows_and_halves,
)
from .kernels.entropy import STRIP, TILE
from .kernels.member_pass import member_kernels
from .kernels.members import Split
from .kernels.single import single_kernel
from .measures import MEASURES, Kind, Unit
from .voxelwise import BlockMeasures

Maps = dict[str, NDArray[np.float32]]
# Whether all voxels are invalid, and the lowest and highest finite value.
Found = tuple[bool, NDArray[np.float64]]

# What the kernels give when they go over all members of a tile at once; the others need the members of a whole block.
_FROM_ONE = {name for name, measure in MEASURES.items() if measure.softmax.origin == "entropy"}
_AT_ONCE = {name for name, measure in MEASURES.items() if measure.softmax.origin in ("entropy", "split")}
# Copies (of another type, or of axes in another order) are made in pieces of about this size.
_PIECE_BYTES = 2**24
# Voxels of a block, where one is needed: its accumulators stay in L2.
_BLOCK_VOXELS = 2**15


def entropy(
    p: ArrayLike,
    axis: int = 0,
    unit: Unit = "bit",
    kind: Kind = "softmax",
    *,
    sum_tolerance: float | None = 0.01,
    workers: int = 1,
) -> NDArray[np.float32]:
    """Predictive entropy, -Σ_c p log p, of every voxel (Shannon 1948).

    Parameters
    ----------
    p
        Probabilities of any shape; float32 and float16 are read as they are, other real types are cast to float32.
    axis
        The classes (or regions).
    unit
        `bit` (log base 2) or `nat` (natural logarithm).
    kind
        `softmax`: one class holds, the classes sum to 1 and the sum is divided out. `regions`: independent sigmoids;
        the sum over regions of -p log p - (1 - p) log(1 - p).
    sum_tolerance
        How far a sum may be from 1, and a value below 0 or above 1, before its voxel is invalid. None: any positive sum
        is divided out, so that scores of any scale may come in.
    workers
        Threads.

    Returns
    -------
    numpy.ndarray
        float32 of the shape of `p` without `axis`: 0 … log C (regions: 0 … R log 2), exactly 0 where one class holds
        all. 0 where all classes are 0 (outside the field of view), NaN where a voxel is invalid: NaN, infinite,
        negative or badly summed.

    Raises
    ------
    TypeError
        `p` is not real.
    ValueError
        `unit` or `kind` is unknown, there are no classes, or not one voxel holds probabilities.
    numpy.exceptions.AxisError
        `axis` is out of range.

    Examples
    --------
    A fair coin has one bit, a coin that falls on one side nine times out of ten has less.

    >>> from volume_entropy import entropy
    >>> float(entropy([0.5, 0.5]))
    1.0
    >>> round(float(entropy([0.9, 0.1])), 3)
    0.469

    Classes along any axis:

    >>> entropy([[0.5, 0.5], [1.0, 0.0]], axis=-1)
    array([1., 0.], dtype=float32)
    """
    array = _real(p)
    moved = np.moveaxis(array, normalize_axis_index(axis, array.ndim), 0)[None]
    return _measure_all(moved, unit, kind, ("predictive_entropy",), sum_tolerance, workers)["predictive_entropy"]


def uncertainty(
    p: ArrayLike,
    member_axis: int = 0,
    class_axis: int = 1,
    unit: Unit = "bit",
    kind: Kind = "softmax",
    measures: Sequence[str] = ("predictive_entropy", "expected_entropy", "mutual_information"),
    *,
    sum_tolerance: float | None = 0.01,
    workers: int = 1,
) -> Maps:
    """Voxel-wise uncertainty of several members: MC Dropout passes, models of an ensemble, posterior draws.

    Parameters
    ----------
    p
        Probabilities of any shape; see `entropy`, also for `unit`, `kind`, `sum_tolerance` and `workers`.
    member_axis, class_axis
        The members, and the classes (or regions).
    measures
        Names from `volume_entropy.measures.MEASURES`, which holds their definitions, ranges and sources, as
        docs/measures.md does for reading. Some are for `softmax` alone.

    Returns
    -------
    dict
        A float32 array a measure, of the shape of `p` without both axes. Invalid voxels are NaN, also those that are
        empty in some members and not in others. Predictive entropy is never below expected entropy; mutual information
        is their difference, exactly 0 where all members are equal.

    Raises
    ------
    TypeError, ValueError, numpy.exceptions.AxisError
        As `entropy`; a measure is unknown or not of this kind; there are no members; both axes are one.

    Examples
    --------
    Two members that are certain and disagree: all the uncertainty is between them.

    >>> from volume_entropy import uncertainty
    >>> maps = uncertainty([[1.0, 0.0], [0.0, 1.0]])
    >>> {name: float(value) for name, value in maps.items()}
    {'predictive_entropy': 1.0, 'expected_entropy': 0.0, 'mutual_information': 1.0}
    """
    array = _real(p)
    axes = normalize_axis_tuple((member_axis, class_axis), array.ndim)
    return _measure_all(np.moveaxis(array, axes, (0, 1)), unit, kind, tuple(measures), sum_tolerance, workers)


def _real(p: ArrayLike) -> NDArray[Any]:
    array = np.asarray(p)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"p holds {array.dtype}, not real numbers")
    return array


def _measure_all(
    p: NDArray[Any], unit: str, kind: str, measures: tuple[str, ...], sum_tolerance: float | None, workers: int
) -> Maps:
    """Maps of p (member, class, …), of the shape of the rest."""
    _check(p, unit, kind, measures, workers)
    n_voxels = math.prod(p.shape[2:])
    # One member does not disagree: what members give is known without adding it up.
    known = [name for name in measures if MEASURES[name].needs_members] if len(p) == 1 else []
    measured = tuple(dict.fromkeys(["predictive_entropy", *(name for name in measures if name not in known)]))
    job = _Job(p.shape[0], p.shape[1], n_voxels, unit, kind, measured, sum_tolerance)
    if n_voxels > 0:
        with ThreadPoolExecutor(workers) as pool:
            results = list(pool.map(lambda task: task(), job.tasks(p, workers)))
        if all(nothing for nothing, _ in results):
            low, high = min(x[0] for _, x in results), max(x[1] for _, x in results)
            hint = " Pass sum_tolerance=None to divide by the sums." if kind == "softmax" and low >= 0 else ""
            raise ValueError(f"no voxel holds probabilities; the finite values are {low:g} to {high:g}.{hint}")
    whole = job.maps["predictive_entropy"]
    # 0, but NaN where the voxel is invalid.
    maps = job.maps | {name: whole * 0 if MEASURES[name].of_one_member == "0" else whole.copy() for name in known}
    return {name: maps[name].reshape(p.shape[2:]) for name in measures}


def _check(p: NDArray[Any], unit: str, kind: str, measures: tuple[str, ...], workers: int) -> None:
    if unit not in ("bit", "nat"):
        raise ValueError(f"unit is {unit!r}, expected 'bit' or 'nat'")
    if kind not in ("softmax", "regions"):
        raise ValueError(f"kind is {kind!r}, expected 'softmax' or 'regions'")
    known = [name for name, measure in MEASURES.items() if kind in measure.kinds]
    unknown = [name for name in measures if name not in known]
    if unknown:
        raise ValueError(f"not a measure of kind {kind}: {', '.join(map(repr, unknown))}; known: {', '.join(known)}")
    if p.shape[0] < 1 or p.shape[1] < 1:
        raise ValueError(f"{p.shape[0]} members and {p.shape[1]} classes, expected at least one of each")
    if workers < 1:
        raise ValueError(f"workers is {workers}, expected 1 or more")


class _Job:
    """One call: what is asked, and the flat maps that its tasks fill."""

    def __init__(
        self,
        n_members: int,
        n_classes: int,
        n_voxels: int,
        unit: str,
        kind: str,
        measures: tuple[str, ...],
        sum_tolerance: float | None,
    ) -> None:
        self.new_block = partial(
            BlockMeasures,
            n_members=n_members,
            n_classes=n_classes,
            kind=kind,
            complement=False,
            sum_tolerance=sum_tolerance,
            quantum=0.0,
            unit=unit,
            measures=measures,
        )
        self.settings = make_settings(
            n_classes=n_classes, kind=kind, complement=False, sum_tolerance=sum_tolerance, quantum=0.0, unit=unit
        )
        asked = set(measures)
        # Not one of them is left as it is here: each task fills its part of all that is asked.
        self.maps = {name: np.empty(n_voxels, np.float32) for name in asked}
        # Blocks are for what the two kernels that go over whole arrays do not give.
        softmax = kind == "softmax"
        self.single = softmax and n_members == 1 and asked == _FROM_ONE and is_near_one(self.settings, False)
        self.at_once = softmax and asked <= _AT_ONCE
        self.split: Split | None = None
        if self.at_once and asked != _FROM_ONE:
            self.split = make_split(n_voxels, variance="variance" in asked)
            self.maps |= self.split._asdict()

    def tasks(self, p: NDArray[Any], workers: int) -> Iterator[Callable[[], Found]]:
        """Tasks that each measure a part of p (member, class, …)."""
        n_voxels = math.prod(p.shape[2:])
        if p.dtype in (np.float32, np.float16) and p.dtype.isnative and p.flags.c_contiguous:
            flat = p.reshape(*p.shape[:2], n_voxels)
            step = -(-n_voxels // (4 * workers * STRIP)) * STRIP
            for start in range(0, n_voxels, step):
                yield partial(self.measure, flat, start, min(start + step, n_voxels), 0)
            return
        if p.ndim == 2:
            p = p[..., None]
        layer = math.prod(p.shape[3:])
        depth = max(1, _PIECE_BYTES // (4 * layer * p.shape[0] * p.shape[1]))
        for start in range(0, p.shape[2], depth):
            yield partial(self.copy_and_measure, p[:, :, start : start + depth], start * layer)

    def copy_and_measure(self, part: NDArray[Any], first: int) -> Found:
        """Measure a part (member, class, …) whose first voxel is `first` of the maps."""
        flat = np.ascontiguousarray(part, np.float16 if part.dtype == np.float16 else np.float32)
        flat = flat.reshape(*part.shape[:2], -1)
        return self.measure(flat, 0, flat.shape[2], first)

    def measure(self, flat: NDArray[Any], start: int, stop: int, first: int) -> Found:
        """Measure voxels `start` to `stop` of (member, class, voxel), whose voxel 0 is `first` of the maps."""
        here = slice(first, first + flat.shape[2])
        if self.single or (self.at_once and flat.dtype == np.float32):
            # Labels are not asked for: those of a strip stay in the cache, all would be a quarter of the writes.
            output = make_output(STRIP, flat.shape[1], "softmax", sums=False)._replace(
                entropy=self.maps["predictive_entropy"][here], odd=np.empty(-(-flat.shape[2] // TILE), np.uint8)
            )
            if self.single:
                rows, halves = rows_and_halves(flat[0])
                measure = single_kernel(len(rows))
                measure(rows, halves, start, stop, self.settings, None, None, make_scratch(), output)
            else:
                split = None if self.split is None else Split(*(values[here] for values in self.split))
                members = make_members(STRIP, flat.shape[1])
                kernels = member_kernels(flat.shape[1], flat.shape[1], is_near_one(self.settings, False))
                kernels.measure_members(flat, start, stop, self.settings, make_scratch(), members, output, split)
            found = output.entropy[start:stop]
            return bool(np.isnan(found[0]) and np.isnan(found).all()), output.extremes
        return self.measure_blocks(flat, start, stop, first)

    def measure_blocks(self, flat: NDArray[Any], start: int, stop: int, first: int) -> Found:
        """The same, by blocks whose members are streamed."""
        nothing, extremes = True, np.array([np.inf, -np.inf])
        for low in range(start, stop, _BLOCK_VOXELS):
            high = min(low + _BLOCK_VOXELS, stop)
            block = self.new_block((1, 1, high - low))
            for member in flat:
                block.add(member[:, None, None, low:high])
            result = block.finish()
            for name, values in result.maps.items():
                self.maps[name][first + low : first + high] = values[0, 0]
            nothing = nothing and result.n_invalid == high - low
            found = result.extremes
            extremes = np.array([min(extremes[0], found.minimum), max(extremes[1], found.maximum)])
        return nothing, extremes
