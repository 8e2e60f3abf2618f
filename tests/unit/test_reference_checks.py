"""A reference that does not fit the classes is pointed at, with the labels that would; a bad network alone is not."""

from itertools import permutations

import nibabel
import numpy as np
import pytest
import yaml
from cohorts import reproducible
from hypothesis import example, given, settings
from hypothesis import strategies as st
from in_process import run_cohort
from qc_sample import texts_of
from sample_store import SHAPE, SampleStore, random_mask, region_members, softmax_members, with_empty_margin
from scipy.optimize import linear_sum_assignment
from volume_entropy.blocks import BlockSettings
from volume_entropy.figures.scores import render_scores
from volume_entropy.files import read_json
from volume_entropy.samples import Sample
from volume_entropy.scheduling import run_blocks
from volume_entropy.scoring.assignment import best_assignment
from volume_entropy.scoring.blocks import Reference, class_scores, region_scores
from volume_entropy.scoring.reference_checks import reference_warnings
from volume_entropy.stores.layout import Layout
from volume_entropy.stores.measures import MeasureWriter

NOTE = "Warning reference_permuted: the sample's other figure says what was found."
CLASSES = ["background", "csf", "gm", "wm", "bone", "skin"]


def config(n, labels=None, kind="softmax", ignored=(), background="background"):
    reference = {"labels": labels or [[index] for index in range(n)], "ignore_labels": list(ignored)}
    return {"kind": kind, "classes": CLASSES[:n], "background_class": background, "reference": reference}


def tasks_of(predicted, codes, n, n_unlisted=0, mask=None):
    """Counts of voxels (voxel,) that are predicted as a class, and have a code of the reference."""
    predicted, codes = np.asarray(predicted, np.uint8).ravel(), np.asarray(codes, np.uint8).reshape(1, 1, -1)
    rows = (predicted == np.arange(n)[:, None]).astype(np.float32)
    entropy = np.zeros(predicted.size, np.float32)
    reference = Reference(codes, [[index] for index in range(n)], n_unlisted)
    return [class_scores(rows, False, entropy, np.log2(n), predicted, mask, reference)]


def said(predicted, codes, n, unlisted=(), **how):
    """The warnings of such voxels, by code."""
    tasks = tasks_of(predicted, codes, n, len(unlisted))
    found = reference_warnings(tasks, config(n, **how), [[index] for index in range(n)], unlisted)
    return {warning.code: warning.message for warning in found}


def proposal(message):
    """The labels that a message says to set."""
    return yaml.safe_load(message.split("`reference.labels: ")[1].split("`")[0])


