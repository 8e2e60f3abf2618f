"""The lower halves of classes: whether a class has values between 0 and 0.5, as maps of probabilities have.

One that was kept only where it wins has none; neither has a sigmoid of a sigmoid. A single such value settles a class.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass
class Tails:
    """What was seen of the values of some classes.

    Attributes
    ----------
    classes
        Indices of the stored classes that are looked at.
    half
        0.5, less what rounding takes away: a value between 0 and this settles a class.
    least_winner
        The least value of a winner among classes that exclude each other, less what rounding takes away; 0: one class,
        or regions, for which `half` says it all.
    settled
        Classes that have a value between 0 and `half`.
    mixed
        Whether a voxel has two classes above 0, or one between 0 and `least_winner`.
    n_soft, highest
        By class, while not all is settled: values above 0 and below 1; and the highest value.
    """

    classes: Sequence[int]
    half: float
    least_winner: float
    settled: set[int] = field(default_factory=set)
    mixed: bool = False

    def __post_init__(self) -> None:
        self.mixed = self.least_winner <= 0
        self.n_soft, self.highest = dict.fromkeys(self.classes, 0), dict.fromkeys(self.classes, 0.0)

    @property
    def done(self) -> bool:
        """Whether nothing is left to be found."""
        return self.mixed and len(self.settled) == len(self.classes)

    def add_slices(self, p: NDArray[Any]) -> None:
        """Add a member (stored class, z, …) slice by slice, until there is nothing left to be found."""
        for z in range(p.shape[1]):
            if self.done:
                return
            self.add(p[:, z])

    def add(self, p: NDArray[Any]) -> None:
        """Add some voxels of a member, (stored class, …)."""
        if not self.mixed:
            above = p > 0
            self.mixed = bool((above & (p < self.least_winner)).any() or (np.count_nonzero(above, axis=0) > 1).any())
        for index in self.classes:
            if self.mixed and index in self.settled:
                continue
            values = p[index]
            if ((values > 0) & (values < self.half)).any():
                self.settled.add(index)
            self.n_soft[index] += int(np.count_nonzero((values > 0) & (values < 1)))
            self.highest[index] = max(self.highest[index], float(np.fmax.reduce(values, axis=None, initial=0)))
