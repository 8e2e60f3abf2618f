"""The kernels' numbers: how accurate they are, and that no machine changes a byte of them."""

import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pytest
import reference
import strategies as own
from numpy.testing import assert_array_equal
from volume_entropy.agreement import count_labels
from volume_entropy.kernels import entropy as kernels
from volume_entropy.kernels.buffers import make_members, make_output, make_scratch, make_settings, make_split
from volume_entropy.kernels.checks import widen_extremes
from volume_entropy.kernels.entropy import STRIP
from volume_entropy.kernels.member_pass import UNROLLED, make_kernels
from volume_entropy.kernels.outputs import weighted_sum, widen_half
from volume_entropy.kernels.single import MOST_ROWS, make_single
from volume_entropy.voxelwise import BlockMeasures

JIT = not numba.config.DISABLE_JIT
ROOT = Path(__file__).parents[2]
jit_only = pytest.mark.skipif(not JIT, reason="too many voxels for plain Python")


# As plain Python the kernels divide and overflow numpy scalars, which warn; machine code does not.
pytestmark = [] if JIT else [pytest.mark.filterwarnings("ignore::RuntimeWarning")]


@numba.njit
def log2_of(x, out):
    for i in range(x.size):
        out[i] = kernels.log2(x[i])


def measure(p, measures=("predictive_entropy",), **options):
    """Maps, and the whole result, of (member, class, voxel)."""
    settings = {"kind": "softmax", "complement": False, "sum_tolerance": 0.01, "quantum": 0.0, "unit": "bit"} | options
    n_classes = p.shape[1] + settings["complement"]
    block = BlockMeasures((1, 1, p.shape[2]), n_members=len(p), n_classes=n_classes, measures=measures, **settings)
    for member in p:
        block.add(member[:, None, None, :])
    result = block.finish()
    return {name: values.reshape(-1) for name, values in result.maps.items()}, result


def softmax(rng, n_classes, n_voxels, scale):
    logits = rng.normal(scale=scale, size=(n_classes, n_voxels))
    p = np.exp(logits - logits.max(axis=0))
    return (p / p.sum(axis=0)).astype(np.float32)


# log2


def test_log2_is_exact_at_powers_of_two_and_finite_at_zero():
    x = np.array([2.0**e for e in range(-126, 128)], np.float32)
    out = np.empty_like(x)
    log2_of(x, out)
    assert_array_equal(out, np.arange(-126, 128))
    zero = np.empty(1, np.float32)
    log2_of(np.zeros(1, np.float32), zero)
    assert np.isfinite(zero).all()


def test_log2_is_relatively_accurate_also_near_one():
    step = 1 if JIT else 4001
    near = np.arange(0x3F000000, 0x40000000, 17 * step, dtype=np.int32).view(np.float32)
    far = np.arange(0x00800000, 0x7F800000, 9973 * step, dtype=np.int32).view(np.float32)
    next_to_one = np.array([1 - 2**-24, 1 + 2**-23, 1 - 2**-20], np.float32)
    for x in (near, far, next_to_one):
        out = np.empty_like(x)
        log2_of(x, out)
        exact = np.log2(x.astype(np.float64))
        assert (np.abs(out - exact) <= 1.6e-7 * np.abs(exact)).all()


def test_subnormal_probabilities_count_as_nothing():
    tiny = np.float32(1e-42)
    maps, _ = measure(np.array([[[1], [tiny], [0]]], np.float32))
    assert 0 <= maps["predictive_entropy"][0] < 1e-38


# Accuracy against float64 on the same input


@jit_only
@pytest.mark.parametrize("n_classes", [2, 3, 5, 16, 33, 40])
@pytest.mark.parametrize("scale", [0.01, 1.0, 4.0])
def test_a_voxels_entropy_is_within_a_millionth_of_a_bit(n_classes, scale):
    p = softmax(np.random.default_rng(n_classes), n_classes, 200_000, scale)
    exact = reference.tutorial_entropy(p)
    maps, _ = measure(p[None])
    assert np.abs(maps["predictive_entropy"] - reference.class_entropy(reference.check_member(p).q)).max() < 1e-6
    total, n = maps["predictive_entropy"].sum(dtype=np.float64), p.shape[1]
    assert abs(total - exact.sum()) < 1e-6 * exact.sum() + 3e-8 * n


