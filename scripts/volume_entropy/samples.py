"""The samples table: read once, checked as a whole, and turned into paths."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError
from .files import fingerprint
from .presets import companions, found_beside
from .sidecars import listed_labels

if TYPE_CHECKING:
    import pandas as pd

PATH_COLUMNS = ("probabilities", "image", "mask", "reference", "atlas")
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
    table = _read_table(path, predicted)
    base = Path(os.path.abspath(path)).parent
    paths: dict[str, list[str | None]] = {}
    for column in PATH_COLUMNS:
        cells = table[column].tolist() if column in table else [""] * len(table)
        paths[column] = [os.path.normpath(base / cell) if cell else None for cell in cells]
    extra = [column for column in table.columns if column not in ("sample", *PATH_COLUMNS)]
    rows = zip(table["sample"].tolist(), table[extra].to_dict("records"), *paths.values(), strict=True)
    return {
        name: Sample(name, probabilities or "", image, mask, reference, metadata, atlas)
        for name, metadata, probabilities, image, mask, reference, atlas in rows
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
    table = _read_table(path, predicted)
    if predicted:
        # What `model` itself needs is checked by it; a column that it adds can be the group.
        table = table.assign(probabilities="made by a network")
        if group == "method":
            group = None
    problems = [*_id_problems(table, schema["properties"]["sample"]), *_pattern_problems(table, settings)]
    problems += _column_problems(table)
    problems += _reference_problems(table, settings)
    if group is not None and group not in table.columns:
        problems.append(f"column {group!r}, which `group` names, is not in the table")
    if problems:
        raise ConfigError(f"The samples table {path} cannot be used:\n" + "\n".join(f"  {line}" for line in problems))


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


def _read_table(path: Path, predicted: bool = False) -> "pd.DataFrame":
    import pandas as pd

    try:
        # Every cell is text: 001, NA and 1e5 are ids like any other. No quoting: a quote is a character of a path.
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=3, encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"The samples table {path} does not exist; the config's `samples` names it.") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"The samples table {path} cannot be read as tab-separated text: {error}") from None
    missing = [
        column for column in ("sample", "image" if predicted else "probabilities") if column not in table.columns
    ]
    if missing:
        raise ConfigError(
            f"The samples table {path} has no column {' and no column '.join(missing)}; found "
            f"{', '.join(map(repr, table.columns))}. Columns are separated by tabs."
        )
    return table.fillna("")


def _id_problems(table: "pd.DataFrame", rule: Mapping[str, Any]) -> Iterator[str]:
    ids = table["sample"]
    bad = ~ids.str.fullmatch(rule["pattern"].strip("^$")) | (ids.str.len() > rule["maxLength"])
    for row, name in ids[bad].items():
        yield f"line {int(str(row)) + 2}: sample {name!r} is no id; use only A-Z a-z 0-9 _ and -"
    folded = ids.str.casefold()
    for row, name in ids[folded.isin(STUDY_FOLDERS)].items():
        yield (
            f"line {int(str(row)) + 2}: sample {name!r} has the name of a folder of the whole study (one of "
            f"{', '.join(STUDY_FOLDERS)}); rename it, to 'sub-{name}' say"
        )
    for _, same in ids[folded.duplicated(keep=False)].groupby(folded):
        lines = ", ".join(str(row + 2) for row in same.index)
        kind = "stands twice" if same.nunique() == 1 else "differ only in case: some file systems make them one"
        yield f"lines {lines}: {' and '.join(sorted(set(same)))} {kind}"


def _pattern_problems(table: "pd.DataFrame", settings: Mapping[str, Any]) -> Iterator[str]:
    for row, name in table["sample"][table["probabilities"] == ""].items():
        yield f"line {int(str(row)) + 2}: sample {name!r} has no probabilities"
    if settings["members"] is None:
        for row, name in table["sample"][table["probabilities"].str.contains("{member}", regex=False)].items():
            yield (
                f"line {int(str(row)) + 2}: the pattern of {name} has {{member}}, but probabilities.members is null; "
                "give a count or a list of tokens"
            )
    for column in PATH_COLUMNS:
        if column not in table.columns:
            continue
        allowed = {"class", "member"} if column == "probabilities" else set()
        for row, cell in table[column][table[column].str.contains("{", regex=False)].items():
            unknown = [name for name in _PLACEHOLDER.findall(cell) if name in ("class", "member", "sample", "subject")]
            for name in sorted(set(unknown) - allowed):
                yield f"line {int(str(row)) + 2}: {{{name}}} is not filled in column {column}"


def _reference_problems(table: "pd.DataFrame", settings: Mapping[str, Any]) -> Iterator[str]:
    """Regions may overlap, so that nobody can guess which labels each of them is made of."""
    reference = settings.get("reference")
    if reference is None or reference["labels"] is not None or "reference" not in table.columns:
        return
    named = table["sample"][table["reference"] != ""].tolist()
    if named:
        yield (
            f"{len(named)} samples have a reference ({', '.join(named[:3])}{', …' if len(named) > 3 else ''}), but "
            "reference.labels is null; under kind `regions` it must list the label values of each region"
        )


def _column_problems(table: "pd.DataFrame") -> Iterator[str]:
    from .columns import reserved_columns

    for column in table.columns:
        if column in ("sample", *PATH_COLUMNS):
            continue
        if column in reserved_columns() or column == "":
            yield f"column {column!r} has the name of one of the columns of subjects.csv; rename it"
        if re.fullmatch(r".*\.\d+", column) and column.rsplit(".", 1)[0] in table.columns:
            yield f"column {column.rsplit('.', 1)[0]!r} stands twice"
