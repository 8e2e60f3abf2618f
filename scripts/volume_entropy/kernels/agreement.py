"""Numba kernels that count where members agree, from their packed labels."""

import numpy as np
from numpy.typing import NDArray

from .compilation import inlined, kernel
from .entropy import Floats

Counts = NDArray[np.int64]
Words = NDArray[np.uint32]


@kernel
def count_agreement(
    votes: Words,
    bits: int,
    n_members: int,
    domain: NDArray[np.bool_],
    unanimous: Counts,
    member_voxels: Counts,
    union: Counts,
    pairs: Counts,
    mode: Floats,
) -> None:
    """Count labels over the domain: voxels where all members say c apart from those where they differ.

    Parameters
    ----------
    votes
        (word, voxel) labels, 32 // bits of them a word, member 0 in the lowest bits.
    domain
        (voxel,) the others are left out of every count, but not of `mode`.
    unanimous
        (class,) voxels where all say c; they are in none of the next three.
    member_voxels, union, pairs
        (member, class) voxels where the member says c; (class,) voxels where any does; (class, member, member) voxels
        where both of a pair m < m' do.
    mode
        (voxel,) share of the members that say the most frequent label, or no voxels.
    """
    slots = 32 // bits
    repeat = np.uint32(0)
    for slot in range(slots):
        repeat |= np.uint32(np.uint32(1) << np.uint32(bits * slot))
    last_slots = n_members - (votes.shape[0] - 1) * slots
    used = np.uint32(0xFFFFFFFF) if last_slots * bits >= 32 else np.uint32((1 << (last_slots * bits)) - 1)
    low = np.uint32((1 << bits) - 1)
    label = np.zeros(n_members, np.int64)
    said = np.zeros(unanimous.size, np.int64)
    for v in range(votes.shape[1]):
        first = np.uint32(votes[0, v] & low)
        agreed = np.uint32(first * repeat)
        difference = np.uint32(0)
        for word in range(votes.shape[0] - 1):
            difference |= np.uint32(votes[word, v] ^ agreed)
        difference |= np.uint32((votes[votes.shape[0] - 1, v] ^ agreed) & used)
        if difference == 0:
            if mode.size > 0:
                mode[v] = 1.0
            if domain[v]:
                unanimous[first] += 1
            continue
        if domain[v] or mode.size > 0:
            for m in range(n_members):
                label[m] = (votes[m // slots, v] >> np.uint32(bits * (m % slots))) & low
            _count_differing(label, domain[v], said, member_voxels, union, pairs)
            if mode.size > 0:
                mode[v] = np.float32(said.max() / n_members)


@inlined
def _count_differing(
    label: NDArray[np.int64], inside: bool, said: Counts, member_voxels: Counts, union: Counts, pairs: Counts
) -> None:
    said[:] = 0
    for m in range(label.size):
        said[label[m]] += 1
    if inside:
        for c in range(said.size):
            union[c] += said[c] > 0
        for m in range(label.size):
            c = label[m]
            member_voxels[m, c] += 1
            for k in range(m + 1, label.size):
                pairs[c, m, k] += label[k] == c
