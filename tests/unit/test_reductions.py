"""Sums over blocks are exact, and no cut of a volume into blocks changes them."""

import math
import pickle
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import reference_statistics as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_entropy.kernels.sums import BOUNDARY, DOMAIN, FOREGROUND, N_ROLES
from volume_entropy.partials import Extremes, SampleSums, assemble, bin_values, from_limbs, merge
from volume_entropy.reductions import domain_counts, label_sums, measure_sums, roles

EDGE = 10
SHAPES = st.tuples(st.integers(1, 13), st.integers(1, 12), st.integers(1, 23))
SEEDS = st.integers(0, 2**32 - 1)


def volume(shape, seed):
    """A measure with zeros, tiny and large values, invalid voxels, and a domain without them."""
    rng = np.random.default_rng(seed)
    values = (rng.random(shape) ** 8 * 4).astype(np.float32)
    values[rng.random(shape) < 0.3] = 0
    values[rng.random(shape) < 0.02] = 1e-30
    invalid = rng.random(shape) < 0.05
    values[invalid] = np.nan
    return values, (rng.random(shape) < 0.8) & ~invalid


def fixed(values):
    """The integers that values are summed as, in Python's own arithmetic."""
    return [round(Fraction(float(value)) * 2**40) for value in values.ravel()]


def cut(n, seed):
    """Random borders of blocks along an axis."""
    rng = np.random.default_rng([seed, n])
    inner = sorted({int(i) for i in rng.integers(1, n, rng.integers(0, 4))}) if n > 1 else []
    return list(zip([0, *inner], [*inner, n], strict=True))


def boxes(shape, seed):
    z, y, x = (cut(n, seed) for n in shape)
    return [(slice(*a), slice(*b), slice(*c)) for a in z for b in y for c in x]


def block_sums(values, domain, box):
    start = tuple(part.start for part in box)
    sums = measure_sums(values[box], domain[box], start=start, threshold=0.5, edge=EDGE)
    sums.class_totals = [sums.domain_total]
    return SampleSums(
        counts=Counter(domain=int(domain[box].sum())),
        extremes=[Extremes()],
        expected_voxels=[],
        class_voxels=[],
        slice_counts=domain_counts(domain[box], start),
        members=None,
        measures={"measure": sums},
    )


