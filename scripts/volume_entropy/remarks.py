"""What should be said of values that are valid, and may still not be what they seem to be.

The sums of the first pass rule nearly everything out at no cost. What they leave open is read once more, until a value
settles it: in ordinary samples that is one slice.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import SampleWarning
from .evidence import name_of
from .outside import outside_of
from .partials import Flagged, SampleSums, from_limbs
from .stores.probabilities import ProbabilityStore
from .stores.shards import open_array
from .tails import Tails

# Of fewer voxels, and of fewer values between 0 and 1, nothing is concluded.
ENOUGH, ENOUGH_SOFT = 64, 20
# What rounding may add to a bound, in float16 for instance; of integers, it is a step.
ROUNDING = 1e-3
# The highest value of a sigmoid of probabilities.
SIGMOID_OF_ONE = math.e / (math.e + 1)
# Bit of information that rounding makes of members which differ in their last digits; and of an entropy that is none.
_NO_INFORMATION, _UNCERTAIN = 4e-6, 0.1

# By code.
Messages = dict[str, str]


def softmax_of_one(n_classes: int) -> float:
    """The highest value of a softmax of probabilities: e / (e + C - 1)."""
    return math.e / (math.e + n_classes - 1)


@dataclass
class Subject:
    """A sample after its first pass: what `remarks_on` takes, and what follows from it."""

    sums: SampleSums
    store: ProbabilityStore
    recipe: Mapping[str, Any]
    measures: Path
    tails: Tails | None

    def __post_init__(self) -> None:
        counts = self.sums.counts
        self.n_valid = counts["field"] - counts["empty"] - counts["invalid"]
        self.n_members = len(self.sums.extremes)
        self.n_classes = len(self.store.classes)
        self.complement, self.regions = self.store.complement, self.store.kind == "regions"
        self.rounding = max(ROUNDING, self.store.quantum)
        self.stored = self.store.array.shape[0] == self.n_members

    def parts(self, member: int) -> Iterator[NDArray[np.float32]]:
        """A member block by block, (stored class, z, y, x)."""
        for box in self.store.layout.blocks():
            yield np.asarray(self.store.read(member, box), np.float32)

    @property
    def knob(self) -> str:
        """What to do about an activation that was taken twice, where that is ours to do."""
        predicted = "model" in self.recipe["settings"]
        return " If the network ends in it, set model.output: probabilities." if predicted else ""


def remarks_on(
    sums: SampleSums, store: ProbabilityStore, recipe: Mapping[str, Any], measures: Path, tails: Tails | None
) -> list[SampleWarning]:
    """Say what should be said of a sample whose values are probabilities.

    Parameters
    ----------
    sums
        Of the first pass, `outside` among the counts.
    store, recipe
        The sample's.
    measures
        Where its measures were written.
    tails
        Of members that are stored nowhere: `tails_of` the store, shown the members; else None.
    """
    subject = Subject(sums, store, recipe, measures, tails)
    messages = _nan_outside(subject)
    if subject.n_valid >= ENOUGH:
        messages |= _identical_members(subject)
        messages |= _labels(subject) or _softmax_twice(subject) or _by_class(subject)
    return [SampleWarning(code, message) for code, message in messages.items()]


def tails_of(store: ProbabilityStore, classes: list[int] | None = None) -> Tails:
    """What to look for in the lower halves of stored classes, of all if not said otherwise."""
    rounding = max(ROUNDING, store.quantum)
    classes = list(range(len(store.classes) - store.complement)) if classes is None else classes
    alone = store.kind == "regions" or len(store.classes) == 2
    return Tails(classes, 0.5 - rounding, 0.0 if alone else 1 / len(store.classes) - rounding)


def _nan_outside(subject: Subject) -> Messages:
    n_outside, n_voxels = subject.sums.counts["outside"], subject.sums.counts["field"]
    if not n_outside:
        return {}
    return {
        "nan_outside": f"{n_outside} of {n_voxels} voxels ({n_outside / n_voxels:.3g}) are NaN in every class and "
        "connected to the border of the volume: they count as empty."
    }


def _identical_members(subject: Subject) -> Messages:
    if subject.n_members == 1:
        return {}
    whole, information = (subject.sums.measures[name] for name in ("predictive_entropy", "mutual_information"))
    unit = math.log(2) if subject.recipe["settings"]["unit"] == "nat" else 1.0
    if whole.total > 0 and information.total == 0:
        what = "the same in every voxel"
    elif information.maximum <= _NO_INFORMATION * unit and whole.maximum >= _UNCERTAIN * unit:
        what = "the same but for rounding in every voxel"
    else:
        # Certain everywhere, members that agree are nothing odd.
        return {}
    return {
        "members_identical": f"The {subject.n_members} members are {what}, so that mutual information is 0: dropout "
        "was off, or one file was written several times."
    }


def _labels(subject: Subject) -> Messages:
    """In every member one class holds all of every voxel, and not the same one everywhere."""
    measures = subject.sums.measures
    expected = measures["predictive_entropy"].total
    if subject.n_members > 1:
        expected -= measures["mutual_information"].total
    if expected != 0:
        return {}
    labels, entropies = (open_array(subject.measures / name) for name in ("segmentation", "predictive_entropy"))
    present: set[int] = set()
    empty = []
    for box in subject.store.layout.blocks():
        predicted = labels[(..., *box)]
        nothing = np.iinfo(predicted.dtype).max
        for plane in predicted.reshape(-1, *predicted.shape[-2:]):
            present.update(np.flatnonzero(np.bincount(plane.ravel(), minlength=nothing)[:nothing]).tolist())
        if not subject.regions:
            z, y, x = (part.start for part in box)
            empty.append(Flagged.of((z, y, x), (predicted == nothing) & (entropies[box] == 0)))
    if len(present) < 2:
        return {}
    outside = outside_of(empty, subject.store.layout.shape, subject.store.read_mask)
    n_inside = subject.sums.counts["empty"] - sum(int(block.flags.sum()) for block in outside)
    what = f"All values of {subject.n_valid} voxels are 0 or 1"
    if n_inside:
        return {
            "rounded_to_integers": f"{what}, and {n_inside} voxels inside the field are 0 in every class: "
            "probabilities were rounded to whole numbers."
        }
    return {"labels_not_probabilities": f"{what}: these are labels, in which there is no uncertainty."}


def _softmax_twice(subject: Subject) -> Messages:
    """No value is above what a softmax of probabilities reaches, in all members or in some."""
    if subject.regions or subject.n_classes == 1:
        return {}
    bound = softmax_of_one(subject.n_classes)
    limit = bound + subject.rounding
    surest = [_surest(subject, member, limit) for member in range(subject.n_members)]
    unsure = [member for member, value in enumerate(surest) if value <= limit]
    if not unsure:
        return {}
    highest = max(surest[member] for member in unsure)
    least = min(subject.sums.extremes[member].minimum for member in unsure)
    if subject.complement and subject.n_classes == 2 and least >= 0.5 - subject.rounding:
        return _sigmoid_twice(subject, 0, highest)
    whose = "" if len(unsure) == subject.n_members else f" of {name_of(subject.store, subject.recipe, unsure[0])}"
    return {
        "softmax_twice": f"No probability{whose} is above {highest:.4g}, and a softmax of probabilities reaches "
        f"{bound:.4g}: it was taken twice.{subject.knob}"
    }


def _surest(subject: Subject, member: int, limit: float) -> float:
    """The highest probability of a member, or any that is above the limit."""
    seen = subject.sums.extremes[member]
    if subject.complement:
        # The background is sure of a voxel in which the others are 0.
        return max(seen.maximum, 1 - seen.sum_minimum) if seen.minimum > 0 else 1.0
    if subject.recipe["settings"]["sum_tolerance"] is not None or not subject.stored:
        return seen.maximum
    highest = 0.0
    for p in subject.parts(member):
        with np.errstate(invalid="ignore"):  # infinite scores and NaN, which are invalid, have no share
            total = np.maximum(p, 0).sum(axis=0, dtype=np.float64)
            shares = np.divide(p.max(axis=0), total, out=np.zeros_like(total), where=total > 0)
        highest = max(highest, float(np.fmax.reduce(shares, axis=None, initial=0)))
        if highest > limit:
            break
    return highest


def _by_class(subject: Subject) -> Messages:
    """Regions, or classes that a background completes, which lack the lower half of their values."""
    tails = subject.tails
    if tails is None and subject.stored and (subject.regions or subject.complement):
        tails = _look_at_tails(subject)
    if tails is None or tails.done:
        return {}
    without = [index for index in tails.classes if index not in tails.settled and tails.n_soft[index] >= ENOUGH_SOFT]
    for index in without:
        if tails.highest[index] <= SIGMOID_OF_ONE + subject.rounding:
            return _sigmoid_twice(subject, index, tails.highest[index])
    # Where there is at most one class in a voxel, the winner of several may be below 0.5.
    kept = without if tails.mixed else list(tails.classes)
    n_soft = sum(tails.n_soft[index] for index in kept)
    if n_soft < ENOUGH_SOFT:
        return {}
    names = ", ".join(subject.store.classes[index + subject.complement] for index in kept)
    least = tails.half if without == kept else tails.least_winner
    return {
        "winner_only": f"No value of {names} lies between 0 and {least:.2g}, and {n_soft} lie from there to 1: classes "
        "were kept only where they win."
    }


def _sigmoid_twice(subject: Subject, index: int, highest: float) -> Messages:
    name = subject.store.classes[index + subject.complement]
    return {
        "sigmoid_twice": f"All values of {name} other than 0 lie between 0.5 and {highest:.4g}, and a sigmoid of "
        f"probabilities reaches {SIGMOID_OF_ONE:.4g}: it was taken twice.{subject.knob}"
    }


def _look_at_tails(subject: Subject) -> Tails:
    """Look into the most uncertain slice; and at everything, for the classes that it does not settle."""
    store, first = subject.store, int(subject.complement)
    # A class of which there is nothing says nothing.
    present = [index - first for index, n in enumerate(subject.sums.expected_voxels) if n and index >= first]
    (placed,) = subject.sums.measures["predictive_entropy"].slices[0]
    totals = from_limbs(placed.values)
    z = placed.start[0] + totals.index(max(totals))
    _, height, width = store.layout.shape
    tails = tails_of(store, present)
    tails.add(np.asarray(store.read(0, (slice(z, z + 1), slice(0, height), slice(0, width))), np.float32))
    if not tails.done:
        tails = tails_of(store, [index for index in present if not (tails.mixed and index in tails.settled)])
        for p in (p for member in range(subject.n_members) for p in subject.parts(member)):
            tails.add(p)
            if tails.done:
                break
    return tails
