"""The files of a folder that make one sample, by a preset's patterns, and whether they can be used as they lie."""

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import DataError
from ..presets import geometry_file, refusing_rule
from ..sidecars import check_sidecars, stored_classes
from .walking import Listing, is_file, writable

# What a pattern may tell apart within a sample, and the setting that lists its tokens.
PARTS = {"class": "tokens", "member": "members"}
PLACEHOLDERS = ("{class}", "{member}", "{sample}", "{subject}")

Rules = Sequence[tuple[re.Pattern[str], Mapping[str, Any]]]


@dataclass
class Candidate:
    """The files of a folder that make one sample, while they are collected.

    Attributes
    ----------
    name
        That of its files, with `{class}` and `{member}` where the tokens stood.
    rule, groups
        The item of `discover.files` whose pattern fits, and what its groups are.
    tokens
        Those that were seen of each of `PARTS`.
    """

    folder: str
    name: str
    rule: Mapping[str, Any]
    groups: Mapping[str, str]
    tokens: dict[str, set[str]] = field(default_factory=lambda: {part: set() for part in PARTS})
    entries: list["os.DirEntry[str]"] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Its absolute path, with `{class}` and `{member}` where the tokens stood."""
        return os.path.join(self.folder, self.name)


class UnfitError(Exception):
    """Why a candidate is not taken: a reason that others share, and what is particular to this one."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def compiled(preset: Mapping[str, Any]) -> Rules:
    """Return the patterns of a preset, ready to be matched, each with the rule that it stands in."""
    return [(re.compile(rule["pattern"], re.DOTALL), rule) for rule in preset["discover"]["files"]]


def fitting(name: str, rules: Rules) -> tuple[str, re.Match[str], Mapping[str, Any]] | None:
    """Return what the first pattern that fits a name makes of it: `{class}` and `{member}` in place of their tokens."""
    for pattern, rule in rules:
        if (match := pattern.fullmatch(name)) is not None:
            filled = name
            for part in sorted(PARTS.keys() & match.groupdict(), key=match.start, reverse=True):
                filled = f"{filled[: match.start(part)]}{{{part}}}{filled[match.end(part) :]}"
            return filled, match, rule
    return None


def candidates_of(folder: str, listing: Listing, rules: Rules) -> list[Candidate]:
    """Group the files of a folder that fit a pattern by sample: names that differ only in class and member are one."""
    candidates: dict[str, Candidate] = {}
    for name, entry in listing.items():
        if (fit := fitting(name, rules)) is None:
            continue
        filled, match, rule = fit
        groups = {key: value or "" for key, value in match.groupdict().items()}
        candidate = candidates.setdefault(filled, Candidate(folder, filled, rule, groups))
        candidate.entries.append(entry)
        for part in PARTS.keys() & groups:
            candidate.tokens[part].add(groups[part])
    return list(candidates.values())


def entities_of(candidate: Candidate, how: str) -> dict[str, str]:
    """Read from a name what it says of its sample; under `name` it is the name itself, or the folder's if empty."""
    name, implied = candidate.groups["name"], candidate.rule.get("entities", {})
    if how == "name":
        return {"name": name or os.path.basename(candidate.folder), **implied}
    pairs = [part.partition("-") for part in name.split("_")]
    if not name.startswith("sub-") or not all(key and value for key, _, value in pairs):
        raise UnfitError("a name that is no chain of BIDS entities beginning with `sub-`")
    return {**{key: value for key, _, value in pairs}, **implied}


def checked(candidate: Candidate, settings: Mapping[str, Any]) -> list[str]:
    """Raise `UnfitError` if the sample cannot be used as it lies there; return remarks on one that can."""
    _check_path(candidate)
    remarks = list(_check_tokens(candidate, settings))
    _check_companions(candidate, settings)
    return remarks


def _check_path(candidate: Candidate) -> None:
    lost = [entry.name for entry in candidate.entries if not is_file(entry)]
    if lost:
        raise UnfitError(
            "a link to nothing, or no file (was its content fetched, is its disk mounted?)", ", ".join(lost)
        )
    literal = candidate.path
    for part in PARTS:
        if candidate.tokens[part]:
            literal = "".join(literal.rsplit(f"{{{part}}}", 1))
    if any(word in literal for word in PLACEHOLDERS):
        raise UnfitError("a path that has {class} or {member} in its own text; rename it")
    if not writable(candidate.path):
        raise UnfitError("a path with a control character, or bytes that are no UTF-8; rename it")


def _check_tokens(candidate: Candidate, settings: Mapping[str, Any]) -> Iterator[str]:
    """Raise if a class or member is missing or not configured; yield a remark where the background takes it in."""
    for part, key in PARTS.items():
        seen, expected = candidate.tokens[part], settings[key] or []
        if not seen:
            continue
        detail = f"has {_some(seen)}, expected {_some(expected)}"
        if missing := [token for token in expected if token not in seen]:
            remedy = _without(seen, settings) if part == "class" else ""
            raise UnfitError(f"a {part} is missing{remedy}", f"{detail}, missing {_some(missing)}")
        if further := seen - set(expected):
            if part == "member" or settings["background"] != "complement":
                raise UnfitError(f"a {part} that is not configured; set probabilities.{key} to all of them", detail)
            yield f"class {_some(further)} is not configured, and counts as background"
    if len(candidate.entries) != math.prod(len(seen) for seen in candidate.tokens.values() if seen):
        raise UnfitError("a member that lacks a class")


def _without(seen: set[str], settings: Mapping[str, Any]) -> str:
    """Say how to configure the classes that there are, where the background takes in the others."""
    if settings["background"] != "complement":
        return ""
    kept = [pair for pair in zip(stored_classes(settings), settings["tokens"], strict=True) if pair[1] in seen]
    if not kept:
        return ""
    classes, tokens = (json.dumps(part, ensure_ascii=False) for part in zip(*kept, strict=True))
    return (
        f"; where the producer wrote no other, set probabilities.classes: {classes} and probabilities.tokens: "
        f"{tokens}, so that the background takes in the rest"
    )


def _check_companions(candidate: Candidate, settings: Mapping[str, Any]) -> None:
    geometry = geometry_file(candidate.path, settings["geometry"])
    if geometry is not None and not os.path.isfile(geometry):
        raise UnfitError(
            "no file that lends its geometry", f"{os.path.relpath(geometry, candidate.folder)} is not there"
        )
    try:
        rule = refusing_rule(candidate.path, settings["refuse"], settings["geometry"])
        check_sidecars(candidate.path, settings)
    except DataError as error:
        raise UnfitError(f"what stands beside it does not fit ({error.code}). {error.remedy}", error.message) from None
    if rule is not None:
        raise UnfitError(f"{rule['reason']}; {rule['remedy']}")


def _some(tokens: Iterable[str]) -> str:
    """Tokens in a few words."""
    listed = sorted(tokens)
    return " ".join(listed) if len(listed) <= 8 else f"{' '.join(listed[:3])} … {listed[-1]} ({len(listed)})"
