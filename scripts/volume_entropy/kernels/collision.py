"""Numba kernels of the measures that ask whether two labels drawn from p differ; parameters as `measures.Form` says.

That chance is Σ_c p (1 - p). It is summed as 2 Σ_c p · (the sum of the classes before): no term is negative, so that it
keeps its digits where one class is nearly certain and 1 - Σ p² has none left. In float64, since a complemented
background may be a small difference.
"""

import numpy as np
from numpy.typing import NDArray

from .classes import left_over
from .compilation import inlined, kernel
from .entropy import NAN, TILE, ZERO, Floats, Settings, log2

Reals = NDArray[np.float64]

_LOG2_E = float(np.log2(np.e))


@kernel
def renyi_of_classes(rows: Floats, complement: bool, entropy: Floats, settings: Settings, out: Floats) -> None:
    """Fill -log Σ_c p²."""
    total, chance = np.empty(TILE, np.float64), np.empty(TILE, np.float64)
    for at in range(0, entropy.size, TILE):
        n = min(TILE, entropy.size - at)
        _differ(rows, complement, at, n, total, chance)
        for v in range(n):
            value = np.float32(_surprise(chance[v]) * settings.scale)
            out[at + v] = _known(value, settings.most, entropy[at + v])


@kernel
def renyi_of_regions(rows: Floats, complement: bool, entropy: Floats, settings: Settings, out: Floats) -> None:
    """Fill Σ_r -log(p² + (1 - p)²)."""
    n_regions, total = rows.shape[0] // 2, np.empty(TILE, np.float64)
    for at in range(0, entropy.size, TILE):
        n = min(TILE, entropy.size - at)
        total[:] = 0.0
        for r in range(n_regions):
            row, other = rows[r][at : at + n], rows[n_regions + r][at : at + n]
            for v in range(n):
                total[v] += _surprise(2.0 * np.float64(row[v]) * np.float64(other[v]))
        for v in range(n):
            out[at + v] = _known(np.float32(total[v] * settings.scale), settings.most, entropy[at + v])


@kernel
def tsallis_of_classes(rows: Floats, complement: bool, entropy: Floats, settings: Settings, out: Floats) -> None:
    """Fill 1 - Σ_c p²."""
    total, chance = np.empty(TILE, np.float64), np.empty(TILE, np.float64)
    most = np.float32(1.0 - 1.0 / (rows.shape[0] + int(complement)))
    for at in range(0, entropy.size, TILE):
        n = min(TILE, entropy.size - at)
        _differ(rows, complement, at, n, total, chance)
        for v in range(n):
            out[at + v] = _known(np.float32(chance[v]), most, entropy[at + v])


@kernel
def tsallis_of_regions(rows: Floats, complement: bool, entropy: Floats, settings: Settings, out: Floats) -> None:
    """Fill Σ_r 2 p (1 - p)."""
    n_regions, total = rows.shape[0] // 2, np.empty(TILE, np.float64)
    for at in range(0, entropy.size, TILE):
        n = min(TILE, entropy.size - at)
        total[:] = 0.0
        for r in range(n_regions):
            row, other = rows[r][at : at + n], rows[n_regions + r][at : at + n]
            for v in range(n):
                total[v] += 2.0 * np.float64(row[v]) * np.float64(other[v])
        for v in range(n):
            out[at + v] = _known(np.float32(total[v]), np.float32(n_regions / 2), entropy[at + v])


@inlined
def _differ(rows: Floats, complement: bool, at: int, n: int, total: Reals, chance: Reals) -> None:
    """Fill the chance that two draws from the classes of a voxel differ; 0 where there is no probability."""
    total[:] = 0.0
    chance[:] = 0.0
    for c in range(rows.shape[0]):
        row = rows[c][at : at + n]
        for v in range(n):
            p = np.float64(row[v] if row[v] > ZERO else ZERO)
            chance[v] += p * total[v]
            total[v] += p
    for v in range(n):
        b = left_over(1.0, total[v], 0.0) if complement else 0.0
        whole = total[v] + b
        square = whole * whole
        chance[v] = 2.0 * (chance[v] + b * total[v]) / square if square > 0.0 else 0.0


@inlined
def _surprise(chance: float) -> float:
    """-log2 (1 - chance), by a float32 logarithm and the slope at what rounding dropped of 1 - chance."""
    kept = np.float32(1.0 - chance)
    dropped = ((1.0 - np.float64(kept)) - chance) / np.float64(kept)
    bits = -(np.float64(log2(kept)) + dropped * _LOG2_E)
    return bits if bits > 0.0 else 0.0


@inlined
def _known(value: np.float32, most: np.float32, entropy: np.float32) -> np.float32:
    """The value, at most `most`; NaN where the voxel is invalid."""
    value = value if value < most else most
    return value if entropy == entropy else NAN
