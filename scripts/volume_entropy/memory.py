"""What a job takes of the system's memory, and gives back."""

import ctypes
import gc
from functools import cache
from math import prod

# Of a volume a tenth of which are lesions; a class that fills half of it takes 50 (measured at 250³).
LESION_BYTES_A_VOXEL = 12
# Of each class, when networks make members: measured between 64³ and 96³ voxels.
PREDICTION_BYTES_A_VOXEL = 26
# Of a window, in training the default BasicUNet: 1683 with four windows a step; and of a volume, image and labels.
TRAINING_BYTES_A_VOXEL = 2000
EXAMPLE_BYTES_A_VOXEL = 12
# malloc.h of glibc.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
# The most that glibc takes as a threshold.
LARGE = 32 * 2**20
# While the heap grows, no thread can take a page of it: let it grow seldom. What is not used takes no memory.
GROWTH = 64 * 2**20


def reuse_freed_arrays() -> None:
    """Let threads take arrays below 32 MiB from one heap that is never trimmed, and larger ones from the system.

    glibc gives each thread a heap of its own and returns what is freed at their ends, so that every block of a volume
    pays for its pages anew: on a 4-class volume with values everywhere, compute_entropy took 1.67 s of CPU, and takes
    1.35 so. Two threads, which wait for each other's page faults, gain 45 % on one instead of 29 (33 classes). The peak
    is a tenth higher (213 → 235 MiB on a 1 mm brain). Elsewhere nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_MMAP_THRESHOLD, LARGE)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_TOP_PAD, GROWTH)


def collect_seldom() -> None:
    """Search for reference cycles a hundred times as seldom: of what a job imports after this, nothing is garbage.

    compute_entropy takes 50 ms less, and convert and render_qc 10 ms each.
    """
    gc.set_threshold(100_000, *gc.get_threshold()[1:])


@cache
def n_voxels(path: str, axes: str | None = None) -> int:
    """Voxels of a volume, from its header, with `axes` as declared; 0 where that cannot be read."""
    from .errors import DataError
    from .readers import read_geometry

    try:
        return prod(read_geometry(path, axes).shape)
    except (DataError, OSError):
        return 0
