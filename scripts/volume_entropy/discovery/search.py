"""Finding the samples of a cohort in a producer's output: one walk over the tree, guided by a preset's patterns."""

import math
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError, DataError
from ..nearest import nearest
from ..presets import geometry_file, refusal
from ..sidecars import check_sidecars
from .walking import Listing, is_file, walk

# What a filter calls an entity that a name does not have: fMRIPrep gives no `space` to the anatomical image itself.
ABSENT = defaultdict(lambda: "none", space="native")

_PARTS = {"class": "tokens", "member": "members"}
_PLACEHOLDERS = ("{class}", "{member}", "{sample}", "{subject}")


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
    """What a walk gave: the samples, what was left out (by reason), and remarks for the user (by text)."""

    samples: list[Found] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    remarks: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


@dataclass
class _Candidate:
    """The files of a folder that make one sample, while they are collected."""

    folder: str
    name: str
    rule: Mapping[str, Any]
    groups: Mapping[str, str]
    tokens: dict[str, set[str]] = field(default_factory=lambda: {part: set() for part in _PARTS})
    entries: list["os.DirEntry[str]"] = field(default_factory=list)

    @property
    def path(self) -> str:
        return os.path.join(self.folder, self.name)


class _Unfit(Exception):
    """Why a candidate is not taken: a reason that others share, and what is particular to this one."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


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
    how, wanted = preset["discover"], _wanted(only)
    known: dict[str, set[str]] = defaultdict(set)
    rules = [(re.compile(rule["pattern"], re.DOTALL), rule) for rule in how["files"]]
    result = Discovery()
    for folder, listing in walk(top, lambda reason, path: result.left_out[reason].append(path)):
        where = os.path.relpath(folder, top)
        usable = {}
        for name in sorted(listing):
            if (rule := refusal(name, settings["refuse"])) is None:
                usable[name] = listing[name]
            else:
                result.left_out[f"{rule['reason']}; {rule['remedy']}"].append(_join(where, name))
        candidates = _candidates(folder, usable, rules)
        unusable = _refused_beside(folder, listing, how.get("refuse_beside", [])) if candidates else None
        for candidate in candidates:
            label = _join(where, candidate.name)
            try:
                entities = _entities(candidate, how["id"])
                for key in {*entities, *wanted}:
                    known[key].add(entities.get(key, ABSENT[key]))
                if any(entities.get(key, ABSENT[key]) not in values for key, values in wanted.items()):
                    raise _Unfit("not asked for")
                if unusable is not None:
                    raise _Unfit(unusable)
                for remark in _checked(candidate, settings):
                    result.remarks[remark].append(label)
            except _Unfit as unfit:
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


def _candidates(
    folder: str, listing: Listing, rules: Sequence[tuple[re.Pattern[str], Mapping[str, Any]]]
) -> list[_Candidate]:
    """Group the files of a folder that fit a pattern by sample: names that differ only in class and member are one."""
    candidates: dict[str, _Candidate] = {}
    for name, entry in listing.items():
        for pattern, rule in rules:
            if (match := pattern.fullmatch(name)) is None:
                continue
            groups = {key: value or "" for key, value in match.groupdict().items()}
            parts = [part for part in _PARTS if part in groups]
            filled = name
            for part in sorted(parts, key=match.start, reverse=True):
                filled = f"{filled[: match.start(part)]}{{{part}}}{filled[match.end(part) :]}"
            candidate = candidates.setdefault(filled, _Candidate(folder, filled, rule, groups))
            candidate.entries.append(entry)
            for part in parts:
                candidate.tokens[part].add(groups[part])
            break
    return list(candidates.values())


def _refused_beside(folder: str, listing: Listing, rules: Iterable[Mapping[str, str]]) -> str | None:
    """Why no sample of the folder can be used, from what a file in it says."""
    for rule in rules:
        if rule["file"] in listing and is_file(listing[rule["file"]]):
            try:
                with open(os.path.join(folder, rule["file"]), encoding="utf-8", errors="replace") as stream:
                    text = stream.read(1 << 24)
            except OSError:
                continue
            if rule["contains"] in text:
                return f"{rule['reason']}; {rule['remedy']}"
    return None


def _entities(candidate: _Candidate, how: str) -> dict[str, str]:
    """Read from a name what it says of its sample; under `name` it is the name itself, or the folder's if empty."""
    name, implied = candidate.groups["name"], candidate.rule.get("entities", {})
    if how == "name":
        return {"name": name or os.path.basename(candidate.folder), **implied}
    pairs = [part.partition("-") for part in name.split("_")]
    if not name.startswith("sub-") or not all(key and value for key, _, value in pairs):
        raise _Unfit("a name that is no chain of BIDS entities beginning with `sub-`")
    return {**{key: value for key, _, value in pairs}, **implied}


