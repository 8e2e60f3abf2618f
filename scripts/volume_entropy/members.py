"""How the members of one block become maps: the only one straight from its probabilities, several one after another."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .agreement import Agreement, count_labels, stack
from .kernels.buffers import (
    NO_EXTREMES,
    count_words,
    is_near_one,
    label_bits,
    make_background,
    make_members,
    make_output,
    make_scratch,
    make_split,
    rows_and_halves,
)
from .kernels.divergence import add_divergence
from .kernels.entropy import (
    ABOVE_ONE,
    BAD_SUM,
    EMPTY,
    FILLED,
    INVALID,
    N_EMPTY,
    N_INVALID,
    N_RENORMALISED,
    NEGATIVE,
    NOT_FINITE,
    RENORMALISED,
    UNEXPLAINED,
    Settings,
)
from .kernels.member_pass import member_kernels
from .kernels.outputs import Output
from .kernels.regions import add_region_member, finish_regions
from .kernels.single import single_kernel
from .measures import MEASURES, Origin
from .oddities import explain, odd_runs

Flags = NDArray[np.bool_]
Maps = dict[str, NDArray[np.float32]]


@dataclass
class Task:
    """What is asked of one block, and the room for what every way of computing it writes.

    Attributes
    ----------
    n_voxels, n_members, n_classes, kind, complement, measures
        As `voxelwise.BlockMeasures` takes them.
    output
        Entropy, segmentation and counts.
    reasons
        Invalid voxels by reason.
    extremes
        By member, as `kernels.entropy` numbers their entries.
    blank
        (voxel,) True where every class of every member so far is NaN; None where no voxel is so, and for regions.
    """

    n_voxels: int
    n_members: int
    n_classes: int
    kind: str
    complement: bool
    measures: tuple[str, ...]
    settings: Settings
    output: Output = field(init=False)
    reasons: dict[int, int] = field(init=False)
    extremes: list[NDArray[np.float64]] = field(init=False, default_factory=list)
    blank: Flags | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.output = make_output(self.n_voxels, self.n_classes, self.kind, sums=True)
        self.reasons = dict.fromkeys((NOT_FINITE, NEGATIVE, ABOVE_ONE, BAD_SUM), 0)
        self.scratch, self.background = make_scratch(), make_background(self.complement)

    @property
    def near_one(self) -> bool:
        """Whether valid sums need not be divided out before the entropy."""
        return is_near_one(self.settings, self.complement)

    def look_at(self, flat: NDArray[Any], state: NDArray[np.uint8]) -> None:
        """Say of a member that a kernel has read, (stored class, voxel), why voxels are odd; keep its extremes."""
        runs = list(odd_runs(self.output.odd, self.n_voxels))
        for run in runs:
            part = np.asarray(flat[:, run], np.float32)
            explain(part, self.complement, self.settings, state[run], self.output.extremes)
        if self.kind == "softmax":
            self._keep_blank(flat, runs)
        self.extremes.append(self.output.extremes.copy())
        self.output.extremes[:] = NO_EXTREMES

    def _keep_blank(self, flat: NDArray[Any], runs: list[slice]) -> None:
        if self.extremes and self.blank is None:
            return
        blank = None
        for run in runs:
            nan = np.isnan(flat[:, run]).all(axis=0)
            if nan.any():
                blank = np.zeros(self.n_voxels, np.bool_) if blank is None else blank
                blank[run] = nan
        self.blank = blank if self.blank is None or blank is None else blank & self.blank

    def count_reasons(self, state: NDArray[np.uint8]) -> None:
        """Add voxels by what makes them invalid."""
        for reason in self.reasons:
            self.reasons[reason] += int(np.count_nonzero(state & reason))

    def asked(self, origin: Origin) -> list[str]:
        """List the measures that are wanted and made from this."""
        return [name for name in self.measures if MEASURES[name].form(self.kind).origin == origin]

    def maps(self, rows: NDArray[Any], complement: bool) -> Maps:
        """Give the maps of predictive entropy and of what is made from the mean probabilities.

        Parameters
        ----------
        rows, complement
            As `measures.Form` says.
        """
        entropy, of_mean = self.output.entropy, self.asked("mean")
        maps = dict.fromkeys(self.asked("entropy"), entropy)
        floats = np.ascontiguousarray(rows, np.float32) if of_mean else np.empty((0, 0), np.float32)
        for name in of_mean:
            maps[name] = np.empty(self.n_voxels, np.float32)
            MEASURES[name].form(self.kind).load()(floats, complement, entropy, self.settings, maps[name])
        return maps


class OnlyMember:
    """One member of classes: `finish` measures it straight from its probabilities, if its sums are near 1."""

    votes = None

    def __init__(self, task: Task) -> None:
        self._task = task
        self._flat = np.empty((0, 0), np.float32)

    @staticmethod
    def suits(task: Task) -> bool:
        """Whether a block can be measured so."""
        return (
            task.n_members == 1
            and task.kind == "softmax"
            and task.near_one
            and not any(MEASURES[name].needs_members for name in task.measures)
        )

    def add(self, flat: NDArray[Any], member: int) -> None:
        """Keep the member, which must not change before `finish`."""
        self._flat = flat

    def finish(self, inside: Flags | None) -> tuple[Maps, None]:
        """Measure the member."""
        task, output = self._task, self._task.output
        rows, halves = rows_and_halves(self._flat)
        measure = single_kernel(len(rows))
        measure(rows, halves, 0, task.n_voxels, task.settings, inside, task.background, task.scratch, output)
        state = np.empty(0, np.uint8)
        if output.odd.any():
            state = np.where(np.isnan(output.entropy), np.uint8(UNEXPLAINED), np.uint8(0))
        task.look_at(self._flat, state)
        task.count_reasons(state)
        return task.maps(self._flat, task.complement), None

    def means(self) -> tuple[NDArray[Any], bool]:
        """Give the member itself."""
        return self._flat, self._task.complement


class StreamedMembers:
    """Any number of members, or of regions: each is added to accumulators as large as one."""

    def __init__(self, task: Task) -> None:
        regions = task.kind == "regions"
        self._task = task
        self._kernels = member_kernels(task.n_classes - task.complement, task.n_classes, task.near_one)
        self._members = make_members(task.n_voxels, task.n_classes * (2 if regions else 1))
        split = task.asked("split")
        self._split = make_split(task.n_voxels, variance=regions or "variance" in split) if regions or split else None
        self._bits = label_bits(task.n_classes, task.kind)
        n_words = count_words(task.n_members, task.n_classes, task.kind)
        self.votes = np.zeros((n_words, task.n_voxels), np.uint32) if task.n_members > 1 else None
        self._log_mean = np.empty((task.n_classes, task.n_voxels), np.float32) if task.asked("pairs") else None
        self._divergence = np.zeros(task.n_voxels, np.float32)

    def add(self, flat: NDArray[Any], member: int) -> None:
        """Add a member to the accumulators."""
        task, members = self._task, self._members
        settings, scratch, output = task.settings, task.scratch, task.output
        if self._log_mean is not None:
            floats = np.ascontiguousarray(flat, np.float32)
            add_divergence(floats, member, task.background, members.mean, self._log_mean, self._divergence)
        rows, halves = rows_and_halves(flat)
        if task.kind == "regions":
            add_region_member(rows, halves, member, settings, self.votes, scratch, members, output)
        else:
            self._kernels.add_member(
                rows, halves, member, self._bits, settings, task.background, self.votes, scratch, members, output
            )
        task.look_at(flat, members.state)

    def finish(self, inside: Flags | None) -> tuple[Maps, Agreement | None]:
        """Turn the accumulators into maps."""
        task, members, split = self._task, self._members, self._split
        output = task.output
        if task.kind == "regions" and split is not None:
            finish_regions(task.n_members, task.settings, inside, task.scratch, members, output, split)
        else:
            self._kernels.finish_members(task.n_members, task.settings, inside, task.scratch, members, output, split)
        self._count_states()
        maps = task.maps(members.mean, False)
        if split is not None:
            maps |= split._asdict()
        if self._log_mean is not None:
            scale = np.float32(float(task.settings.scale) / task.n_members)
            divergence = np.maximum(self._divergence * scale, 0) + output.entropy * 0
            maps |= dict.fromkeys(task.asked("pairs"), divergence)
        mode = np.ones(task.n_voxels if task.asked("mode") else 0, np.float32)
        agreement = None if self.votes is None else self._agreement(self.votes, inside, mode)
        if mode.size:
            # Adding 0 or NaN, as valid and invalid voxels ask for; members that are all empty say the same.
            maps |= dict.fromkeys(task.asked("mode"), (1 - mode) + output.entropy * 0)
        return maps, agreement

    def means(self) -> tuple[NDArray[Any], bool]:
        """Give the mean over the members."""
        return self._members.mean, False

    def _count_states(self) -> None:
        state, counts = self._members.state, self._task.output.counts
        state[(state & UNEXPLAINED) != 0] |= BAD_SUM
        self._task.count_reasons(state)
        invalid = (state & INVALID) != 0
        counts[N_INVALID] = np.count_nonzero(invalid)
        counts[N_EMPTY] = np.count_nonzero(((state & EMPTY) != 0) & ~invalid)
        counts[N_RENORMALISED] = np.count_nonzero(((state & RENORMALISED) != 0) & ~invalid)

    def _agreement(self, votes: NDArray[np.uint32], inside: Flags | None, mode: NDArray[np.float32]) -> Agreement:
        task = self._task
        domain = (self._members.state & (FILLED | INVALID)) == FILLED
        if inside is not None:
            domain &= inside
        if task.kind == "softmax":
            return count_labels(votes, self._bits, task.n_members, task.n_classes, domain, mode)
        by_region = votes.reshape(task.n_classes, -1, task.n_voxels)
        return stack([count_labels(words, 1, task.n_members, 2, domain, mode) for words in by_region])
