"""Files that are whole or absent, and what identifies their content."""

import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
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


def fingerprint(path: str | os.PathLike[str]) -> list[Any]:
    """`[path, size in bytes, mtime in ns, readable]`; size and mtime are None where there is no file.

    For a directory (a Zarr source) size and mtime are the sum and the latest over all the files below it, since the
    directory's own time does not tell of a chunk that was written again.
    """
    name = os.fspath(path)
    try:
        status = os.stat(name)
    except OSError:
        return [name, None, None, False]
    if not os.path.isdir(name):
        return [name, status.st_size, status.st_mtime_ns, os.access(name, os.R_OK)]
    size, mtime = 0, status.st_mtime_ns
    for folder, _, names in os.walk(name):
        for entry in names:
            try:
                entry_status = os.stat(os.path.join(folder, entry))
            except OSError:
                # A dangling link, or a file that just went: the reader tells what it lacks.
                continue
            size += entry_status.st_size
            mtime = max(mtime, entry_status.st_mtime_ns)
    return [name, size, mtime, os.access(name, os.R_OK | os.X_OK)]
