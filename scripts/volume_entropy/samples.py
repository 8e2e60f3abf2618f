"""The samples table: read once, checked as a whole, and turned into paths."""

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .column_names import OURS, PATH_COLUMNS, mistaken_for_metadata
from .files import fingerprint
from .nearest import nearest
from .paths import local_path, why_not_local
from .presets import companions, found_beside
from .samples_table import Table, lines_of, read_table, refuse
from .sidecars import listed_labels

# What a sample has only where its row has it, so that the recipes of the others do not change.
OPTIONAL_COLUMNS = ("atlas",)
# Folders of the whole study beside those of its samples, below the config's `results` and `work`.
STUDY_FOLDERS = ("images", "incomplete", "models", "networks", "passes", "report")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Sample:
    """One row of the samples table.

    Attributes
    ----------
    id
        Id of the sample; `[A-Za-z0-9_-]+`.
    probabilities
        Absolute path or pattern with `{class}` and/or `{member}`.
    image, mask, reference
        Absolute paths, or None.
    metadata
        Every further column, as text.
    atlas
        Absolute path, or None.
    """

    id: str
    probabilities: str
    image: str | None = None
    mask: str | None = None
    reference: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    atlas: str | None = None


def read_samples(path: Path, *, predicted: bool = False) -> dict[str, Sample]:
    """Read the table; no check beyond its form, so that every job can do it cheaply. See `check_samples`.

    `predicted`: a network makes the probabilities from the column `image`, so that it is the required one.

    Raises
    ------
    ConfigError
        The file cannot be read as a tab-separated table with the required columns.
    """
    table = read_table(path, _required(predicted))
    base = os.path.dirname(os.path.abspath(path))
    paths = [[local_path(cell, base) if cell else None for cell in table.column(column)] for column in PATH_COLUMNS]
    extra = {name: cells for name, cells in table.cells.items() if name not in OURS}
    metadata = (dict(zip(extra, row, strict=True)) for row in zip(*extra.values(), strict=True))
    rows = zip(table.column("sample"), metadata if extra else ({} for _ in table.lines), *paths, strict=True)
    return {
        name: Sample(name, probabilities or "", image, mask, reference, own, atlas)
        for name, own, probabilities, image, mask, reference, atlas in rows
    }


def check_samples(
    path: Path,
    schema_path: Path,
    settings: Mapping[str, Any],
    group: str | None = None,
    *,
    predicted: bool = False,
) -> None:
    """Check the whole table at once; only the main process does it.

    Parameters
    ----------
    path
        The samples table.
    schema_path
        The JSON schema (YAML) of a row: required columns, pattern of ids.
    settings
        `config.conversion_settings`: patterns are held against the configured classes and members.
    group
        The column within which outliers are judged, if one is configured.
    predicted
        As in `read_samples`.

    Raises
    ------
    ConfigError
        One message that names every offender.
    """
    import yaml

    schema = yaml.safe_load(schema_path.read_text(encoding="utf-8"))
    table = read_table(path, _required(predicted))
    problems = [*_id_problems(table, schema["properties"]["sample"]), *_path_problems(table)]
    if not predicted:
        # What `model` itself needs is checked by it.
        problems += _pattern_problems(table, settings)
    problems += [*_column_problems(table), *_placeholder_problems(table), *_reference_problems(table, settings)]
    problems += _group_problems(table, group, predicted)
    refuse(path, problems)


def probability_files(sample: Sample, settings: Mapping[str, Any]) -> list[tuple[str | None, list[str]]]:
    """For each member its token and its files: one that holds all classes, or one a class in class order.

    There are none of a sample whose members a network makes.
    A pattern without `{member}` is one member (token None), also where members are configured.
    """
    pattern = sample.probabilities
    if not pattern:
        return []
    members = settings["members"] if "{member}" in pattern else [None]
    tokens = settings["tokens"] if "{class}" in pattern else [None]
    return [(member, [_fill(pattern, member, token) for token in tokens]) for member in members]


def source_paths(sample: Sample, settings: Mapping[str, Any]) -> list[str]:
    """Every source file of a sample: probabilities, what goes with them, then image, mask, reference and atlas."""
    files = [file for _, member_files in probability_files(sample, settings) for file in member_files]
    others = [path for path in (sample.image, sample.mask, sample.reference, sample.atlas) if path is not None]
    return files + companions(files, settings) + others


def metadata_digest(samples: Mapping[str, Sample]) -> str:
    """A digest of the ids and the metadata columns, in order: what the tables take from the samples table."""
    content = [[sample.id, list(sample.metadata.items())] for sample in samples.values()]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def order_digest(names: Sequence[str]) -> str:
    """A digest of ids in their order, small enough for Snakemake's record."""
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()


