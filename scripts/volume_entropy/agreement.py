"""Where the members of a block agree: counts by class, from their packed labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .kernels.agreement import count_agreement


@dataclass(frozen=True)
class Agreement:
    """Voxels of the domain, of M members and C classes.

    Attributes
    ----------
    member_voxels
        (M, C) where the member says c.
    intersection, union
        (C,) where all say c, where any does.
    pair_intersection
        (C, M, M) where both members of a pair m < m' do, 0 elsewhere.
    """

    member_voxels: NDArray[np.int64]
    intersection: NDArray[np.int64]
    union: NDArray[np.int64]
    pair_intersection: NDArray[np.int64]


def count_labels(
    votes: NDArray[np.uint32],
    bits: int,
    n_members: int,
    n_labels: int,
    domain: NDArray[np.bool_],
    mode: NDArray[np.float32],
) -> Agreement:
    """Count the labels of several members, packed as `kernels.agreement.count_agreement` says, and fill `mode`."""
    unanimous, union = np.zeros((2, n_labels), np.int64)
    member_voxels = np.zeros((n_members, n_labels), np.int64)
    pairs = np.zeros((n_labels, n_members, n_members), np.int64)
    count_agreement(votes, bits, n_members, domain, unanimous, member_voxels, union, pairs, mode)
    pairs += unanimous[:, None, None] * np.triu(np.ones((n_members, n_members), np.int64), 1)
    return Agreement(member_voxels + unanimous, unanimous, union + unanimous, pairs)


def stack(regions: Sequence[Agreement]) -> Agreement:
    """Counts of regions from those of their labels 0 and 1."""
    return Agreement(
        np.stack([r.member_voxels[:, 1] for r in regions], axis=1),
        np.array([r.intersection[1] for r in regions]),
        np.array([r.union[1] for r in regions]),
        np.stack([r.pair_intersection[1] for r in regions]),
    )
