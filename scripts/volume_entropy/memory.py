"""What a job takes of the system's memory, and gives back."""

import ctypes
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


@cache
def n_voxels(path: str) -> int:
    """Voxels of a volume, from its header; 0 where that cannot be read."""
    from .errors import DataError
    from .readers import read_geometry

    try:
        return prod(read_geometry(path).shape)
    except (DataError, OSError):
        return 0
