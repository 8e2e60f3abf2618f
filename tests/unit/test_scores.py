"""Scores against a reference are those of scikit-learn and of float64 numpy, whatever a volume is cut into."""

import json
import math
import warnings
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import reference
import reference_scores as oracle
from cohorts import reproducible
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_store import SHAPE, SampleStore, random_mask, region_members, softmax_members, with_empty_margin
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from volume_entropy.kernels.sums import DROPPED_BITS
from volume_entropy.scoring.blocks import Reference, class_scores
from volume_entropy.scoring.files import Pool, as_json, from_json
from volume_entropy.scoring.scores import harmonic_difference, scores_of
from volume_entropy.stores.layout import Layout
from volume_entropy.stores.measures import open_measures

# Ranks are those of bins, a 2048th wide: their scores hang on the order within a bin, all others do not.
RANKED = {"error_auroc": 5e-5, "error_auprc": 2e-4, "aurc": 2e-5, "eaurc": 2e-5}
REGIONS = [[1, 2], [2], [3, 2, -7]]


def labels_for(p, seed, n_labels=None, share=0.25):
    """The most probable class of most voxels, and another of the rest."""
    rng = np.random.default_rng(seed)
    n_labels = n_labels or p.shape[1]
    best = p.mean(axis=0).argmax(axis=0)
    return np.where(rng.random(best.shape) < share, rng.integers(n_labels, size=best.shape), best).astype(np.int16)


def one(seed, n_members=1, **how):
    p = softmax_members(seed, n_members=n_members)
    return SampleStore(p, reference=labels_for(p, seed), **how)


def with_certain_voxels(sample, seed=0):
    certain = np.random.default_rng(seed).random(SHAPE) < 0.55
    label = sample.p[0].argmax(axis=0)
    one_hot = (label == np.arange(sample.p.shape[1]).reshape(-1, 1, 1, 1)).astype(np.float32)
    p = np.where(certain, one_hot, sample.p)
    return SampleStore(p, reference=sample.reference)


def with_values_below_0(sample):
    p = sample.p.copy()
    small = p[0, 3] < 0.2
    p[0, 0] = np.where(small, p[0, 0] + p[0, 3], p[0, 0])
    p[0, 3] = np.where(small, np.float32(-0.009), p[0, 3])
    return SampleStore(p, reference=sample.reference)


def of_regions(seed, n_members=1, **how):
    p = region_members(seed, n_members=n_members)
    values = np.array([0, 1, 2, 3, -7, 9])
    chosen = np.random.default_rng(seed).integers(values.size, size=SHAPE)
    return SampleStore(p, kind="regions", reference=values[chosen].astype(np.int32), labels=REGIONS, ignored=[9], **how)


CASES = {
    "one member": one(1),
    "certain voxels": with_certain_voxels(one(2)),
    "members": one(3, n_members=4),
    "mask, empty margin": SampleStore(
        with_empty_margin(softmax_members(4, n_members=2)),
        mask=random_mask(4),
        reference=labels_for(softmax_members(4), 4),
    ),
    "complement": SampleStore(softmax_members(5)[:, 1:], complement=True, reference=labels_for(softmax_members(5), 5)),
    "members, complement": SampleStore(
        softmax_members(6, n_members=3)[:, 1:], complement=True, reference=labels_for(softmax_members(6), 6)
    ),
    "values below 0": with_values_below_0(one(12)),
    "nat": one(7, settings={"unit": "nat"}),
    "labels of their own": SampleStore(
        softmax_members(8),
        reference=np.array([0, 40, 41, 2, 1000, 77])[labels_for(softmax_members(8), 8, 6)],
        labels=[[0], [40, 41], [2], [1000]],
        ignored=[77],
    ),
    "sums off by a little": SampleStore(
        softmax_members(9) * np.float32(1.004), reference=labels_for(softmax_members(9), 9)
    ),
    "regions": of_regions(10),
    "regions, members, mask": of_regions(11, n_members=3, mask=random_mask(11)),
}


