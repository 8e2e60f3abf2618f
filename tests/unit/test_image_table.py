"""Ready tables of class probabilities: what is read, what is measured, and what is rejected in words."""

import csv
import json
import math
import zipfile

import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score
from volume_entropy.classification.predictions import Predictions, read_npz, write_npz, write_predictions
from volume_entropy.classification.rows import error_auroc, measure_images, pass_rows
from volume_entropy.classification.stages import measure_methods, show_passes
from volume_entropy.classification.table import read_table
from volume_entropy.errors import CODES, DataError

CLASSES = ("cat", "dog", "eel")


def members(seed=0, n_members=4, n_images=30, spread=0.8):
    draws = np.random.default_rng(seed)
    scores = draws.normal(scale=2, size=(1, n_images, 3)) + draws.normal(scale=spread, size=(n_members, n_images, 3))
    return scipy.special.softmax(scores, axis=2).astype(np.float32)


def predictions(p, labels=None):
    n = p.shape[1]
    labels = np.random.default_rng(1).integers(3, size=n) if labels is None else labels
    return Predictions(p, tuple(f"img-{i:02}" for i in range(n)), CLASSES, np.asarray(labels, np.int64))


def as_csv(found, path):
    rows = [
        {"image": name, "member": member, "label": CLASSES[found.labels[i]] if found.labels[i] >= 0 else "",
         **dict(zip(CLASSES, found.probabilities[member, i].tolist(), strict=True))}
        for member in range(len(found.probabilities)) for i, name in enumerate(found.images)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(path, index=False)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from([("bit", 2), ("nat", math.e)]))
def test_rows_are_what_scipy_says(seed, n_members, unit):
    unit, base = unit
    found = predictions(members(seed, n_members))
    measured = measure_images("x", found, unit=unit, sum_tolerance=0.01)
    p = found.probabilities.astype(float)
    mean = p.mean(axis=0)
    mean /= mean.sum(axis=1, keepdims=True)
    whole = scipy.stats.entropy(mean, base=base, axis=1)
    parts = scipy.stats.entropy(p, base=base, axis=2).mean(axis=0)
    table = pd.DataFrame(measured.images)
    assert_allclose(table["predictive_entropy"], whole, atol=1e-6)
    if n_members > 1:
        assert_allclose(table["expected_entropy"], parts, atol=1e-6)
        assert_allclose(table["mutual_information"], whole - parts, atol=2e-6)
    else:
        assert "mutual_information" not in table
    assert table["predicted"].tolist() == [CLASSES[i] for i in mean.argmax(axis=1)]
    assert_allclose(table["confidence"], mean.max(axis=1), rtol=1e-6)
    assert_allclose(table["cross_entropy"], -np.log(mean[np.arange(30), found.labels]), rtol=1e-6)
    assert table["correct"].tolist() == (mean.argmax(axis=1) == found.labels).astype(int).tolist()
    assert table.sort_values("rank")["predictive_entropy"].is_monotonic_decreasing
    assert sorted(table["rank"]) == list(range(1, 31))
    assert measured.score["accuracy"] == pytest.approx((mean.argmax(axis=1) == found.labels).mean())
    # The cross-entropy of a mean is never above the mean of cross-entropies (Jensen).
    assert measured.score["cross_entropy"] <= measured.score["member_cross_entropy"] + 1e-12


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auroc_is_scikit_learns_with_ties(pairs):
    values, wrong = (np.array(column) for column in zip(*pairs, strict=True))
    found = error_auroc(values.astype(np.float32), wrong.astype(bool))
    if wrong.all() or not wrong.any():
        assert found is None
    else:
        assert found == pytest.approx(roc_auc_score(wrong, values), abs=1e-12)


def test_npz_and_csv_say_the_same(tmp_path):
    found = predictions(members(), labels=[-1, *([1] * 29)])
    write_predictions(found, tmp_path / "m.npz")
    as_csv(found, tmp_path / "m.csv")
    first, second = read_table(tmp_path / "m.npz"), read_table(tmp_path / "m.csv")
    assert first.images == second.images == found.images
    assert first.classes == second.classes == CLASSES
    assert first.labels.tolist() == second.labels.tolist() == found.labels.tolist()
    assert_allclose(first.probabilities, second.probabilities, rtol=1e-7)
    assert first.rejected == second.rejected == ()


