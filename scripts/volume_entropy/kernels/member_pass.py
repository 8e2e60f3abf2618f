"""Numba kernels of samples with several members, kind `softmax`: one pass a member, one at the end; or all at once."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import kernel, named_for
from .entropy import STRIP, TILE, Floats, Scratch, Settings
from .members import Members, Split, Words, add_tile, finish_tile
from .outputs import Output, weigh_domain, weighted_sum, widen_half
from .unrolled_member import make_add_strip, make_finish_strip

# Four tissues, or three and a complement. A number of classes more is four signatures more to compile in the tests.
UNROLLED = (3, 4)


class MemberKernels(NamedTuple):
    """Kernels that take members one by one and then finish, or all at once; see `make_kernels`."""

    add_member: Callable[..., None]
    finish_members: Callable[..., None]
    measure_members: Callable[..., None]


def member_kernels(n_rows: int, n_classes: int, near_one: bool) -> MemberKernels:
    """The kernels for members of `n_rows` stored classes out of `n_classes`; `near_one`: sums are within 1/32 of 1."""
    return make_kernels((n_rows, n_classes) if near_one and n_rows in UNROLLED else None)


@lru_cache
def make_kernels(shape: tuple[int, int] | None) -> MemberKernels:
    """Kernels for these numbers of stored and of all classes, or for any."""
    if shape is None:
        add, finish, step, name = add_tile, finish_tile, TILE, "any"
    else:
        add, finish, step = make_add_strip(shape[0]), make_finish_strip(shape[1]), STRIP
        name = f"{shape[0]}_of_{shape[1]}"

    @kernel
    @named_for(name)
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
            (stored class, voxel) probabilities; or their float16 bits in `halves`, and `rows` has room for a strip.
        background
            Room for a strip of class 0, if that is max(0, 1 - Σp) and not stored.
        votes
            (word, voxel) labels, 32 // `bits` of them a word, member 0 in the lowest bits.
        """
        n_voxels = members.spread.size
        for at in range(0, n_voxels, step):
            n = min(step, n_voxels - at)
            first = at
            if halves is not None:
                widen_half(halves, at, n, rows)
                first = 0
            if votes is None:
                odd = add(rows, first, n, at, member, settings, background, None, scratch, members, output)
            else:
                odd = add(rows, first, n, at, member, settings, background, scratch.label, scratch, members, output)
                slots = 32 // bits
                words = votes[member // slots][at : at + n]
                shift = np.uint32(bits * (member % slots))
                for v in range(n):
                    words[v] |= np.uint32(np.uint32(scratch.label[v]) << shift)
            output.odd[at // TILE : -(-(at + n) // TILE)] = odd

    @kernel
    @named_for(name)
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
        """Fill the maps of voxels `start` to `stop` of `floats` (member, class, voxel).

        `members` has room for one strip, which so stays in the cache from the first member to the last.
        """
        for at in range(start, stop, step):
            n = min(step, stop - at)
            members.state[:] = 0
            for member in range(floats.shape[0]):
                add(floats[member], at, n, 0, member, settings, None, None, scratch, members, output)
            finish(0, n, at, floats.shape[0], settings, scratch, members, output, split)

    @kernel
    @named_for(name)
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
        for at in range(0, n_voxels, step):
            n = min(step, n_voxels - at)
            finish(at, n, at, n_members, settings, scratch, members, output, split)
            weight = scratch.weight[:n]
            weigh_domain(weight, None if mask is None else mask[at : at + n])
            for c in range(members.mean.shape[0]):
                output.expected[c] += weighted_sum(members.mean[c][at : at + n], weight)

    return MemberKernels(add_member, finish_members, measure_members)
