"""A small disk that a test can fill."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from programs import FULL_DISK


class Disk:
    """A file system of its own at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def leave(self, n_bytes: int) -> None:
        """Fill it up to so many bytes."""
        self.empty()
        status = os.statvfs(self.folder)
        with self._filler.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, status.f_bavail * status.f_frsize - n_bytes)

    def empty(self) -> None:
        """Take away what filled it."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def mounted(folder: Path, mib: int) -> Iterator[Disk]:
    """Mount a disk of this size for the time of the block."""
    FULL_DISK.check()
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        # As in a container: its root may not.
        raise FULL_DISK.unavailable(done.stderr.strip(), "run the tests where root may mount a tmpfs")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def digest(path: Path) -> str | None:
    """Of a file, or of all files below a folder with their names; None of what does not exist."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(each for each in path.rglob("*") if each.is_file())
    parts = [f"{each.relative_to(path)} {digest(each)}" for each in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if path.is_dir() else None
