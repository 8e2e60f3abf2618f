"""The samples table as text: cells by column, each row with its line as an editor counts it."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .column_names import ABSENT, OURS, PATH_COLUMNS, misnamed, perhaps_meant
from .errors import ConfigError
from .texts import LINE_END, read_text

# What nobody sees at the ends of a cell: every blank of Unicode, and what has no width.
_BLANKS = "".join(chr(c) for c in range(0x3001) if chr(c).isspace()) + "\u200b\u200e\u200f\u2060\ufeff"
_QUOTED = re.compile(r'"((?:[^"]|"")*)"')
# What people put around a path besides the quotes of a spreadsheet.
_QUOTES = {"'": "'", "`": "`", "“": "”", "„": "“", "‘": "’", "«": "»"}
_SEPARATORS = (("semicolons", ";"), ("commas", ","), ("vertical bars", r"\|"), ("blanks", r"\s+"))
# More lines with one fault are counted, not listed.
_LISTED = 10


@dataclass(frozen=True)
class Table:
    """A samples table that has its form.

    Attributes
    ----------
    path
        Its file.
    cells
        By the name of each column, its cells: without blanks and quotes around them, and in the columns of paths
        empty where the table says that there is none.
    lines
        The line of each row, counted from 1 as an editor does, blank lines included.
    header_line
        The line of the names.
    raw
        The names and the rows as they stand in the file.
    """

    path: Path
    cells: dict[str, list[str]]
    lines: list[int]
    header_line: int
    raw: list[list[str]]

    def column(self, name: str) -> list[str]:
        """Return the cells of a column; empty ones where the table has no such column."""
        return self.cells.get(name, [""] * len(self.lines))

    def located(self, name: str) -> Iterator[tuple[int, str]]:
        """Yield line and content of a column's cells that are not empty."""
        return ((line, cell) for line, cell in zip(self.lines, self.column(name), strict=True) if cell)


def read_table(path: str | os.PathLike[str], required: Sequence[str]) -> Table:
    """Read the table, and refuse what has not the form of one, or names our columns in another way.

    Parameters
    ----------
    path
        The file: UTF-8 text, one row a line, cells separated by tabs.
    required
        Columns that it must have.

    Raises
    ------
    ConfigError
        One message that names every offender with its line.
    """
    path = Path(path)
    try:
        text = read_text(path, "The samples table")
    except FileNotFoundError:
        raise ConfigError(
            f"The samples table {path} does not exist; the config's `samples` names it{_others(path)}."
        ) from None
    numbered = [(n, line) for n, line in enumerate(LINE_END.split(text), start=1) if line.strip(_BLANKS)]
    if not numbered:
        raise ConfigError(f"The samples table {path} cannot be read: it is empty.")
    (header_line, header), *rows = ((number, line.split("\t")) for number, line in numbered)
    names = [column_name(cell) for cell in header]
    problems = [
        *_separator_problem(header_line, numbered[0][1], required),
        *_quote_problems([(header_line, header), *rows]),
        *_length_problems(header_line, len(names), rows),
    ]
    if not problems:
        problems = [
            *_name_problems(header_line, names, required),
            *_nameless_problems(header_line, names, rows),
        ]
    refuse(path, problems)
    by_place = zip(*(row for _, row in rows), strict=True) if rows else ([] for _ in names)
    cells = {
        name: [cleaned(cell, name) for cell in column] for name, column in zip(names, by_place, strict=True) if name
    }
    return Table(path, cells, [line for line, _ in rows], header_line, [header, *(row for _, row in rows)])


def refuse(path: Path, problems: Sequence[str]) -> None:
    """Raise a `ConfigError` that lists the problems of a table, if there are any."""
    if problems:
        raise ConfigError(f"The samples table {path} cannot be used:\n" + "\n".join(f"  {line}" for line in problems))


def cleaned(cell: str, column: str) -> str:
    """Return what a cell of a column says: no blanks and quotes around it, and nothing where it says that it is none.

    Of metadata only a spreadsheet's own quotes are taken off.
    """
    if column not in OURS:
        return _unquoted(cell)
    text = bare(cell)
    return "" if column in PATH_COLUMNS and text.casefold() in ABSENT else text


def column_name(cell: str) -> str:
    """Return the name of a column, without quotes; blanks around one of ours stay, for a name is ours or it is not."""
    quoted = _QUOTED.fullmatch(cell.strip(_BLANKS))
    name = quoted[1] if quoted else cell
    return name if misnamed(name) else bare(name)