def saturated(n_classes, n_voxels, seed=0):
    """99.7 % of the voxels nearly one-hot, with values like 0.99999994 and sums that are not 1."""
    rng = np.random.default_rng(seed)
    p = softmax(rng, n_classes, n_voxels, 1.0)
    sure = rng.random(n_voxels) < 0.997
    rest = rng.choice([0, 1e-10, 3e-9, 1.2e-8, 1e-7], size=(n_classes, n_voxels)).astype(np.float32)
    rest[rng.integers(n_classes, size=n_voxels), np.arange(n_voxels)] = rng.choice(
        np.array([0.99999994, 0.9999999, 0.9999995, 1, 1.0000001], np.float32), size=n_voxels
    )
    return np.where(sure, rest, p)


@jit_only
@pytest.mark.parametrize("n_classes", [2, 5, 33])
def test_a_saturated_volumes_total_is_the_tutorials(n_classes):
    p = saturated(n_classes, 300_000)
    total = measure(p[None])[0]["predictive_entropy"].sum(dtype=np.float64)
    exact = reference.tutorial_entropy(p).sum()
    assert abs(total - exact) < 1e-6 * exact + 3e-8 * p.shape[1]


@jit_only
@pytest.mark.parametrize("value", [0.99999994, 0.9999999, 1.0000001, 0.9999])
def test_a_constant_saturated_volume_has_no_systematic_error(value):
    p = np.full((1, 33, 1000), 1e-9, np.float32)
    p[:, 7] = value
    total = measure(p)[0]["predictive_entropy"].sum(dtype=np.float64)
    exact = reference.tutorial_entropy(p[0]).sum()
    assert abs(total - exact) < 1e-6 * exact + 3e-8 * p.shape[2]


