"""Text files that people write: read as UTF-8, or refused with what they are instead."""

import os
import re
from pathlib import Path

from .errors import ConfigError

LINE_END = re.compile(r"\r\n|\n|\r")
_MAGIC = (
    (b"PK\x03\x04", "a spreadsheet's own file (xlsx, ods) or another archive"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet's own file (xls)"),
    (b"\x1f\x8b", "compressed with gzip"),
)
# A file in UTF-16 begins with one of these; without them every second byte of Latin letters is 0.
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: str | os.PathLike[str], what: str) -> str:
    """Read a text file that a person wrote, less the byte order mark that some programs put first.

    Parameters
    ----------
    path
        The file.
    what
        What it is, to begin a sentence with: `The samples table`.

    Raises
    ------
    ConfigError
        It cannot be read, or is no text in UTF-8: with the line, what it looks like, and how to save it.
    FileNotFoundError
        There is no such file: the caller knows what was expected there.
    """
    name = f"{what} {os.fspath(path)}"
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "no file (a pipe, a socket or a device)"
        raise ConfigError(f"{name} is {kind}; expected a text file.")
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror}.") from None
    for magic, kind in _MAGIC:
        if content.startswith(magic):
            raise ConfigError(f"{name} is {kind}; expected plain text in UTF-8.")
    zeros = content.count(0)
    if content.startswith(_UTF16) or 0 < len(content) <= 4 * zeros:
        raise ConfigError(
            f"{name} is text in UTF-16, which spreadsheets call Unicode text; expected UTF-8. Save it as UTF-8 in a "
            "text editor, or: iconv -f UTF-16 -t UTF-8 OLD > NEW"
        )
    if zeros:
        raise ConfigError(
            f"{name}, line {_line_of(content, content.index(0))}: found a NUL, a byte that is no text; remove it."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{name}, line {_line_of(content, error.start)}: found the byte 0x{content[error.start]:02X}, expected "
            "text in UTF-8. It may be Latin-1 or Windows-1252, as older programs write it. Save it as UTF-8 in a text "
            "editor, or: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
        ) from None


def _line_of(content: bytes, offset: int) -> int:
    """Give the line of a byte, as an editor counts them."""
    return 1 + len(LINE_END.findall(content[:offset].decode("latin-1")))
