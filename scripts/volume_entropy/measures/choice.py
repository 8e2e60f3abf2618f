"""Which measures are written for a sample, and which of them have statistics."""

import difflib
from collections.abc import Iterable

from .table import MEASURES

# Written without being asked for. Queue, boundary and figures need the first; the others are what members are for.
ALWAYS = ("predictive_entropy",)
ALWAYS_WITH_MEMBERS = ("expected_entropy", "mutual_information")
# Those that have statistics without being asked for, and that tables of classes, regions and lesions, figures and
# plots show, where there are members.
MAIN = ("predictive_entropy", "mutual_information")


def default_measures(n_members: int, asked: Iterable[str], kind: str = "softmax") -> tuple[str, ...]:
    """Choose what is written for one sample, in the order of `MEASURES`.

    Predictive entropy always; with two members or more also expected entropy and mutual information; and of the
    `asked` ones those that exist for this number of members and this kind.

    Raises
    ------
    ValueError
        If a measure is asked for that there is not; the message names the nearest one.
    """
    wanted = {*ALWAYS, *asked}
    for name in sorted(wanted - MEASURES.keys()):
        nearest = difflib.get_close_matches(name, MEASURES, n=1, cutoff=0.0)[0]
        raise ValueError(f"there is no measure {name!r}; the nearest is {nearest!r}, all are {', '.join(MEASURES)}")
    if n_members > 1:
        wanted.update(ALWAYS_WITH_MEMBERS)
    return tuple(
        measure.name
        for measure in MEASURES.values()
        if measure.name in wanted and kind in measure.kinds and (n_members > 1 or not measure.needs_members)
    )


def summarised_measures(n_members: int, asked: Iterable[str], kind: str = "softmax") -> tuple[str, ...]:
    """Choose the measures that a summary has statistics of: predictive entropy, mutual information, the asked ones.

    Expected entropy is their difference, so it is written as a map without its own two dozen columns unless asked for.
    """
    asked = tuple(asked)
    chosen = {*MAIN, *asked}
    return tuple(name for name in default_measures(n_members, asked, kind) if name in chosen)
