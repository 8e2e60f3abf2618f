"""The numba kernel of the measures that ask how far the likeliest class is ahead."""

import numpy as np

from .compilation import kernel
from .entropy import NAN, ONE, TILE, ZERO, Floats


@kernel
def measure_confidence(
    rows: Floats, complement: bool, entropy: Floats, least_confidence: Floats, margin: Floats
) -> None:
    """Fill 1 - largest p and 1 - (largest p - second largest p), by the sum of the others, so that nothing cancels.

    Parameters
    ----------
    rows
        (stored class, voxel) probabilities, or their mean over members; divided by their sum here.
    complement
        There is one class more, max(0, 1 - Σp).
    entropy
        (voxel,) NaN where a voxel is invalid.
    """
    largest, second, rest = np.empty(TILE, np.float32), np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    for at in range(0, entropy.size, TILE):
        n = min(TILE, entropy.size - at)
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
        for v in range(n):
            high, low, others = largest[v], second[v], rest[v]
            b = (ONE - high) - others if complement else ZERO
            b = b if b > ZERO else ZERO
            beaten = b if b < high else high
            others += beaten
            low = beaten if beaten > low else low
            high = b if b > high else high
            total = high + others
            invalid = entropy[at + v] != entropy[at + v]
            nothing = NAN if invalid else ZERO
            known = (total > ZERO) & (not invalid)
            least_confidence[at + v] = others / total if known else nothing
            margin[at + v] = (others + low) / total if known else nothing
