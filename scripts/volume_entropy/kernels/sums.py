"""Numba kernels for sums over the voxels of a block, in integers that merge in any order.

A value v becomes the integer rint(v · 2⁴⁰). Integers do not care in which order they are added, so every sum is the
same for any block shape, thread count or node. Where 64 bits could overflow, a sum is kept as two limbs: its value is
`limbs[0] · 2³² + limbs[1]`.

Their room is given to them, also as another type, and rows are copied by hand: machine code that makes or views arrays,
or assigns slices, wants another part of numba imported with it, 20 ms a job.
"""

import numpy as np
from numpy.typing import NDArray

from .compilation import inlined, kernel
from .entropy import FIXED_POINT_BITS

# Of the domain, the foreground and the boundary; the sum of the flags is a voxel's role, 0 outside the domain.
DOMAIN, FOREGROUND, BOUNDARY = 1, 2, 4
N_ROLES = 8

# No measure reaches this (256 regions at 1 bit each would). Products below then stay under 2**48 each, so that
# thousands of them fit into 64 bits.
VALUE_LIMIT = 256.0
LOW_BITS = 24
LOW_MASK = (1 << LOW_BITS) - 1
SAFE_RUN = 4096
# Top 20 bits of a float32 make its histogram bin; one more bin in front holds the value 0 alone.
DROPPED_BITS = 12
N_BINS = (int(np.float32(VALUE_LIMIT).view(np.int32)) >> DROPPED_BITS) + 2

ONE = 2.0**FIXED_POINT_BITS
ROUNDER = 1.5 * 2.0**52
ROUNDER_BITS = int(np.float64(ROUNDER).view(np.int64))
LIMB_BITS = 32
LIMB_MASK = 2**LIMB_BITS - 1

# Rows of `limbs` in `sum_measure`.
N_SUMS = 5
OUTSIDE, INSIDE, HIGH_SQUARES, MIXED_SQUARES, LOW_SQUARES = range(N_SUMS)

Volume = NDArray[np.float32]
Flags = NDArray[np.bool_]
Labels = NDArray[np.uint8] | NDArray[np.uint16]


@inlined
def add_to_limbs(limbs: NDArray[np.int64], row: int, value: int) -> None:
    """Add a 64-bit integer to the two limbs of one row."""
    limbs[row, 0] += value >> LIMB_BITS
    limbs[row, 1] += value & LIMB_MASK


@inlined
def to_fixed_point(row: NDArray[np.float32], floats: NDArray[np.float64], fixed: NDArray[np.int64]) -> None:
    """Fill `fixed` with rint(value · 2⁴⁰) of a row, 0 for NaN; `floats` is the same memory as float64.

    Adding 1.5 · 2⁵² leaves the rounded integer in the low bits of the sum: AVX2 has no conversion to 64-bit integers.
    """
    for x in range(row.size):
        value = np.float64(row[x])
        floats[x] = (value * ONE if value > 0.0 else 0.0) + ROUNDER
    for x in range(row.size):
        fixed[x] -= ROUNDER_BITS


@inlined
def flush_column(column: NDArray[np.int64], x_sums: NDArray[np.int64]) -> None:
    """Move 64-bit sums into limbs."""
    for x in range(column.size):
        add_to_limbs(x_sums, x, column[x])
        column[x] = 0


