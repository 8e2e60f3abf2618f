"""Ids for discovered samples, and rows for them in the samples table."""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..files import write_text
from ..paths import local_path
from ..samples import mistaken_columns
from ..samples_table import cleaned, column_name, read_table, refuse
from ..texts import read_text
from .search import ABSENT, Found
from .walking import writable

COLUMNS = ("sample", "probabilities", "image", "mask")
LONGEST_ID = 120
_ALWAYS = ("name", "sub", "ses")
_FOLDERS = 4


@dataclass
class Table:
    """A samples table that grows: its rows keep their order, their columns and every character.

    Attributes
    ----------
    header
        The names of the columns as they stand in the file.
    rows
        The cells as they stand in the file.
    names
        The names of the columns as they are read.
    """

    header: list[str]
    rows: list[list[str]]
    names: list[str]

    @classmethod
    def read(cls, path: Path) -> "Table":
        """Read a table; one that does not exist yet, or is empty, has the columns that discovery fills, and no row."""
        if not path.exists() or not read_text(path, "The samples table").strip():
            return cls(list(COLUMNS), [], list(COLUMNS))
        table = read_table(path, COLUMNS[:2])
        refuse(path, [*mistaken_columns(table)])
        header, *rows = table.raw
        return cls(header, rows, [column_name(name) for name in header])

    def column(self, name: str) -> list[str]:
        """Return what the cells of a column say."""
        index = self.names.index(name)
        return [cleaned(row[index], name) for row in self.rows]

    def append(self, cells: dict[str, str]) -> None:
        """Add a row; a column that the table does not have is added if its cell is not empty."""
        for name, cell in cells.items():
            if cell and name not in self.names:
                self.header.append(name)
                self.names.append(name)
                self.rows = [[*row, ""] for row in self.rows]
        self.rows.append([cells.get(name, "") for name in self.names])

    def text(self) -> str:
        """Return the table as it is written."""
        return "".join("\t".join(row) + "\n" for row in [self.header, *self.rows])


@dataclass
class Enlisted:
    """What happened to the discovered samples: `id: path` of new rows, known ones, and what got no id, by reason."""

    added: dict[str, str] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def enlist(found: Sequence[Found], table_path: Path, *, dry_run: bool = False) -> Enlisted:
    """Add a row for each sample whose probabilities the table does not have yet.

    Existing rows are neither changed nor moved; new ones follow, sorted by id with numbers in their order. Paths
    are relative to the table where they lie below its folder, else absolute.

    Raises
    ------
    ConfigError
        The table exists and is none, or its folder's name cannot stand in one.
    """
    table = Table.read(table_path)
    base = os.path.dirname(os.path.abspath(table_path))
    present = {local_path(cell, base) for cell in table.column("probabilities") if cell}
    result = Enlisted(known=[sample.probabilities for sample in found if sample.probabilities in present])
    new = [sample for sample in found if sample.probabilities not in present]
    ids = assign_ids(new, found, table.column("sample"), result.left_out)
    for name in sorted(ids, key=natural):
        sample = ids[name]
        paths = {column: _relative(getattr(sample, column), base) for column in COLUMNS[1:]}
        table.append({"sample": name, **paths})
        result.added[name] = sample.probabilities
    if result.added and not dry_run:
        write_text(table_path, table.text())
    return result