def scored(sample):
    """Mean probabilities (class, voxel) in float64 and label values of the voxels that are scored."""
    block = reference.block(sample.p, kind=sample.kind, complement=sample.complement, mask=sample.mask)
    members = [reference.check_member(m, kind=sample.kind, complement=sample.complement).q for m in sample.p]
    domain = ~block.invalid & ~block.empty
    if sample.mask is not None:
        domain &= sample.mask
    values = sample.reference
    listed = np.isin(values, [value for values in sample.codes_labels for value in values])
    kept = domain & ~np.isin(values, sample.ignored)
    if sample.kind == "softmax":
        kept &= listed
    q = np.mean(members, axis=0)[:, kept]
    return q, values[kept], domain


def wanted(sample):
    q, values, _ = scored(sample)
    if sample.kind == "softmax":
        truth = np.select([np.isin(values, of_class) for of_class in sample.codes_labels], range(len(q)))
        return [oracle.of_classes(q, truth)]
    return [oracle.of_region(q[r], np.isin(values, of)) for r, of in enumerate(sample.codes_labels)]


def assert_close(found, expected):
    for name, value in expected.items():
        if value is None:
            assert found[name] is None, name
        elif isinstance(value, int) or name in ("dice", "ue_threshold"):
            assert found[name] == value, name
        else:
            assert found[name] == pytest.approx(value, abs=RANKED.get(name, 1e-6)), name


@pytest.mark.parametrize("name", CASES)
def test_every_score_is_that_of_float64_voxel_by_voxel(name, tmp_path):
    sample = CASES[name]
    summary = sample.compute(tmp_path)
    tasks = wanted(sample)
    rows = [row for task in tasks for row in task.pop("classes")]
    assert len(rows) == len(summary["structures"])
    if sample.kind == "softmax":
        assert_close(summary["scores"], tasks[0])
    else:
        rows = [{**row, **task} for row, task in zip(rows, tasks, strict=True)]
        for row in rows:
            assert row.pop("n_scored_voxels") == summary["scores"]["n_scored_voxels"]
        for score in ("cross_entropy", "brier", "expected_calibration_error", "error_auroc", "aurc", "ue_dice"):
            mean = np.mean([task[score] for task in tasks])
            assert summary["scores"][score] == pytest.approx(mean, abs=RANKED.get(score, 1e-6))
    for found, expected in zip(summary["structures"], rows, strict=True):
        assert_close(found, expected)


@pytest.mark.parametrize("name", ["one member", "certain voxels", "members", "complement", "labels of their own"])
def test_scores_are_those_of_scikit_learn(name, tmp_path):
    sample = CASES[name]
    scores = sample.compute(tmp_path)["scores"]
    q, values, _ = scored(sample)
    truth = np.select([np.isin(values, of_class) for of_class in sample.codes_labels], range(len(q)))
    wrong, entropy = q.argmax(axis=0) != truth, oracle.entropy(q)
    labels = list(range(len(q)))
    # sklearn floors at the float64 epsilon.
    floored = np.maximum(q, np.finfo(np.float64).eps)
    if (floored == q).all():
        assert scores["cross_entropy"] == pytest.approx(log_loss(truth, q.T, labels=labels), abs=1e-6)
    brier = brier_score_loss(truth, q.T, labels=labels, scale_by_half=False)
    assert scores["brier"] == pytest.approx(brier, abs=1e-6)
    assert scores["error_auroc"] == pytest.approx(roc_auc_score(wrong, entropy), abs=RANKED["error_auroc"])
    precision = average_precision_score(wrong, entropy)
    assert scores["error_auprc"] == pytest.approx(precision, abs=RANKED["error_auprc"])


def test_what_is_left_out_is_counted(tmp_path):
    sample = CASES["labels of their own"]
    scores = sample.compute(tmp_path)["scores"]
    _, _, domain = scored(sample)
    assert scores["n_ignored_voxels"] == np.count_nonzero((sample.reference == 77) & domain) > 0
    assert scores["n_unlisted_voxels"] == 0
    left = SampleStore(sample.p, reference=sample.reference, labels=[[0], [40], [], [1000]])
    scores = left.compute(tmp_path / "left")["scores"]
    unlisted = np.count_nonzero(~np.isin(sample.reference, [0, 40, 1000]))
    assert (scores["n_ignored_voxels"], scores["n_unlisted_voxels"]) == (0, unlisted)
    assert scores["n_scored_voxels"] == math.prod(SHAPE) - unlisted


