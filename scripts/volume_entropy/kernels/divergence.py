"""Numba kernels of the expected pairwise Kullback-Leibler divergence.

Its mean over all ordered pairs of members is Σ over classes of the covariance of p and log p over members, which
Welford's recurrence gives in one pass, exactly 0 where members are equal.
"""

import numpy as np

from .classes import left_over
from .compilation import fma, inlined, kernel
from .entropy import ONE, TILE, ZERO, Floats, log2

# Both logarithms see no p below this.
FLOOR = np.float32(1e-7)


@kernel
def add_divergence(
    rows: Floats, member: int, background: Floats | None, mean: Floats, log_mean: Floats, divergence: Floats
) -> None:
    """Add a member to Σ over members and classes of (p - mean p) (log2 p - mean log2 p), before its mean is moved.

    Parameters
    ----------
    rows
        (stored class, voxel) probabilities of member number `member`.
    background
        Room for a tile of class 0, if that is max(0, 1 - Σp) and not stored.
    mean, log_mean
        (class, voxel) means over the members before, of p and of log2 p; the second is moved.
    divergence
        (voxel,) the sum.
    """
    total, weight = np.empty(TILE, np.float64), np.empty(TILE, np.float32)
    share = ONE / np.float32(member + 1)
    first_label = 0 if background is None else 1
    for at in range(0, divergence.size, TILE):
        n = min(TILE, divergence.size - at)
        total[:] = 0.0
        for c in range(rows.shape[0]):
            row = rows[c][at : at + n]
            for v in range(n):
                total[v] += np.float64(row[v] if row[v] > ZERO else ZERO)
        if background is not None:
            for v in range(n):
                # In float64: the logarithm of a small background would show what float32 loses.
                background[v] = np.float32(left_over(1.0, total[v], 0.0))
                total[v] = max(total[v], 1.0)
        for v in range(n):
            weight[v] = np.float32(1.0 / total[v] if total[v] > 0.0 else 0.0)
        for c in range(rows.shape[0]):
            c_mean, c_log_mean = mean[first_label + c][at : at + n], log_mean[first_label + c][at : at + n]
            _add_class(rows[c][at : at + n], weight, share, c_mean, c_log_mean, divergence[at : at + n])
        if background is not None:
            _add_class(
                background[:n], weight, share, mean[0][at : at + n], log_mean[0][at : at + n], divergence[at : at + n]
            )


@inlined
def _add_class(
    row: Floats, weight: Floats, share: np.float32, mean: Floats, log_mean: Floats, divergence: Floats
) -> None:
    for v in range(row.size):
        p = row[v] * weight[v]
        p = p if p > ZERO else ZERO
        log_p = log2(p if p > FLOOR else FLOOR)
        before = log_p if share == ONE else log_mean[v]
        moved = fma(log_p - before, share, before)
        off = ZERO if share == ONE else p - mean[v]
        divergence[v] = fma(off, log_p - moved, divergence[v])
        log_mean[v] = moved