def bare(cell: str) -> str:
    """Return a cell without blanks, and without quotes of any kind, around it."""
    text = _unquoted(cell)
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        return text[1:-1].strip(_BLANKS)
    return text


def _unquoted(cell: str) -> str:
    text = cell.strip(_BLANKS)
    if text[:1] != '"':
        return text
    quoted = _QUOTED.fullmatch(text)
    return quoted[1].replace('""', '"').strip(_BLANKS) if quoted else text


def lines_of(lines: Sequence[int]) -> str:
    """Name lines, the first ones of many."""
    more = f" … ({len(lines)} lines)" if len(lines) > _LISTED else ""
    return f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines[:_LISTED]))}{more}"


def _separator_problem(line: int, text: str, required: Sequence[str]) -> Iterator[str]:
    """A header without a tab: what separates its names instead, if two of them are ours."""
    if "\t" in text:
        return
    for kind, separator in _SEPARATORS:
        names = [column_name(part) for part in re.split(separator, text.strip(_BLANKS))]
        if len(names) > 1 and any(misnamed(name) or name in OURS for name in names):
            yield (
                f"line {line}: found {kind} between the names of the columns, expected tabs, so that there is no "
                f"column {' and no column '.join(required)}. Save the table as tab-separated text in UTF-8"
            )
            return


def _quote_problems(rows: Sequence[tuple[int, list[str]]]) -> Iterator[str]:
    for line, row in rows:
        for cell in row:
            text = cell.strip(_BLANKS) if '"' in cell else ""
            if text.startswith('"') and text.count('"') % 2:
                yield f"line {line}: the quote of {text!r} is not closed; no cell may hold a tab or a line end"


def _length_problems(header_line: int, expected: int, rows: Sequence[tuple[int, list[str]]]) -> Iterator[str]:
    """Rows that have not as many cells as there are names, those alike in one line."""
    wrong: dict[tuple[int, str], list[int]] = defaultdict(list)
    for line, row in rows:
        if len(row) != expected:
            wrong[len(row), _why_length(row, expected)].append(line)
    for (found, why), lines in wrong.items():
        yield (
            f"{lines_of(lines)}: found {found} cell{'s' if found > 1 else ''}, expected {expected}, as many as line "
            f"{header_line} names columns{why}"
        )


def _why_length(row: Sequence[str], expected: int) -> str:
    if len(row) > expected:
        only_tabs = not any(cell.strip(_BLANKS) for cell in row[expected:])
        return "; remove the tabs at the end" if only_tabs else ""
    if len(row) == 1 and len(row[0].split()) > 1:
        return "; are there blanks instead of tabs?"
    return "; a cell that is empty needs its tab, too"


def _name_problems(line: int, names: Sequence[str], required: Sequence[str]) -> Iterator[str]:
    wrong = {name: ours for name in names if (ours := misnamed(name)) is not None}
    for name, ours in wrong.items():
        yield (
            f"line {line}: column {name!r} is read only under the name {ours!r}; rename it, to something else if it is "
            "metadata"
        )
    for name, count in Counter(filter(None, names)).items():
        if count > 1:
            yield f"line {line}: column {name!r} stands twice"
    for name in required:
        if name not in names and name not in wrong.values():
            found = ", ".join(map(repr, filter(None, names)))
            yield f"line {line}: there is no column {name}; found {found}{perhaps_meant(name, names)}"


def _nameless_problems(line: int, names: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> Iterator[str]:
    """Columns without a name, which only an empty one may be: a tab at the end of every line."""
    for place, name in enumerate(names):
        filled = [number for number, row in rows if row[place].strip(_BLANKS)] if not name else []
        if filled:
            yield f"{lines_of(filled)}: found a cell in column {place + 1}, which has no name in line {line}"


def _others(path: Path) -> str:
    """Name what looks like a table in the folder of one that is missing."""
    suffixes = (".tsv", ".csv", ".txt", ".tab", ".xlsx", ".ods")
    try:
        found = sorted(name for name in os.listdir(path.parent) if name.lower().endswith(suffixes))
    except OSError:
        return ""
    return f"; its folder has {', '.join(found[:5])}{', …' if len(found) > 5 else ''}" if found else ""