@jit_only
@pytest.mark.parametrize(("n_members", "n_classes"), [(2, 2), (5, 4), (30, 4), (10, 33)])
@pytest.mark.parametrize("noise", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize("sure", [False, True])
def test_mutual_information_is_accurate_also_where_members_nearly_agree(n_members, n_classes, noise, sure):
    rng = np.random.default_rng(n_members)
    first = saturated(n_classes, 20_000) if sure else softmax(rng, n_classes, 20_000, 1.0)
    factor = np.exp(rng.normal(scale=noise, size=(n_members, *first.shape)))
    p = first * factor
    p = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    maps, _ = measure(p, ("predictive_entropy", "expected_entropy", "mutual_information"))
    q = np.array([reference.check_member(member).q for member in p])
    exact = reference.measures(q)
    n = p.shape[2]
    assert np.abs(maps["mutual_information"] - exact["mutual_information"]).max() < 2e-6
    assert np.abs(maps["predictive_entropy"] - exact["predictive_entropy"]).max() < 1e-6
    total, exact_total = maps["mutual_information"].sum(dtype=np.float64), exact["mutual_information"].sum()
    assert abs(total - exact_total) < 1e-5 * exact_total + 5e-8 * n
    total, exact_total = maps["predictive_entropy"].sum(dtype=np.float64), exact["predictive_entropy"].sum()
    assert abs(total - exact_total) < 1e-6 * exact_total + 3e-8 * n


@pytest.mark.parametrize(("n_classes", "n_members"), [(3, 1), (4, 1), (5, 1), (9, 1), (4, 2), (5, 2)])
def test_a_small_background_of_few_classes_keeps_its_digits(n_classes, n_members):
    """It is a difference of numbers a million times as large, and its logarithm shows what their rounding took."""
    rng, n = np.random.default_rng(n_classes), 2000 if JIT else 50
    p = rng.uniform(0.5, 1, (n_classes - 1, n))
    # Of three classes at most, since the entropy of more is itself rounded by more.
    p[np.argsort(rng.random(p.shape), axis=0) >= 3] = 0
    p = (p / p.sum(axis=0) * (1 - rng.uniform(0, 2e-7, n))).astype(np.float32)
    maps, _ = measure(p[None].repeat(n_members, axis=0), complement=True)
    exact = reference.class_entropy(reference.check_member(p, complement=True).q)
    assert np.abs(maps["predictive_entropy"] - exact).max() < 3.5e-7


OF_ORDER_2 = ("predictive_entropy", "renyi_entropy_2", "tsallis_entropy_2")


def assert_of_order_2(maps, chance):
    """Where two draws differ with this chance: all digits of float32, whatever its size."""
    np.testing.assert_allclose(maps["tsallis_entropy_2"], chance, rtol=2e-7)
    np.testing.assert_allclose(maps["renyi_entropy_2"], -np.log1p(-chance) / np.log(2), rtol=4e-7)


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("complement", [False, True])
def test_the_measures_of_order_2_keep_their_digits_where_a_voxel_is_nearly_certain(complement, n_members):
    tiny = 10.0 ** np.arange(-36, 0)
    p = np.array([tiny / 3, 1 - tiny, tiny / 7, 0 * tiny, tiny], np.float32)[None].repeat(n_members, axis=0)
    exact = p[0].astype(np.float64)
    if complement:
        exact[0] = np.maximum(1 - exact[1:].sum(axis=0), 0)
        p = p[:, 1:]
    pairs = sum(exact[i] * exact[j] for i in range(5) for j in range(i))
    maps, result = measure(p, OF_ORDER_2, complement=complement, sum_tolerance=0.1)
    assert result.n_invalid == 0
    assert_of_order_2(maps, 2 * pairs / exact.sum(axis=0) ** 2)


@pytest.mark.parametrize("n_members", [1, 3])
def test_the_measures_of_order_2_keep_their_digits_where_a_region_is_nearly_certain(n_members):
    tiny = np.concatenate([10.0 ** np.arange(-36, 0), [0.5]]).astype(np.float32)
    for p in (tiny, np.float32(1) - tiny):
        chance = 2 * p.astype(np.float64) * (1 - p.astype(np.float64))
        one = p[None, None].repeat(n_members, axis=0)
        maps, _ = measure(one, OF_ORDER_2, kind="regions")
        assert_of_order_2(maps, chance)
        maps, _ = measure(np.concatenate([one, one, 0 * one], axis=1), OF_ORDER_2, kind="regions")
        np.testing.assert_allclose(maps["tsallis_entropy_2"], 2 * chance, rtol=2e-7)


def test_members_that_are_certain_of_a_region_but_for_their_last_digit_keep_it():
    step = 2.0**-24
    p = np.array([1, 1 - step], np.float32).reshape(2, 1, 1)
    maps, _ = measure(p, OF_ORDER_2, kind="regions")
    assert_of_order_2(maps, 2 * (step / 2) * (1 - step / 2))


@jit_only
@pytest.mark.parametrize("n_classes", [2, 5, 33, 40])
@pytest.mark.parametrize("scale", [0.0, 0.01, 1.0, 4.0])
def test_the_measures_of_order_2_are_within_a_millionth_and_below_the_entropy(n_classes, scale):
    p = softmax(np.random.default_rng(n_classes), n_classes, 100_000, scale)
    maps, _ = measure(p[None], OF_ORDER_2)
    exact = reference.measures(reference.check_member(p).q[None])
    for name, values in maps.items():
        assert np.abs(values - exact[name]).max() < 1e-6, name
    assert (maps["renyi_entropy_2"] <= maps["predictive_entropy"] + np.float32(2e-6)).all()


def test_the_measures_of_order_2_reach_their_upper_ends_and_never_exceed_them():
    for n_classes in range(2, 60):
        maps, _ = measure(np.full((1, n_classes, 1), 1 / n_classes, np.float32), OF_ORDER_2)
        for name, top in (("renyi_entropy_2", np.log2(n_classes)), ("tsallis_entropy_2", 1 - 1 / n_classes)):
            assert np.float32(top) * np.float32(1 - 2e-7) <= maps[name][0] <= np.float32(top), (name, n_classes)


# Parts


def test_every_half_float_is_widened_exactly():
    halves = np.arange(0, 2**16, 1 if JIT else 61, dtype=np.uint16)
    out = np.empty((1, halves.size), np.float32)
    (numba.njit(lambda h, o: widen_half(h, 0, h.shape[1], o)))(halves[None], out)
    assert_array_equal(out[0], halves.view(np.float16).astype(np.float32))


def test_a_weighted_sum_rounds_each_term_to_an_integer():
    row = np.array([0.3, 0.7, -1, np.nan, 1], np.float32)
    weight = np.array([10, 1, 1, 1, 2**30], np.float32)
    assert (numba.njit(lambda r, w: weighted_sum(r, w)))(row, weight) == 3 + 1 + 2**30


@pytest.mark.parametrize("odd", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", ["LARGEST", "REST", "SMALLEST"])
def test_extremes_are_left_alone_where_not_all_is_finite(odd, row):
    sums = np.full(kernels.SCRATCH, 0.25, np.float32)
    sums[kernels.SMALLEST : kernels.SMALLEST + 8] = -0.5
    extremes = np.array([np.inf, -np.inf, np.inf, -np.inf])
    widen = numba.njit(lambda n, s, e: widen_extremes(n, s, e))
    if row == "SMALLEST" and np.isnan(odd):
        return  # NaN never becomes the smallest without being in the sum
    sums[getattr(kernels, row) + 3] = odd
    if not (row == "SMALLEST" and odd == np.inf):
        assert not widen(8, sums, extremes)
        assert np.isinf(extremes).all()
    sums[getattr(kernels, row) + 3] = 0.25
    assert widen(8, sums, extremes)
    assert extremes.tolist() == [-0.5, 0.25, 0.5, 0.5]


@pytest.mark.parametrize(("n_members", "n_labels"), [(2, 2), (3, 5), (16, 4), (17, 4), (40, 2), (7, 300)])
def test_packed_labels_are_counted_right(n_members, n_labels):
    rng = np.random.default_rng(0)
    bits = max(1, (n_labels - 1).bit_length())
    n = 200 if JIT else 20
    labels = np.where(rng.random(n) < 0.5, rng.integers(n_labels, size=n), rng.integers(n_labels, size=(n_members, n)))
    slots = 32 // bits
    votes = np.zeros((-(-n_members // slots), n), np.uint32)
    for m in range(n_members):
        votes[m // slots] |= (labels[m] << (bits * (m % slots))).astype(np.uint32)
    domain = rng.random(n) < 0.8
    mode = np.zeros(n, np.float32)
    got = count_labels(votes, bits, n_members, n_labels, domain, mode)
    says = (labels[:, None] == np.arange(n_labels)[:, None]) & domain
    assert_array_equal(got.member_voxels, says.sum(axis=2))
    assert_array_equal(got.intersection, says.all(axis=0).sum(axis=1))
    assert_array_equal(got.union, says.any(axis=0).sum(axis=1))
    pairs = np.einsum("icv,jcv->cij", says.astype(int), says.astype(int))
    assert_array_equal(got.pair_intersection, np.triu(pairs, 1))
    votes_for_mode = np.array([(labels == c).sum(axis=0) for c in range(n_labels)]).max(axis=0)
    np.testing.assert_allclose(mode, votes_for_mode / n_members, rtol=1e-6)


# Speed: what cannot be seen in the numbers


@jit_only
@pytest.mark.parametrize("n_classes", [2, 5, 8, 9, 33])
def test_the_loop_over_voxels_is_vectorised(n_classes, monkeypatch, tmp_path):
    """A logarithm has eight fused multiplications at least; packed ones end in `ps`, those of single voxels in `ss`."""
    p = softmax(np.random.default_rng(0), n_classes, 100, 1.0)
    made = make_single.__wrapped__(n_classes if n_classes <= MOST_ROWS else None)
    kernel = numba.njit(made.py_func, nogil=True, error_model="numpy")
    output = make_output(100, n_classes, "softmax", sums=False)
    settings = make_settings(
        n_classes=n_classes, kind="softmax", complement=False, sum_tolerance=0.01, quantum=0.0, unit="bit"
    )
    kernel(p, None, 0, 100, settings, None, None, make_scratch(), output)
    (assembly,) = kernel.inspect_asm().values()
    assert len(re.findall(r"vfmadd\d+ps\s.*%[yz]mm", assembly)) >= 8 * min(n_classes, 2)


@jit_only
@pytest.mark.parametrize("n_classes", [3, 4, 9])
def test_the_loops_over_voxels_of_members_are_vectorised(n_classes):
    """Two or three logarithms for each class: of the members, once or twice, and of their mean."""
    p = softmax(np.random.default_rng(0), n_classes, 100, 1.0)[None].repeat(2, axis=0)
    shape = (n_classes, n_classes) if n_classes in UNROLLED else None
    kernel = numba.njit(make_kernels.__wrapped__(shape).measure_members.py_func, nogil=True, error_model="numpy")
    settings = make_settings(
        n_classes=n_classes, kind="softmax", complement=False, sum_tolerance=0.01, quantum=0.0, unit="bit"
    )
    output = make_output(STRIP, n_classes, "softmax", sums=False)
    members, split = make_members(STRIP, n_classes), make_split(100, variance=False)
    kernel(p, 0, 100, settings, make_scratch(), members, output, split)
    (assembly,) = kernel.inspect_asm().values()
    packed = len(re.findall(r"vfmadd\d+ps\s.*%[yz]mm", assembly))
    assert packed >= 2 * 8 * (n_classes if shape else 2)


def seconds(measure):
    """The least of many, which other programs do not lengthen."""
    found = []
    for _ in range(40):
        start = time.perf_counter()
        measure()
        found.append(time.perf_counter() - start)
    return min(found)


@jit_only
@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("complement", [False, True])
@pytest.mark.parametrize("n_rows", [3, 4])
def test_kernels_of_few_classes_take_their_fast_path(n_rows, complement, n_members, monkeypatch):
    """Vector instructions do not help where a check of overlaps, which cannot fail, always does: 8 times as slow."""
    p = softmax(np.random.default_rng(0), n_rows + complement, 2**15, 1.0)[int(complement) :][None]
    p, names = p.repeat(n_members, axis=0), ("predictive_entropy", "mutual_information")[:n_members]

    def run():
        measure(p, names, complement=complement)

    run()
    fast = seconds(run)
    monkeypatch.setattr("volume_entropy.kernels.single.MOST_ROWS", 0)
    monkeypatch.setattr("volume_entropy.kernels.member_pass.UNROLLED", ())
    run()
    assert fast < 1.5 * seconds(run)


# Any machine gives the same bytes


def digest():
    """The bytes of everything a block gives, over enough voxels for whole vectors and ragged ends."""
    sums = hashlib.sha256()
    for n_members, n_classes, kind in ((1, 5, "softmax"), (1, 4, "softmax"), (3, 3, "softmax"), (2, 3, "regions")):
        p = own.softmax_volume(n_members, n_members, n_classes, (1, 37, 41))
        p[..., 1] *= np.float32(1.003)
        names = ["predictive_entropy", "normalized_entropy"]
        names += ["expected_entropy", "mutual_information", "variance"] if n_members > 1 else []
        names += ["least_confidence", "margin"] if kind == "softmax" else []
        names += ["variation_ratio", "expected_pairwise_kl"] if kind == "softmax" and n_members > 1 else []
        maps, result = measure(p.reshape(*p.shape[:2], -1), tuple(names), kind=kind)
        for values in (*maps.values(), result.segmentation):
            sums.update(np.ascontiguousarray(values).tobytes())
        sums.update(repr((result.expected_voxels, result.extremes)).encode())
    return sums.hexdigest()


def run_python(code, **environment):
    """Standard output of a fresh interpreter."""
    path = os.pathsep.join(str(ROOT / part) for part in ("scripts", "tests", "tests/unit"))
    settings = os.environ | {"PYTHONPATH": path} | environment
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@jit_only
@pytest.mark.skipif("avx2" not in Path("/proc/cpuinfo").read_text(), reason="needs a CPU with AVX2")
def test_avx2_gives_the_same_bytes():
    assert run_python("import test_kernels; print(test_kernels.digest())", NUMBA_CPU_NAME="haswell") == digest()


@jit_only
def test_the_kernels_are_right_as_plain_python():
    tests = [str(ROOT / "tests/unit" / name) for name in ("test_kernels.py", "test_voxelwise.py", "test_api.py")]
    code = f"import pytest, sys; sys.exit(pytest.main(['-q', '-x', '-p', 'no:cacheprovider', *{tests!r}]))"
    # Under CI a test that is skipped is a failure; here those are that take hours as plain Python.
    assert "passed" in run_python(code, NUMBA_DISABLE_JIT="1", CI="")