def used_settings(sample: Sample, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a sample's numbers depend on: how a reference is read counts only where there is one."""
    return {key: value for key, value in settings.items() if key != "reference" or sample.reference is not None}


def recipe(sample: Sample, sources: Iterable[str], settings: Mapping[str, Any], revision: int) -> dict[str, Any]:
    """All that a sample's numbers depend on; as a rule's params it makes a job stale, in a summary it proves it fresh.

    One dict, since Snakemake compares params by their values without their names.
    """
    files = [file for _, member_files in probability_files(sample, settings) for file in member_files]
    labels, beside = listed_labels(files, settings), found_beside(files, settings)
    return {
        "sample": sample.id,
        "paths": {
            column: getattr(sample, column)
            for column in PATH_COLUMNS
            if column not in OPTIONAL_COLUMNS or getattr(sample, column) is not None
        },
        "sources": [fingerprint(path) for path in sources],
        **({} if labels is None else {"labels": labels}),
        **({} if beside is None else {"beside": beside}),
        "settings": used_settings(sample, settings),
        "revision": revision,
    }


def sample_of(recipe: Mapping[str, Any]) -> Sample:
    """The sample that a recipe was made for, without its metadata."""
    return Sample(recipe["sample"], **recipe["paths"])


def _fill(pattern: str, member: str | None, token: str | None) -> str:
    # Not str.format: a path may hold other braces, and a token must not be expanded twice.
    values = {"member": member, "class": token}
    return _PLACEHOLDER.sub(lambda match: values.get(match[1]) or match[0], pattern)


def _required(predicted: bool) -> tuple[str, str]:
    return ("sample", "image" if predicted else "probabilities")


def _id_problems(table: Table, rule: Mapping[str, Any]) -> Iterator[str]:
    if not table.lines:
        yield f"there is no sample: no row below line {table.header_line}"
    same: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for line, name in zip(table.lines, table.column("sample"), strict=True):
        same[name.casefold()].append((line, name))
        if not re.fullmatch(rule["pattern"], name) or len(name) > rule["maxLength"]:
            yield f"line {line}: sample {name!r} is no id; use only A-Z a-z 0-9 _ and -"
        elif name.casefold() in STUDY_FOLDERS:
            yield (
                f"line {line}: sample {name!r} has the name of a folder of the whole study (one of "
                f"{', '.join(STUDY_FOLDERS)}); rename it, to 'sub-{name}' say"
            )
    for found in same.values():
        names = sorted({name for _, name in found})
        if len(found) > 1:
            kind = "stands twice" if len(names) == 1 else "differ only in case: some file systems make them one"
            yield f"{lines_of([line for line, _ in found])}: {' and '.join(names)} {kind}"


def _path_problems(table: Table) -> Iterator[str]:
    """Cells that are no path of this machine."""
    base = os.path.dirname(os.path.abspath(table.path))
    for column in PATH_COLUMNS:
        for line, cell in table.located(column):
            problem = why_not_local(cell, base)
            if problem is not None:
                yield f"line {line}, column {column}: {problem}"


def _pattern_problems(table: Table, settings: Mapping[str, Any]) -> Iterator[str]:
    rows = zip(table.lines, table.column("sample"), table.column("probabilities"), strict=True)
    for line, name, pattern in rows:
        if not pattern:
            yield f"line {line}: sample {name!r} has no probabilities"
        elif settings["members"] is None and "{member}" in pattern:
            yield (
                f"line {line}: the pattern of {name} has {{member}}, but probabilities.members is null; "
                "give a count or a list of tokens"
            )


def _placeholder_problems(table: Table) -> Iterator[str]:
    for column in PATH_COLUMNS:
        allowed = {"class", "member"} if column == "probabilities" else set()
        for line, cell in table.located(column):
            for name in sorted({"class", "member", "sample", "subject"}.intersection(_PLACEHOLDER.findall(cell))):
                if name not in allowed:
                    yield f"line {line}: {{{name}}} is not filled in column {column}"


def _reference_problems(table: Table, settings: Mapping[str, Any]) -> Iterator[str]:
    """Regions may overlap, so that nobody can guess which labels each of them is made of."""
    reference = settings.get("reference")
    if reference is None or reference["labels"] is not None:
        return
    rows = zip(table.column("sample"), table.column("reference"), strict=True)
    named = [sample for sample, cell in rows if cell]
    if named:
        yield (
            f"{len(named)} samples have a reference ({', '.join(named[:3])}{', …' if len(named) > 3 else ''}), but "
            "reference.labels is null; under kind `regions` it must list the label values of each region"
        )


def _column_problems(table: Table) -> Iterator[str]:
    from .columns import reserved_columns

    for column in table.cells:
        if column not in OURS and column in reserved_columns():
            yield f"column {column!r} has the name of one of the columns of subjects.csv; rename it"
    yield from mistaken_columns(table)


def mistaken_columns(table: Table) -> Iterator[str]:
    """Yield what is wrong with columns of paths that are metadata only because of their names."""
    base = os.path.dirname(os.path.abspath(table.path))
    for column, ours in mistaken_for_metadata(table.cells, base):
        yield (
            f"line {table.header_line}: column {column!r} holds paths and is not read; did you mean {ours!r}? If it is "
            "metadata, give it a name that is not so near"
        )


def _group_problems(table: Table, group: str | None, predicted: bool) -> Iterator[str]:
    """`group` must name a column of metadata; where networks predict, there is also the one that says by which."""
    metadata = [column for column in table.cells if column not in OURS]
    if group is None or group in metadata or (predicted and group == "method"):
        return
    if group in OURS:
        yield f"`group` names the column {group!r}; expected one of metadata{nearest(group, metadata)}"
    else:
        same = [column for column in metadata if column.casefold() == group.strip().casefold()]
        hint = f"; did you mean {same[0]}?" if same else nearest(group, metadata)
        yield f"column {group!r}, which `group` names, is not in the table{hint}"