def test_the_auroc_of_a_mixture_with_zeros_is_within_a_millionth():
    rng = np.random.default_rng(5)
    n = 400_000
    wrong = rng.random(n) < 0.2
    entropy = np.where(rng.random(n) < 0.55, 0, rng.beta(1.5, 3, n) * 1.9 + 0.3 * wrong * rng.random(n))
    entropy = entropy.clip(0, 2).astype(np.float32)
    q = np.full((4, n), 0.25, np.float32)
    prediction = np.zeros(n, np.uint8)
    codes = Reference(wrong.astype(np.uint8).reshape(1, 1, -1), [[0], [1], [2], [3]])
    scores, _ = scores_of([class_scores(q, False, entropy, 2.0, prediction, None, codes)], "softmax")
    assert scores["error_auroc"] == pytest.approx(roc_auc_score(wrong, entropy), abs=1e-6)
    assert scores["error_auprc"] == pytest.approx(average_precision_score(wrong, entropy), abs=5e-5)
    assert scores["aurc"] == pytest.approx(oracle.aurc(entropy, wrong), abs=1e-6)


def counts_of(folder):
    return open_measures(folder / "measures.zarr").attributes["scores"]


@pytest.mark.parametrize("name", ["mask, empty margin", "complement", "regions, members, mask", "certain voxels"])
def test_any_split_and_any_number_of_threads_gives_the_same_counts(name, tmp_path):
    sample = CASES[name]
    layouts = [(SHAPE, SHAPE, 1), ((4, 8, 6), (8, 8, 6), 2), ((5, 21, 17), (5, 21, 17), 1), ((13, 7, 3), (13, 7, 3), 2)]
    found = []
    for index, (chunk, block, threads) in enumerate(layouts):
        sample.layout = Layout(SHAPE, chunk, block)
        summary = sample.compute(tmp_path / str(index), threads=threads)
        found.append(json.dumps([counts_of(tmp_path / str(index)), summary["scores"], summary["structures"]]))
    sample.layout = None
    assert len(set(found)) == 1


POOLED = ("one member", "members", "complement", "labels of their own")


def pooled(folder, names):
    """Scores of several samples together, which are the same bytes in every order."""
    for name in names:
        CASES[name].compute(folder / name)
    found = set()
    for order in permutations(names):
        pool = Pool()
        for name in order:
            pool.add(counts_of(folder / name))
        found.add(json.dumps(scores_of(pool.tasks(), CASES[names[0]].kind)))
    assert len(found) == 1
    return json.loads(found.pop())


def test_a_pool_is_the_score_of_all_voxels_in_any_order(tmp_path):
    scores, rows = pooled(tmp_path, POOLED)
    parts = [scored(CASES[name])[:2] for name in POOLED]
    truths = [
        np.select([np.isin(values, of_class) for of_class in CASES[name].codes_labels], range(4))
        for name, (_, values) in zip(POOLED, parts, strict=True)
    ]
    expected = oracle.of_classes(np.concatenate([q for q, _ in parts], axis=1), np.concatenate(truths))
    for row, wanted_row in zip(rows, expected.pop("classes"), strict=True):
        assert_close(row, wanted_row)
    assert_close(scores, expected)


def test_a_pool_of_regions_is_the_score_of_all_voxels_in_any_order(tmp_path):
    names = ("regions", "regions, members, mask")
    scores, rows = pooled(tmp_path, names)
    parts = [scored(CASES[name])[:2] for name in names]
    q, values = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    for r, (row, labels) in enumerate(zip(rows, REGIONS, strict=True)):
        expected = oracle.of_region(q[r], np.isin(values, labels))
        assert expected.pop("n_scored_voxels") == scores["n_scored_voxels"]
        assert_close(row, {**expected.pop("classes")[0], **expected})


