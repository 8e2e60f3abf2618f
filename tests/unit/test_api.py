"""The two functions for arrays in memory."""

import doctest
import math

import numba
import numpy as np
import pytest
import reference
import scipy.stats
import strategies as own
import volume_entropy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from volume_entropy import api, entropy, uncertainty
from volume_entropy.measures import MEASURES

JIT = not numba.config.DISABLE_JIT
few = settings(max_examples=25 if JIT else 2, deadline=None)


# As plain Python the kernels divide and overflow numpy scalars, which warn; machine code does not.
pytestmark = [] if JIT else [pytest.mark.filterwarnings("ignore::RuntimeWarning")]


def test_examples_in_the_documentation_are_true():
    assert doctest.testmod(api).failed == 0
    assert doctest.testmod(api).attempted > 5


def test_coins():
    assert entropy([0.5, 0.5]) == 1
    assert float(entropy([0.9, 0.1])) == pytest.approx(0.469, abs=5e-4)
    assert float(entropy([0.5, 0.5], unit="nat")) == pytest.approx(math.log(2), abs=1e-7)
    assert float(entropy([0.9], kind="regions")) == pytest.approx(0.469, abs=5e-4)


@few
@given(own.softmax_volumes(st.just(1)), st.sampled_from([(2, "bit"), (math.e, "nat")]))
def test_entropy_is_scipys(p, base):
    base, unit = base
    assert_allclose(entropy(p[0], unit=unit), scipy.stats.entropy(p[0].astype(float), base=base, axis=0), atol=1e-6)


@few
@given(own.softmax_volumes(), st.permutations(range(5)), st.sampled_from([np.float32, np.float64]))
def test_axes_may_come_in_any_order_and_memory_layout(p, order, dtype):
    moved = np.transpose(p.astype(dtype), order)
    maps = uncertainty(moved, member_axis=order.index(0), class_axis=order.index(1))
    rest = [axis - 2 for axis in order if axis > 1]
    for name, values in uncertainty(p).items():
        assert_array_equal(maps[name], values.transpose(rest))
    single = np.moveaxis(p[0], 0, order.index(1) % 4)
    assert_array_equal(entropy(single, axis=order.index(1) % 4), entropy(p[0]))
    assert_array_equal(entropy(single, axis=order.index(1) % 4 - 4), entropy(p[0]))


@few
@given(own.spoiled_volumes(), st.sampled_from([0.01, None]))
def test_measures_are_those_of_the_definitions(p, sum_tolerance):
    expected = reference.block(p, sum_tolerance=sum_tolerance)
    names = tuple(name for name in expected.maps if len(p) > 1 or name != "expected_pairwise_kl")
    if expected.invalid.all():
        with pytest.raises(ValueError, match="no voxel holds probabilities"):
            uncertainty(p, measures=names, sum_tolerance=sum_tolerance)
        return
    maps = uncertainty(p, measures=names, sum_tolerance=sum_tolerance)
    assert tuple(maps) == names
    for name in names:
        tolerance = MEASURES[name].accuracy * (4 if sum_tolerance is None else 1)
        near = (MEASURES[name].relative_accuracy, tolerance)
        assert_allclose(maps[name], expected.maps[name], *near, err_msg=name)


@few
@given(own.region_volumes())
def test_regions(p):
    expected = reference.block(p, kind="regions")
    names = tuple(expected.maps)
    for name, values in uncertainty(p, kind="regions", measures=names).items():
        assert_allclose(values, expected.maps[name], rtol=0, atol=2e-6, err_msg=name)