def test_the_order_of_images_changes_no_rank_and_no_number():
    found = predictions(members())
    order = np.random.default_rng(3).permutation(30)
    shuffled = Predictions(
        found.probabilities[:, order], tuple(found.images[i] for i in order), CLASSES, found.labels[order]
    )
    one, other = (measure_images("x", each, unit="bit", sum_tolerance=0.01) for each in (found, shuffled))
    key = "image"
    assert sorted(one.images, key=lambda r: r[key]) == sorted(other.images, key=lambda r: r[key])


def test_members_that_are_equal_have_no_mutual_information_and_no_spread():
    p = np.repeat(members(n_members=1), 4, axis=0)
    measured = measure_images("x", predictions(p), unit="bit", sum_tolerance=0.01)
    assert all(row["mutual_information"] == 0 for row in measured.images)
    spread = pass_rows(predictions(p), "img-03", unit="bit", sum_tolerance=0.01)[-1]
    assert spread["pass"] == "std"
    assert [spread[f"p_{name}"] for name in CLASSES] == [0, 0, 0]


def test_an_image_that_holds_no_probabilities_is_rejected_in_words_and_the_others_are_as_without_it(tmp_path):
    clean = predictions(members())
    p = clean.probabilities.copy()
    p[2, 5, 1] = np.nan
    p[:, 6] *= 100
    p[:, 7] = np.log(p[:, 7]) * 3
    p[1, 8] = 0
    p[0, 9] *= 0.5
    p[:, 10] += np.float32([-0.2, 0.1, 0.1])
    p[0, 10] = -0.2, 0.6, 0.6
    spoiled = Predictions(p, clean.images, CLASSES, clean.labels)
    measured = measure_images("x", spoiled, unit="bit", sum_tolerance=0.01)
    words = dict(measured.rejected)
    assert list(words) == [f"img-{i:02}" for i in range(5, 11)]
    found = ("NaN", "percentages", "logits", "every class is 0", "not normalised", "sums are 1, but not every value")
    for (name, fault), expected in zip(words.items(), found, strict=True):
        assert fault.code == "not_probabilities"
        assert name in fault.message and expected in fault.message
        assert fault.remedy
    rest = [i for i in range(30) if not 5 <= i < 11]
    without = Predictions(
        clean.probabilities[:, rest], tuple(clean.images[i] for i in rest), CLASSES, clean.labels[rest]
    )
    assert measured.images == measure_images("x", without, unit="bit", sum_tolerance=0.01).images
    # Divided out where the config says so.
    divided = measure_images("x", spoiled, unit="bit", sum_tolerance=None)
    assert [name for name, _ in divided.rejected] == ["img-05", "img-07", "img-08", "img-10"]


