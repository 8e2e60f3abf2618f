"""What numba kernels of samples with several members, kind `softmax`, do with a tile: add a member, finish, split.

What is kept between members is the mean of each class and, a voxel, the spread around it (Welford's recurrences, so
that members of equal bits leave the mean as it is and a spread of exactly 0), the sum of the members' entropies and
each member's label in as many bits as the classes need.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .checks import classify, widen_extremes
from .classes import accumulate, add_background
from .compilation import fma, inlined
from .entropy import (
    EMPTY,
    FILLED,
    INVALID,
    LARGEST,
    ONE,
    PLOGP,
    PLOGP_LOST,
    REST,
    REST_LOST,
    UNEXPLAINED,
    ZERO,
    Floats,
    Integers,
    Scratch,
    Settings,
    States,
    entropy_parts,
    log2,
)
from .outputs import Output, labels_at, write_entropy

LOG2_E = np.float32(np.log2(np.e))
_NONE, _EMPTY, _FILLED, _INVALID = np.int32(0), np.int32(EMPTY), np.int32(FILLED), np.int32(INVALID)
_BOTH = np.int32(EMPTY | FILLED)

Words = NDArray[np.uint32]


class Members(NamedTuple):
    """What is known of the members so far; `state` starts as 0, the others with the first member.

    Attributes
    ----------
    mean
        (class, voxel) mean probability.
    spread
        (voxel,) Σ over members and classes of (p - mean)².
    entropy, entropy_lost
        (voxel,) sum of the members' entropies in bit, and what its rounding lost.
    state
        (voxel,) the bits of all members' states.
    """

    mean: Floats
    spread: Floats
    entropy: Floats
    entropy_lost: Floats
    state: States


class Split(NamedTuple):
    """(voxel,) maps that members give: the parts of the entropy; and the variance, of no voxel if nobody asks."""

    expected_entropy: Floats
    mutual_information: Floats
    variance: Floats


@inlined
def add_tile(
    rows: Floats,
    first: int,
    n: int,
    at: int,
    member: int,
    settings: Settings,
    background: Floats | None,
    label: Integers | None,
    scratch: Scratch,
    members: Members,
    output: Output,
) -> bool | np.bool_:
    """Add voxels `first` to `first + n` of a member's rows to the members' from `at` on; say whether they are odd.

    `label`, if given, is that of `scratch`, and gets theirs.
    """
    sums, weight = scratch.sums, scratch.weight[:n]
    first_label = 0 if background is None else 1
    accumulate(rows, first, n, first_label, sums, scratch.label)
    finite = widen_extremes(n, sums, output.extremes)
    if background is not None:
        add_background(n, sums, scratch.label, background)
    n_invalid = classify(n, settings, sums, scratch.state, output.counts)
    spread, entropy = members.spread[at : at + n], members.entropy[at : at + n]
    entropy_lost = members.entropy_lost[at : at + n]
    if member == 0:
        spread[:] = ZERO
        entropy[:] = ZERO
        entropy_lost[:] = ZERO
    _add_entropy(sums, scratch.state, weight, entropy, entropy_lost, members.state[at : at + n])
    share = ONE / np.float32(member + 1)
    for c in range(rows.shape[0]):
        _move_mean(rows[c][first : first + n], weight, share, members.mean[first_label + c][at : at + n], spread)
    if background is not None:
        _move_mean(background[:n], weight, share, members.mean[0][at : at + n], spread)
    return n_invalid > 0 or not finite


@inlined
def _add_entropy(
    sums: Floats, its_state: States, weight: Floats, entropy: Floats, entropy_lost: Floats, state: States
) -> None:
    """Add a member's entropy and state to the sums; fill `weight` with 1/Σp, 0 where it has no probabilities.

    log2 Σp - (Σ p log2 p)/Σp for a Σp of any size, with the rounding of the quotient added back; the error grows with
    the two logarithms that cancel, by 1e-7 · |log2 Σp| bit.
    """
    for v in range(weight.size):
        largest, rest, plogp = sums[LARGEST + v], sums[REST + v], sums[PLOGP + v]
        total = largest + rest
        total_lost = ((largest - total) + rest) + sums[REST_LOST + v]
        inverse = ONE / total
        ratio = plogp * inverse
        ratio_lost = fma(-ratio, total_lost, fma(-ratio, total, plogp) + sums[PLOGP_LOST + v]) * inverse
        log_total = log2(total)
        head = log_total - ratio
        tail = fma(total_lost * inverse, LOG2_E, log_total - (head + ratio)) - ratio_lost
        filled = np.int32(np.int32(its_state[v]) & _FILLED) != _NONE
        mixed = filled & (rest > ZERO)
        added = head if mixed else ZERO
        before = entropy[v]
        after = before + added
        entropy_lost[v] += (added - (after - before)) + (tail if mixed else ZERO)
        entropy[v] = after
        weight[v] = inverse if filled else ZERO
        state[v] |= its_state[v]


@inlined
def _move_mean(row: Floats, weight: Floats, share: np.float32, mean: Floats, spread: Floats) -> None:
    """Move the mean by row · weight, whose share is 1/m, and the spread; a share of 1 starts the mean."""
    if share == ONE:
        for v in range(row.size):
            mean[v], _ = moved_by(row[v], weight[v], ONE, ZERO, ZERO)
    else:
        for v in range(row.size):
            mean[v], spread[v] = moved_by(row[v], weight[v], share, mean[v], spread[v])


@inlined
def moved_by(
    p: np.float32, weight: np.float32, share: np.float32, mean: np.float32, spread: np.float32
) -> tuple[np.float32, np.float32]:
    """The mean and the spread with p · weight more, whose share is 1/m; what is below 0, or no number, counts as 0."""
    p = p * weight
    p = p if p > ZERO else ZERO
    off = p - mean
    moved = fma(off, share, mean)
    return moved, fma(off, p - moved, spread)


@inlined
def state_of_all(bits: np.int32) -> np.int32:
    """The state of a voxel from the bits of all members' states: invalid where it is empty in some of them only."""
    return np.int32(bits | np.int32(UNEXPLAINED)) if np.int32(bits & _BOTH) == _BOTH else bits