def _checked(candidate: _Candidate, settings: Mapping[str, Any]) -> list[str]:
    """Raise `_Unfit` if the sample cannot be used as it lies there; return remarks on one that can."""
    _check_path(candidate)
    remarks = list(_check_tokens(candidate, settings))
    _check_companions(candidate, settings)
    return remarks


def _check_path(candidate: _Candidate) -> None:
    lost = [entry.name for entry in candidate.entries if not is_file(entry)]
    if lost:
        raise _Unfit("a link to nothing, or no file (was its content fetched, is its disk mounted?)", ", ".join(lost))
    literal = candidate.path
    for part in _PARTS:
        if candidate.tokens[part]:
            literal = "".join(literal.rsplit(f"{{{part}}}", 1))
    if any(word in literal for word in _PLACEHOLDERS):
        raise _Unfit("a path that has {class} or {member} in its own text; rename it")
    if not writable(candidate.path):
        raise _Unfit("a path with a control character, or bytes that are no UTF-8; rename it")


def _check_tokens(candidate: _Candidate, settings: Mapping[str, Any]) -> Iterator[str]:
    """Raise if a class or member is missing or not configured; yield a remark where the background takes it in."""
    for part, key in _PARTS.items():
        seen, expected = candidate.tokens[part], settings[key] or []
        if not seen:
            continue
        detail = f"has {_some(seen)}, expected {_some(expected)}"
        if missing := [token for token in expected if token not in seen]:
            raise _Unfit(f"a {part} is missing", f"{detail}, missing {_some(missing)}")
        if further := seen - set(expected):
            if part == "member" or settings["background"] != "complement":
                raise _Unfit(f"a {part} that is not configured; set probabilities.{key} to all of them", detail)
            yield f"class {_some(further)} is not configured, and counts as background"
    if len(candidate.entries) != math.prod(len(seen) for seen in candidate.tokens.values() if seen):
        raise _Unfit("a member that lacks a class")


def _check_companions(candidate: _Candidate, settings: Mapping[str, Any]) -> None:
    geometry = geometry_file(candidate.path, settings["geometry"])
    if geometry is not None and not os.path.isfile(geometry):
        raise _Unfit("no file that lends its geometry", f"{os.path.relpath(geometry, candidate.folder)} is not there")
    try:
        check_sidecars(candidate.path, settings)
    except DataError as error:
        raise _Unfit(f"its sidecar does not fit ({error.code}). {error.remedy}", error.message) from None


def _beside(candidate: _Candidate, listing: Listing, column: str) -> str:
    """Return the path of the first name in the rule's list that is a file of the folder; empty if there is none."""
    for template in candidate.rule.get(column, []):
        name = re.sub(r"\{(\w+)\}", lambda match: candidate.groups.get(match[1], match[0]), template)
        path = os.path.join(candidate.folder, name)
        if (
            name in listing
            and is_file(listing[name])
            and writable(path)
            and not any(word in path for word in _PLACEHOLDERS)
        ):
            return path
    return ""


def writable(path: str) -> bool:
    """Whether a path can stand in a cell of the samples table: valid text without tabs, line ends and the like."""
    # What is printable has none of them; one character after the other took a third of a walk over 10 000 subjects.
    return path.isprintable() or not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in path)


def _some(tokens: Iterable[str]) -> str:
    """Tokens in a few words."""
    listed = sorted(tokens)
    return " ".join(listed) if len(listed) <= 8 else f"{' '.join(listed[:3])} … {listed[-1]} ({len(listed)})"


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
    return os.path.normpath(os.path.join(where, name))
