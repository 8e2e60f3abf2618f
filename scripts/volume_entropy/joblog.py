"""The log of one job: what it read, how long each phase took, its peak memory; and its traceback if it fails."""

import logging
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("volume_entropy")


@contextmanager
def logged_to(path: str) -> Iterator[None]:
    """Send the library's log, both standard streams and a failure's traceback to the job's log file."""
    started = time.perf_counter()
    with open(path, "w", encoding="utf-8", buffering=1) as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        streams = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = stream
        try:
            yield
            logger.info("done in %.2f s, peak memory %.0f MiB", time.perf_counter() - started, peak_memory_mib())
        except BaseException:
            logger.exception(
                "failed after %.2f s, peak memory %.0f MiB", time.perf_counter() - started, peak_memory_mib()
            )
            raise
        finally:
            sys.stdout, sys.stderr = streams
            logger.removeHandler(handler)


@contextmanager
def phase(name: str) -> Iterator[None]:
    """Log how long a phase of the job took, in one line."""
    started = time.perf_counter()
    yield
    logger.info("%s: %.2f s", name, time.perf_counter() - started)


def peak_memory_mib() -> float:
    """Largest resident set of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
