"""What is known of a sample that is judged, and names for what is found at fault."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

from .evidence import Evidence, evidence_of, name_of
from .kernels.buffers import slack_of
from .partials import SampleSums
from .quantities import Values, totals_of
from .stores.probabilities import ProbabilityStore

# Half of the invalid voxels make a reason the reason.
MOST = 0.5


@dataclass
class Found:
    """What the rules below look at.

    Attributes
    ----------
    where
        The source files in words.
    sums
        Of all blocks.
    store, recipe
        The sample's.
    n_saying
        Voxels that say anything: a class but the background above 0, or invalid.
    """

    where: str
    sums: SampleSums
    store: ProbabilityStore
    recipe: Mapping[str, Any]
    n_saying: int
    _evidence: dict[int, Evidence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.settings: Mapping[str, Any] = self.recipe["settings"]
        self.counts: Mapping[str, int] = self.sums.counts
        self.invalid = self.counts["invalid"]
        # Not empty.
        self.filled = self.counts["field"] - self.counts["empty"]
        self.n_members = len(self.sums.extremes)
        self.n_stored = len(self.store.classes) - self.store.complement
        self.regions = self.store.kind == "regions"
        self.given = not self.regions and not self.store.complement
        self.extremes = reduce(or_, self.sums.extremes)
        # What sums may be off by.
        self.slack = slack_of(self.settings["sum_tolerance"] or 0.0, len(self.store.classes), self.store.quantum)

    def mostly(self, reason: str) -> bool:
        """Tell whether a reason holds for at least half of the invalid voxels."""
        return self.counts[reason] >= MOST * self.invalid

    @property
    def share(self) -> str:
        """The invalid voxels among those that say anything, in words."""
        return f"{self.invalid} of {self.n_saying} voxels that say anything ({self.invalid / self.n_saying:.3g})"

    def evidence(self, member: int = 0) -> Evidence | None:
        """Look closer at a member; None where members are stored nowhere."""
        if self.store.array.shape[0] != self.n_members:
            return None
        if member not in self._evidence:
            scale = self.settings.get("scale") or 1.0
            top = self.sums.extremes[member].sum_maximum
            slacks = totals_of(top, self.n_stored, scale)
            self._evidence[member] = evidence_of(self.store, member, top=top, slacks=slacks, scale=scale)
        return self._evidence[member]

    def values(self, members: Sequence[int]) -> Values:
        """What is judged of some members, by the evidence of the first of them."""
        extremes = reduce(or_, (self.sums.extremes[member] for member in members))
        return Values(self.names(members), extremes, self.evidence(members[0]), self.settings, self.n_stored)

    @property
    def reasons(self) -> str:
        """Why voxels are invalid, and how many, in words."""
        words = {"nan": "NaN or infinite", "negative": "below 0", "above_one": "above 1", "bad_sum": "with a wrong sum"}
        reasons = ", ".join(f"{self.counts[name]} {word}" for name, word in words.items() if self.counts[name])
        span = f"values {self.extremes.minimum:.4g} … {self.extremes.maximum:.4g}"
        if not self.regions:
            span += f", sums {self.extremes.sum_minimum:.4g} … {self.extremes.sum_maximum:.4g}"
        return f"{self.where}: {self.share} are invalid: {reasons} ({span})"

    def names(self, members: Sequence[int]) -> str:
        """Some members in words; the files, if it is all of them."""
        if len(members) == self.n_members:
            return self.where
        more = f" and {len(members) - 1} more members" if len(members) > 1 else ""
        return name_of(self.store, self.recipe, members[0]) + more
