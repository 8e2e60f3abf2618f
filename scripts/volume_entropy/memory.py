"""What a job gives back to the system."""

import ctypes

# malloc.h of glibc.
M_MMAP_THRESHOLD = -3
LARGE = 2**20


def return_freed_arrays() -> None:
    """Let arrays of a megabyte or more go back to the system when they are freed.

    glibc raises its threshold to the size of what was freed, up to 32 MiB, and keeps what is below in a heap for each
    thread: a job on a 1 mm brain peaked at 370 MiB instead of 300. Elsewhere nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_THRESHOLD, LARGE)
