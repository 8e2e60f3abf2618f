"""Whoever follows a remedy to the letter gets the right number, or another rejection; never a wrong number."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from fault_runs import ended
from files import SHAPE, damaged, nifti_bytes, settings, softmax_field, write_nifti
from numpy.typing import NDArray
from scipy.ndimage import shift
from volume_entropy.classification.rows import measure_images
from volume_entropy.classification.table import read_table
from volume_entropy.errors import CODES

Array = NDArray[Any]
NUMBER = 1e-5


@dataclass
class Given:
    """A sample as a user gives it: a folder, the cell `probabilities`, the settings, and other cells."""

    folder: Path
    probabilities: str
    settings: dict[str, Any] = field(default_factory=settings)
    files: dict[str, str] = field(default_factory=dict)

    def run(self, name: str) -> dict[str, Any]:
        return ended(self.folder / name, self.probabilities, self.settings, **self.files)

    def setting(self, **changes: Any) -> "Given":
        """The config with other keys; as `config.conversion_settings` resolves the classes."""
        changed = {**self.settings, **changes}
        if changes.get("background") == "complement" and "background" not in changed["classes"]:
            changed["classes"] = ["background", *changed["classes"]]
        return replace(self, settings=changed)

    def saving(self, p: Array, **how: Any) -> "Given":
        """Another file in place of the probabilities, or of those of all members: (x, y, z[, class])."""
        path = self.probabilities if self.probabilities.endswith((".nii", ".gz")) else str(self.folder / "new.nii")
        write_nifti(Path(path), p, **how)
        return replace(self, probabilities=path)

    def asked(self, remedy: str, key: str) -> "Given":
        """The config with the number that the remedy says for a key."""
        number, *_ = re.findall(rf"{key}: ([0-9.e-]*[0-9])", remedy)
        return self.setting(**{key: float(number)})


Follow = Callable[[Given, str], Given]


@dataclass
class Remedy:
    """A fault, and what becomes of it.

    Attributes
    ----------
    code
        Of the rejection.
    words
        Of its remedy: those that are followed.
    given
        Makes the faulty sample.
    follow
        Does what the remedy says.
    total
        Σ PE in bit that is right then; None: another rejection is.
    """

    code: str
    words: str
    given: Callable[[Path], Given]
    follow: Follow
    total: float | None


def total(p: Array, **how: Any) -> float:
    """Σ PE in bit of p (x, y, z, class), or of members (member, x, y, z, class), in float64."""
    members = p if p.ndim == 5 else p[None]
    return float(np.nansum(reference.block(members.transpose(0, 4, 3, 2, 1), **how).maps["predictive_entropy"]))


P = softmax_field()
MEMBERS = np.stack([softmax_field(seed=seed) for seed in range(3)])
LESION = np.zeros((20, 21, 22, 1), np.float32)
LESION[4:8, 4:8, 4:8] = 0.3
LESION[5:7, 5:7, 5:7] = 1
SCORES = np.log(P)
OVERLAPPING = P ** np.float32(0.3)
SPOILED = np.where(np.indices(P.shape)[3] + np.indices(P.shape).sum(axis=0) % 3 == 0, np.float32(np.nan), P)
FIELD = (np.indices(SHAPE)[0] > 0)[..., None].astype(np.uint8)
CRISP = np.eye(3)[np.add.reduce(np.indices((12, 13, 14))) // 9 % 3]
BENT = np.stack([shift(CRISP[..., k], 0.45, order=3, mode="nearest") for k in range(3)], axis=-1).astype(np.float32)


def saved(p: Array, *, mask: Array | None = None, **resolved: Any) -> Callable[[Path], Given]:
    """The probabilities (x, y, z, class) in one NIfTI."""

    def make(folder: Path) -> Given:
        n_classes = p.shape[3] if p.ndim == 4 else 1
        files = {} if mask is None else {"mask": write_nifti(folder / "m.nii", mask)}
        return Given(folder, write_nifti(folder / "p.nii", p), settings(n_classes, **resolved), files)

    return make


def saved_members(*members: Array) -> Callable[[Path], Given]:
    def make(folder: Path) -> Given:
        for number, p in enumerate(members):
            write_nifti(folder / f"{number}.nii", p)
        tokens = [str(number) for number in range(len(members))]
        return Given(folder, str(folder / "{member}.nii"), settings(members=tokens))

    return make


def saved_classes(*classes: Array) -> Callable[[Path], Given]:
    def make(folder: Path) -> Given:
        for index, p in enumerate(classes):
            write_nifti(folder / f"class{index}.nii", p)
        return Given(folder, str(folder / "{class}.nii"), settings(len(classes)))

    return make


def made_again(given: Given, _: str) -> Given:
    """The file copied or made again: what it should have been."""
    return given.saving(P)


def scaled(given: Given, remedy: str) -> Given:
    return given.asked(remedy, "scale")


def tolerated(given: Given, remedy: str) -> Given:
    return given.asked(remedy, "sum_tolerance")


def completed(given: Given, _: str) -> Given:
    return given.setting(background="complement")


def divided(given: Given, _: str) -> Given:
    return given.setting(sum_tolerance=None)


def accepted(given: Given, _: str) -> Given:
    return given.setting(max_invalid_fraction=0.9)


def without_member_1(given: Given, _: str) -> Given:
    return given.setting(members=["0", "2"])


def missing(folder: Path) -> Given:
    return Given(folder, str(folder / "absent.nii"))


def misnamed(folder: Path) -> Given:
    return Given(folder, write_nifti(folder / "p.txt", P))


def renamed(given: Given, _: str) -> Given:
    os.rename(given.probabilities, given.folder / "p.nii")
    return replace(given, probabilities=str(given.folder / "p.nii"))


def faulty(damage: str) -> Callable[[Path], Given]:
    return lambda folder: Given(folder, damaged(write_nifti(folder / "p.nii.gz", P), damage))


def oversized(folder: Path) -> Given:
    (folder / "p.nii").write_bytes(nifti_bytes(P) + bytes(999))
    return Given(folder, str(folder / "p.nii"))


def colours(folder: Path) -> Given:
    return Given(folder, write_nifti(folder / "p.nii", np.zeros((*SHAPE, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])))


def with_file(column: str, array: Array, **how: Any) -> Callable[[Path], Given]:
    def make(folder: Path) -> Given:
        files = {column: write_nifti(folder / f"{column}.nii", array, **how)}
        labels = {"labels": [[0], [1], [2]], "ignore_labels": []}
        return Given(folder, write_nifti(folder / "p.nii", P), settings(reference=labels), files)

    return make


def with_another(column: str, array: Array) -> Follow:
    return lambda given, _: replace(given, files={column: write_nifti(given.folder / f"{column}.nii", array)})


INSIDE = (np.indices(SHAPE).sum(axis=0) % 3 > 0).astype(np.uint8)
CODED = softmax_field().argmax(axis=-1).astype(np.int16)
REFUSE = [{"pattern": "^mw", "reason": "modulated", "remedy": "give the file without mw"}]


def refused(folder: Path) -> Given:
    write_nifti(folder / "p.nii", P)
    return Given(folder, write_nifti(folder / "mwp.nii", P * 3), settings(refuse=REFUSE))


REMEDIES: dict[str, Remedy] = {
    "file_missing": Remedy("file_missing", "bring the file to its place", missing, made_again, total(P)),
    "another name": Remedy("not_this_format", "correct its name", misnamed, renamed, total(P)),
    "cut": Remedy("file_truncated", "Copy the file again", faulty("cut"), made_again, total(P)),
    "flipped": Remedy("file_corrupt", "or make it again", faulty("flip"), made_again, total(P)),
    "too long": Remedy("file_oversized", "make it again", oversized, made_again, total(P)),
    "no transform": Remedy(
        "header_invalid", "make it again", lambda folder: Given(folder, write_nifti(folder / "p.nii", P, sform_code=9)),
        made_again, total(P),
    ),
    "colours": Remedy("type_unsupported", "the probabilities as numbers", colours, made_again, total(P)),
    "mask of another shape": Remedy(
        "shape_mismatch", "Resample one of the two", with_file("mask", np.ones((5, 6, 9), np.uint8)),
        with_another("mask", INSIDE), total(P),
    ),
    "mask elsewhere": Remedy(
        "affine_mismatch", "by nearest neighbour", with_file("mask", INSIDE, srow_x=[1.0, 0, 0, 3]),
        with_another("mask", INSIDE), total(P),
    ),
    "class axis": Remedy(
        "class_mismatch", "`cxyz`",
        lambda folder: Given(folder, write_nifti(folder / "p.nii", np.moveaxis(P, -1, 0))),
        lambda given, _: given.setting(axes="cxyz"), total(P),
    ),
    "an axis too many": Remedy(
        "axes_unclear", "", lambda folder: Given(folder, write_nifti(folder / "p.nii", np.stack([P, P], axis=-1))),
        made_again, total(P),
    ),
    "a refused file": Remedy(
        "refused_by_preset", "ive the file without mw", refused,
        lambda given, _: replace(given, probabilities=str(given.folder / "p.nii")), total(P),
    ),
    "a reference of fractions": Remedy(
        "labels_invalid", "integer labels", with_file("reference", CODED + np.float32(0.5)),
        with_another("reference", CODED), total(P),
    ),
    "a mask of fractions": Remedy(
        "mask_invalid", "mask_threshold", saved(P, mask=INSIDE * np.float32(0.9)),
        lambda given, remedy: given.setting(mask_threshold=float(re.findall(r"inside: ([0-9.]+) is", remedy)[0])),
        total(P),
    ),
    "a mask of nothing": Remedy(
        "mask_empty", "leave its cell in the table empty", saved(P, mask=INSIDE * np.uint8(0)),
        lambda given, _: replace(given, files={}), total(P),
    ),
    "a mask below its threshold": Remedy(
        "mask_empty", "Lower probabilities.mask_threshold", saved(P, mask=INSIDE, mask_threshold=100.0),
        lambda given, _: given.setting(mask_threshold=0.5), total(P),
    ),
    "logits": Remedy(
        "not_probabilities", "apply softmax over the classes", saved(SCORES + P.max(axis=-1, keepdims=True) + 2),
        made_again, total(P),
    ),
    "logits of a region": Remedy(
        "not_probabilities", "apply the sigmoid", saved(np.log(P / (1 - P))[..., :1], kind="regions"),
        lambda given, _: given.saving(P[..., :1]), total(P[..., :1], kind="regions"),
    ),
    "logits of one class": Remedy(
        "not_probabilities", "apply the sigmoid", saved(np.log(P / (1 - P))[..., :1], background="complement"),
        lambda given, _: given.saving(P[..., :1]), total(P[..., :1], complement=True),
    ),
    "logarithms": Remedy(
        "not_probabilities", "exp of the values", saved(SCORES), lambda given, _: given.saving(np.exp(SCORES)),
        total(P),
    ),
    "logarithms of regions": Remedy(
        "not_probabilities", "exp of the values if", saved(SCORES, kind="regions"),
        lambda given, _: given.saving(np.exp(SCORES)), total(P, kind="regions"),
    ),
    "percentages": Remedy("not_probabilities", "scale: 100", saved(P * 100), scaled, total(P)),
    "bytes": Remedy(
        "not_probabilities", "scale: 255", saved(np.rint(P * 255).astype(np.uint8)), scaled,
        total(np.rint(P * 255) / 255, quantum=1 / 255),
    ),
    "truncated bytes": Remedy(
        "not_probabilities", "scale: 255", saved(np.floor(P * 255).astype(np.uint8)), scaled,
        total(np.floor(P * 255) / 255, quantum=1 / 255),
    ),
    "a small lesion": Remedy(
        "not_probabilities", "scale: 255", saved(LESION * 255, background="complement"), scaled,
        total(LESION, complement=True),
    ),
    "a small lesion, a little above": Remedy(
        "not_probabilities", "scale: 100", saved(LESION * np.float32(100.01), background="complement"), scaled,
        total(LESION * 1.0001, complement=True),
    ),
    "a small lesion, regions": Remedy(
        "not_probabilities", "scale: 65535", saved(np.rint(LESION * 65535).astype(np.uint16), kind="regions"), scaled,
        total(np.rint(LESION * 65535) / 65535, kind="regions"),
    ),
    "percentages without a background": Remedy(
        "not_probabilities", "100 if they are percentages", saved(P[..., 1:] * 70, background="complement"),
        lambda given, _: given.setting(scale=100.0), total(P[..., 1:] * 0.7, complement=True),
    ),
    "percentages, their background forgotten": Remedy(
        "not_probabilities", "100 if they are percentages", saved(P[..., 1:] * 70),
        lambda given, _: given.setting(scale=100.0), None,
    ),
    "a scale for what needs none": Remedy(
        "not_probabilities", "scale: null", saved(LESION * 0.5, background="complement", scale=255.0),
        lambda given, _: given.setting(scale=None), total(LESION * 0.5, complement=True),
    ),
    "a scale that is too small": Remedy(
        "not_probabilities", "scale: 255", saved(LESION * 255, kind="regions", scale=100.0), scaled,
        total(LESION, kind="regions"),
    ),
    "unnormalised scores, by the scale": Remedy("not_probabilities", "scale: 7", saved(P * 7), scaled, total(P)),
    "unnormalised scores, divided": Remedy("not_probabilities", "sum_tolerance: null", saved(P * 7), divided, total(P)),
    "shares of any sum": Remedy(
        "not_probabilities", "if a voxel's values are shares", saved(P * (1 + np.indices(SHAPE).sum(0))[..., None]),
        divided, total(P),
    ),
    "a constant sum below 1": Remedy("not_probabilities", "sum_tolerance: null", saved(P / 255), divided, total(P)),
    "a fill value": Remedy(
        "not_probabilities", "Write 0 in every class", saved(np.where(INSIDE[..., None], P, np.float32(-1))),
        lambda given, _: given.saving(P * INSIDE[..., None]), total(P * INSIDE[..., None]),
    ),
    "a spline's overshoot, resampled again": Remedy(
        "too_many_invalid", "nearest neighbour", saved(BENT), lambda given, _: given.saving(CRISP.astype(np.float32)),
        0.0,
    ),
    "a spline's overshoot, tolerated": Remedy(
        "too_many_invalid", "sum_tolerance: 0.", saved(BENT), tolerated, total(BENT, sum_tolerance=0.5),
    ),
    "a spline's overshoot without a background, tolerated": Remedy(
        "too_many_invalid", "sum_tolerance: 0.", saved(BENT[..., 1:], background="complement"), tolerated,
        total(BENT[..., 1:], sum_tolerance=0.5, complement=True),
    ),
    "a spline's overshoot of regions, tolerated": Remedy(
        "too_many_invalid", "sum_tolerance: 0.", saved(BENT, kind="regions"), tolerated,
        total(BENT, sum_tolerance=0.5, kind="regions"),
    ),
    "a missing background": Remedy(
        "not_probabilities", "Set background: complement", saved(P[..., 1:]), completed,
        total(P[..., 1:], complement=True),
    ),
    "overlapping classes": Remedy(
        "not_probabilities", "kind: regions", saved(OVERLAPPING), lambda given, _: given.setting(kind="regions"),
        total(OVERLAPPING, kind="regions"),
    ),
    "overlapping classes, complement": Remedy(
        "not_probabilities", "kind: regions", saved(OVERLAPPING, background="complement"),
        lambda given, _: replace(given, settings=settings(3, kind="regions")), total(OVERLAPPING, kind="regions"),
    ),
    "every class, and a complement": Remedy(
        "not_probabilities", "list them all", saved(np.full((*SHAPE, 3), 0.4, np.float32), background="complement"),
        lambda given, _: replace(given, settings=settings(3)), None,
    ),
    "floats of truncated bytes": Remedy(
        "not_probabilities", "sum_tolerance: 0.", saved((np.floor(P * 100) / 100).astype(np.float32)), tolerated,
        total(np.floor(P * 100) / 100, sum_tolerance=0.05),
    ),
    "a softmax over another axis": Remedy(
        "not_probabilities", "take it over the classes", saved(P / P.sum(axis=0, keepdims=True)), made_again, total(P),
    ),
    "a class of zeros": Remedy(
        "no_valid_voxels", "write it again", saved_classes(P[..., 0], P[..., 1] * 0, P[..., 2]),
        lambda given, _: (write_nifti(given.folder / "class1.nii", P[..., 1]), given)[1], total(P),
    ),
    "nothing": Remedy("no_valid_voxels", "Check that this is the file", saved(P * 0), made_again, total(P)),
    "a member of zeros, left out": Remedy(
        "no_valid_voxels", "leave it out", saved_members(MEMBERS[0], MEMBERS[1] * 0, MEMBERS[2]), without_member_1,
        total(MEMBERS[[0, 2]]),
    ),
    "a member of NaN, written again": Remedy(
        "no_valid_voxels", "Write it again", saved_members(MEMBERS[0], MEMBERS[1] * np.float32(np.nan), MEMBERS[2]),
        lambda given, _: (write_nifti(given.folder / "1.nii", MEMBERS[1]), given)[1], total(MEMBERS),
    ),
    "a member that is cropped": Remedy(
        "too_many_invalid", "leave it out", saved_members(MEMBERS[0], MEMBERS[1] * INSIDE[..., None], MEMBERS[2]),
        without_member_1, total(MEMBERS[[0, 2]]),
    ),
    "some NaN": Remedy(
        "too_many_invalid", "max_invalid_fraction", saved(SPOILED), accepted, total(SPOILED),
    ),
    "NaN inside the mask": Remedy(
        "too_many_invalid", "correct a mask", saved(np.where(FIELD, P, np.float32(np.nan)), mask=INSIDE),
        with_another("mask", INSIDE * FIELD[..., 0]), total(P * FIELD),
    ),
    "one class": Remedy(
        "single_class", "background: complement", saved(P[..., :1]), completed, total(P[..., :1], complement=True),
    ),
    "one class, as a region": Remedy(
        "single_class", "kind: regions", saved(P[..., :1]), lambda given, _: given.setting(kind="regions"),
        total(P[..., :1], kind="regions"),
    ),
    "one class in percent": Remedy("single_class", "background: complement", saved(P[..., :1] * 100), completed, None),
}  # fmt: skip


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedy_that_is_followed_gives_the_right_number_or_another_rejection(name: str, tmp_path: Path) -> None:
    remedy = REMEDIES[name]
    given = remedy.given(tmp_path)
    found = given.run("fault")
    assert found.get("code") == remedy.code
    assert remedy.words in found["remedy"]
    followed = remedy.follow(given, found["remedy"]).run("followed")
    if remedy.total is None:
        assert followed["status"] == "rejected"
    else:
        assert followed["status"] == "ok", followed["message"]
        assert followed["predictive_entropy_total"] == pytest.approx(remedy.total, rel=NUMBER, abs=1e-9)


def test_a_file_that_may_not_be_read_is_right_with_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    given = saved(P)(tmp_path)
    # As root nothing is forbidden.
    with monkeypatch.context() as patch:
        patch.setattr("volume_entropy.readers.sources.open", refuse, raising=False)
        found = given.run("fault")
    assert found["code"] == "file_unreadable"
    assert "permission" in found["remedy"]
    assert given.run("followed")["predictive_entropy_total"] == pytest.approx(total(P), rel=NUMBER)


def test_an_image_that_lacks_a_member_is_right_with_it(tmp_path: Path) -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(3), (2, 4))
    rows = [
        f"img-{image},{member},{','.join(map(repr, p[member, image].tolist()))}" for member, image in np.ndindex(2, 4)
    ]
    (tmp_path / "lacking.csv").write_text("\n".join(["image,member,a,b,c", *rows[:-1]]))
    (tmp_path / "whole.csv").write_text("\n".join(["image,member,a,b,c", *rows]))
    lacking, whole = (
        measure_images("x", read_table(tmp_path / name), unit="bit", sum_tolerance=0.01)
        for name in ("lacking.csv", "whole.csv")
    )
    ((image, fault),) = lacking.rejected
    assert (image, fault.code) == ("img-3", "member_mismatch")
    assert "one row a member" in fault.remedy
    right = reference.class_entropy(p.mean(axis=0), axis=1)
    assert [row["predictive_entropy"] for row in whole.images] == pytest.approx(right.tolist(), abs=1e-6)


def test_every_code_has_a_remedy_that_was_followed() -> None:
    assert {remedy.code for remedy in REMEDIES.values()} | {"file_unreadable", "member_mismatch"} == CODES.keys()
