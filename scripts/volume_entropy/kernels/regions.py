"""Numba kernels of kind `regions`: independent sigmoids, h(p) = -p log p - (1 - p) log(1 - p) summed over regions."""

import numpy as np
from numpy.typing import NDArray

from .checks import widen_extremes
from .compilation import fma, inlined, kernel
from .entropy import (
    FILLED,
    INFINITY,
    INVALID,
    LARGEST,
    NAN,
    ONE,
    PLOGP,
    PLOGP_LOST,
    REST,
    REST_LOST,
    SMALLEST,
    TILE,
    UNEXPLAINED,
    VALUE_BITS,
    ZERO,
    Floats,
    Labels,
    Scratch,
    Settings,
    States,
    log2,
)
from .members import LOG2_E, Members, Split, Words
from .outputs import Output, weighted_sum, widen_half

_HALF = np.float32(0.5)
_VALUE_SCALE = np.float32(2.0**VALUE_BITS)
_NONE, _INVALID = np.int32(0), np.int32(INVALID)


@inlined
def clamp(p: np.float32) -> np.float32:
    """p within 0 and 1; NaN counts as 0."""
    p = p if p > ZERO else ZERO
    return p if p < ONE else ONE


@inlined
def start(n: int, sums: Floats) -> None:
    """Start the accumulators of a tile."""
    for v in range(n):
        sums[LARGEST + v] = ZERO
        sums[SMALLEST + v] = INFINITY
        sums[REST + v] = ZERO
        sums[REST_LOST + v] = ZERO
        sums[PLOGP + v] = ZERO
        sums[PLOGP_LOST + v] = ZERO


@inlined
def add_coins(smaller: Floats, sums: Floats) -> None:
    """Add p log2 p + (1 - p) log2 (1 - p) to PLOGP, for the smaller of p and 1 - p.

    1 - p is rounded; what that lost is put back by the slope of x log2 x.
    """
    for v in range(smaller.size):
        p = smaller[v]
        other = ONE - p
        other_lost = (ONE - other) - p
        log_other = log2(other)
        added = fma(p, log2(p), fma(other, log_other, other_lost * (log_other + LOG2_E)))
        before = sums[PLOGP + v]
        after = before + added
        sums[PLOGP_LOST + v] += added - (after - before)
        sums[PLOGP + v] = after


@inlined
def add_region(row: Floats, smaller: Floats, sums: Floats) -> None:
    """Add a region of a member to the accumulators; REST gets NaN where a value is not finite."""
    for v in range(row.size):
        p, largest, smallest = row[v], sums[LARGEST + v], sums[SMALLEST + v]
        sums[LARGEST + v] = p if p > largest else largest
        sums[SMALLEST + v] = p if p < smallest else smallest
        sums[REST + v] += ZERO * p
        p = clamp(p)
        smaller[v] = p if p < _HALF else ONE - p
    add_coins(smaller, sums)


