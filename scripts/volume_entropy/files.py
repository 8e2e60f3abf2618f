"""Files that are whole or absent, and what identifies their content."""

import hashlib
import json
import os
import shutil
import socket
import stat
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replaced_when_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` when the block ends well, remove it when it does not.

    The caller creates a file or a directory at the temporary name, which keeps the suffixes of `path`. The name is
    unique, so that a job that outlived its master cannot spoil what its successor writes; it tells host and process,
    so that what a killed job left behind is removed by the next one, and by nobody while that job lives.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(target)
    temporary = target.parent / f".{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.{target.name}"
    try:
        yield temporary
        if target.is_dir() and not target.is_symlink():
            # A directory cannot be replaced in one step; the old one leaves the name first.
            old = temporary.with_name(f"{temporary.name[: -len(target.name)]}old.{target.name}")
            os.replace(target, old)
            os.replace(temporary, target)
            shutil.rmtree(old)
        else:
            os.replace(temporary, target)
    finally:
        remove(temporary)


def _remove_leftovers(target: Path) -> None:
    """Remove temporary names of `target` whose process on this host is gone."""
    prefix = f".{socket.gethostname()}."
    for entry in target.parent.glob(f"{prefix}*.{target.name}"):
        process = entry.name[len(prefix) :].split(".", 1)[0]
        if process.isdigit() and not os.path.exists(f"/proc/{process}") and os.path.isdir("/proc/self"):
            remove(entry)


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a file or a whole directory; nothing happens if it is not there."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        Path(path).unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all, in UTF-8 with Unix line ends."""
    with replaced_when_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write one JSON object; NaN and infinity are refused, since no reader agrees on them."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read one JSON object."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{os.fspath(path)} holds no JSON object")
    return content


def size_mib(paths: Iterable[str | os.PathLike[str]]) -> float:
    """MiB on the disk, of folders with all below them; what does not exist has none."""
    return sum(fingerprint(path)[1] or 0 for path in paths) / 2**20


def found_at(path: str | os.PathLike[str]) -> str:
    """Say what a path leads to: `PLAIN_FILE`, or another kind of file, which must never be opened to be read.

    Raises
    ------
    OSError
        There is nothing, or it may not be seen.
    """
    mode = os.stat(path).st_mode
    return next(words for test, words in _KINDS if test(mode))


PLAIN_FILE = "a file"
_KINDS: list[tuple[Callable[[int], bool], str]] = [
    (stat.S_ISREG, PLAIN_FILE),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (lambda mode: True, "a device"),
]


def files_below(folder: str | os.PathLike[str], name: str = "") -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Walk over all files in a folder, in the order of their names, linked folders too, which Zarr's readers enter.

    Parameters
    ----------
    folder
        Where to walk.
    name
        What stands in front of the names that are given, for instance `c/`.

    Yields
    ------
    name, entry
        Relative to the folder, with `/` between folders. A link that leads to nothing, or to a folder around itself,
        counts as a file.

    Raises
    ------
    OSError
        A folder cannot be listed.
    """
    yield from _below(os.fspath(folder), name, (os.path.realpath(folder),))


def _below(folder: str, name: str, around: tuple[str, ...]) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: entry.name)
    for entry in entries:
        inside, is_folder = around, _is_folder(entry)
        if is_folder and entry.is_symlink():
            target = os.path.realpath(entry.path)
            is_folder = not any(f"{real}{os.sep}".startswith(f"{target}{os.sep}") for real in around)
            inside = (*around, target)
        if is_folder:
            yield from _below(entry.path, f"{name}{entry.name}/", inside)
        else:
            yield name + entry.name, entry


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself, or no permission to look where it leads.
        return False


def fingerprint(path: str | os.PathLike[str]) -> list[Any]:
    """`[path, size in bytes, mtime in ns, readable]`; size and mtime are None where there is no file.

    Of a folder (a Zarr source) the size is the sum over all files below it, and in the place of the mtime stands a hash
    over name, size and mtime of each of them, so that files that changed places, and one that was replaced by an older
    one, are told too. Of a folder inside a Zarr group the metadata of the groups around it count, since they say what
    its axes are. The inode's own time does not count: it changes when a study is copied. What is neither a file nor a
    folder is not readable.
    """
    name = os.fspath(path)
    try:
        status = os.stat(name)
    except OSError:
        return [name, None, None, False]
    if not stat.S_ISDIR(status.st_mode):
        return [name, status.st_size, status.st_mtime_ns, stat.S_ISREG(status.st_mode) and os.access(name, os.R_OK)]
    size, digest = 0, hashlib.blake2b(digest_size=16)
    for relative, file in (*_files_or_error(name), *_metadata_around(name)):
        size += 0 if file is None else file.st_size
        known = "" if file is None else f"{file.st_size} {file.st_mtime_ns}"
        # No name holds a zero byte or, of what is hashed here, is taken for a number.
        digest.update(b"%s\0%s\0" % (os.fsencode(relative), known.encode()))
    return [name, size, digest.hexdigest(), os.access(name, os.R_OK | os.X_OK)]


def _files_or_error(folder: str) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yield each file below a folder; None for one that cannot be seen, of which the reader tells what it lacks."""
    try:
        for relative, entry in files_below(folder):
            try:
                yield relative, entry.stat()
            except OSError:
                yield relative, None
    except OSError as error:
        yield f"{error.filename}", None


def _metadata_around(folder: str) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yield the metadata files of the Zarr groups around a folder."""
    above = "../"
    while folder != (folder := os.path.dirname(folder)):
        found = []
        for name in ("zarr.json", ".zgroup", ".zattrs"):
            with suppress(OSError):
                found.append((above + name, os.stat(os.path.join(folder, name))))
        if not found:
            return
        yield from found
        above += "../"


def is_unchanged(record: Sequence[Any]) -> bool:
    """Whether a file or a folder is still what a `fingerprint` of it says, of today's form or of the one before.

    Until version 1.1 of the tables a folder's record had the sum of the sizes and the latest mtime of its files. Such a
    record is not held against a study: what it tells is compared, so that nothing finished is computed again.
    """
    path = record[0]
    return fingerprint(path) == list(record) or (os.path.isdir(path) and _summed(path) == list(record))


def _summed(name: str) -> list[Any]:
    size, mtime = 0, os.stat(name).st_mtime_ns
    for folder, _, names in os.walk(name):
        for entry in names:
            with suppress(OSError):
                status = os.stat(os.path.join(folder, entry))
                size, mtime = size + status.st_size, max(mtime, status.st_mtime_ns)
    return [name, size, mtime, os.access(name, os.R_OK | os.X_OK)]
