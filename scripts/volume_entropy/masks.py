"""Masks: which values of a file are inside, and whether the file is a mask at all."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import DataError, SampleWarning

# Resampling leaves noise around 0 and 1; float32 rounds, so that 0.001 itself is as near as that.
NEAR = 1e-3 + 1e-6
# A mask whose highest value is in this range is one of 0 … 1, perhaps with a spline's overshoot.
_ABOUT_ONE = (0.75, 1.5)


@dataclass
class MaskJudge:
    """Says piece by piece what is inside, and at the end whether the whole file is a mask.

    NaN is outside. Without a threshold a value within 0.001 of 0 or 1 is that, a whole number other than 0 is inside,
    and anything else makes the file no mask.

    Attributes
    ----------
    path
        The file, for messages.
    threshold
        The config's `probabilities.mask_threshold`: inside is what is above it; None: as above.
    n_voxels, n_inside
        So far.
    """

    path: str
    threshold: float | None
    n_voxels: int = field(default=0, init=False)
    n_inside: int = field(default=0, init=False)
    _highest: float = field(default=-np.inf, init=False)
    _n_fractions: int = field(default=0, init=False)
    _fraction: tuple[float, int] | None = field(default=None, init=False)

    def inside(self, values: NDArray[np.float32], z: int) -> NDArray[np.bool_]:
        """Which voxels of a piece (z, y, x), whose first slice is `z`, are inside.

        Raises
        ------
        DataError
            `mask_invalid`: a value is infinite.
        """
        infinite = np.isinf(values)
        if infinite.any():
            raise DataError(
                "mask_invalid",
                f"{self.path} holds infinity in slice z = {z + _first_slice(infinite)}, expected numbers",
                "Write the mask anew, for instance as uint8 with 0 outside and 1 inside.",
            )
        self._highest = max(self._highest, float(np.fmax.reduce(values, axis=None, initial=-np.inf)))
        values = np.where(np.isnan(values), np.float32(-np.inf), values)
        if self.threshold is None:
            flags = self._whole_numbers(np.where(np.isneginf(values), np.float32(0), values), z)
        else:
            flags = values > self.threshold
        self.n_voxels += flags.size
        self.n_inside += int(np.count_nonzero(flags))
        return flags

    def require_mask(self) -> None:
        """Raise a `DataError` if what was seen, the whole file, is no mask, or covers nothing."""
        if self._fraction is not None:
            value, z = self._fraction
            low, high = _ABOUT_ONE
            half = 0.5 if low <= self._highest <= high else self._highest / 2
            raise DataError(
                "mask_invalid",
                f"{self.path} holds fractions in {self._n_fractions} of {self.n_voxels} voxels, such as {value:.6g} in "
                f"slice z = {z}; expected 0 outside and 1, or any other whole number, inside",
                f"Set probabilities.mask_threshold to the number above which a voxel is inside: {half:.4g} is half of "
                "what this mask reaches. Or write the mask anew with 0 and 1, resampled by the nearest neighbour.",
            )
        if self.n_inside == 0 and (self.threshold is None or self._highest == -np.inf):
            raise DataError(
                "mask_empty",
                f"{self.path} is 0 (or NaN) in all {self.n_voxels} voxels, expected a mask that covers something",
                "Give the mask that belongs to this sample, or leave its cell in the table empty.",
            )
        if self.n_inside == 0:
            raise DataError(
                "mask_empty",
                f"{self.path} has no value above probabilities.mask_threshold: {self.threshold:g}; the highest is "
                f"{self._highest:.6g}",
                "Lower probabilities.mask_threshold if the mask is on another scale; else give the mask that belongs "
                "to this sample, or leave its cell in the table empty.",
            )

    def warnings(self) -> list[SampleWarning]:
        """What to say of a mask that is one."""
        if self.n_inside < self.n_voxels:
            return []
        message = f"{self.path} covers all {self.n_voxels} voxels of the field, so that it leaves nothing out."
        return [SampleWarning("mask_everywhere", message)]

    def _whole_numbers(self, values: NDArray[np.float32], z: int) -> NDArray[np.bool_]:
        nearest = np.rint(values)
        as_near = (np.abs(values - nearest) <= NEAR) & ((nearest == 0) | (nearest == 1))
        fractions = (values != nearest) & ~as_near
        n_fractions = int(np.count_nonzero(fractions))
        if n_fractions and self._fraction is None:
            place = np.unravel_index(int(np.argmax(fractions)), fractions.shape)
            self._fraction = float(values[place]), z + int(place[0])
        self._n_fractions += n_fractions
        return np.asarray(nearest != 0)


def _first_slice(flags: NDArray[Any]) -> int:
    return int(np.argmax(flags.any(axis=(1, 2))))
