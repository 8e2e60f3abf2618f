"""Why voxels are invalid: the slow look at the tiles that a kernel found odd."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .kernels.entropy import (
    ABOVE_ONE,
    BAD_SUM,
    NEGATIVE,
    NOT_FINITE,
    SUM_MAXIMUM,
    SUM_MINIMUM,
    TILE,
    UNEXPLAINED,
    VALUE_MAXIMUM,
    VALUE_MINIMUM,
    Settings,
)

# Tiles looked at together: few enough to be small beside a block, many enough that numpy's own cost does not show.
_TILES = 64


def odd_runs(odd: NDArray[np.uint8], n_voxels: int) -> Iterator[slice]:
    """The voxels of neighbouring odd tiles, at most 64 tiles at a time."""
    tiles = np.flatnonzero(odd)
    breaks = np.flatnonzero(np.diff(tiles) != 1) + 1
    for run in np.split(tiles, breaks):
        for start in range(0, run.size, _TILES):
            part = run[start : start + _TILES]
            yield slice(int(part[0]) * TILE, min((int(part[-1]) + 1) * TILE, n_voxels))


def explain(
    p: NDArray[np.float32],
    complement: bool,
    settings: Settings,
    state: NDArray[np.uint8],
    extremes: NDArray[np.float64],
) -> None:
    """Replace UNEXPLAINED in `state` by the reasons, and widen `extremes`.

    A sum is judged, and counts in the extremes, where all its values are finite; values below 0 count as 0 in it.

    Parameters
    ----------
    p
        (stored class, voxel) probabilities of one member.
    state
        (voxel,) states, of which UNEXPLAINED is of this member.
    """
    finite = np.isfinite(p)
    whole = finite.all(axis=0)
    with np.errstate(invalid="ignore"):
        negative = ((p < settings.value_low) & finite).any(axis=0)
        above_one = ((p > settings.value_high) & finite).any(axis=0)
        total = np.maximum(p, 0).sum(axis=0, dtype=np.float64)
    completed = np.maximum(total, 1) if complement else total
    bad_sum = whole & (total != 0) & ~((completed >= settings.sum_low) & (completed <= settings.sum_high))
    reasons = (
        np.where(whole, 0, NOT_FINITE)
        | np.where(negative, NEGATIVE, 0)
        | np.where(above_one, ABOVE_ONE, 0)
        | np.where(bad_sum, BAD_SUM, 0)
    )
    reasons[reasons == 0] = BAD_SUM
    unexplained = (state & UNEXPLAINED) != 0
    state[unexplained] = (state[unexplained] & ~np.uint8(UNEXPLAINED)) | reasons[unexplained].astype(np.uint8)
    for values, low, high in (
        (p[finite], VALUE_MINIMUM, VALUE_MAXIMUM),
        (total[whole & (total > 0)], SUM_MINIMUM, SUM_MAXIMUM),
    ):
        if values.size:
            extremes[low] = min(extremes[low], float(values.min()))
            extremes[high] = max(extremes[high], float(values.max()))
