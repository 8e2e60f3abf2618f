"""Numba kernels for the entropy of one member, in tiles of voxels: pure functions that fill `out`.

A tile is worked on class by class (two a pass, so that its accumulators are loaded half as often), and its accumulators
stay in L1. Every loop over voxels is one that LLVM vectorises, and no sum is reassociated: the value of a voxel depends
on that voxel alone, not on its neighbours, the block, the thread or the width of the vectors.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compilation import fma, inlined

# Sums over voxels are integers, value · 2⁴⁰: they add in any order.
FIXED_POINT_BITS = 40
# Inside the loop a value is rounded to 2⁻³⁰: 1 is then an int32, and 2³³ voxels fit the int64 sum.
VALUE_BITS = 30

# What a voxel is, as bits of its state. It is invalid if it has one of `INVALID`; kernels only say UNEXPLAINED.
NOT_FINITE, NEGATIVE, ABOVE_ONE, BAD_SUM, EMPTY, FILLED, RENORMALISED, UNEXPLAINED = (1 << bit for bit in range(8))
INVALID = NOT_FINITE | NEGATIVE | ABOVE_ONE | BAD_SUM | UNEXPLAINED
# Entries of `counts`, in voxels.
N_EMPTY, N_INVALID, N_RENORMALISED = range(3)
# Entries of `extremes`: the smallest and largest finite value, the smallest and largest sum that is finite and not 0.
VALUE_MINIMUM, VALUE_MAXIMUM, SUM_MINIMUM, SUM_MAXIMUM = range(4)

TILE = 1024
# Voxels that kernels with all of a voxel in registers take at a time. Such a loop takes 270 ns to start and to end (its
# checks for overlap, its constants, what it counts), as long as 100 voxels of a member.
STRIP = 4 * TILE
# Accumulators of a tile: the largest value; the sum of the others and what its rounding lost; Σ p log2 p and what its
# rounding lost; the smallest value. The largest is kept apart so that Σp - 1 is exact where one class is nearly
# certain: a plain float32 sum of 33 classes errs by up to 6e-7 there.
# Rows of 4096 bytes would fall on the same sets of an 8-way L1, hence 16 floats between them (a fifth of the time).
LARGEST, REST, REST_LOST, PLOGP, PLOGP_LOST, SMALLEST = (row * (TILE + 16) for row in range(6))
SCRATCH = 6 * (TILE + 16)

ZERO, ONE, NAN, INFINITY = np.float32(0), np.float32(1), np.float32(np.nan), np.float32(np.inf)
# log2(1 + δ) ≈ δ (L1 + δ (L2 + δ (L3 + δ L4)))
_L1, _L2, _L3, _L4 = (np.float32(sign / np.log(2.0)) for sign in (1.0, -1 / 2, 1 / 3, -1 / 4))
_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_EXPONENT_MASK = np.int32(-(1 << 23))
_MANTISSA_BITS = np.int32(23)
# log2(1 + f) ≈ f · P(f) on [√½ - 1, √2 - 1), minimax in the relative error: 2.6e-8, in float32 arithmetic 1.5e-7.
# One degree less saves 4 % of the time and errs by 2.8e-7, a third of what a voxel of 40 classes may.
_P0, _P1, _P2, _P3, _P4, _P5, _P6, _P7, _P8 = (
    np.float32(coefficient)
    for coefficient in (
        1.4426950216293335,
        -0.7213473320007324,
        0.48091062903404236,
        -0.3607036769390106,
        0.28791624307632446,
        -0.23894482851028442,
        0.21571561694145203,
        -0.20726968348026276,
        0.12583689391613007,
    )
)


Floats = NDArray[np.float32]
Integers = NDArray[np.int32]
States = NDArray[np.uint8]
Labels = NDArray[np.uint8] | NDArray[np.uint16]


class Settings(NamedTuple):
    """What holds for every voxel of a sample; float32, so that no comparison widens its loop.

    Attributes
    ----------
    value_low, value_high, sum_low, sum_high
        A voxel with a value or a sum outside is invalid.
    renormalised
        A sum further than this from 1 counts as renormalised.
    scale, most
        An entropy in bit is multiplied by `scale`, and is at most `most` then.
    nothing
        The segmentation where there is no class.
    """

    value_low: np.float32
    value_high: np.float32
    sum_low: np.float32
    sum_high: np.float32
    renormalised: np.float32
    scale: np.float32
    most: np.float32
    nothing: np.int32


class Scratch(NamedTuple):
    """Room for one tile: its accumulators; and for one strip: label, state and weight of its voxels."""

    sums: Floats
    label: Integers
    state: States
    weight: Floats


@inlined
def log2(x: np.float32) -> np.float32:
    """log2 of a float32 ≥ 0: relatively accurate near 1, exactly 0 at 1, finite at 0 so that 0 · log2 0 = 0.

    The mantissa is taken from [√½, √2), so that near 1 the exponent is 0 and nothing cancels.
    """
    bits = np.float32(x).view(np.int32)
    above = np.int32(bits - _SQRT_HALF_BITS)
    exponent = np.float32(np.int32(above >> _MANTISSA_BITS))
    f = np.float32(np.int32(bits - np.int32(above & _EXPONENT_MASK)).view(np.float32) - ONE)
    p = fma(fma(fma(fma(fma(fma(fma(fma(_P8, f, _P7), f, _P6), f, _P5), f, _P4), f, _P3), f, _P2), f, _P1), f, _P0)
    return fma(f, p, exponent)


@inlined
def entropy_parts(
    largest: np.float32, rest: np.float32, rest_lost: np.float32, plogp: np.float32, plogp_lost: np.float32
) -> tuple[np.float32, np.float32]:
    """Entropy in bit of p/Σp where |Σp - 1| ≤ 1/32, as a float32 and what it lacks.

    Exactly 0 where one class holds all. log2 Σp - (Σ p log2 p)/Σp with Σp = 1 + δ, in powers of δ up to the fourth:
    what is left out is below 1e-8 bit and 4e-8 of the sum, as little as float32 rounds, and a logarithm and a division
    less are a third of what a voxel costs besides its classes.
    """
    d = ((largest - ONE) + rest) + rest_lost
    head, tail, _ = _near_one(d, rest, plogp, plogp_lost)
    return head, tail


@inlined
def near_one_parts(
    largest: np.float32, rest: np.float32, plogp: np.float32
) -> tuple[np.float32, np.float32, np.float32]:
    """`entropy_parts` of few classes, whose sums lose nothing that counts; and 1/Σp."""
    return _near_one((largest - ONE) + rest, rest, plogp, ZERO)


@inlined
def _near_one(
    d: np.float32, rest: np.float32, plogp: np.float32, plogp_lost: np.float32
) -> tuple[np.float32, np.float32, np.float32]:
    log_total = d * fma(d, fma(d, fma(d, _L4, _L3), _L2), _L1)
    share = d * fma(d, fma(d, ONE - d, -ONE), ONE)
    tail = fma(plogp, share, log_total) - plogp_lost
    spread = rest > ZERO
    return -plogp if spread else ZERO, tail if spread else ZERO, ONE - share