def blurred(truth, n, share, seed=0):
    """A prediction that is right but for a share of the voxels, which are any class."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(truth.shape) < share, rng.integers(n, size=truth.shape), truth)


def truths(n, size=6000, seed=0, shares=None):
    return np.random.default_rng(seed).choice(n, size=size, p=shares)


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, 4))), st.integers(0, 2**32 - 1))
@settings(reproducible, max_examples=200)
def test_the_best_assignment_is_that_of_scipy(shape, seed):
    n, more = shape
    rng = np.random.default_rng(seed)
    worth = rng.random((n, n + more)) * (rng.random((n, n + more)) < 0.6)
    found = best_assignment(worth)
    assert len(set(found)) == n
    assert worth[range(n), found].sum() == pytest.approx(worth[linear_sum_assignment(worth, maximize=True)].sum())


def all_of_sample(sample):
    """(voxel,) prediction, label, and whether the voxel is in the domain, by numpy alone."""
    mean = sample.p.astype(np.float64).mean(axis=0)
    if sample.complement:
        mean = np.concatenate([np.maximum(1 - mean.sum(axis=0, keepdims=True), 0), mean])
    domain = np.ones(SHAPE, bool) if sample.mask is None else sample.mask
    domain = domain & (sample.p.sum(axis=(0, 1)) > 0) if sample.kind == "softmax" and not sample.complement else domain
    predicted = mean > 0.5 if sample.kind == "regions" else mean.argmax(axis=0)
    return predicted, sample.reference, domain


def labels(seed, values, shape=SHAPE):
    values = np.array(values)
    return values[np.random.default_rng(seed).integers(values.size, size=shape)].astype(np.int32)


COUNTED = {
    "classes": SampleStore(softmax_members(1), reference=labels(1, [0, 1, 2, 3])),
    "labels of no class, and ignored ones": SampleStore(
        softmax_members(2), reference=labels(2, [0, 10, 20, 30, 40, -7, 5000]), labels=[[0], [10, 20], [30], []],
        ignored=[40],
    ),
    "members, mask, empty margin": SampleStore(
        with_empty_margin(softmax_members(3, n_members=3)), mask=random_mask(3), reference=labels(3, [0, 1, 2, 3, 9])
    ),
    "complement": SampleStore(softmax_members(4)[:, 1:], complement=True, reference=labels(4, [0, 1, 2, 3])),
}  # fmt: skip
LAYOUTS = [(SHAPE, SHAPE, 1), ((4, 8, 6), (8, 8, 6), 2), ((13, 7, 3), (13, 7, 3), 2)]


def first_pass(sample, folder, threads):
    """The sums of all blocks of a sample."""
    store = sample.write(folder / "probabilities.zarr")
    measures = ("predictive_entropy",)
    block = BlockSettings("bit", 0.01, measures, measures, 0.5)
    layout = sample.layout
    writer = MeasureWriter(
        folder / "measures.zarr", layout=layout, measures=measures, attributes={},
        n_regions=len(sample.classes) if sample.kind == "regions" else 0, with_mask=sample.mask is not None,
    )  # fmt: skip
    with writer:
        sums = run_blocks(store, writer.location, layout.blocks(), block, threads=threads)
        writer.seal()
    return sums.scores


@pytest.mark.parametrize("name", COUNTED)
def test_classes_and_labels_are_counted_against_each_other_however_a_volume_is_cut(name, tmp_path):
    sample = COUNTED[name]
    predicted, values, domain = all_of_sample(sample)
    kept = domain & ~np.isin(values, sample.ignored)
    listed = [value for of_class in sample.codes_labels for value in of_class]
    unlisted = sorted(set(np.unique(values)) - {*listed, *sample.ignored})
    wanted = [
        [np.count_nonzero(kept & (predicted == c) & np.isin(values, of)) for of in sample.codes_labels]
        + [np.count_nonzero(kept & (predicted == c) & (values == value)) for value in unlisted]
        for c in range(len(sample.classes))
    ]
    for index, (chunk, block, threads) in enumerate(LAYOUTS):
        sample.layout = Layout(SHAPE, chunk, block)
        folder = tmp_path / str(index)
        folder.mkdir()
        (task,) = first_pass(sample, folder, threads)
        assert task.confusion[:, :-1].tolist() == wanted
        assert not task.confusion[:, -1].any()


REGIONS = [[1, 2], [2], [3, 2, -7]]


def test_regions_are_counted_against_each_other_however_a_volume_is_cut(tmp_path):
    reference, mask = labels(5, [0, 1, 2, 3, -7, 9]), random_mask(5)
    sample = SampleStore(
        region_members(5, n_members=2), kind="regions", reference=reference, labels=REGIONS, ignored=[9], mask=mask
    )
    predicted, values, domain = all_of_sample(sample)
    kept = domain & (values != 9)
    codes = sample.codes
    for index, (chunk, block, threads) in enumerate(LAYOUTS):
        sample.layout = Layout(SHAPE, chunk, block)
        folder = tmp_path / str(index)
        folder.mkdir()
        tasks = first_pass(sample, folder, threads)
        for r, task in enumerate(tasks):
            others = predicted.any(axis=0) & ~predicted[r]
            for row, voxels in enumerate((~predicted.any(axis=0), predicted[r], others)):
                wanted = [
                    np.count_nonzero(kept & voxels & (codes.encode(values) == c)) for c in range(len(codes.classes))
                ]
                assert task.confusion[row, :-1].tolist() == wanted


@pytest.mark.parametrize("order", [order for order in permutations(range(4)) if order != (0, 1, 2, 3)])
def test_labels_in_any_other_order_are_named_in_the_order_that_fits(order):
    # The background among them.
    truth = truths(4)
    messages = said(blurred(truth, 4, 0.2), np.array(order)[truth], 4)
    assert list(messages) == ["reference_permuted"]
    assert list(proposal(messages["reference_permuted"]).values()) == list(order)


def test_what_a_message_says_to_set_makes_the_scores_right():
    truth = truths(4)
    predicted, shown = blurred(truth, 4, 0.1), np.array([0, 3, 1, 2])[truth]
    set_labels = proposal(said(predicted, shown, 4)["reference_permuted"])
    code_of = {label: code for code, label in enumerate(set_labels.values())}
    assert said(predicted, np.vectorize(code_of.get)(shown), 4) == {}


def test_several_labels_of_a_class_go_together_and_ignored_ones_are_not_proposed():
    truth = truths(4)
    given_labels = [[0, 99], [24], [3, 42], [2, 41]]
    messages = said(truth, np.array([0, 1, 3, 2])[truth], 4, labels=given_labels, ignored=[99])
    assert proposal(messages["reference_permuted"]) == {"background": 0, "csf": 24, "gm": [2, 41], "wm": [3, 42]}


def test_labels_from_1_on_are_found_though_one_belongs_to_no_class():
    # 1 … 4 instead of 0 … 3: 4 is no label of any class, and has the code after theirs.
    truth = truths(4)
    messages = said(blurred(truth, 4, 0.1), truth + 1, 4, unlisted=[4])
    assert list(messages) == ["reference_unlisted_labels", "reference_permuted"]
    assert proposal(messages["reference_permuted"]) == {"background": 1, "csf": 2, "gm": 3, "wm": 4}
    assert "4 (" in messages["reference_unlisted_labels"]
    assert "most of them predicted as wm" in messages["reference_unlisted_labels"]


@pytest.mark.parametrize("share", [0.3, 0.02, 0.003])
def test_a_lesion_that_is_255_in_the_reference_is_found_however_small(share):
    truth = truths(2, 40_000, shares=[1 - share, share])
    codes = np.where(truth == 1, 2, 0)
    messages = said(truth, codes, 2, unlisted=[255])
    assert proposal(messages["reference_permuted"]) == {"background": 0, "csf": 255}
    assert "reference_class_absent" in messages
    assert ("reference_unlisted_labels" in messages) == (share > 0.01)


def test_two_regions_that_were_swapped_are_found():
    # Nested ones: what is in the second is in the first, too.
    rng = np.random.default_rng(1)
    distance = rng.random(5000)
    inside = np.stack([distance < 0.6, distance < 0.2])
    codes, classes = inside.sum(axis=0).astype(np.uint8).reshape(1, 1, -1), [[], [1], [0, 1]]
    mean = np.concatenate([inside, ~inside]).astype(np.float32)
    reference = Reference(codes, classes)
    tasks = region_scores(mean, 1.0, inside.astype(np.uint8), None, reference)
    how = config(2, labels=[[2], [1, 2]], kind="regions")
    (warning,) = reference_warnings(tasks, how, classes, ())
    assert warning.code == "reference_permuted"
    assert proposal(warning.message) == {"background": [1, 2], "csf": 2}
    right = region_scores(mean, 1.0, inside.astype(np.uint8), None, Reference(codes, [[], [0], [0, 1]]))
    assert reference_warnings(right, how, [[], [0], [0, 1]], ()) == []


def test_a_region_that_the_reference_never_has_is_named():
    inside = np.zeros((2, 1000), bool)
    inside[0, :300], inside[1, 100:140] = True, True
    codes = np.zeros((1, 1, 1000), np.uint8)
    codes[..., :280] = 1
    mean = np.concatenate([inside, ~inside]).astype(np.float32)
    tasks = region_scores(mean, 1.0, inside.astype(np.uint8), None, Reference(codes, [[], [0]]))
    (warning,) = reference_warnings(tasks, config(2, [[1], [4]], kind="regions"), [[], [0]], ())
    assert warning.code == "reference_class_absent"
    assert "csf (13.3 % of the foreground)" in warning.message


@pytest.mark.parametrize(("n_absent", "says"), [(6, True), (5, False)])
def test_a_class_of_over_a_hundredth_of_the_foreground_that_the_reference_lacks_is_named(n_absent, says):
    truth = np.repeat([0, 1, 2], [10_000, 500, 0])
    predicted = truth.copy()
    predicted[10_000 : 10_000 + n_absent] = 2
    messages = said(predicted, truth, 3)
    assert ("reference_class_absent" in messages) is says
    if says:
        assert "gm (1.2 % of the foreground)" in messages["reference_class_absent"]


def test_the_background_may_be_absent_and_so_may_what_lies_where_labels_are_ignored():
    predicted, codes = np.repeat([0, 1, 2], [100, 500, 400]), np.repeat([1, 1, 255], [100, 500, 400])
    assert said(predicted, codes, 3, ignored=[9]) == {}


@pytest.mark.parametrize(("n", "says"), [(100, False), (102, True)])
def test_labels_of_no_class_are_told_from_a_hundredth_of_the_field_on(n, says):
    truth = truths(3, 10_000 - n)
    messages = said(np.append(truth, [1] * n), np.append(truth, [3] * (n // 2) + [4] * (n - n // 2)), 3, [77, -3])
    assert list(messages) == (["reference_unlisted_labels"] if says else [])
    if says:
        assert "1.02 % of the field" in messages["reference_unlisted_labels"]
        assert "-3 (51 voxels, most of them predicted as csf), 77 (51 voxels" in messages["reference_unlisted_labels"]


def test_labels_of_no_class_of_which_there_are_many_are_counted():
    truth = np.arange(3000) % 60
    codes = np.where(truth < 3, truth, truth)
    messages = said(np.minimum(truth, 2), codes, 3, list(range(100, 157)))
    assert "and 52 more" in messages["reference_unlisted_labels"]


def test_a_reference_without_a_label_of_any_class_is_told(tmp_path):
    # More classes than a byte holds are not counted against each other; the voxels that are left out are.
    sample = SampleStore(np.ones((1, 300, 2, 3, 4), np.float32) / 300, reference=np.full((2, 3, 4), 1000))
    (warning,) = sample.compute(tmp_path)["warnings"]
    assert warning["code"] == "reference_unlisted_labels"
    assert "100 % of the field" in warning["message"]


BAD = {
    "nothing but chance": lambda rng, n, size: rng.integers(n, size=size),
    "one class everywhere": lambda rng, n, size: np.full(size, rng.integers(n)),
    "almost one class everywhere": lambda rng, n, size: np.where(
        rng.random(size) < 0.97, rng.integers(n), rng.integers(n, size=size)
    ),
}


@pytest.mark.parametrize("kind", BAD)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
@settings(reproducible, max_examples=60)
@example(0, 2)
def test_a_network_that_knows_nothing_is_no_permutation(kind, seed, n):
    rng = np.random.default_rng(seed)
    truth = rng.choice(n, size=4000, p=rng.dirichlet(np.ones(n)))
    assert "reference_permuted" not in said(BAD[kind](rng, n, 4000), truth, n)


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(0, 0.9))
@settings(reproducible, max_examples=60)
def test_a_network_that_is_often_wrong_is_no_permutation(seed, n, share):
    rng = np.random.default_rng(seed)
    truth = rng.choice(n, size=4000, p=rng.dirichlet(np.ones(n)))
    assert "reference_permuted" not in said(blurred(truth, n, share, seed), truth, n)


def voxels(counts):
    """Predictions and labels of so many voxels of each pair (prediction, label)."""
    pairs, n = list(counts), list(counts.values())
    return (np.repeat([pair[place] for pair in pairs], n) for place in (0, 1))


@pytest.mark.parametrize(("size", "says"), [(49, False), (50, True)])
def test_tiny_structures_that_are_confused_are_no_permutation(size, says):
    predicted, labels = voxels({(0, 0): 9000, (1, 2): size, (2, 1): size})
    assert ("reference_permuted" in said(predicted, labels, 3)) is says


def test_a_label_of_no_class_that_fits_does_not_hide_what_is_wrong_elsewhere():
    # A bad network, and label 9 that it calls background: as the background alone it would leave all errors out.
    counts = {(0, 0): 300, (1, 0): 600, (2, 0): 600, (1, 1): 300, (2, 2): 300, (0, 3): 600}
    assert list(said(*voxels(counts), 3, [9])) == ["reference_unlisted_labels"]


def test_classes_that_gain_little_keep_their_labels():
    wrong = {(1, 1): 60, (1, 4): 70, (4, 4): 60, (4, 1): 60, (0, 1): 80, (0, 4): 70}
    messages = said(*voxels({(0, 0): 3000, (2, 3): 1000, (3, 2): 1000, **wrong}), 5)
    assert list(proposal(messages["reference_permuted"]).values()) == [0, 1, 3, 2, 4]
    assert "The labels of gm and wm look permuted" in messages["reference_permuted"]


def test_a_network_that_merges_two_classes_is_no_permutation():
    truth = truths(4, shares=[0.4, 0.3, 0.1, 0.2])
    assert said(np.where(truth == 1, 2, truth), truth, 4) == {}


def test_labels_that_were_left_out_of_the_background_on_purpose_are_no_permutation():
    # Soft tissue is no class, and the network calls it background, of which the reference has little.
    truth = np.repeat([0, 1, 2, 3], [100, 3000, 3000, 5000])
    messages = said(np.where(truth == 3, 0, truth), truth, 3, [5])
    assert list(messages) == ["reference_unlisted_labels"]


def test_the_whole_way_from_files_says_the_same_whatever_the_chunks(tmp_path):
    """Labels of no class are numbered as they are met, which is another order in other chunks."""
    truth = np.moveaxis(softmax_members(9)[0], 0, -1).transpose(2, 1, 0, 3)
    shown = np.array([1000, 41, 3, 2])[truth.argmax(axis=-1)]
    for name, array in (("p", truth), ("y", shown.astype(np.int16))):
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / f"{name}.nii.gz")
    sample, found = Sample("s", f"{tmp_path}/p.nii.gz", reference=f"{tmp_path}/y.nii.gz"), []
    for chunk in (8, 64):
        of_config = {"probabilities": {"classes": CLASSES[:4]}, "storage": {"chunk": chunk}}
        results = run_cohort(tmp_path / str(chunk), {"s": sample}, **of_config)
        found.append(read_json(results / "s/s_summary.json")["warnings"])
    assert found[0] == found[1]
    codes = ["reference_unlisted_labels", "reference_class_absent", "reference_permuted"]
    assert [warning["code"] for warning in found[0]] == codes
    assert proposal(found[0][-1]["message"]) == {"background": 1000, "csf": 41, "gm": 3, "wm": 2}


def test_more_labels_of_no_class_than_a_byte_holds_are_one_whatever_came_first(tmp_path):
    values = np.arange(SHAPE[0] * SHAPE[1] * SHAPE[2]).reshape(SHAPE) % 400
    whole = SampleStore(softmax_members(1), reference=values)
    assert whole.codes.found is None
    messages = {warning["code"]: warning["message"] for warning in whole.compute(tmp_path)["warnings"]}
    assert "99" in messages["reference_unlisted_labels"] and "most of them" not in messages["reference_unlisted_labels"]


def test_the_figure_of_the_scores_points_at_the_warning(tmp_path):
    p = softmax_members(6)
    for name, order in (("right", [0, 1, 2, 3]), ("swapped", [0, 1, 3, 2])):
        folder = tmp_path / name
        folder.mkdir()
        sample = SampleStore(p, reference=np.array(order)[p[0].argmax(axis=0)])
        sample.compute(folder)
        figure = folder / "scores.svg"
        render_scores(
            folder / "measures.zarr", folder / "summary.json", folder / "scores.json", figure,
            recipe=sample.recipe, kind="svg",
        )  # fmt: skip
        said = [text for text in texts_of(figure.read_bytes()) if "Warning" in text]
        assert said == ([] if name == "right" else [NOTE])
