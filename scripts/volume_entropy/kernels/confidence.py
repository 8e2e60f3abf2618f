"""Numba kernels of the measures that ask how far the likeliest class is ahead; parameters are those of `measures.Form`.

Both are made of the sum of the other classes, so that nothing cancels.
"""

import numpy as np

from .classes import before_others, left_over
from .compilation import inlined, kernel
from .entropy import NAN, ONE, TILE, ZERO, Floats, Settings


@kernel
def least_confidence(rows: Floats, complement: bool, entropy: Floats, settings: Settings, out: Floats) -> None:
    """Fill 1 - largest p."""
    largest, second, rest = np.empty(TILE, np.float32), np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    for at in range(0, entropy.size, TILE):
        n = min(TILE, entropy.size - at)
        _rank(rows, complement, at, n, largest, second, rest)
        for v in range(n):
            out[at + v] = _share(rest[v], largest[v] + rest[v], entropy[at + v])


@kernel
def margin(rows: Floats, complement: bool, entropy: Floats, settings: Settings, out: Floats) -> None:
    """Fill 1 - (largest p - second largest p)."""
    largest, second, rest = np.empty(TILE, np.float32), np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    for at in range(0, entropy.size, TILE):
        n = min(TILE, entropy.size - at)
        _rank(rows, complement, at, n, largest, second, rest)
        for v in range(n):
            out[at + v] = _share(rest[v] + second[v], largest[v] + rest[v], entropy[at + v])


@inlined
def _rank(rows: Floats, complement: bool, at: int, n: int, largest: Floats, second: Floats, rest: Floats) -> None:
    """Fill the largest and the second largest p of a tile's voxels, and the sum of all but the largest."""
    for v in range(n):
        largest[v], second[v], rest[v] = ZERO, ZERO, ZERO
    for c in range(rows.shape[0]):
        row = rows[c][at : at + n]
        for v in range(n):
            p = row[v] if row[v] > ZERO else ZERO
            high, low = largest[v], second[v]
            beaten = p if p < high else high
            rest[v] += beaten
            second[v] = beaten if beaten > low else low
            largest[v] = p if p > high else high
    if complement:
        for v in range(n):
            b = left_over(ONE - largest[v], rest[v], ZERO)
            _, largest[v], beaten = before_others(b, largest[v])
            rest[v] += beaten
            second[v] = beaten if beaten > second[v] else second[v]


@inlined
def _share(part: np.float32, total: np.float32, entropy: np.float32) -> np.float32:
    """part / total; 0 where there is no probability, NaN where the voxel is invalid."""
    nothing = NAN if entropy != entropy else ZERO
    return part / total if (total > ZERO) & (entropy == entropy) else nothing
