"""Valid values that are not what they seem to be get a number and a word; ordinary ones get no word."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phantoms import head
from sample_store import SAMPLES, SHAPE, SampleStore, random_mask, region_members, softmax_members
from volume_entropy.errors import WARNINGS
from volume_entropy.stores.layout import Layout

BLOCKS = Layout(SHAPE, (5, 7, 9), (5, 7, 9))


def warnings_of(sample: SampleStore, folder: Path) -> dict[str, str]:
    """The messages by code."""
    summary = sample.compute(folder)
    assert summary["status"] == "ok", summary["message"]
    return {warning["code"]: warning["message"] for warning in summary["warnings"]}


def one_hot(p: np.ndarray) -> np.ndarray:
    """Labels of (member, class, …) as probabilities."""
    return np.moveaxis(np.eye(p.shape[1], dtype=np.float32)[p.argmax(axis=1)], -1, 1)


def softmax(p: np.ndarray) -> np.ndarray:
    e = np.exp(p)
    return np.asarray(e / e.sum(axis=1, keepdims=True), np.float32)


def sigmoid(p: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-p)), np.float32)


def winners(p: np.ndarray) -> np.ndarray:
    """Classes of (member, class, …) where they win, else 0; without the first, which is the background."""
    return np.where(p == p.max(axis=1, keepdims=True), p, 0)[:, 1:]


def in_8_bit(p: np.ndarray) -> np.ndarray:
    return (np.rint(p * 255) / 255).astype(np.float32)


def changed(p: np.ndarray, index: int, values: np.ndarray) -> np.ndarray:
    p = p.copy()
    p[:, index] = values[:, index]
    return p


P, MEMBERS, REGIONS = softmax_members(1), softmax_members(2, n_members=3), region_members(3, n_members=2)
PAIR = softmax_members(4, n_classes=2)
BRAIN = np.pad(np.ones((9, 17, 13), np.float32), 2)
MODEL = {"model": {"method": "softmax"}}

DEGENERATE: dict[str, tuple[SampleStore, set[str]]] = {
    "labels": (SampleStore(one_hot(P)), {"labels_not_probabilities"}),
    "labels, 0 outside": (SampleStore(one_hot(P) * BRAIN), {"labels_not_probabilities"}),
    "labels without their background": (SampleStore(one_hot(P)[:, 1:], complement=True), {"labels_not_probabilities"}),
    "labels of one class": (SampleStore(one_hot(P)[:, 2:3], complement=True), {"labels_not_probabilities"}),
    "labels of regions": (SampleStore(one_hot(P)[:, 1:], kind="regions"), {"labels_not_probabilities"}),
    "labels that members vote for": (SampleStore(one_hot(MEMBERS)), {"labels_not_probabilities"}),
    "labels of members' regions": (SampleStore(one_hot(MEMBERS), kind="regions"), {"labels_not_probabilities"}),
    "labels, nat": (SampleStore(one_hot(MEMBERS), settings={"unit": "nat"}), {"labels_not_probabilities"}),
    "labels, any sum": (SampleStore(one_hot(P) * 7, settings={"sum_tolerance": None}), {"labels_not_probabilities"}),
    "rounded": (SampleStore(np.rint(P)), {"rounded_to_integers"}),
    "rounded, 0 outside": (SampleStore(np.rint(P) * BRAIN), {"rounded_to_integers"}),
    "rounded, empty only at the border, but in the mask": (
        SampleStore(one_hot(P) * BRAIN, mask=np.ones(SHAPE, bool)), {"rounded_to_integers"},
    ),
    "softmax twice": (SampleStore(softmax(P)), {"softmax_twice"}),
    "softmax twice, two classes": (SampleStore(softmax(PAIR)), {"softmax_twice"}),
    "softmax twice, 33 classes": (SampleStore(softmax(softmax_members(5, n_classes=33))), {"softmax_twice"}),
    "softmax twice, members": (SampleStore(softmax(MEMBERS)), {"softmax_twice"}),
    "softmax twice, 0 outside": (SampleStore(softmax(P) * BRAIN), {"softmax_twice"}),
    "softmax twice, without its background": (SampleStore(softmax(P)[:, 1:], complement=True), {"softmax_twice"}),
    "softmax twice, the second of two": (SampleStore(softmax(PAIR)[:, 1:], complement=True), {"softmax_twice"}),
    "softmax twice, any sum": (SampleStore(softmax(P) * 7, settings={"sum_tolerance": None}), {"softmax_twice"}),
    "softmax twice, small sums": (SampleStore(softmax(P) / 9, settings={"sum_tolerance": None}), {"softmax_twice"}),
    "softmax twice, 8 bit": (SampleStore(in_8_bit(softmax(P)), quantum=1 / 255), {"softmax_twice"}),
    "softmax twice, float16": (SampleStore(softmax(P).astype(np.float16), dtype="float16"), {"softmax_twice"}),
    "softmax thrice": (SampleStore(softmax(softmax(P))), {"softmax_twice"}),
    "softmax twice in one member": (
        SampleStore(np.concatenate([MEMBERS[:2], softmax(MEMBERS[2:])])), {"softmax_twice"},
    ),
    "softmax twice, streamed": (SampleStore(softmax(MEMBERS), streamed=True, settings=MODEL), {"softmax_twice"}),
    "sigmoid twice": (SampleStore(sigmoid(REGIONS), kind="regions"), {"sigmoid_twice"}),
    "sigmoid twice, one region": (SampleStore(sigmoid(REGIONS[:, :1]), kind="regions"), {"sigmoid_twice"}),
    "sigmoid twice in one of three": (
        SampleStore(changed(REGIONS, 2, sigmoid(REGIONS)), kind="regions"), {"sigmoid_twice"},
    ),
    "sigmoid twice, 0 outside": (SampleStore(sigmoid(REGIONS) * BRAIN, kind="regions"), {"sigmoid_twice"}),
    "sigmoid twice, 8 bit": (
        SampleStore(in_8_bit(sigmoid(REGIONS)), kind="regions", quantum=1 / 255), {"sigmoid_twice"},
    ),
    "sigmoid twice, streamed": (
        SampleStore(sigmoid(REGIONS), kind="regions", streamed=True, settings=MODEL), {"sigmoid_twice"},
    ),
    "sigmoid twice, a class and its complement": (SampleStore(sigmoid(P[:, 1:2]), complement=True), {"sigmoid_twice"}),
    "sigmoid twice, a class and its complement, 0 outside": (
        SampleStore(sigmoid(P[:, 1:2]) * BRAIN, complement=True), {"sigmoid_twice"},
    ),
    "winner only": (SampleStore(np.where(P[:, 1:2] >= 0.5, P[:, 1:2], 0), complement=True), {"winner_only"}),
    "winner only, 8 bit": (
        SampleStore(in_8_bit(np.where(P[:, 1:2] >= 0.5, P[:, 1:2], 0)), complement=True, quantum=1 / 255),
        {"winner_only"},
    ),
    "winner only, several classes": (SampleStore(winners(P), complement=True), {"winner_only"}),
    "winner only, members": (SampleStore(winners(MEMBERS), complement=True), {"winner_only"}),
    "winner only, one class of three": (
        SampleStore(changed(P[:, 1:], 1, np.where(P[:, 1:] >= 0.5, P[:, 1:], 0)), complement=True), {"winner_only"},
    ),
    "winner only, regions": (SampleStore(np.where(REGIONS > 0.5, REGIONS, 0), kind="regions"), {"winner_only"}),
    "winner only, regions, streamed": (
        SampleStore(np.where(REGIONS > 0.5, REGIONS, 0), kind="regions", streamed=True), {"winner_only"},
    ),
    "members alike": (SampleStore(np.repeat(P, 4, axis=0)), {"members_identical"}),
    "members alike, complement": (SampleStore(np.repeat(P[:, 1:], 2, axis=0), complement=True), {"members_identical"}),
    "members alike, regions": (SampleStore(np.repeat(REGIONS[:1], 3, axis=0), kind="regions"), {"members_identical"}),
    "members alike, nat": (SampleStore(np.repeat(P, 4, axis=0), settings={"unit": "nat"}), {"members_identical"}),
    "members alike but for rounding": (
        SampleStore(P * (1 + np.random.default_rng(0).uniform(-3e-7, 3e-7, (3, *P.shape[1:]))).astype(np.float32)),
        {"members_identical"},
    ),
    "members alike, streamed": (SampleStore(np.repeat(P, 4, axis=0), streamed=True), {"members_identical"}),
    "members alike, softmax twice": (
        SampleStore(softmax(np.repeat(P, 2, axis=0))), {"members_identical", "softmax_twice"},
    ),
    "NaN outside, labels": (
        SampleStore(np.where(BRAIN > 0, one_hot(P), np.float32(np.nan))), {"nan_outside", "labels_not_probabilities"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_values_get_their_words(name: str, tmp_path: Path) -> None:
    sample, codes = DEGENERATE[name]
    found = warnings_of(sample, tmp_path / "whole")
    assert found.keys() == codes
    assert all(message.endswith(".") for message in found.values())
    assert warnings_of(replace(sample, layout=BLOCKS), tmp_path / "blocks") == found


def test_a_warning_says_what_was_found(tmp_path: Path) -> None:
    def message(name: str) -> str:
        (found,) = warnings_of(DEGENERATE[name][0], tmp_path / name.replace(" ", "-")).values()
        return found

    assert "All values of 4641 voxels are 0 or 1" in message("labels")
    n_empty = np.count_nonzero(np.rint(P).sum(axis=1) == 0)
    assert any(f" {inside} voxels inside the field" in message("rounded") for inside in range(1, n_empty + 1))
    assert f"is above {softmax(P).max():.4g}, and a softmax of probabilities reaches 0.4754" in message("softmax twice")
    assert "No probability of member 2 is above" in message("softmax twice in one member")
    assert "set model.output: probabilities" in message("softmax twice, streamed")
    assert "All values of gm other than 0" in message("sigmoid twice in one of three")
    assert "No value of gm lies between 0 and 0.5" in message("winner only, one class of three")
    assert "The 4 members are the same in every voxel" in message("members alike")


ORDINARY: dict[str, SampleStore] = {
    **SAMPLES,
    **{f"head {seed}": SampleStore(head(seed).p) for seed in range(2)},
    "tissues of a head": SampleStore(head(0).p[:1, 1:], complement=True),
    "one tissue": SampleStore(head(0).p[:1, 2:3], complement=True),
    "tissues as regions": SampleStore(head(0).p[:1, 1:], kind="regions"),
    "certain nearly everywhere": SampleStore(one_hot(P) * np.float32(0.98) + np.float32(0.005)),
    "certain but for some voxels": SampleStore(np.where(random_mask(1), one_hot(P), P)),
    "certain but for some voxels, regions": SampleStore(np.where(random_mask(1), one_hot(P), P)[:, 1:], kind="regions"),
    "8 bit": SampleStore(in_8_bit(P), quantum=1 / 255),
    "8 bit, complement": SampleStore(in_8_bit(P)[:, 1:], quantum=1 / 255, complement=True),
    "any sum": SampleStore(P * 9, settings={"sum_tolerance": None}),
    "streamed": SampleStore(MEMBERS, streamed=True),
    "streamed regions": SampleStore(REGIONS, kind="regions", streamed=True),
    "one voxel": SampleStore(softmax_members(1, (1, 1, 1), n_members=2)),
    "one certain voxel": SampleStore(one_hot(softmax_members(1, (1, 1, 1)))),
    "one voxel of regions": SampleStore(region_members(1, (1, 1, 1)), kind="regions"),
    "a few undecided voxels": SampleStore(np.full((1, 3, 1, 1, 9), 1 / 3, np.float32)),
    "no lesion": SampleStore(np.zeros((2, 1, *SHAPE), np.float32), complement=True),
    "no lesion in any region": SampleStore(np.zeros((2, 3, *SHAPE), np.float32), kind="regions"),
    "nothing but background": SampleStore(one_hot(np.indices((2, 4, *SHAPE))[1][:, ::-1])),
    "a faint lesion": SampleStore(np.where(random_mask(2)[None, None], 0, P[:, 1:2] * 0.6), complement=True),
}  # fmt: skip


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_samples_get_no_word(name: str, tmp_path: Path) -> None:
    assert warnings_of(ORDINARY[name], tmp_path) == {}


def test_an_ordinary_sample_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from volume_entropy.stores.probabilities import ProbabilityStore

    reads: list[Any] = []
    read = ProbabilityStore.read

    def counted(store: ProbabilityStore, member: int, box: Any) -> Any:
        reads.append(box)
        return read(store, member, box)

    monkeypatch.setattr(ProbabilityStore, "read", counted)
    warnings_of(replace(SAMPLES["members"], layout=BLOCKS), tmp_path / "softmax")
    assert len(reads) == 5 * BLOCKS.n_blocks
    reads.clear()
    warnings_of(replace(SAMPLES["regions"], layout=BLOCKS), tmp_path / "regions")
    # Of regions, and of what a background completes, one slice.
    assert len(reads) == BLOCKS.n_blocks + 1


def test_every_code_of_values_is_a_warning() -> None:
    assert {code for _, codes in DEGENERATE.values() for code in codes} <= WARNINGS.keys()
