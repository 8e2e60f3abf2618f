"""Three faults that a reviewer must see, planted among sixty samples, are the first three of the queue."""

import csv
from pathlib import Path

import numpy as np
import pytest
from in_process import run_cohort
from phantoms import CLASSES, SHAPE, entropy_of, head
from study import save
from volume_entropy.samples import Sample

N = 60
CONTRAST, SWAPPED, CORNER = "sub-17", "sub-31", "sub-44"
# z, y, x of the corner in which the model failed: outside the head, so that no mean over the foreground tells.
FAILED = (slice(14, 20), slice(0, 6), slice(0, 7))


def probabilities(name: str, seed: int) -> np.ndarray:
    """(member, class, z, y, x) of one sample, faulty or not."""
    p = head(seed, contrast=0.85 if name == CONTRAST else 1).p
    if name == SWAPPED:
        p = p[:, [0, 1, 3, 2]]
    if name == CORNER:
        p[(..., *FAILED)] = 1 / len(CLASSES)
    return p


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> tuple[list[dict[str, str]], dict[str, np.ndarray]]:
    """The queue of the cohort, and what the model said of the planted three."""
    folder: Path = tmp_path_factory.mktemp("cohort")
    samples, planted = {}, {}
    for seed in range(N):
        name = f"sub-{seed:02}"
        p = probabilities(name, seed)
        for member, of_member in enumerate(p):
            save(of_member.transpose(3, 2, 1, 0), folder / f"data/{name}_{member}.nii.gz")
        site = "C" if name == CONTRAST else "AB"[seed % 2]
        samples[name] = Sample(name, str(folder / f"data/{name}_{{member}}.nii.gz"), metadata={"site": site})
        if name in (CONTRAST, SWAPPED, CORNER):
            planted[name] = p
    results = run_cohort(folder, samples, probabilities={"classes": list(CLASSES), "members": 2})
    with (results / "review_queue.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream)), planted


def row_of(queue, name):
    return next(row for row in queue if row["sample"] == name)


def test_the_three_come_first(cohort):
    queue, _ = cohort
    assert len(queue) == N
    assert {row["sample"] for row in queue[:3]} == {CONTRAST, SWAPPED, CORNER}
    assert all(row["flags"] for row in queue[:3])


@pytest.mark.parametrize("name", [CONTRAST, SWAPPED, CORNER])
def test_each_with_the_slice_of_the_highest_mean_entropy(cohort, name):
    queue, planted = cohort
    row = row_of(queue, name)
    entropy = entropy_of(planted[name])
    if row["measure"] == "mutual_information":
        entropy -= np.mean([entropy_of(member[None]) for member in planted[name]], axis=0)
    means = {axis: entropy.mean(axis=tuple({0, 1, 2} - {2 - i})) for i, axis in enumerate("xyz")}
    axis = max("xyz", key=lambda axis: means[axis].max())
    assert (row["axis"], int(row["slice"])) == (axis, int(means[axis].argmax()))
    assert [int(row[f"slice_{axis}"]) for axis in "xyz"] == [int(means[axis].argmax()) for axis in "xyz"]


def test_what_was_wrong_is_said(cohort):
    queue, _ = cohort
    assert {"entropy_high", "interior_high"} & set(row_of(queue, CONTRAST)["flags"].split(";"))
    assert row_of(queue, SWAPPED)["flags"].split(";")[0] == "class_order"
    assert "total_high" in row_of(queue, CORNER)["flags"].split(";")


def test_the_failed_corner_is_where_slice_and_box_lie(cohort):
    row = row_of(cohort[0], CORNER)
    failed = dict(zip("zyx", FAILED, strict=True))
    assert failed[row["axis"]].start <= int(row["slice"]) < failed[row["axis"]].stop
    for axis, size in zip("zyx", SHAPE, strict=True):
        first, n = int(row[f"box_{axis}"]), int(row[f"box_size_{axis}"])
        assert first < failed[axis].stop
        assert first + n > failed[axis].start
        # The planted files have millimetre voxels at the origin: index and mm are the same.
        assert float(row[f"box_{axis}_mm"]) == pytest.approx(first + (n - 1) / 2)
        assert first + n <= size


def test_the_slice_of_swapped_labels_shows_both(cohort):
    queue, planted = cohort
    row = row_of(queue, SWAPPED)
    labels = planted[SWAPPED].mean(axis=0).argmax(axis=0)
    shown = np.take(labels, int(row["slice"]), axis="zyx".index(row["axis"]))
    assert {CLASSES.index("gm"), CLASSES.index("wm")} <= set(shown.ravel().tolist())
