"""Numba kernels at both ends of a tile: widening its input to float32, and writing its maps and class sums."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .check_kernels import tally
from .compilation import inlined
from .kernels import (
    EMPTY,
    FILLED,
    INVALID,
    LARGEST,
    NAN,
    ONE,
    PLOGP,
    PLOGP_LOST,
    REST,
    REST_LOST,
    VALUE_BITS,
    ZERO,
    Floats,
    Integers,
    Labels,
    Scratch,
    Settings,
    States,
    entropy_parts,
)

_HALF = np.float32(0.5)
_VALUE_SCALE = np.float32(2.0**VALUE_BITS)
_NONE, _EMPTY, _FILLED, _INVALID = np.int32(0), np.int32(EMPTY), np.int32(FILLED), np.int32(INVALID)
_FILLED_OR_INVALID = np.int32(FILLED | INVALID)


class Output(NamedTuple):
    """What the kernels fill; an array of no voxels is not wanted.

    Attributes
    ----------
    entropy, least_confidence, margin
        (voxel,) maps.
    segmentation
        (voxel,) labels, or (region, voxel) flags.
    expected
        (class,) Σ p̄ · 2³⁰ over the domain.
    counts, extremes
        As `kernels` numbers their entries.
    """

    entropy: Floats
    least_confidence: Floats
    margin: Floats
    segmentation: Labels
    expected: NDArray[np.int64]
    counts: NDArray[np.int64]
    extremes: NDArray[np.float64]


@inlined
def widen_half(halves: NDArray[np.uint16], start: int, n: int, rows: Floats) -> None:
    """Fill `rows[:, :n]` with the float16 values whose bits are in `halves[:, start : start + n]`, exactly."""
    for c in range(halves.shape[0]):
        half = halves[c][start : start + n]
        row = rows[c]
        for v in range(n):
            bits = np.int32(half[v])
            magnitude = np.int32(bits & np.int32(0x7FFF))
            shifted = np.int32(magnitude << np.int32(13))
            normal = np.int32(shifted + np.int32(112 << 23)).view(np.float32)
            subnormal = np.float32(magnitude) * np.float32(2.0**-24)
            not_finite = np.int32(shifted | np.int32(0x7F800000)).view(np.float32)
            x = subnormal if magnitude < np.int32(0x0400) else normal
            x = not_finite if magnitude >= np.int32(0x7C00) else x
            row[v] = -x if bits != magnitude else x


@inlined
def write_tile(rows: Floats, start: int, n: int, at: int, first_label: int, settings: Settings,
               mask: NDArray[np.bool_], scratch: Scratch, output: Output) -> None:
    """Write what p̄ gives at voxels `at` to `at + n` of the output, from its accumulators, states and `rows`."""
    sums, label, state, weight = scratch.sums, scratch.label, scratch.state, scratch.weight[:n]
    _write_entropy(n, settings, sums, label, state, output.entropy[at : at + n], output.segmentation[at : at + n])
    if output.margin.size > 0:
        _find_second(rows, start, first_label, label, scratch.background, weight)
        _write_confidence(weight, sums, state, output.margin[at : at + n])
    if output.least_confidence.size > 0:
        weight[:] = ZERO
        _write_confidence(weight, sums, state, output.least_confidence[at : at + n])
    if output.expected.size > 0:
        for v in range(n):
            weight[v] = _VALUE_SCALE / (sums[LARGEST + v] + sums[REST + v])
        keep_domain(state, mask[at : at + n], weight)
        for c in range(rows.shape[0]):
            output.expected[first_label + c] += weighted_sum(rows[c][start : start + n], weight)
        if first_label == 1:
            output.expected[0] += weighted_sum(scratch.background[:n], weight)
    tally(state[:n], output.counts)


@inlined
def _write_entropy(n: int, settings: Settings, sums: Floats, label: Integers, state: States, entropy: Floats,
                   segmentation: Labels) -> None:
    scale, most, nothing = settings.scale, settings.most, settings.nothing
    for v in range(n):
        bits = np.int32(state[v])
        head, tail = entropy_parts(sums[LARGEST + v], sums[REST + v], sums[REST_LOST + v], sums[PLOGP + v],
                                   sums[PLOGP_LOST + v])
        value = (head + tail) * scale
        value = ZERO if value < ZERO else value
        value = most if value > most else value
        value = NAN if np.int32(bits & _INVALID) != _NONE else value
        entropy[v] = ZERO if bits == _EMPTY else value
        segmentation[v] = label[v] if np.int32(bits & _FILLED_OR_INVALID) == _FILLED else nothing


@inlined
def _write_confidence(second: Floats, sums: Floats, state: States, out: Floats) -> None:
    for v in range(out.size):
        bits = np.int32(state[v])
        value = ONE - (sums[LARGEST + v] - second[v]) / (sums[LARGEST + v] + sums[REST + v])
        value = NAN if np.int32(bits & _INVALID) != _NONE else value
        out[v] = ZERO if bits == _EMPTY else value


@inlined
def _find_second(rows: Floats, start: int, first_label: int, label: Integers, background: Floats,
                 second: Floats) -> None:
    for v in range(second.size):
        second[v] = background[v] if first_label == 1 and label[v] != 0 else ZERO
    for c in range(rows.shape[0]):
        row = rows[c][start : start + second.size]
        its_label = np.int32(first_label + c)
        for v in range(second.size):
            larger = (row[v] > second[v]) & (label[v] != its_label)
            second[v] = row[v] if larger else second[v]


@inlined
def keep_domain(state: States, mask: NDArray[np.bool_], weight: Floats) -> None:
    """Set `weight` to 0 where a voxel is empty, invalid or outside the mask; a mask of no voxels leaves all in."""
    for v in range(weight.size):
        weight[v] = weight[v] if np.int32(np.int32(state[v]) & _FILLED_OR_INVALID) == _FILLED else ZERO
    if mask.size > 0:
        for v in range(weight.size):
            weight[v] = weight[v] if mask[v] else ZERO


@inlined
def weighted_sum(row: Floats, weight: Floats) -> int:
    """Σ row · weight, each term rounded to an integer; terms that are NaN or negative count as 0."""
    total = np.int64(0)
    for v in range(row.size):
        value = row[v] * weight[v]
        value = value if value > ZERO else ZERO
        total += np.int64(np.int32(value + _HALF))
    return total
