"""The owner of axes, dtypes and checks around the kernels: the measures of one block, its members streamed."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .agreement import Agreement, count_labels, stack
from .block_result import BlockResult
from .kernels.buffers import (
    count_words,
    is_near_one,
    label_bits,
    make_background,
    make_members,
    make_output,
    make_scratch,
    make_settings,
    make_split,
    rows_and_halves,
)
from .kernels.confidence import measure_confidence
from .kernels.divergence import add_divergence
from .kernels.entropy import (
    ABOVE_ONE,
    BAD_SUM,
    EMPTY,
    FILLED,
    FIXED_POINT_BITS,
    INVALID,
    N_EMPTY,
    N_INVALID,
    N_RENORMALISED,
    NEGATIVE,
    NOT_FINITE,
    RENORMALISED,
    UNEXPLAINED,
    VALUE_BITS,
)
from .kernels.member_pass import finish_members, member_kernels
from .kernels.regions import add_region_member, finish_regions
from .kernels.unrolled import single_kernel
from .measures import MEASURES
from .oddities import explain, odd_runs

if TYPE_CHECKING:
    from .scoring.blocks import Reference, ScoreSums

__all__ = ["BlockMeasures", "BlockResult"]

Flags = NDArray[np.bool_]
Maps = dict[str, NDArray[np.float32]]


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
        self._shape, self._kind, self._measures = shape, kind, tuple(measures)
        self._n_members, self._n_classes, self._complement = n_members, n_classes, complement
        self._n_voxels = math.prod(shape)
        self._member_shape = (n_classes - complement, *shape)
        self._settings = make_settings(
            n_classes=n_classes,
            kind=kind,
            complement=complement,
            sum_tolerance=sum_tolerance,
            quantum=quantum,
            unit=unit,
        )
        self._output = make_output(self._n_voxels, n_classes, kind, sums=True)
        self._scratch, self._background = make_scratch(), make_background(complement)
        self._reasons = dict.fromkeys((NOT_FINITE, NEGATIVE, ABOVE_ONE, BAD_SUM), 0)
        self._bits = label_bits(n_classes, kind)
        self._n_added = self._n_not_binary = 0
        self._finished = False
        near_one = is_near_one(self._settings, complement)
        self._kernels = member_kernels(n_classes - complement, near_one)
        # The only member is measured by `finish`, straight from its probabilities, if its sums are near 1.
        self._direct = (
            n_members == 1
            and kind == "softmax"
            and near_one
            and not any(MEASURES[name].needs_members for name in measures)
        )
        self._only: NDArray[Any] | None = None
        if not self._direct:
            self._make_accumulators()

    def _make_accumulators(self) -> None:
        regions = self._kind == "regions"
        self._members = make_members(self._n_voxels, self._n_classes * (2 if regions else 1))
        parts = {"expected_entropy", "mutual_information", "variance"}
        self._split = make_split(self._n_voxels) if regions or parts & set(self._measures) else None
        n_words = count_words(self._n_members, self._n_classes, self._kind)
        self._votes = np.zeros((n_words, self._n_voxels), np.uint32) if self._n_members > 1 else None
        asked = "expected_pairwise_kl" in self._measures
        self._log_mean = np.empty((self._n_classes, self._n_voxels), np.float32) if asked else None
        self._divergence = np.zeros(self._n_voxels, np.float32)

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
        if p.shape != self._member_shape:
            raise ValueError(f"member {self._n_added} has the shape {p.shape}, expected {self._member_shape}")
        if self._n_added >= self._n_members:
            raise ValueError(f"all {self._n_members} members were added already")
        if self._n_classes == 1:
            self._n_not_binary += int(np.count_nonzero((p != 0) & (p != 1)))
        flat = p.reshape(p.shape[0], self._n_voxels)
        if self._direct:
            self._only = flat
        else:
            self._add(flat)
        self._n_added += 1

    def _add(self, flat: NDArray[Any]) -> None:
        member, settings, scratch, members = self._n_added, self._settings, self._scratch, self._members
        if self._log_mean is not None:
            add_divergence(
                np.ascontiguousarray(flat, np.float32),
                member,
                self._background,
                members.mean,
                self._log_mean,
                self._divergence,
            )
        rows, halves = rows_and_halves(flat)
        if self._kind == "regions":
            add_region_member(rows, halves, member, settings, self._votes, scratch, members, self._output)
        else:
            self._kernels.add_member(
                rows,
                halves,
                member,
                self._bits,
                settings,
                self._background,
                self._votes,
                scratch,
                members,
                self._output,
            )
        for run in odd_runs(self._output.odd, self._n_voxels):
            self._explain(flat[:, run], members.state[run])

    def _explain(self, p: NDArray[Any], state: NDArray[np.uint8]) -> None:
        explain(np.asarray(p, np.float32), self._complement, self._settings, state, self._output.extremes)

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
        if self._n_added != self._n_members:
            raise ValueError(f"{self._n_added} members were added, expected {self._n_members}")
        if self._finished:
            raise ValueError("the block was finished already")
        if mask is not None and mask.shape != self._shape:
            raise ValueError(f"the mask has the shape {mask.shape}, expected {self._shape}")
        self._finished = True
        inside = None if mask is None else np.ascontiguousarray(mask, np.bool_).reshape(-1)
        if self._only is not None:
            maps = self._finish_single(self._only, inside)
            return self._result(maps, None)
        maps = self._finish_members(inside)
        mode = np.ones(self._n_voxels if "variation_ratio" in self._measures else 0, np.float32)
        agreement = None if self._votes is None else self._count_agreement(self._votes, inside, mode)
        if mode.size:
            # Adding 0 or NaN, as valid and invalid voxels ask for; members that are all empty say the same.
            maps["variation_ratio"] = (1 - mode) + self._output.entropy * 0
        return self._result(maps, agreement)

    @property
    def votes(self) -> NDArray[np.uint32] | None:
        """(word, z, y, x) labels of the members as `kernels.member_pass` packs them; None with one member."""
        votes = None if self._direct else self._votes
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

        output, settings = self._output, self._settings
        inside = None if mask is None else np.ascontiguousarray(mask, np.bool_).reshape(-1)
        if self._kind == "regions":
            return region_scores(self._members.mean, float(settings.scale), output.segmentation, inside, reference)
        rows, complement = (self._members.mean, False) if self._only is None else (self._only, self._complement)
        top = float(settings.most)
        return [class_scores(rows, complement, output.entropy, top, output.segmentation, inside, reference)]

    def _finish_single(self, flat: NDArray[Any], inside: Flags | None) -> Maps:
        output = self._output
        rows, halves = rows_and_halves(flat)
        measure = single_kernel(len(rows))
        measure(rows, halves, 0, self._n_voxels, self._settings, inside, self._background, self._scratch, output)
        for run in odd_runs(output.odd, self._n_voxels):
            state = np.where(np.isnan(output.entropy[run]), np.uint8(UNEXPLAINED), np.uint8(0))
            self._explain(flat[:, run], state)
            self._count_reasons(state)
        maps = {"predictive_entropy": output.entropy}
        if {"least_confidence", "margin"} & set(self._measures):
            maps |= self._confidence(rows if halves is None else flat.astype(np.float32), self._complement)
        return self._with_normalized(maps)

    def _finish_members(self, inside: Flags | None) -> Maps:
        output, members, split = self._output, self._members, self._split
        if self._kind == "regions" and split is not None:
            finish_regions(self._n_members, self._settings, inside, self._scratch, members, output, split)
        else:
            finish_members(self._n_members, self._settings, inside, self._scratch, members, output, split)
        state = members.state
        state[(state & UNEXPLAINED) != 0] |= BAD_SUM
        self._count_reasons(state)
        invalid = (state & INVALID) != 0
        output.counts[N_INVALID] = np.count_nonzero(invalid)
        output.counts[N_EMPTY] = np.count_nonzero(((state & EMPTY) != 0) & ~invalid)
        output.counts[N_RENORMALISED] = np.count_nonzero(((state & RENORMALISED) != 0) & ~invalid)
        maps = {"predictive_entropy": output.entropy}
        if split is not None:
            maps |= split._asdict()
        if self._log_mean is not None:
            scale = np.float32(float(self._settings.scale) / self._n_members)
            maps["expected_pairwise_kl"] = np.maximum(self._divergence * scale, 0) + output.entropy * 0
        if {"least_confidence", "margin"} & set(self._measures):
            maps |= self._confidence(members.mean, False)
        return self._with_normalized(maps)

    def _count_reasons(self, state: NDArray[np.uint8]) -> None:
        for reason in self._reasons:
            self._reasons[reason] += int(np.count_nonzero(state & reason))

    def _confidence(self, rows: NDArray[np.float32], complement: bool) -> Maps:
        least_confidence, margin = np.empty((2, self._n_voxels), np.float32)
        measure_confidence(rows, complement, self._output.entropy, least_confidence, margin)
        return {"least_confidence": least_confidence, "margin": margin}

    def _with_normalized(self, maps: Maps) -> Maps:
        if "normalized_entropy" in self._measures:
            maps["normalized_entropy"] = self._output.entropy / (self._settings.most or np.float32(1))
        return maps

    def _count_agreement(self, votes: NDArray[np.uint32], inside: Flags | None, mode: NDArray[np.float32]) -> Agreement:
        domain = (self._members.state & (FILLED | INVALID)) == FILLED
        if inside is not None:
            domain &= inside
        if self._kind == "softmax":
            return count_labels(votes, self._bits, self._n_members, self._n_classes, domain, mode)
        by_region = votes.reshape(self._n_classes, -1, self._n_voxels)
        return stack([count_labels(words, 1, self._n_members, 2, domain, mode) for words in by_region])

    def _result(self, maps: Maps, agreement: Agreement | None) -> BlockResult:
        output, regions = self._output, self._kind == "regions"
        minimum, maximum, sum_minimum, sum_maximum = (float(x) if np.isfinite(x) else math.nan for x in output.extremes)
        return BlockResult(
            maps={name: maps[name].reshape(self._shape) for name in self._measures},
            segmentation=output.segmentation.reshape((self._n_classes, *self._shape) if regions else self._shape),
            n_empty=int(output.counts[N_EMPTY]),
            n_invalid=int(output.counts[N_INVALID]),
            n_renormalised=int(output.counts[N_RENORMALISED]),
            n_nan=self._reasons[NOT_FINITE],
            n_negative=self._reasons[NEGATIVE],
            n_above_one=self._reasons[ABOVE_ONE],
            n_bad_sum=self._reasons[BAD_SUM],
            minimum=minimum,
            maximum=maximum,
            sum_minimum=math.nan if regions else sum_minimum,
            sum_maximum=math.nan if regions else sum_maximum,
            expected_voxels=[int(n) << (FIXED_POINT_BITS - VALUE_BITS) for n in output.expected],
            member_voxels=agreement.member_voxels if agreement else None,
            intersection=agreement.intersection if agreement else None,
            union=agreement.union if agreement else None,
            pair_intersection=agreement.pair_intersection if agreement else None,
            n_not_binary=self._n_not_binary,
        )