@kernel
def sum_measure(
    values: Volume,
    bits: NDArray[np.int32],
    domain: Flags,
    threshold: float,
    origin: tuple[int, int, int],
    edge: int,
    limbs: NDArray[np.int64],
    z_sums: NDArray[np.int64],
    y_sums: NDArray[np.int64],
    x_sums: NDArray[np.int64],
    patches: NDArray[np.int64],
    bins: NDArray[np.int64],
    counts: NDArray[np.int64],
    column: NDArray[np.int64],
    floats: NDArray[np.float64],
    fixed: NDArray[np.int64],
) -> tuple[np.float32, int, int]:
    """Sum one measure in one sweep: values, squares, histogram, slices and boxes.

    `values` and `bits` are the same memory as float32 and int32, (z, y, x); NaN is in no sum. `origin` is the block's
    first voxel within its first box. Sums are added to what is given; `counts` must be N_BINS zeros and `column` zeros,
    one for each voxel of a row; `floats` and `fixed` are the same room for a row. Returns the maximum, the number of
    domain voxels above the threshold, and how many bins of the histogram are not empty: `bins` starts with them, and
    `counts` with what is in them. The maximum is -1 if a value is out of range.
    """
    depth, height, width = values.shape
    maximum, n_high, n_rows, n_domain = np.float32(0.0), 0, 0, 0
    for z in range(depth):
        for y in range(height):
            row, inside = values[z, y], domain[z, y]
            largest = np.float32(0.0)
            for x in range(width):
                largest = row[x] if row[x] > largest else largest
            for x in range(width):
                n_domain += inside[x]
            if largest >= VALUE_LIMIT:
                return np.float32(-1.0), n_high, 0
            if largest == 0.0:
                continue
            to_fixed_point(row, floats, fixed)
            for x in range(width):
                if not inside[x] and fixed[x] != 0:
                    add_to_limbs(limbs, OUTSIDE, fixed[x])
                    fixed[x] = 0
            for x in range(width):
                column[x] += fixed[x]
                value = row[x] if inside[x] else np.float32(0.0)
                n_high += int(value > threshold)
                maximum = value if value > maximum else maximum
            for x in range(width):
                if inside[x] and row[x] > 0.0:
                    counts[(bits[z, y, x] >> DROPPED_BITS) + 1] += 1
            for first in range(0, width, SAFE_RUN):
                high, mixed, low = 0, 0, 0
                # The square as (upper · 2²⁴ + lower)², whose parts do not overflow: a spread of 1e-4 around 1 bit
                # needs more than 64 bits of a square.
                for x in range(first, min(first + SAFE_RUN, width)):
                    upper, lower = fixed[x] >> LOW_BITS, fixed[x] & LOW_MASK
                    high += upper * upper
                    mixed += upper * lower
                    low += lower * lower
                add_to_limbs(limbs, HIGH_SQUARES, high)
                add_to_limbs(limbs, MIXED_SQUARES, mixed)
                add_to_limbs(limbs, LOW_SQUARES, low)
            for box in range(patches.shape[2]):
                total = 0
                for x in range(max(0, box * edge - origin[2]), min(width, (box + 1) * edge - origin[2])):
                    total += fixed[x]
                patches[(origin[0] + z) // edge, (origin[1] + y) // edge, box] += total
                add_to_limbs(limbs, INSIDE, total)
                add_to_limbs(z_sums, z, total)
                add_to_limbs(y_sums, y, total)
            n_rows += 1
            if n_rows % SAFE_RUN == 0:
                flush_column(column, x_sums)
    flush_column(column, x_sums)
    n_counted = 0
    for b in range(1, N_BINS):
        n_counted += counts[b]
    counts[0] = n_domain - n_counted
    # By hand and without the interpreter, which two threads share: numpy takes 1 ms to find the bins of a block.
    n_bins = 0
    for b in range(N_BINS):
        if counts[b] > 0:
            bins[n_bins], counts[n_bins] = b, counts[b]
            n_bins += 1
    return maximum, n_high, n_bins


@kernel
def count_domain(
    domain: Flags, z_counts: NDArray[np.int64], y_counts: NDArray[np.int64], x_counts: NDArray[np.int64]
) -> None:
    """Count the domain voxels of every slice along z, y and x."""
    for z in range(domain.shape[0]):
        for y in range(domain.shape[1]):
            n = 0
            for x in range(domain.shape[2]):
                n += domain[z, y, x]
                x_counts[x] += domain[z, y, x]
            z_counts[z] += n
            y_counts[y] += n


@kernel
def sum_labels(
    values: Volume,
    labels: Labels,
    counts: NDArray[np.int64],
    limbs: NDArray[np.int64],
    floats: NDArray[np.float64],
    fixed: NDArray[np.int64],
) -> None:
    """Count voxels and sum `values` for every label below `counts.size`; other labels and NaN add nothing.

    `floats` and `fixed` are the same room for a row.
    """
    depth, height, width = values.shape
    for z in range(depth):
        for y in range(height):
            to_fixed_point(values[z, y], floats, fixed)
            row = labels[z, y]
            first = 0
            while first < width:
                # Neighbours mostly share their label: a run is summed in a register.
                label, total, x = row[first], 0, first
                stop = min(width, first + SAFE_RUN)
                while x < stop and row[x] == label:
                    total += fixed[x]
                    x += 1
                if label < counts.size:
                    counts[label] += x - first
                    add_to_limbs(limbs, label, total)
                first = x


@inlined
def mark_row(
    row: Labels,
    before: Labels,
    after: Labels,
    north: Labels,
    south: Labels,
    west: Labels,
    east: Labels,
    inside: Flags,
    nothing: int,
    background: int,
    roles: NDArray[np.uint8],
) -> None:
    """Mark one row; apart, and without branches, so that it is compiled to vector instructions."""
    for x in range(row.size):
        label = row[x]
        differs = (
            ((before[x] != label) & (before[x] != nothing))
            | ((after[x] != label) & (after[x] != nothing))
            | ((north[x] != label) & (north[x] != nothing))
            | ((south[x] != label) & (south[x] != nothing))
            | ((west[x] != label) & (west[x] != nothing))
            | ((east[x] != label) & (east[x] != nothing))
        )
        domain = (label != nothing) & inside[x]
        role = DOMAIN | (FOREGROUND if label != background else 0) | (BOUNDARY if differs else 0)
        roles[x] |= role if domain else 0


@kernel
def mark_roles(
    labels: Labels,
    below: Labels,
    above: Labels,
    inside: Flags,
    nothing: int,
    background: int,
    padded: Labels,
    roles: NDArray[np.uint8],
) -> None:
    """Add the roles that follow from one label volume (z, y, x) to `roles`.

    `below` and `above` are the planes before and after the volume, `nothing` where there is none; a voxel without a
    label differs from no neighbour, and no neighbour from it. `padded` is room for a row and two voxels more.
    """
    depth, height, width = labels.shape
    padded[0], padded[-1] = nothing, nothing
    west, east = padded[:-2], padded[2:]
    for z in range(depth):
        before = below if z == 0 else labels[z - 1]
        after = above if z == depth - 1 else labels[z + 1]
        for y in range(height):
            row, within, out = labels[z, y], inside[z, y], roles[z, y]
            for x in range(width):
                padded[1 + x] = row[x]
            north, south = labels[z, max(y - 1, 0)], labels[z, min(y + 1, height - 1)]
            mark_row(row, before[y], after[y], north, south, west, east, within, nothing, background, out)
