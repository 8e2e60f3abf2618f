"""What the measures of one block are."""

from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from numpy.typing import NDArray

from .partials import Extremes


@dataclass
class BlockResult:
    """Maps, segmentation and exact counts of one block, of N voxels, M members and C classes (or regions).

    Attributes
    ----------
    maps
        (z, y, x) float32 by measure name; NaN where invalid, 0 where empty.
    segmentation
        `softmax`: (z, y, x) class of the largest mean probability, the lowest at a tie; 255 (65535 where there are
        more than 254 classes) where empty or invalid. `regions`: (region, z, y, x) 1 where the mean is above 0.5, else
        0; 255 where invalid.
    n_empty, n_invalid, n_renormalised
        Voxels; renormalised are those that are valid, not empty, and whose sum (completed by the background, if it is
        a complement) is further than 1e-6 · C from 1 in some member.
    n_nan, n_negative, n_above_one, n_bad_sum
        Voxels with a value that is not finite, below 0 or above 1 beyond the tolerance, with a sum off by more than it
        though all values are finite, or empty in some members only. An invalid voxel counts once a reason.
    member_extremes
        By member, of the finite values, and of the sums of stored classes (negative values as 0) that are finite and
        not 0; `regions` have no sums.
    expected_voxels
        Σ p̄ over the domain by class, in units of 2⁻⁴⁰ voxels.
    member_voxels, intersection, union, pair_intersection
        Over the domain, None with one member: (M, C) voxels where a member's label is c (regions: its p > 0.5); (C,)
        where all say c; (C,) where any does; (C, M, M) where both members of a pair m < m' do, 0 elsewhere.
    n_not_binary
        Finite values other than 0 and 1, counted where there is one class.
    blank
        `softmax`: (z, y, x) True where every class of every member is NaN, which is invalid unless it is outside the
        field (see `outside`); None where no voxel is so.
    """

    maps: dict[str, NDArray[np.float32]]
    segmentation: NDArray[np.uint8] | NDArray[np.uint16]
    n_empty: int
    n_invalid: int
    n_renormalised: int
    n_nan: int
    n_negative: int
    n_above_one: int
    n_bad_sum: int
    member_extremes: list[Extremes]
    expected_voxels: list[int]
    member_voxels: NDArray[np.int64] | None
    intersection: NDArray[np.int64] | None
    union: NDArray[np.int64] | None
    pair_intersection: NDArray[np.int64] | None
    n_not_binary: int
    blank: NDArray[np.bool_] | None = None

    @property
    def extremes(self) -> Extremes:
        """Of all members."""
        return reduce(or_, self.member_extremes)