@inlined
def shares_of(n_members: int) -> tuple[np.float32, np.float32]:
    """1 / M as two float32: rounded to one of them, the share of every voxel would err the same way."""
    share = np.float32(1.0 / n_members)
    return share, np.float32(1.0 / n_members - np.float64(share))


@inlined
def split_voxel(
    head: np.float32,
    tail: np.float32,
    whole: np.float32,
    spread: np.float32,
    total: np.float32,
    total_lost: np.float32,
    bits: np.int32,
    share: np.float32,
    share_lost: np.float32,
    scale: np.float32,
) -> tuple[np.float32, np.float32, np.float32]:
    """Expected entropy, mutual information and variance of a voxel.

    Parameters
    ----------
    head, tail, whole
        The entropy of the mean in bit, as `entropy_parts` gives it; and in the unit asked for, NaN where the voxel is
        invalid.
    spread, total, total_lost, bits
        What `Members` knows of it.
    share, share_lost, scale
        `shares_of` the members, and the unit's.
    """
    expected = total * share
    lost = fma(total, share_lost, fma(total, share, -expected)) + total_lost * share
    information = ((head - expected) + (tail - lost)) * scale
    information = information if information > ZERO else ZERO
    information = information if information < whole else whole
    information = information if spread > ZERO else ZERO
    aleatoric = (expected + lost) * scale
    aleatoric = aleatoric if aleatoric < whole else whole
    aleatoric = aleatoric if information > ZERO else whole
    # `whole` is NaN where the voxel is invalid, 0 where it is empty.
    keep = np.int32(bits & np.int32(_INVALID | _EMPTY)) == _NONE
    return aleatoric if keep else whole, information if keep else whole, spread * share if keep else whole


@inlined
def finish_tile(
    first: int,
    n: int,
    at: int,
    n_members: int,
    settings: Settings,
    scratch: Scratch,
    members: Members,
    output: Output,
    split: Split | None,
) -> None:
    """Write voxels `at` to `at + n` of entropy, labels and split from those of the members from `first` on.

    `scratch.weight` gets their Σp̄, infinite where there is no class.
    """
    sums, state, entropy = scratch.sums, members.state[first : first + n], output.entropy[at : at + n]
    for v in range(n):
        state[v] = np.uint8(state_of_all(np.int32(state[v])))
    accumulate(members.mean, first, n, 0, sums, scratch.label)
    write_entropy(n, settings, sums, scratch.label, state, entropy, labels_at(at, n, output), scratch.weight)
    if split is not None:
        share, share_lost = shares_of(n_members)
        for v in range(n):
            head, tail = entropy_parts(
                sums[LARGEST + v], sums[REST + v], sums[REST_LOST + v], sums[PLOGP + v], sums[PLOGP_LOST + v]
            )
            # Into the accumulators, which are done with: with three more arrays, LLVM would not look for overlaps, and
            # not vectorise.
            sums[LARGEST + v], sums[REST + v], sums[PLOGP + v] = split_voxel(
                head, tail, entropy[v], members.spread[first + v], members.entropy[first + v],
                members.entropy_lost[first + v], np.int32(state[v]), share, share_lost, settings.scale,
            )  # fmt: skip
        split.expected_entropy[at : at + n] = sums[LARGEST : LARGEST + n]
        split.mutual_information[at : at + n] = sums[REST : REST + n]
        if split.variance.size > 0:
            split.variance[at : at + n] = sums[PLOGP : PLOGP + n]
