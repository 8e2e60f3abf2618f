"""The numba kernel of samples with one member: entropy straight from the probabilities, read once."""

import numpy as np
from numpy.typing import NDArray

from .checks import classify, widen_extremes
from .compilation import kernel
from .entropy import TILE, Floats, Scratch, Settings, accumulate, add_background
from .outputs import Output, labels_at, weigh_domain, weighted_sum, widen_half, write_entropy


@kernel
def measure_single(
    rows: Floats,
    halves: NDArray[np.uint16] | None,
    start: int,
    stop: int,
    settings: Settings,
    mask: NDArray[np.bool_] | None,
    background: Floats | None,
    scratch: Scratch,
    output: Output,
) -> None:
    """Fill `output` for voxels `start` to `stop` of one member whose sums are within 1/32 of 1.

    What is None is left out when the kernel is compiled.

    Parameters
    ----------
    rows, halves
        (stored class, voxel) probabilities; or their float16 bits in `halves`, and `rows` has room for a strip.
    start, stop
        Multiples of TILE, but for the end.
    mask
        (voxel,) True in the domain.
    background
        Room for a strip of class 0, if that is max(0, 1 - Σp) and not stored.
    """
    sums, label, state = scratch.sums, scratch.label, scratch.state
    first_label = 0 if background is None else 1
    for at in range(start, stop, TILE):
        n = min(TILE, stop - at)
        first = at
        if halves is not None:
            widen_half(halves, at, n, rows)
            first = 0
        accumulate(rows, first, n, first_label, sums, label)
        finite = widen_extremes(n, sums, output.extremes)
        if background is not None:
            add_background(n, sums, label, background)
        n_invalid = classify(n, settings, sums, state, output.counts)
        output.odd[at // TILE] = n_invalid > 0 or not finite
        weight = scratch.weight[:n]
        write_entropy(n, settings, sums, label, state, output.entropy[at : at + n], labels_at(at, n, output), weight)
        if output.expected.size > 0:
            weigh_domain(weight, None if mask is None else mask[at : at + n])
            for c in range(rows.shape[0]):
                output.expected[first_label + c] += weighted_sum(rows[c][first : first + n], weight)
            if background is not None:
                output.expected[0] += weighted_sum(background[:n], weight)
