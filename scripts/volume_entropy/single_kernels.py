"""The numba kernel of samples with one member: entropy straight from the probabilities, read once."""

import numpy as np
from numpy.typing import NDArray

from .check_kernels import classify, give_reasons, widen_extremes
from .compilation import kernel
from .kernels import BAD_SUM, TILE, Floats, Settings, accumulate, add_background, make_scratch
from .output_kernels import Output, widen_half, write_tile


@kernel
def measure_single(floats: Floats, halves: NDArray[np.uint16], start: int, stop: int, settings: Settings,
                   mask: NDArray[np.bool_], output: Output) -> None:
    """Fill `output` for voxels `start` to `stop` of one member whose sums are within 1/64 of 1.

    Parameters
    ----------
    floats, halves
        (stored class, voxel) probabilities as float32, or the bits of float16; the other one has no voxels.
    mask
        (voxel,) True in the domain, or no voxels.
    """
    first_label = 1 if settings.complement else 0
    half = halves.shape[1] > 0
    scratch = make_scratch(halves.shape[0] if half else 0)
    for at in range(start, stop, TILE):
        n = min(TILE, stop - at)
        rows, first = floats, at
        if half:
            widen_half(halves, at, n, scratch.rows)
            rows, first = scratch.rows, 0
        accumulate(rows, first, n, first_label, scratch)
        widen_extremes(rows, first, n, scratch.sums, output.extremes)
        if settings.complement:
            add_background(n, scratch)
        if classify(n, settings, scratch.sums, scratch.state) & BAD_SUM:
            give_reasons(rows, first, n, settings, scratch.sums, scratch.state)
        write_tile(rows, first, n, at, first_label, settings, mask, scratch, output)
