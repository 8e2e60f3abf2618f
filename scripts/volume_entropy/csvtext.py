"""CSV text that reads back exactly, in pandas, in R and in a spreadsheet, and that a spreadsheet never executes."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from .columns import Column

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[+-]?0[0-9]")
# What makes a spreadsheet take a cell for a formula (OWASP, CSV injection), the line feed included.
_FORMULA = tuple("=+-@\t\r\n")
_QUOTED = re.compile(r'[",\r\n]')


def is_number(text: str) -> bool:
    """Tell whether text that a user wrote is a decimal number."""
    return _NUMBER.fullmatch(text) is not None


def metadata_type(cells: Iterable[str]) -> Literal["number", "string"]:
    """Give `number` where every non-empty cell is a number, else `string`; 007 is no number but a code."""
    filled = [cell for cell in cells if cell]
    return "number" if filled and all(is_number(c) and not _LEADING_ZERO.match(c) for c in filled) else "string"


def inert(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would take for a formula; numbers stay as they are."""
    return f"'{text}" if text.startswith(_FORMULA) and not is_number(text) else text


def csv_text(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> str:
    """Write a table as CSV text: a header, then one line a row, in the order of the columns.

    None and keys that a row lacks become empty cells; integers stay integers; floats have the shortest digits that
    read back as the same float64. Lines end with a line feed.

    Raises
    ------
    ValueError
        A value is not of its column's type, or is NaN or infinite.
    """
    writers = [(column.name, column, _writer(column)) for column in columns]
    lines = [",".join(_text(column.name) for column in columns)]
    for row in rows:
        cells = []
        for name, column, write in writers:
            value = row.get(name)
            try:
                cells.append("" if value is None else write(value))
            except TypeError:
                raise ValueError(
                    f"column {name} of {row.get('sample')}: found {value!r}, expected a finite {column.type}"
                ) from None
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def _writer(column: Column) -> Callable[[Any], str]:
    if column.type == "integer":
        return _integer
    if column.type == "number" and not column.as_written:
        return _number
    # An id is made of A-Z a-z 0-9 _ and -, and is what tables are joined on.
    return _quoted if column.name == "sample" else _text


def _integer(value: Any) -> str:
    if type(value) is not int:
        raise TypeError
    return str(value)


def _number(value: Any) -> str:
    if type(value) is not float and type(value) is not int:
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise TypeError
    return repr(number)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return _quoted(inert(value))


def _quoted(text: str) -> str:
    # NUL ends the text in some readers, and a lone surrogate (a file name that is not UTF-8) has no UTF-8 form.
    text = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