def test_csv_images_with_missing_or_double_members_or_odd_labels_are_rejected(tmp_path):
    found = predictions(members(n_members=2, n_images=6))
    as_csv(found, tmp_path / "m.csv")
    header, *body = csv.reader((tmp_path / "m.csv").read_text().splitlines())
    del body[7]  # member 1 of img-01
    body.append(body[2])  # member 0 of img-02 once more
    body[3][header.index("label")] = "wolf"
    body[4][header.index("eel")] = "much"
    with (tmp_path / "m.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *body])
    measured = measure_images("x", read_table(tmp_path / "m.csv"), unit="bit", sum_tolerance=0.01)
    codes = {name: fault.code for name, fault in measured.rejected}
    assert codes == {
        "img-01": "member_mismatch", "img-02": "member_mismatch", "img-03": "class_mismatch",
        "img-04": "not_probabilities",
    }  # fmt: skip
    assert [row["image"] for row in measured.images] == ["img-00", "img-05"]


def broken(folder):
    """Tables that cannot be used as a whole, by the code they get."""
    p = members(n_members=2, n_images=3)
    write_npz({"p": p}, folder / "other-name.npz")
    write_npz({"probabilities": p[0]}, folder / "two-axes.npz")
    write_npz({"probabilities": p[:, :, :1]}, folder / "one-class.npz")
    write_npz({"probabilities": p.astype(complex)}, folder / "complex.npz")
    write_npz({"probabilities": p, "labels": np.zeros(2, int)}, folder / "labels.npz")
    write_npz({"probabilities": p, "images": np.array(["a", "a", "b"])}, folder / "twice.npz")
    np.savez(folder / "pickle.npz", probabilities=np.array([{}], object))
    (folder / "text.npz").write_text("no zip")
    whole = (folder / "complex.npz").read_bytes()
    (folder / "cut.npz").write_bytes(whole[: len(whole) // 2])
    write_npz({"probabilities": p}, folder / "flipped.npz")
    data = bytearray((folder / "flipped.npz").read_bytes())
    data[200] ^= 1
    (folder / "flipped.npz").write_bytes(data)
    (folder / "empty.csv").write_text("")
    (folder / "nameless.csv").write_text("a,b\n0.5,0.5\n")
    (folder / "binary.csv").write_bytes(b"image,a,b\n\xff\xfe,1,0\n")
    return {
        "other-name.npz": "class_mismatch", "two-axes.npz": "axes_unclear", "one-class.npz": "single_class",
        "complex.npz": "type_unsupported", "labels.npz": "shape_mismatch", "twice.npz": "class_mismatch",
        "pickle.npz": "file_corrupt", "text.npz": "not_this_format", "cut.npz": "not_this_format",
        "flipped.npz": "file_corrupt", "empty.csv": "not_this_format", "nameless.csv": "class_mismatch",
        "binary.csv": "not_this_format", "gone.csv": "file_unreadable",
    }  # fmt: skip


def test_a_table_that_cannot_be_used_is_rejected_as_a_whole(tmp_path):
    for name, code in broken(tmp_path).items():
        with pytest.raises(DataError) as caught:
            read_table(tmp_path / name)
        assert caught.value.code == code and code in CODES, name
        assert name in caught.value.message
    measure_methods({"table": tmp_path / "cut.npz"}, tmp_path, unit="bit", sum_tolerance=0.01)
    assert (tmp_path / "images.csv").read_text().count("\n") == 1
    (row,) = csv.DictReader((tmp_path / "images_rejected.csv").read_text().splitlines())
    assert (row["code"], row["method"]) == ("not_this_format", "table")


def test_a_header_that_promises_more_than_there_is_allocates_nothing(tmp_path):
    write_npz({"probabilities": members(n_members=2, n_images=3)}, tmp_path / "m.npz")
    with zipfile.ZipFile(tmp_path / "m.npz") as archive:
        data = archive.read("probabilities.npy")
    # As long as before: the padding of the header gives way.
    lying = data.replace(b"(2, 3, 3), }           ", b"(2, 3, 99999999999), } ")
    assert len(lying) == len(data) and lying != data
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("probabilities.npy", lying)
    with pytest.raises(DataError, match="promises 2399999999976 bytes, the archive holds 72"):
        read_npz(tmp_path / "m.npz")


def test_tables_have_a_dictionary_and_are_the_same_bytes_again(tmp_path):
    found = predictions(members())
    write_predictions(found, tmp_path / "m.npz")
    for folder in ("one", "two"):
        measure_methods({"table": tmp_path / "m.npz"}, tmp_path / folder, unit="nat", sum_tolerance=0.01)
        show_passes(
            {"table": tmp_path / "m.npz"}, tmp_path / folder / "images.csv", tmp_path / folder / "passes",
            show=["img-07", "img-11"], unit="nat", sum_tolerance=0.01,
        )  # fmt: skip
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(names) == 7 + 2 * 3
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    for path in (tmp_path / "one").rglob("*.csv"):
        dictionary = json.loads(path.with_suffix(".json").read_text())
        header = path.read_text().splitlines()[0].split(",")
        assert list(dictionary["columns"]) == header, path
    (passes,) = (tmp_path / "one/passes").glob("table_rank-*_img-07_passes.csv")
    table = pd.read_csv(passes, dtype={"pass": str})
    columns = [f"p_{name}" for name in CLASSES]
    assert table["pass"].tolist() == ["0", "1", "2", "3", "mean", "std"]
    assert_allclose(table[columns][:4], found.probabilities[:, 7], rtol=1e-6)
    assert_allclose(table[columns].iloc[4], found.probabilities[:, 7].mean(axis=0), rtol=1e-6)
    assert_allclose(table[columns].iloc[5], found.probabilities[:, 7].std(axis=0), rtol=1e-5)


def test_names_that_a_spreadsheet_would_execute_are_inert_and_still_found(tmp_path):
    found = predictions(members(n_images=3))
    evil = Predictions(found.probabilities, ("=cmd()", "a,b", "../x"), CLASSES, found.labels)
    write_predictions(evil, tmp_path / "m.npz")
    measure_methods({"table": tmp_path / "m.npz"}, tmp_path, unit="bit", sum_tolerance=0.01)
    show_passes(
        {"table": tmp_path / "m.npz"}, tmp_path / "images.csv", tmp_path / "passes", show=5, unit="bit",
        sum_tolerance=0.01,
    )  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "images.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == ["'=cmd()", "a,b", "../x"]
    assert len(list((tmp_path / "passes").iterdir())) == 9
