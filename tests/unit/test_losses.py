"""Softmax and cross-entropy in memory: the tutorial's examples, scipy and scikit-learn as independent oracles."""

import doctest
import math
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import volume_entropy as ve
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import log_loss
from volume_entropy import losses

ROOT = Path(__file__).parents[2]


def predictions(seed, n_classes, n, scale):
    draws = np.random.default_rng(seed)
    return scipy.special.softmax(draws.normal(scale=scale, size=(n_classes, n)), axis=0), draws.integers(
        n_classes, size=n
    )


def test_examples_in_the_documentation_are_true():
    assert doctest.testmod(losses).failed == 0
    assert doctest.testmod(losses).attempted > 4
    # Every prompt of the README, in one namespace.
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    prompts = "\n".join(line for line in text.splitlines() if not line.startswith("```"))
    examples = doctest.DocTestParser().get_doctest(prompts, {}, "README.md", "README.md", 0)
    assert len(examples.examples) > 4
    assert doctest.DocTestRunner().run(examples).failed == 0


def test_the_tutorials_numbers():
    p = [0.6, 0.3, 0.1]
    assert round(float(ve.cross_entropy(p, 0)), 2) == 0.51
    assert round(float(ve.cross_entropy(p, 2)), 2) == 2.30
    assert ve.softmax([3, 1, -3]).round(2).tolist() == [0.88, 0.12, 0.00]
    assert float(ve.entropy([0.5, 0.5])) == 1
    assert round(float(ve.entropy([0.9, 0.1])), 3) == 0.469
    coins = ve.cross_entropy([[0.8, 0.9, 0.3]], [[1, 1, 0]], kind="regions")
    assert round(float(coins.mean()), 3) == 0.228
    # The same coins as two classes.
    assert_allclose(ve.cross_entropy([[0.2, 0.1, 0.7], [0.8, 0.9, 0.3]], [1, 1, 0]), coins, rtol=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(1, 40), st.floats(0.1, 4))
def test_the_mean_is_scikit_learns_log_loss(seed, n_classes, n, scale):
    # Not more widely scattered: scikit-learn has its floor at 2e-16.
    p, label = predictions(seed, n_classes, n, scale)
    expected = log_loss(label, p.T, labels=range(n_classes))
    assert_allclose(ve.cross_entropy(p, label).mean(), expected, rtol=1e-9, atol=1e-12)
    assert_allclose(ve.cross_entropy(p.T, label, axis=-1), ve.cross_entropy(p, label), rtol=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 400))
def test_softmax_is_scipys_and_adds_up(seed, scale):
    scores = np.random.default_rng(seed).normal(scale=scale, size=(3, 5, 4))
    assert_allclose(ve.softmax(scores, axis=1), scipy.special.softmax(scores, axis=1), rtol=1e-12)
    assert_allclose(ve.softmax(scores, axis=1).sum(axis=1), 1, rtol=1e-12)
    assert_allclose(ve.softmax(scores + 1000, axis=1), ve.softmax(scores, axis=1), rtol=1e-9, atol=1e-12)
    assert ve.softmax(scores.astype(np.float32)).dtype == np.float32


def test_a_truth_that_was_ruled_out_costs_the_floor_and_not_infinity():
    assert float(ve.cross_entropy([1.0, 0.0], 1)) == pytest.approx(-math.log(np.finfo(np.float32).tiny), rel=1e-15)
    assert math.copysign(1, ve.cross_entropy([1.0, 0.0], 0)) == 1
    assert float(ve.cross_entropy([[0.0]], [[1]], kind="regions")[0]) == pytest.approx(87.3365, abs=1e-4)


@pytest.mark.parametrize("tolerance", [0.01, None])
@pytest.mark.parametrize("kind", ["softmax", "regions"])
def test_voxels_are_invalid_where_their_entropy_is(tolerance, kind):
    p = np.array([
        [0.5, 0.5, 0.7, np.nan, np.inf, -0.2, -0.005, 0.0, 1.2, 70.0],
        [0.5, 0.505, 0.7, 0.5, 0.5, 1.2, 1.0, 0.0, 0.0, 30.0],
    ])  # fmt: skip
    label = np.zeros(p.shape if kind == "regions" else p.shape[1:], int)
    loss = ve.cross_entropy(p, label, kind=kind, sum_tolerance=tolerance)
    empty = (p == 0).all(axis=0) & (kind == "softmax")
    expected = np.isnan(ve.entropy(p, kind=kind, sum_tolerance=tolerance)) | empty
    assert_array_equal(np.isnan(loss), expected)
    assert expected.any() and not expected.all()


def test_a_sum_is_divided_out():
    assert float(ve.cross_entropy([3.0, 1.0], 0, sum_tolerance=None)) == pytest.approx(-math.log(0.75), rel=1e-15)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (([0.5, 0.5], 2), ValueError, r"label holds \[2\], expected 0 … 1"),
        (([0.5, 0.5], [-1, 0]), ValueError, "shape"),
        (([[0.5, 0.5], [0.5, 0.5]], [-1, 0]), ValueError, r"label holds \[-1\]"),
        (([0.5, 0.5], 0.0), TypeError, "float64, not whole numbers"),
        ((["a", "b"], 0), TypeError, "not real"),
        (([[0.5], [0.5]], [0], 0, "sigmoid"), ValueError, "expected 'softmax' or 'regions'"),
        (([0.5, 0.5], [0], 0, "regions"), ValueError, "one mask a region"),
        (([0.5, 0.5], [0, 2], 0, "regions"), ValueError, r"label holds \[2\], expected 0 … 1"),
        (([0.5, 0.5], 0, 3), np.exceptions.AxisError, "out of bounds"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        ve.cross_entropy(*arguments)