def assert_exact(found, expected, uncertainty, wrong):
    """Every score, ranked ones by what the histogram tells apart; those that do not exist are None."""
    ranks = {"aurc": oracle.aurc(uncertainty, wrong), "eaurc": oracle.eaurc(uncertainty, wrong)}
    ranks["error_auroc"] = roc_auc_score(wrong, uncertainty) if 0 < wrong.sum() < wrong.size else None
    ranks["error_auprc"] = average_precision_score(wrong, uncertainty) if wrong.any() else None
    for name, value in {"ue_dice": None, "ue_threshold": None, **expected, **ranks}.items():
        assert found[name] == (value if value is None else pytest.approx(value, abs=1e-6)), name


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 40), st.sampled_from([0, 0.3, 1]))
@settings(reproducible, max_examples=30)
def test_any_few_voxels_have_the_scores_of_float64(seed, n_classes, n, share):
    """Sixtieths lie on the edges of bins, and tie; classes are absent; all or nothing is wrong."""
    rng = np.random.default_rng(seed)
    p = (rng.multinomial(60, rng.dirichlet(np.full(n_classes, 0.5), n)).T / 60).astype(np.float32)
    q = p / p.sum(axis=0, dtype=np.float64)
    truth = np.where(rng.random(n) < share, rng.integers(n_classes, size=n), p.argmax(axis=0))
    with TemporaryDirectory() as folder:
        summary = small(p, truth).compute(Path(folder), threads=1)
        entropy = open_measures(Path(folder) / "measures.zarr").array("predictive_entropy")[:]
    bins = entropy.ravel().view(np.int32) >> DROPPED_BITS
    expected = oracle.of_classes(q, truth)
    for row, wanted_row in zip(summary["structures"], expected.pop("classes"), strict=True):
        assert_close(row, wanted_row)
    assert_exact(summary["scores"], expected, bins, q.argmax(axis=0) != truth)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([0, 0.3, 1]))
@settings(reproducible, max_examples=15)
def test_any_few_voxels_of_regions_have_the_scores_of_float64(seed, n, share):
    """Of 64ths p, 1 - p and their entropies' bins are exact."""
    rng = np.random.default_rng(seed)
    p = rng.integers(65, size=(2, n)) / 64
    inside = (p > 0.5) ^ (rng.random((2, n)) < share)
    labels = inside[0] + 2 * inside[1]
    with TemporaryDirectory() as folder:
        sample = small(p, labels, kind="regions", labels=[[1, 3], [2, 3]])
        rows = sample.compute(Path(folder), threads=1)["structures"]
    for r, row in enumerate(rows):
        expected = oracle.of_region(p[r], inside[r])
        expected |= expected.pop("classes")[0]
        del expected["n_scored_voxels"]
        coin = oracle.entropy(np.stack([p[r], 1 - p[r]])).round(9)
        assert_exact(row, expected, coin, (p[r] > 0.5) != inside[r])


def test_counts_survive_the_way_through_json(tmp_path):
    CASES["members"].compute(tmp_path)
    (counts,) = counts_of(tmp_path)
    assert as_json(from_json(json.loads(json.dumps(counts)))) == counts


def small(p, truth, **how):
    """A sample of a few voxels in a row: p (class, voxel), truth (voxel,)."""
    p = np.asarray(p, np.float32)[np.newaxis, :, np.newaxis, np.newaxis]
    return SampleStore(p, reference=np.asarray(truth, np.int16)[np.newaxis, np.newaxis], **how)


def test_a_class_may_be_absent_in_reference_in_prediction_or_in_both(tmp_path):
    sample = small([[0.9, 0.2, 0.6], [0.1, 0.8, 0.4], [0, 0, 0], [0, 0, 0]], [0, 2, 0])
    rows = sample.compute(tmp_path)["structures"]
    assert [row["dice"] for row in rows] == [1.0, 0.0, 0.0, None]
    assert [row["n_reference_voxels"] for row in rows] == [2, 0, 1, 0]
    # Absent in both, it overlaps perfectly, and its certain negatives are never filtered.
    assert rows[3]["qu_brats"] == 1.0