def assign_ids(
    new: Sequence[Found], found: Sequence[Found], taken: Iterable[str], left_out: dict[str, list[str]]
) -> dict[str, Found]:
    """Ids that nothing else has, also without regard to case.

    A sample's id has its name or `sub` and `ses`, and each further entity that varies over all that was `found`:
    `sub-01_ses-2_space-MNI152NLin2009cAsym`. Those that share one get every entity instead, and if that does not do
    also the names of the folders around them, as many as it takes for all of them. What cannot be told apart is left
    out.
    """
    varying = _varying(found)
    used = {name.casefold() for name in taken}
    ids: dict[str, Found] = {}

    def assign(names: Sequence[str], samples: Sequence[Found], together: bool) -> list[Found]:
        """Give the names that are free; those who share their fate `together` get all or none. Return the others."""
        often = Counter(name.casefold() for name in names)
        free = [
            0 < len(name) <= LONGEST_ID and name.casefold() not in used and often[name.casefold()] == 1
            for name in names
        ]
        if together and not all(free):
            return list(samples)
        ids.update((name, sample) for name, sample, is_free in zip(names, samples, free, strict=True) if is_free)
        used.update(name.casefold() for name, is_free in zip(names, free, strict=True) if is_free)
        return [sample for sample, is_free in zip(samples, free, strict=True) if not is_free]

    pending = assign([_short(sample, varying) for sample in new], new, together=False)
    pending = assign([_full(sample, varying) for sample in pending], pending, together=False)
    groups: dict[str, list[Found]] = defaultdict(list)
    for sample in pending:
        groups[_short(sample, varying).casefold()].append(sample)
    for group in groups.values():
        for depth in range(1, _FOLDERS + 1):
            names = [_plain("_".join([*_folders(sample, depth), _short(sample, varying)])) for sample in group]
            group = assign(names, group, together=depth < _FOLDERS)
        for sample in group:
            left_out[
                f"no id of up to {LONGEST_ID} letters, digits, _ and - that nothing else has; add a row by hand"
            ].append(f"{sample.probabilities}: {_short(sample, varying) or 'nothing is left of its name'}")
    return ids


def _varying(found: Sequence[Found]) -> set[str]:
    """Name the entities that not all samples have, or not with one value."""
    values: dict[str, set[str]] = defaultdict(set)
    counts = Counter(key for sample in found for key in sample.entities)
    for sample in found:
        for key, value in sample.entities.items():
            values[key].add(value)
    return {key for key in values if len(values[key]) > 1 or counts[key] < len(found)}


def _short(sample: Found, varying: set[str]) -> str:
    return _spell({key: value for key, value in sample.entities.items() if key in _ALWAYS or key in varying})


def _full(sample: Found, varying: set[str]) -> str:
    return _spell({**sample.entities, **{key: ABSENT[key] for key in sorted(varying) if key not in sample.entities}})


def natural(text: str) -> list[tuple[int, int, str]]:
    """Return a sort key under which `sub-2` stands before `sub-10`, and case counts only between equals."""
    pieces = re.split(r"(\d+)", text.casefold())
    return [
        *((0, int(piece), "") if number % 2 else (1, 0, piece) for number, piece in enumerate(pieces)),
        (2, 0, text),
    ]


def _spell(entities: dict[str, str]) -> str:
    return _plain("_".join(value if key == "name" else f"{key}-{value}" for key, value in entities.items()))


def _folders(sample: Found, depth: int) -> list[str]:
    """Name the nearest folders around a sample, outermost first."""
    return os.path.dirname(sample.probabilities).strip(os.sep).split(os.sep)[-depth:]


def _plain(text: str) -> str:
    """Spell a text in letters, digits, `_` and `-`: accents are dropped, anything else becomes one `-`."""
    decomposed = unicodedata.normalize("NFKD", text)
    kept = "".join(character for character in decomposed if not unicodedata.combining(character))
    return re.sub(r"[^A-Za-z0-9_-]+", "-", kept).strip("-_")


def _relative(path: str, base: str) -> str:
    """Make a path relative to `base` if it lies below it; it reads back as the same path, or is left out."""
    if not path or not writable(path):
        return ""
    below = path.startswith(base.rstrip(os.sep) + os.sep)
    cell = os.path.relpath(path, base) if below else path
    # A file whose name begins like a home, with a quote or with a blank.
    for spelling in (cell, os.path.join(os.curdir, cell)):
        if local_path(cleaned(spelling, "probabilities"), base) == path:
            return spelling
    return ""
