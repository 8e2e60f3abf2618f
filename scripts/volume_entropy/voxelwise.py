"""The owner of axes, dtypes and checks around the kernels: the measures of one block, its members streamed."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .agreement import Agreement
from .block_result import BlockResult
from .kernels.buffers import make_settings
from .kernels.entropy import (
    ABOVE_ONE,
    BAD_SUM,
    FIXED_POINT_BITS,
    N_EMPTY,
    N_INVALID,
    N_RENORMALISED,
    NEGATIVE,
    NOT_FINITE,
    VALUE_BITS,
)
from .measures import MEASURES
from .members import Flags, Maps, OnlyMember, StreamedMembers, Task
from .partials import Extremes

if TYPE_CHECKING:
    from .scoring.blocks import Reference, ScoreSums

__all__ = ["BlockMeasures", "BlockResult"]


class BlockMeasures:
    """Streams the members of one block through the kernels; one thread at a time, any number of blocks at once.

    Parameters
    ----------
    shape
        (z, y, x) of the block.
    n_members, n_classes
        `n_classes` counts the complemented background, or is the number of regions.
    kind
        `softmax` or `regions`.
    complement
        `add` gets all classes but the background, max(0, 1 - Σp), which is class 0.
    sum_tolerance, quantum, unit
        See `make_settings`.
    measures
        Names of the maps that are wanted.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        n_members: int,
        n_classes: int,
        kind: str,
        complement: bool,
        sum_tolerance: float | None,
        quantum: float,
        unit: str,
        measures: tuple[str, ...],
    ) -> None:
        unknown = [name for name in measures if name not in MEASURES or kind not in MEASURES[name].kinds]
        if unknown:
            raise ValueError(f"not a measure of kind {kind}: {', '.join(unknown)}")
        settings = make_settings(
            n_classes=n_classes,
            kind=kind,
            complement=complement,
            sum_tolerance=sum_tolerance,
            quantum=quantum,
            unit=unit,
        )
        self._shape = shape
        self._task = Task(math.prod(shape), n_members, n_classes, kind, complement, tuple(measures), settings)
        self._way = OnlyMember(self._task) if OnlyMember.suits(self._task) else StreamedMembers(self._task)
        self._n_added = self._n_not_binary = 0
        self._finished = False

    def add(self, p: NDArray[Any]) -> None:
        """Add the next member.

        Parameters
        ----------
        p
            (stored class, z, y, x) float32 or float16 (else it is cast to float32). With one member it is read by
            `finish`, and must not change before.

        Raises
        ------
        ValueError
            The shape is another, or all members were added already.
        """
        task = self._task
        expected = (task.n_classes - task.complement, *self._shape)
        if p.shape != expected:
            raise ValueError(f"member {self._n_added} has the shape {p.shape}, expected {expected}")
        if self._n_added >= task.n_members:
            raise ValueError(f"all {task.n_members} members were added already")
        if task.n_classes == 1:
            self._n_not_binary += int(np.count_nonzero((p != 0) & (p != 1) & np.isfinite(p)))
        self._way.add(p.reshape(len(p), task.n_voxels), self._n_added)
        self._n_added += 1

    def finish(self, mask: Flags | None = None) -> BlockResult:
        """The maps and counts of the block.

        Parameters
        ----------
        mask
            (z, y, x): the domain, less empty and invalid voxels; None: all voxels. It narrows the counts by class and
            by member, and nothing else.

        Raises
        ------
        ValueError
            Members are missing, the mask has another shape, or the block was finished before.
        """
        if self._n_added != self._task.n_members:
            raise ValueError(f"{self._n_added} members were added, expected {self._task.n_members}")
        if self._finished:
            raise ValueError("the block was finished already")
        if mask is not None and mask.shape != self._shape:
            raise ValueError(f"the mask has the shape {mask.shape}, expected {self._shape}")
        self._finished = True
        return self._result(*self._way.finish(_flat(mask)))

    @property
    def votes(self) -> NDArray[np.uint32] | None:
        """(word, z, y, x) labels of the members as `kernels.member_pass` packs them; None with one member."""
        votes = self._way.votes
        return None if votes is None else votes.reshape(-1, *self._shape)

    def score(self, reference: "Reference", mask: Flags | None = None) -> "list[ScoreSums]":
        """Hold the finished block against a reference: one task of all classes, or one a region.

        Parameters
        ----------
        reference
            Its part of the block.
        mask
            As given to `finish`.
        """
        # Here, so that samples without a reference start without these kernels.
        from .scoring.blocks import class_scores, region_scores

        output, settings, inside = self._task.output, self._task.settings, _flat(mask)
        rows, complement = self._way.means()
        if self._task.kind == "regions":
            return region_scores(rows, float(settings.scale), output.segmentation, inside, reference)
        top = float(settings.most)
        return [class_scores(rows, complement, output.entropy, top, output.segmentation, inside, reference)]

    def _result(self, maps: Maps, agreement: Agreement | None) -> BlockResult:
        task, output, reasons = self._task, self._task.output, self._task.reasons
        regions, blank = task.kind == "regions", task.blank
        return BlockResult(
            maps={name: maps[name].reshape(self._shape) for name in task.measures},
            segmentation=output.segmentation.reshape((task.n_classes, *self._shape) if regions else self._shape),
            n_empty=int(output.counts[N_EMPTY]),
            n_invalid=int(output.counts[N_INVALID]),
            n_renormalised=int(output.counts[N_RENORMALISED]),
            n_nan=reasons[NOT_FINITE],
            n_negative=reasons[NEGATIVE],
            n_above_one=reasons[ABOVE_ONE],
            n_bad_sum=reasons[BAD_SUM],
            member_extremes=[_extremes(values, regions) for values in task.extremes],
            expected_voxels=[int(n) << (FIXED_POINT_BITS - VALUE_BITS) for n in output.expected],
            member_voxels=agreement.member_voxels if agreement else None,
            intersection=agreement.intersection if agreement else None,
            union=agreement.union if agreement else None,
            pair_intersection=agreement.pair_intersection if agreement else None,
            n_not_binary=self._n_not_binary,
            blank=blank.reshape(self._shape) if blank is not None and blank.any() else None,
        )


def _extremes(values: NDArray[np.float64], regions: bool) -> Extremes:
    minimum, maximum, sum_minimum, sum_maximum = values.tolist()
    return Extremes(minimum, maximum) if regions else Extremes(minimum, maximum, sum_minimum, sum_maximum)


def _flat(mask: Flags | None) -> Flags | None:
    return None if mask is None else np.ascontiguousarray(mask, np.bool_).reshape(-1)
