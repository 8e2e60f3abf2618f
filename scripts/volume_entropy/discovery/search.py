"""Finding the samples of a cohort in a producer's output: one walk over the tree, guided by a preset's patterns."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError
from ..nearest import nearest
from ..presets import either_ending, refusal
from .candidates import PLACEHOLDERS, Candidate, UnfitError, candidates_of, checked, compiled, entities_of
from .walking import Listing, is_file, is_folder, walk, writable

# What a filter calls an entity that a name does not have: fMRIPrep gives no `space` to the anatomical image itself.
ABSENT = defaultdict(lambda: "none", space="native")


@dataclass(frozen=True)
class Found:
    """One complete sample in the tree.

    Attributes
    ----------
    probabilities
        Absolute path, with `{class}` and `{member}` where the tokens stood.
    entities
        What its name says of it, in the name's order.
    image, mask
        Absolute paths, or empty.
    """

    probabilities: str
    entities: Mapping[str, str]
    image: str = ""
    mask: str = ""


@dataclass
class Discovery:
    """What a walk gave.

    Attributes
    ----------
    samples
        Those that are whole.
    left_out
        Files and samples that the preset knows and that are not taken, by the reason.
    remarks
        What they have in common that a user should know, by the text.
    unread
        Every other file that fits no pattern of the preset.
    refused
        Every file that was left out by its name alone. All paths are relative to the folder that was walked.
    """

    samples: list[Found] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    remarks: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unread: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def discover(
    preset: Mapping[str, Any], root: str | os.PathLike[str], settings: Mapping[str, Any], only: Iterable[str] = ()
) -> Discovery:
    """Walk a tree once and find every complete sample of a producer.

    Parameters
    ----------
    preset
        The content of a file in `workflow/presets`.
    root
        The folder to walk; see `discovery.walking.walk` for links.
    settings
        `config.conversion_settings`: which classes and members a sample has, what is refused, what stands beside.
    only
        `entity=value` pairs; several of one entity are alternatives. `space=native` is a name without `space`.

    Raises
    ------
    ConfigError
        `root` is no folder, `only` is malformed, or it asks for an entity that no name has.
    """
    top = os.path.abspath(root)
    if not os.path.isdir(top):
        raise ConfigError(f"{top} is no folder; give the folder of the producer's output")
    how, wanted, rules = preset["discover"], _wanted(only), compiled(preset)
    known: dict[str, set[str]] = defaultdict(set)
    result = Discovery()
    for folder, listing in walk(top, lambda reason, path: result.left_out[reason].append(path)):
        where = os.path.relpath(folder, top)
        usable = {}
        for name, entry in sorted(listing.items()):
            if not _holds_data(entry):
                continue
            if (rule := refusal(name, settings["refuse"])) is None:
                usable[name] = entry
            else:
                result.refused.append(_join(where, name))
                result.left_out[f"{rule['reason']}; {rule['remedy']}"].append(result.refused[-1])
        candidates = candidates_of(folder, usable, rules)
        read = {entry.name for candidate in candidates for entry in candidate.entries}
        result.unread += [_join(where, name) for name in usable if name not in read]
        for candidate in candidates:
            label = _join(where, candidate.name)
            try:
                entities = entities_of(candidate, how["id"])
                for key in {*entities, *wanted}:
                    known[key].add(entities.get(key, ABSENT[key]))
                if any(entities.get(key, ABSENT[key]) not in values for key, values in wanted.items()):
                    raise UnfitError("not asked for")
                for remark in checked(candidate, settings):
                    result.remarks[remark].append(label)
            except UnfitError as unfit:
                result.left_out[unfit.reason].append(f"{label}: {unfit.detail}" if unfit.detail else label)
            else:
                image, mask = (_beside(candidate, listing, column) for column in ("image", "mask"))
                result.samples.append(Found(candidate.path, entities, image, mask))
    unknown = list(_unknown(wanted, known))
    if unknown and not result.samples:
        raise ConfigError("\n".join(f"no name below {top} has {text}" for text in unknown))
    for text in unknown:
        result.remarks["asked for, but no name has it"].append(text)
    return result


def _unknown(wanted: Mapping[str, set[str]], known: Mapping[str, set[str]]) -> Iterator[str]:
    """Say what was asked for that no name has, and what is there instead; nothing where there are no names."""
    entities = [key for key in known if known[key] != {ABSENT[key]}]
    for key, values in wanted.items():
        if entities and key not in entities and values.isdisjoint(known[key]):
            yield f"{key}; known are {', '.join(sorted(entities))}"
        elif entities:
            for value in sorted(values - known[key]):
                yield f"{key}={value}{nearest(value, sorted(known[key]))}"


def _beside(candidate: Candidate, listing: Listing, column: str) -> str:
    """Return the path of the first name in the rule's list that is a file; empty if there is none."""
    for template in candidate.rule.get(column, []):
        filled = re.sub(r"\{(\w+)\}", lambda match: candidate.groups.get(match[1], match[0]), template)
        for name in either_ending(filled):
            path = os.path.normpath(os.path.join(candidate.folder, name))
            there = os.path.isfile(path) if os.sep in name else name in listing and is_file(listing[name])
            if there and writable(path) and not any(word in path for word in PLACEHOLDERS):
                return path
    return ""


def _holds_data(entry: "os.DirEntry[str]") -> bool:
    """Whether an entry is no folder, or one that is a Zarr store."""
    return entry.name.endswith(".zarr") or not is_folder(entry)


def _wanted(only: Iterable[str]) -> dict[str, set[str]]:
    """`entity=value` pairs as alternatives by entity; `sub-01` is taken for `01`."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for pair in only:
        key, sign, value = pair.partition("=")
        if not (key and sign and value):
            raise ConfigError(f"{pair!r} is no restriction; expected entity=value, such as space=MNI152NLin2009cAsym")
        wanted[key].add(value.removeprefix(f"{key}-"))
    return dict(wanted)


def _join(where: str, name: str) -> str:
    return name if where == os.curdir else f"{where}{os.sep}{name}"
