"""What the files are that no pattern of a preset fits: kinds of names, and other presets that would read them."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..presets import refusal
from ..readers import FORMATS
from .candidates import PARTS, compiled, fitting

# What differs between the subjects of a cohort, for reading: their labels and sessions, and every number but in T1w.
_VARYING = re.compile(r"(?<=sub-)[A-Za-z0-9]+|(?<=ses-)[A-Za-z0-9]+|(?<!T)\d+")
# Names that differ in nothing else are alike to every pattern: those know single digits (c1 … c6) and first ones.
_FURTHER_DIGITS = re.compile(r"(?<=\d)\d+")


def kinds(paths: Iterable[str]) -> dict[str, list[str]]:
    """Group paths by their names with `*` for what varies; what can be read first, then what there is most of."""
    groups: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        groups[_VARYING.sub("*", os.path.basename(path))].append(path)
    order = sorted(groups, key=lambda kind: (not kind.lower().endswith(tuple(FORMATS)), -len(groups[kind]), kind))
    return {kind: groups[kind] for kind in order}


def look_alikes(
    paths: Iterable[str], presets: Mapping[str, Mapping[str, Any]], *, several: bool
) -> dict[tuple[str, ...], list[str]]:
    """Try the patterns of presets on names.

    Parameters
    ----------
    paths
        Files; folders around them do not count.
    presets
        By name.
    several
        Take a name that has a class or member for a producer's only if it is there with another one, too: a single
        `p1_brain.nii.gz` may be a subject.

    Returns
    -------
    dict
        The files that look like those of a producer, by the names of the presets that take them; most files first.
    """
    alike: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        alike[_FURTHER_DIGITS.sub("", os.path.basename(path))].append(path)
    taken = {name: tuple(_taken(alike, preset, several)) for name, preset in presets.items()}
    result: dict[tuple[str, ...], list[str]] = {}
    for files in sorted(set(taken.values()) - {()}, key=lambda files: (-len(files), files)):
        result[tuple(name for name in taken if taken[name] == files)] = list(files)
    return result


def _taken(alike: Mapping[str, Sequence[str]], preset: Mapping[str, Any], several: bool) -> list[str]:
    """Return the files that a preset takes, of groups whose first name stands for all."""
    rules = compiled(preset)
    samples: dict[tuple[str, str], list[str]] = defaultdict(list)
    alone: set[str] = set()
    for files in alike.values():
        name = os.path.basename(files[0])
        if refusal(name, preset["refuse"]) is not None or fitting(name, rules) is None:
            continue
        for path in files:
            folder, name = os.path.split(path)
            if (fit := fitting(name, rules)) is not None:
                filled, match, _ = fit
                samples[folder, filled].append(path)
                alone.update([path] if several and PARTS.keys() & match.groupdict() else [])
    return sorted(path for files in samples.values() for path in files if len(files) > 1 or path not in alone)
