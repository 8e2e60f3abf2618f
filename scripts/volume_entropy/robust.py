"""What is usual in a group of values, and how far each value is from that: robust z."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import median

# Fewer samples say nothing about what is usual; a robust z beyond the limit is an outlier (Iglewicz and Hoaglin 1993).
MIN_GROUP = 8
FLAG_LIMIT = 3.5
# A spread below this fraction of the largest value is rounding, and counts as 0: dividing by it could give infinity.
NOISE = 1e-12


@dataclass(frozen=True)
class Usual:
    """What is usual in a group of values: their median, and a robust standard deviation."""

    median: float
    scale: float
    n: int

    def z(self, value: float) -> float:
        """Give the robust z of a value: its distance from the median in robust standard deviations."""
        return (value - self.median) / self.scale


def usual(values: Sequence[float]) -> Usual | None:
    """Give median and scale of a group; None for fewer than 8 values, or where they do not spread.

    The scale is 1.4826 · MAD (the median absolute deviation); where that is 0, 1.2533 · the mean absolute deviation.
    Both are the standard deviation of normally distributed values (Iglewicz and Hoaglin 1993). No order of the values
    changes a bit.
    """
    if len(values) < MIN_GROUP:
        return None
    centre = median(values)
    deviations = [abs(value - centre) for value in values]
    # math.fsum is exact before its one rounding, so that the order of the samples does not matter.
    noise = NOISE * max(map(abs, values))
    for scale in (1.4826 * median(deviations), 1.2533 * math.fsum(deviations) / len(deviations)):
        if scale > noise:
            return Usual(centre, scale, len(values))
    return None


def robust_z(values: Sequence[float | None], groups: Sequence[Hashable]) -> list[float | None]:
    """Give the robust z of every value within its group; None where there is no value or no `usual` one."""
    judges = _usual_by_group(values, groups)
    return [
        judge.z(value) if value is not None and (judge := judges[group]) is not None else None
        for value, group in zip(values, groups, strict=True)
    ]


def _usual_by_group(values: Sequence[float | None], groups: Sequence[Hashable]) -> dict[Hashable, Usual | None]:
    members: dict[Hashable, list[float]] = {group: [] for group in groups}
    for value, group in zip(values, groups, strict=True):
        if value is not None:
            members[group].append(value)
    return {group: usual(of_group) for group, of_group in members.items()}