def comparable(sums, shape):
    """Everything that a summary uses, without the places where parts came from."""
    measure = sums.measures["measure"]
    grid = tuple(-(-n // EDGE) for n in shape)
    return [
        measure.total,
        measure.domain_total,
        measure.domain_squares,
        measure.n_high,
        measure.maximum,
        measure.bins.tolist(),
        measure.counts.tolist(),
        measure.class_totals,
        assemble(measure.patches, grid).tolist(),
        [from_limbs(assemble(parts, (n, 2))) for parts, n in zip(measure.slices, shape, strict=True)],
        [assemble(parts, (n,)).tolist() for parts, n in zip(sums.slice_counts, shape, strict=True)],
        sums.counts,
    ]


@given(SHAPES, SEEDS)
@settings(max_examples=40, deadline=None)
def test_sums_are_those_of_exact_integers(shape, seed):
    values, domain = volume(shape, seed)
    sums = measure_sums(values, domain, start=(0, 0, 0), threshold=0.5, edge=EDGE)
    inside = fixed(values[domain])
    assert sums.total == sum(fixed(values[np.isfinite(values)]))
    assert sums.domain_total == sum(inside)
    assert sums.domain_squares == sum(value * value for value in inside)
    assert sums.n_high == np.count_nonzero(values[domain] > 0.5)
    assert sums.maximum == max(values[domain], default=0)


@given(SHAPES, SEEDS)
@settings(max_examples=40, deadline=None)
def test_no_cut_into_blocks_and_no_order_of_merging_changes_a_sum(shape, seed):
    values, domain = volume(shape, seed)
    whole = block_sums(values, domain, tuple(slice(0, n) for n in shape))
    parts = [block_sums(values, domain, box) for box in boxes(shape, seed)]
    shuffled = [parts[i] for i in np.random.default_rng(seed).permutation(len(parts))]
    nested = merge([merge(shuffled[:2]), *(merge([part]) for part in shuffled[2:])])
    assert comparable(merge(parts), shape) == comparable(whole, shape)
    assert comparable(nested, shape) == comparable(whole, shape)


@given(SHAPES, SEEDS)
@settings(max_examples=20, deadline=None)
def test_slices_and_boxes_hold_the_domain_sums_of_their_voxels(shape, seed):
    values, domain = volume(shape, seed)
    sums = measure_sums(values, domain, start=(0, 0, 0), threshold=0.5, edge=EDGE)
    inside = np.where(domain, values, 0).astype(np.float64)
    for axis, parts in enumerate(sums.slices):
        others = tuple(i for i in range(3) if i != axis)
        totals = from_limbs(assemble(parts, (shape[axis], 2)))
        assert [total / 2**40 for total in totals] == pytest.approx(inside.sum(axis=others), rel=1e-12, abs=1e-9)
    grid = assemble(sums.patches, tuple(-(-n // EDGE) for n in shape)) / 2**40
    for (z, y, x), found in np.ndenumerate(grid):
        box = inside[z * EDGE : (z + 1) * EDGE, y * EDGE : (y + 1) * EDGE, x * EDGE : (x + 1) * EDGE]
        assert found == pytest.approx(box.sum(), rel=1e-12, abs=1e-9)


def test_a_histogram_keeps_zeros_apart_and_values_to_a_part_in_2048():
    values = np.array([[[0, 1e-30, 1e-6, 0.5, 1, 1.99999, 2.5, np.nan]]], np.float32)
    sums = measure_sums(values, np.isfinite(values), start=(0, 0, 0), threshold=0.5, edge=EDGE)
    edges = bin_values(sums.bins).tolist()
    assert sums.counts.tolist() == [1] * 7
    assert edges[0] == 0
    assert edges[3:5] == [0.5, 1.0]
    for edge, value in zip(edges, values[0, 0], strict=False):
        assert edge <= value <= edge * (1 + 2**-11)


def test_limbs_hold_what_64_bits_do_not():
    values = np.full((3, 12000, 41), 255.9, np.float32)
    sums = measure_sums(values, np.ones(values.shape, bool), start=(0, 0, 0), threshold=0.5, edge=EDGE)
    one = fixed(values[0, 0, :1])[0]
    assert sums.domain_total == one * values.size
    assert sums.domain_squares == one**2 * values.size
    z, y, x = (from_limbs(parts[0].values) for parts in sums.slices)
    assert (set(z), set(y), set(x)) == ({one * 12000 * 41}, {one * 3 * 41}, {one * 3 * 12000})


def test_a_long_run_of_one_label_does_not_overflow():
    values = np.full((1, 1, 40000), 255.9, np.float32)
    counts, totals = label_sums(values, np.ones(values.shape, np.uint8), 2)
    assert (counts, totals) == ([0, 40000], [0, 40000 * fixed(values[0, 0, :1])[0]])


def test_a_value_that_fixed_point_cannot_hold_is_an_error_not_a_wrong_sum():
    with pytest.raises(OverflowError, match="256"):
        measure_sums(
            np.full((1, 1, 2), 256, np.float32), np.ones((1, 1, 2), bool), start=(0, 0, 0), threshold=0, edge=10
        )


def test_partial_sums_are_small_and_can_be_sent_to_another_process():
    values, domain = volume((60, 100, 100), 3)
    part = block_sums(values, domain, tuple(slice(0, n) for n in values.shape))
    sent = pickle.dumps(part)
    assert len(sent) < values.nbytes / 2
    assert comparable(pickle.loads(sent), values.shape) == comparable(part, values.shape)


@given(SHAPES, SEEDS, st.sampled_from([np.uint8, np.uint16]))
@settings(max_examples=30, deadline=None)
def test_label_sums_are_those_of_each_label(shape, seed, dtype):
    values, _ = volume(shape, seed)
    labels = labels_of(shape, seed, dtype)
    counts, totals = label_sums(values, labels, 4)
    for label in range(4):
        chosen = values[labels == label]
        assert counts[label] == chosen.size
        assert totals[label] == sum(fixed(chosen[np.isfinite(chosen)]))


def labels_of(shape, seed, dtype=np.uint8, regions=0):
    """A coarse random segmentation with voxels without a label."""
    rng = np.random.default_rng(seed)
    size = (regions, *shape) if regions else shape
    coarse = rng.integers(0, 2 if regions else 4, size).astype(dtype)
    coarse = np.where(rng.random(size) < 0.5, coarse, dtype(0))
    coarse[..., rng.random(shape) < 0.1] = np.iinfo(dtype).max
    return coarse


@given(SHAPES, SEEDS, st.sampled_from([0, 1, 3]), st.sampled_from([None, 0, 2]), st.booleans())
@settings(max_examples=30, deadline=None)
def test_roles_are_those_of_the_definitions_for_any_cut_into_slabs(shape, seed, regions, background, masked):
    labels = labels_of(shape, seed, regions=regions)
    mask = np.random.default_rng(seed).random(shape) < 0.7 if masked else None
    found = np.concatenate(
        [
            roles(
                labels[..., first:last, :, :],
                labels[..., first - 1, :, :] if first else None,
                labels[..., last, :, :] if last < shape[0] else None,
                None if mask is None else mask[first:last],
                background,
            )
            for first, last in cut(shape[0], seed)
        ]
    )
    np.testing.assert_array_equal(found & DOMAIN != 0, reference.domain(labels, mask))
    np.testing.assert_array_equal(found & BOUNDARY != 0, reference.boundary(labels, mask))
    np.testing.assert_array_equal(found & FOREGROUND != 0, reference.foreground(labels, background, mask))
    assert found.max(initial=0) < N_ROLES


def test_a_voxel_at_the_rim_of_what_was_predicted_is_no_boundary():
    labels = np.full((3, 3, 3), 255, np.uint8)
    labels[1, 1, 1] = 2
    assert roles(labels, None, None, None, 0)[1, 1, 1] == DOMAIN | FOREGROUND
    assert roles(np.full((1, 1, 1), 2, np.uint8), None, None, None, 0) == DOMAIN | FOREGROUND


def test_a_boundary_to_a_class_outside_the_mask_is_a_boundary():
    labels = np.array([[[1, 2]]], np.uint8)
    found = roles(labels, None, None, np.array([[[True, False]]]), 0)
    assert found.tolist() == [[[DOMAIN | FOREGROUND | BOUNDARY, 0]]]


def test_a_fixed_point_sum_is_within_half_a_unit_a_voxel_of_the_real_sum():
    values, domain = volume((13, 17, 19), 5)
    sums = measure_sums(values, domain, start=(0, 0, 0), threshold=0.5, edge=EDGE)
    real = math.fsum(values[domain].astype(np.float64))
    assert abs(Fraction(sums.domain_total, 2**40) - Fraction(real)) <= Fraction(int(domain.sum()), 2**41)