@kernel
def add_region_member(
    rows: Floats,
    halves: NDArray[np.uint16] | None,
    member: int,
    settings: Settings,
    votes: Words | None,
    scratch: Scratch,
    members: Members,
    output: Output,
) -> None:
    """Add member number `member` of a block to `members`, and what it tells to `extremes` and `odd` of `output`.

    Parameters are those of `add_member` in `kernels.member_pass`; `mean` has the
    means of p and then of 1 - p of the regions, and a region has ⌈M/32⌉ words of one bit a member in `votes`.
    """
    sums, n_voxels = scratch.sums, members.spread.size
    if member == 0:
        members.spread[:] = ZERO
        members.entropy[:] = ZERO
        members.entropy_lost[:] = ZERO
    for at in range(0, n_voxels, TILE):
        n = min(TILE, n_voxels - at)
        first = at
        if halves is not None:
            widen_half(halves, at, n, rows)
            first = 0
        start(n, sums)
        for r in range(rows.shape[0]):
            add_region(rows[r][first : first + n], scratch.weight[:n], sums)
        n_invalid = _NONE
        for v in range(n):
            good = (sums[SMALLEST + v] >= settings.value_low) & (sums[LARGEST + v] <= settings.value_high)
            good = good & (sums[REST + v] == ZERO)
            n_invalid = np.int32(n_invalid + np.int32(0 if good else 1))
            members.state[at + v] |= np.uint8(FILLED if good else UNEXPLAINED)
            added = -sums[PLOGP + v]
            before = members.entropy[at + v]
            after = before + added
            members.entropy_lost[at + v] += (added - (after - before)) - sums[PLOGP_LOST + v]
            members.entropy[at + v] = after
        output.odd[at // TILE] = not widen_extremes(n, sums, output.extremes) or n_invalid > _NONE
        for r in range(rows.shape[0]):
            row = rows[r][first : first + n]
            other = members.mean[rows.shape[0] + r][at : at + n]
            _move_mean(row, member, members.mean[r][at : at + n], other, members.spread[at : at + n])
            if votes is not None:
                n_words = votes.shape[0] // rows.shape[0]
                words = votes[r * n_words + member // 32][at : at + n]
                bit = np.uint32(1 << (member % 32))
                for v in range(n):
                    words[v] |= bit if row[v] > _HALF else np.uint32(0)


@inlined
def _move_mean(row: Floats, member: int, mean: Floats, other_mean: Floats, spread: Floats) -> None:
    """Move the means of p and of 1 - p, which has digits where p is nearly 1, and the spread."""
    share = ONE / np.float32(member + 1)
    for v in range(row.size):
        p = clamp(row[v])
        off = ZERO if member == 0 else p - mean[v]
        moved = p if member == 0 else fma(off, share, mean[v])
        spread[v] = fma(off, p - moved, spread[v])
        mean[v] = moved
        other = ONE - p
        off = ZERO if member == 0 else other - other_mean[v]
        other_mean[v] = other if member == 0 else fma(off, share, other_mean[v])


@kernel
def finish_regions(
    n_members: int,
    settings: Settings,
    mask: NDArray[np.bool_] | None,
    scratch: Scratch,
    members: Members,
    output: Output,
    split: Split,
) -> None:
    """Fill `output` and `split` from all the members of a block; the segmentation is p̄ > 0.5, a row a region."""
    n_voxels = members.spread.size
    for at in range(0, n_voxels, TILE):
        n = min(TILE, n_voxels - at)
        state, weight = members.state[at : at + n], scratch.weight[:n]
        n_regions = members.mean.shape[0] // 2
        start(n, scratch.sums)
        for r in range(n_regions):
            mean, other_mean = members.mean[r][at : at + n], members.mean[n_regions + r][at : at + n]
            for v in range(n):
                weight[v] = mean[v] if mean[v] < other_mean[v] else other_mean[v]
            add_coins(weight, scratch.sums)
        for v in range(n):
            weight[v] = _VALUE_SCALE if np.int32(np.int32(state[v]) & _INVALID) == _NONE else ZERO
        _write_maps(at, n, n_members, settings, scratch, members, output, split)
        _write_regions(at, n, settings, state, members.mean, output.segmentation)
        if mask is not None:
            for v in range(n):
                weight[v] = weight[v] if mask[at + v] else ZERO
        for r in range(n_regions):
            output.expected[r] += weighted_sum(members.mean[r][at : at + n], weight)


@inlined
def _write_regions(at: int, n: int, settings: Settings, state: States, mean: Floats, segmentation: Labels) -> None:
    for r in range(segmentation.shape[0]):
        row = mean[r][at : at + n]
        out = segmentation[r][at : at + n]
        for v in range(n):
            positive = np.int32(1) if row[v] > _HALF else _NONE
            out[v] = positive if np.int32(np.int32(state[v]) & _INVALID) == _NONE else settings.nothing


@inlined
def _write_maps(
    at: int,
    n: int,
    n_members: int,
    settings: Settings,
    scratch: Scratch,
    members: Members,
    output: Output,
    split: Split,
) -> None:
    share, scale = 1.0 / n_members, np.float64(settings.scale)
    for v in range(n):
        exact = -(np.float64(scratch.sums[PLOGP + v]) + np.float64(scratch.sums[PLOGP_LOST + v]))
        expected = (np.float64(members.entropy[at + v]) + np.float64(members.entropy_lost[at + v])) * share
        spread = members.spread[at + v]
        whole = np.float32(exact * scale)
        whole = whole if whole > ZERO else ZERO
        whole = whole if whole < settings.most else settings.most
        information = np.float32((exact - expected) * scale)
        information = information if information > ZERO else ZERO
        information = information if information < whole else whole
        information = information if spread > ZERO else ZERO
        aleatoric = np.float32(expected * scale)
        aleatoric = aleatoric if aleatoric < whole else whole
        aleatoric = aleatoric if information > ZERO else whole
        valid = scratch.weight[v] > ZERO
        output.entropy[at + v] = whole if valid else NAN
        split.expected_entropy[at + v] = aleatoric if valid else NAN
        split.mutual_information[at + v] = information if valid else NAN
        split.variance[at + v] = np.float32(np.float64(spread) * share) if valid else NAN
