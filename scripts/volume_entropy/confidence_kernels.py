"""The numba kernel of the measures that ask how far the likeliest class is ahead."""

import numpy as np

from .compilation import kernel
from .kernels import NAN, ONE, TILE, ZERO, Floats


@kernel
def measure_confidence(rows: Floats, complement: bool, entropy: Floats, least_confidence: Floats,
                       margin: Floats) -> None:
    """Fill 1 - largest p and 1 - (largest p - second largest p).

    Parameters
    ----------
    rows
        (stored class, voxel) probabilities, or their mean over members; divided by their sum here.
    complement
        There is one class more, max(0, 1 - Σp).
    entropy
        (voxel,) NaN where a voxel is invalid.
    """
    largest, second, total = np.empty(TILE, np.float32), np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    for at in range(0, entropy.size, TILE):
        n = min(TILE, entropy.size - at)
        for v in range(n):
            largest[v], second[v], total[v] = ZERO, ZERO, ZERO
        for c in range(rows.shape[0]):
            row = rows[c][at : at + n]
            for v in range(n):
                p = row[v] if row[v] > ZERO else ZERO
                high, low = largest[v], second[v]
                total[v] += p
                beaten = p if p < high else high
                second[v] = beaten if beaten > low else low
                largest[v] = p if p > high else high
        for v in range(n):
            high, low, whole = largest[v], second[v], total[v]
            b = ONE - whole if complement and whole < ONE else ZERO
            beaten = b if b < high else high
            low = beaten if beaten > low else low
            high = b if b > high else high
            whole = whole + b
            inverse = ONE / whole if whole > ZERO else NAN
            least = ONE - high * inverse
            gap = ONE - (high - low) * inverse
            nothing = ZERO if whole == ZERO else NAN
            known = entropy[at + v] == entropy[at + v]
            least_confidence[at + v] = least if known & (whole > ZERO) else (nothing if known else NAN)
            margin[at + v] = gap if known & (whole > ZERO) else (nothing if known else NAN)
