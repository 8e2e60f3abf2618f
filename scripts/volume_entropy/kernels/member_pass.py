"""Numba kernels of samples with several members, kind `softmax`: one pass a member, one at the end; or all at once."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import kernel
from .entropy import TILE, Floats, Scratch, Settings
from .members import Members, Split, Words, add_tile, finish_tile, split_tile
from .outputs import Output, weigh_domain, weighted_sum, widen_half
from .unrolled import named_for
from .unrolled_member import make_add_tile

# Four tissues, or three and a complement. A number of classes more is four signatures more to compile in the tests.
UNROLLED = (3, 4)


class MemberKernels(NamedTuple):
    """Kernels that take members: `add_member` and `measure_members`, see `make_kernels`."""

    add_member: Callable[..., None]
    measure_members: Callable[..., None]


def member_kernels(n_rows: int, near_one: bool) -> MemberKernels:
    """The kernels for members of `n_rows` stored classes; `near_one`: all sums are within 1/64 of 1."""
    return make_kernels(n_rows if near_one and n_rows in UNROLLED else None)


@lru_cache
def make_kernels(n_rows: int | None) -> MemberKernels:
    """Kernels for this number of stored classes, or for any."""
    add = add_tile if n_rows is None else make_add_tile(n_rows)

    @kernel
    @named_for(n_rows or "any")
    def add_member(
        rows: Floats,
        halves: NDArray[np.uint16] | None,
        member: int,
        bits: int,
        settings: Settings,
        background: Floats | None,
        votes: Words | None,
        scratch: Scratch,
        members: Members,
        output: Output,
    ) -> None:
        """Add member number `member` of a block to `members`, and what it tells to `extremes` and `odd` of `output`.

        What is None is left out when the kernel is compiled.

        Parameters
        ----------
        rows, halves
            (stored class, voxel) probabilities; or their float16 bits in `halves`, and `rows` has room for a tile.
        background
            Room for a tile of class 0, if that is max(0, 1 - Σp) and not stored.
        votes
            (word, voxel) labels, 32 // `bits` of them a word, member 0 in the lowest bits.
        """
        n_voxels = members.spread.size
        for at in range(0, n_voxels, TILE):
            n = min(TILE, n_voxels - at)
            first = at
            if halves is not None:
                widen_half(halves, at, n, rows)
                first = 0
            output.odd[at // TILE] = add(rows, first, n, at, member, settings, background, scratch, members, output)
            if votes is not None:
                slots = 32 // bits
                words = votes[member // slots][at : at + n]
                shift = np.uint32(bits * (member % slots))
                for v in range(n):
                    words[v] |= np.uint32(np.uint32(scratch.label[v]) << shift)

    @kernel
    @named_for(n_rows or "any")
    def measure_members(
        floats: Floats,
        start: int,
        stop: int,
        settings: Settings,
        scratch: Scratch,
        members: Members,
        output: Output,
        split: Split | None,
    ) -> None:
        """Fill the maps and labels of voxels `start` to `stop` of `floats` (member, class, voxel).

        `members` has room for one tile, which so stays in the cache from the first member to the last.
        """
        for at in range(start, stop, TILE):
            n = min(TILE, stop - at)
            members.state[:] = 0
            for member in range(floats.shape[0]):
                add(floats[member], at, n, 0, member, settings, None, scratch, members, output)
            finish_tile(0, n, at, settings, scratch, members, output)
            if split is not None:
                split_tile(0, n, at, floats.shape[0], settings, scratch, members, output.entropy, split)

    return MemberKernels(add_member, measure_members)


@kernel
def finish_members(
    n_members: int,
    settings: Settings,
    mask: NDArray[np.bool_] | None,
    scratch: Scratch,
    members: Members,
    output: Output,
    split: Split | None,
) -> None:
    """Fill the maps, labels and class sums of `output` and `split` from all the members of a block."""
    n_voxels = members.spread.size
    for at in range(0, n_voxels, TILE):
        n = min(TILE, n_voxels - at)
        finish_tile(at, n, at, settings, scratch, members, output)
        weight = scratch.weight[:n]
        weigh_domain(scratch.sums, members.state[at : at + n], None if mask is None else mask[at : at + n], weight)
        for c in range(members.mean.shape[0]):
            output.expected[c] += weighted_sum(members.mean[c][at : at + n], weight)
        if split is not None:
            split_tile(at, n, at, n_members, settings, scratch, members, output.entropy, split)