@pytest.mark.parametrize("kind", ["softmax", "regions"])
@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_measure_is_the_same_alone_and_among_others(kind, n_members, dtype):
    p = own.softmax_volume(1, n_members, 4, (2, 3, 41)).astype(dtype)
    p[:, 0, 0, 0, 0] = np.nan
    expected = reference.block(p.astype(np.float32), kind=kind).maps
    names = [name for name, measure in MEASURES.items() if kind in measure.kinds]
    everything = uncertainty(p, kind=kind, measures=names)
    for asked in [names[::-1], *([name] for name in names), *([name, "variance"] for name in names)]:
        maps = uncertainty(p, kind=kind, measures=asked)
        assert list(maps) == list(dict.fromkeys(asked))
        for name, values in maps.items():
            right = expected.get(name, everything[name])
            assert_allclose(values, right, rtol=0, atol=6e-5 if "kl" in name else 2e-6, err_msg=name)
            assert np.isnan(values[0, 0, 0]), name


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("layout", ["C", "F"])
def test_neither_threads_nor_layout_change_a_byte(n_members, dtype, layout):
    p = own.softmax_volume(1, n_members, 4, (5, 40 if JIT else 2, 41)).astype(dtype)
    first = uncertainty(p)
    for workers in (1, 2, 5):
        for name, values in uncertainty(np.asarray(p, order=layout), workers=workers).items():
            assert values.tobytes() == first[name].tobytes()


def test_large_arrays_are_copied_piece_by_piece(monkeypatch):
    p = own.softmax_volume(1, 2, 4, (5, 6, 7)).astype(np.float64)
    whole = uncertainty(p)
    monkeypatch.setattr(api, "_PIECE_BYTES", 1)
    monkeypatch.setattr(api, "_BLOCK_VOXELS", 16)
    for name, values in uncertainty(p, workers=2).items():
        assert_array_equal(values, whole[name])
    assert_array_equal(
        uncertainty(p, measures=("variation_ratio", "mutual_information"))["mutual_information"],
        whole["mutual_information"],
    )


def test_foreign_byte_order_and_integers_are_read_right():
    p = own.softmax_volume(1, 1, 4, (2, 3, 5))[0]
    assert_array_equal(entropy(p.astype(">f4")), entropy(p))
    one_hot = np.eye(3, dtype=np.uint8)
    assert_array_equal(entropy(one_hot), np.zeros(3))
    assert_array_equal(entropy(one_hot.astype(bool)), np.zeros(3))


def test_scores_of_any_scale_are_divided_out_on_request():
    scores = np.array([[3.0, 0.0, 1e-30], [9.0, 5.0, 3e-30]])
    assert_allclose(entropy(scores, sum_tolerance=None), scipy.stats.entropy(scores, base=2, axis=0), atol=1e-6)
    with pytest.raises(ValueError, match="sum_tolerance=None"):
        entropy(scores)


def test_empty_arrays_give_empty_maps():
    assert entropy(np.zeros((3, 0, 4))).shape == (0, 4)


def test_misuse_is_told():
    p = np.full((2, 3, 4), 1 / 3)
    with pytest.raises(np.exceptions.AxisError):
        entropy(p, axis=3)
    with pytest.raises(np.exceptions.AxisError):
        entropy(0.5)
    with pytest.raises(ValueError, match="repeated axis"):
        uncertainty(p, member_axis=1, class_axis=-2)
    with pytest.raises(TypeError, match="complex128"):
        entropy(p.astype(complex))
    with pytest.raises(ValueError, match="'bit' or 'nat'"):
        entropy(p, unit="bits")
    with pytest.raises(ValueError, match="'softmax' or 'regions'"):
        entropy(p, kind="sigmoid")
    with pytest.raises(ValueError, match="'entropy'; known: predictive_entropy, "):
        uncertainty(p, measures=("entropy",))
    with pytest.raises(ValueError, match="0 members"):
        uncertainty(np.zeros((0, 3, 4)))
    with pytest.raises(ValueError, match="workers"):
        entropy(p, axis=1, workers=0)


def test_the_package_names_what_it_has():
    assert {"entropy", "uncertainty"} <= set(dir(volume_entropy))
    with pytest.raises(AttributeError, match="entropies"):
        volume_entropy.entropies  # noqa: B018