def test_a_perfect_prediction_has_no_errors_to_detect(tmp_path):
    scores = small(np.eye(3)[[0, 1, 2, 1]].T, [0, 1, 2, 1]).compute(tmp_path)["scores"]
    for name in ("cross_entropy", "brier", "expected_calibration_error", "classwise_maximum_calibration_error", "aurc"):
        assert scores[name] == 0.0, name
    for name in ("error_auroc", "error_auprc", "ue_dice", "ue_threshold"):
        assert scores[name] is None, name
    assert (scores["n_wrong_voxels"], scores["eaurc"]) == (0, 0.0)


def test_where_all_is_wrong_every_risk_is_one(tmp_path):
    p = [[0.7, 1, 0.5], [0.3, 0, 0.5]]
    scores = small(p, [1, 1, 1]).compute(tmp_path)["scores"]
    assert (scores["n_wrong_voxels"], scores["aurc"], scores["eaurc"]) == (3, 1.0, 0.0)
    assert (scores["error_auroc"], scores["error_auprc"]) == (None, 1.0)


def test_no_probability_of_the_true_class_costs_as_much_as_the_smallest_number(tmp_path):
    scores = small([[1, 1], [0, 0]], [1, 0]).compute(tmp_path)["scores"]
    assert scores["n_floored_voxels"] == 1
    assert scores["cross_entropy"] == pytest.approx(-math.log(np.finfo(np.float32).tiny) / 2, abs=1e-6)
    assert scores["brier"] == 1.0


@pytest.mark.parametrize("truth", [0, 1])
def test_one_voxel_is_scored(truth, tmp_path):
    scores = small([[0.75], [0.25]], [truth]).compute(tmp_path)["scores"]
    assert scores["cross_entropy"] == pytest.approx(-math.log([0.75, 0.25][truth]), abs=1e-6)
    assert scores["expected_calibration_error"] == [0.25, 0.75][truth]
    assert (scores["aurc"], scores["error_auroc"]) == (float(truth), None)


@pytest.mark.parametrize("kind", ["softmax", "regions"])
def test_an_empty_mask_gives_no_score_and_no_warning(kind, tmp_path):
    sample = CASES["regions" if kind == "regions" else "one member"]
    sample = SampleStore(
        sample.p, kind=kind, mask=np.zeros(SHAPE, bool), reference=sample.reference, labels=sample.labels
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = sample.compute(tmp_path)
    counts = {"n_scored_voxels", "n_unlisted_voxels", "n_ignored_voxels", "n_wrong_voxels", "n_floored_voxels"}
    assert {name: value for name, value in summary["scores"].items() if value is not None} == dict.fromkeys(counts, 0)
    assert all(row["dice"] is None and row["qu_brats"] is None for row in summary["structures"])


def test_shares_of_members_lie_in_the_bin_that_they_end(tmp_path):
    # Three of five members say 0: in float32 their mean may be a digit above or below 0.6, which ends the ninth bin.
    p = np.zeros((5, 2, 1, 1, 5), np.float32)
    for member, voxel in np.ndindex(5, 5):
        p[member, int(member > voxel), 0, 0, voxel] = 1
    SampleStore(p, reference=np.zeros((1, 1, 5), np.int16)).compute(tmp_path)
    (counts,) = counts_of(tmp_path)
    voxels = [row[0] for row in counts["classwise"][0]]
    assert [index for index, n in enumerate(voxels) if n] == [2, 5, 8, 11, 14]


def test_half_of_the_highest_entropy_does_not_exceed_half(tmp_path):
    # Two of four classes: 1 bit of 2.
    small([[0.5], [0.5], [0], [0]], [0]).compute(tmp_path)
    (counts,) = counts_of(tmp_path)
    assert [sum(row) for row in counts["steps"]].index(1) == 9


@given(st.integers(0, 3000), st.integers(1, 3000))
@reproducible
def test_differences_of_harmonic_numbers_are_sums_of_inverses(first, n):
    expected = math.fsum(1 / k for k in range(first + 1, first + n + 1))
    assert harmonic_difference(first, first + n) == pytest.approx(expected, rel=1e-13)
