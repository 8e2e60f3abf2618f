"""The warnings of a cohort: how many samples have each, and which say more of the cohort than of a sample."""

from collections import Counter
from collections.abc import Iterable, Sequence

from .errors import WARNINGS


def codes_of(cell: str) -> list[str]:
    """List the codes in a cell of the column `warnings`."""
    return [code for code in cell.split(";") if code]


def count_warnings(codes: Iterable[Iterable[str]]) -> dict[str, int]:
    """Count the samples that have each warning, in the order of `errors.WARNINGS`; of each sample its codes."""
    counts = Counter(code for of_sample in codes for code in set(of_sample))
    return {code: counts[code] for code in WARNINGS if counts[code]}


def widespread(codes: Sequence[Iterable[str]]) -> set[str]:
    """Find the warnings that more than half of the usable samples have: a matter of the cohort.

    The page says it once; the queue, which sets samples apart, does not.
    """
    return {code for code, n in count_warnings(codes).items() if 2 * n > len(codes)}
