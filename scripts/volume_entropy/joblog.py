"""The log of one job: what it read, how long each phase took, its peak memory; and its traceback if it fails."""

import errno
import logging
import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from .files import size_mib

logger = logging.getLogger("volume_entropy")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# Of the job of this process.
_voxels = 0


@contextmanager
def logged_to(path: str, reads: Iterable[str | os.PathLike[str]] = ()) -> Iterator[None]:
    """Send the library's log, both standard streams and a failure's traceback to the job's log file.

    Its first line says what the job reads, its last one how long it took, its peak memory, and how many voxels a
    second that was.

    Parameters
    ----------
    path
        The log file.
    reads
        The job's input files and stores.
    """
    global _voxels
    started, _voxels = time.perf_counter(), 0
    with open(path, "w", encoding="utf-8", buffering=1) as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        streams = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = stream
        try:
            logger.info("reads %s", _listed([os.fspath(name) for name in reads]))
            yield
            logger.info("done in %s", _cost(time.perf_counter() - started))
        except BaseException as error:
            logger.exception("failed after %s", _cost(time.perf_counter() - started))
            if isinstance(error, OSError) and error.errno in NO_SPACE:
                logger.error(
                    "A disk that this job writes to is full. Make room, and give the same command again: it goes on "
                    "from what is finished."
                )
            raise
        finally:
            sys.stdout, sys.stderr = streams
            logger.removeHandler(handler)


def leave() -> NoReturn:
    """End the process of a job that is done, as the last line of its script, without taking apart what it imported.

    That is 90 of the 900 ms of processor time that compute_entropy takes of a 1 mm brain. What is registered for the
    end of a process is not run: all that a job writes must be closed.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Log how long a phase of the job took, in one line."""
    started = time.perf_counter()
    yield
    logger.info("%s: %.2f s", name, time.perf_counter() - started)


def processed(n_voxels: int) -> None:
    """Count voxels of a volume, once for all its members and classes, for the pace in the job's last line."""
    global _voxels
    _voxels += n_voxels


def peak_memory_mib() -> float:
    """Largest resident set of this process so far, in MiB."""
    try:
        # What getrusage gives starts at the size of the process that started this one: of a Snakemake that has ten
        # thousand samples.
        with open("/proc/self/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _cost(seconds: float) -> str:
    pace = f", {_voxels / seconds / 1e6:.3g} million voxels a second" if _voxels else ""
    return f"{seconds:.2f} s, peak memory {peak_memory_mib():.0f} MiB{pace}"


def _listed(paths: list[str]) -> str:
    """The first path, how many more there are, and the size of all."""
    if not paths:
        return "nothing"
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]}{more}, {size_mib(paths):.3g} MiB"
