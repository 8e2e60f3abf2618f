"""What stands beside the probabilities and names their classes must name those of the config, in their order."""

import json
import os
import shutil

import nibabel
import numpy as np
import pytest
from preset_runs import PRESETS, rejected, settings_of
from producers import BRATS, SHAPE, describe, nnunet, nnunet_regions, probabilities, save, totalsegmentator
from volume_entropy.config import read_preset
from volume_entropy.discovery.search import discover
from volume_entropy.errors import ConfigError
from volume_entropy.presets import check_conventions, found_beside
from volume_entropy.samples import Sample, recipe, source_paths
from volume_entropy.sidecars import check_dataset, check_labelmap

CLASSES = ["BG", "GM", "WM"]


def test_a_labelmap_that_says_the_configured_classes_passes():
    check_labelmap({"LabelMap": CLASSES, "Manual": True}, CLASSES, "s.json")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"LabelMap": ["GM", "BG", "WM"]}, "the same classes in another order"),
        ({"LabelMap": ["BG", "GM", "WM", "CSF"]}, "other classes"),
        ({"LabelMap": ["BG", "GM"]}, "other classes"),
        ({"LabelMap": {"0": "BG"}}, "expected a list of names"),
        ({"LabelMap": [0, 1, 2]}, "expected a list of names"),
        ({}, "has no LabelMap"),
        ({"LabelMap": None}, "has no LabelMap"),
        (["BG"], "has no LabelMap"),
    ],
)
def test_any_other_labelmap_is_a_class_mismatch_with_words(content, words):
    error = rejected(check_labelmap, content, CLASSES, "/d/s.json")
    assert error.code == "class_mismatch"
    assert words in error.message
    assert "/d/s.json" in error.message


@pytest.mark.parametrize(
    ("text", "code"),
    [(None, "file_missing"), ("no json", "not_this_format"), ("\x00", "not_this_format"), ("{}", "class_mismatch")],
)
def test_a_sidecar_that_cannot_be_used_rejects_the_sample(tmp_path, text, code):
    path = tmp_path / "a_probseg.nii.gz"
    if text is not None:
        (tmp_path / "a_probseg.json").write_text(text)
    assert rejected(check_conventions, [str(path)], settings_of("bids_probseg")).code == code


def test_a_labelmap_lists_what_is_stored_not_the_complemented_background(tmp_path):
    settings = settings_of("bids_probseg", classes=["GM", "WM"], background="complement")
    (tmp_path / "a_probseg.json").write_text('{"LabelMap": ["GM", "WM"]}')
    check_conventions([str(tmp_path / "a_probseg.nii.gz")], settings)


def test_a_sidecar_and_one_file_a_class_contradict_each_other():
    with pytest.raises(ConfigError, match=r"probabilities\.sidecar"):
        settings_of("bids_probseg", tokens=["a", "b", "c", "d"])


LABELS = {"labels": {"background": 0, "liver": 1, "tumour": 2}}
LISTED = ["background", "liver", "tumour"]


def test_channels_are_the_labels_by_their_numbers_without_the_ignored_one():
    check_dataset(LABELS, LISTED, "softmax", "dataset.json")
    turned = {"tumour": 2, "ignore": 3, "liver": 1, "background": 0}
    check_dataset({"labels": turned}, LISTED, "softmax", "dataset.json")


def test_regions_are_channels_in_the_order_of_the_file_without_the_background():
    check_dataset(BRATS, ["whole_tumor", "tumor_core", "enhancing_tumor"], "regions", "dataset.json")
    ignored = {"labels": {"background": 0, "b": [2, 1], "ignore": 3, "a": 1}, "regions_class_order": [2, 1]}
    check_dataset(ignored, ["b", "a"], "regions", "dataset.json")


@pytest.mark.parametrize(
    ("content", "classes", "kind", "words"),
    [
        (LABELS, ["background", "tumour", "liver"], "softmax", "the same classes in another order"),
        (LABELS, ["background", "foreground"], "softmax", "other classes"),
        (LABELS, LISTED, "regions", "trained on labels that exclude each other"),
        (BRATS, ["whole_tumor", "tumor_core", "enhancing_tumor"], "softmax", "trained on regions"),
        (BRATS, ["tumor_core", "whole_tumor", "enhancing_tumor"], "regions", "the same classes in another order"),
        ({**BRATS, "regions_class_order": [1, 2]}, ["a"], "regions", r"3 regions, but the regions_class_order [1, 2]"),
        ({"labels": BRATS["labels"]}, ["a"], "regions", "3 regions, but the regions_class_order null"),
        ({"labels": {"0": "background", "1": "liver"}}, LISTED, "softmax", "each with its number"),
        ({"labels": {"background": 0, "liver": []}}, LISTED, "softmax", "each with its number"),
        ({"labels": {"background": 0, "liver": True}}, LISTED, "softmax", "each with its number"),
        ({}, LISTED, "softmax", "has the labels null"),
        ([], LISTED, "softmax", "has the labels null"),
    ],
)
def test_any_other_dataset_is_a_class_mismatch_with_words(content, classes, kind, words):
    error = rejected(check_dataset, content, classes, kind, "/d/dataset.json")
    assert error.code == "class_mismatch"
    assert words in error.message
    assert "/d/dataset.json" in error.message


def test_arrays_of_nnunet_are_held_against_the_dataset_beside_them(tmp_path):
    nnunet(tmp_path, probabilities(3))
    array = str(tmp_path / "case_001.npz")
    describe(tmp_path, LABELS)
    check_conventions([array], settings_of("nnunet", classes=LISTED))
    error = rejected(check_conventions, [array], settings_of("nnunet"))
    assert '["background", "liver", "tumour"]' in error.remedy
    check_conventions([array], settings_of("nnunet", sidecar="none"))
    (tmp_path / "dataset.json").write_text("{")
    assert rejected(check_conventions, [array], settings_of("nnunet")).code == "not_this_format"
    (tmp_path / "dataset.json").unlink()
    check_conventions([array], settings_of("nnunet"))


@pytest.mark.parametrize("write", [nnunet, nnunet_regions])
def test_discovery_leaves_out_arrays_of_another_dataset(tmp_path, write):
    write(tmp_path, probabilities(3))
    preset = {"nnunet": "nnunet_regions", "nnunet_regions": "nnunet"}[write.__name__]
    found = discover(read_preset(preset, PRESETS), tmp_path, settings_of(preset))
    assert not found.samples
    assert any("class_mismatch" in reason and write.__name__ in reason for reason in found.left_out)


def test_a_sample_depends_on_the_labels_of_its_dataset_and_not_on_when_they_were_written(tmp_path):
    nnunet(tmp_path, probabilities(2))
    settings, sample = settings_of("nnunet"), Sample("s", str(tmp_path / "case_001.npz"))

    def made():
        return recipe(sample, source_paths(sample, settings), settings, 1)

    before = made()
    labels = {"background": 0, "foreground": 1}
    describe(tmp_path, {"labels": labels, "numTraining": 99})
    os.utime(tmp_path / "dataset.json", ns=(1, 1))
    assert made() == before
    describe(tmp_path, {"labels": dict(reversed(labels.items()))})
    os.utime(tmp_path / "dataset.json", ns=(2, 2))
    assert json.dumps(made()) != json.dumps(before)
    (tmp_path / "dataset.json").unlink()
    assert made()["labels"] == [None]
    other = settings_of("fast")
    assert "labels" not in recipe(sample, [], other, 1)


RAS = np.diag([1.5, 2, 1, 1.0])
READERS = ["NibabelIOWithReorient", "SimpleITKIOWithReorient"]


def discovered(folder, preset, **probabilities):
    return discover(read_preset(preset, PRESETS), folder, settings_of(preset, **probabilities))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("write", [nnunet, nnunet_regions])
def test_arrays_of_a_reorienting_reader_are_refused_as_discovery_does(tmp_path, write, reader):
    write(tmp_path, probabilities(3 if write is nnunet_regions else 2))
    (tmp_path / "plans.json").write_text(json.dumps({"image_reader_writer": reader}))
    error = rejected(check_conventions, [str(tmp_path / "case_001.npz")], settings_of(write.__name__))
    assert error.code == "refused_by_preset"
    assert "case_001.npz is written with a reader that turns images to RAS" in error.message
    found = discovered(tmp_path, write.__name__)
    assert not found.samples
    assert any("turns images to RAS" in reason for reason in found.left_out)


def test_the_remedy_for_a_reorienting_reader_gives_a_sample(tmp_path):
    nnunet(tmp_path, probabilities(2), reader=READERS[0])
    array = str(tmp_path / "case_001.npz")
    remedy = rejected(check_conventions, [array], settings_of("nnunet")).remedy
    code = next(piece for piece in remedy.split("`") if piece.startswith("nibabel.save("))
    exec(code.replace('"case', f'"{tmp_path}/case_001'), {"nibabel": nibabel})
    geometry = next(piece for piece in remedy.split("`") if "{stem}" in piece)
    check_conventions([array], settings_of("nnunet", geometry=geometry))
    assert len(discovered(tmp_path, "nnunet", geometry=geometry).samples) == 1
    check_conventions([array], settings_of("nnunet", refuse=[]))
    assert rejected(check_conventions, [array], settings_of("nnunet", geometry=None)).code == "refused_by_preset"


def test_a_nifti_in_ras_is_the_grid_of_a_reorienting_reader(tmp_path):
    nnunet(tmp_path, probabilities(2), reader=READERS[0])
    array, lender = str(tmp_path / "case_001.npz"), tmp_path / "case_001.nii.gz"
    save(np.zeros(SHAPE, np.uint8), lender, RAS)
    check_conventions([array], settings_of("nnunet"))
    turned = RAS[:, [1, 0, 2, 3]]
    save(np.zeros((SHAPE[1], SHAPE[0], SHAPE[2]), np.uint8), lender, turned)
    assert rejected(check_conventions, [array], settings_of("nnunet")).code == "refused_by_preset"
    lender.unlink()
    assert rejected(check_conventions, [array], settings_of("nnunet")).code == "file_missing"


def test_the_reader_is_looked_for_where_nnunet_leaves_its_name(tmp_path):
    folder = tmp_path / "trainer/fold_0/validation"
    nnunet(folder, probabilities(2))
    array, settings = [str(folder / "case_001.npz")], settings_of("nnunet")
    check_conventions(array, settings)
    shutil.move(folder / "plans.json", tmp_path / "trainer/plans.json")
    check_conventions(array, settings)
    (tmp_path / "trainer/plans.json").write_text('{"image_reader_writer": "NibabelIOWithReorient"}')
    assert rejected(check_conventions, array, settings).code == "refused_by_preset"
    assert not discovered(tmp_path, "nnunet").samples
    # The nearest plans decide, and plans before the data set that they were made from.
    (folder / "plans.json").write_text('{"image_reader_writer": "NibabelIO"}')
    check_conventions(array, settings)
    labels = {"labels": {"background": 0, "foreground": 1}, "overwrite_image_reader_writer": "NibabelIOWithReorient"}
    describe(folder, labels)
    check_conventions(array, settings)
    (folder / "plans.json").unlink(), (tmp_path / "trainer/plans.json").unlink()
    assert rejected(check_conventions, array, settings).code == "refused_by_preset"


def test_a_sample_depends_on_what_its_plans_say_and_not_on_when_they_were_written(tmp_path):
    nnunet(tmp_path, probabilities(2))
    settings, sample = settings_of("nnunet"), Sample("s", str(tmp_path / "case_001.npz"))

    def made():
        return json.dumps(recipe(sample, source_paths(sample, settings), settings, 1))

    before, plans = made(), tmp_path / "plans.json"
    plans.write_text('{"image_reader_writer": "SimpleITKIO", "plans_name": "another"}')
    os.utime(plans, ns=(1, 1))
    assert made() == before
    plans.write_text('{"image_reader_writer": "NibabelIOWithReorient"}')
    os.utime(plans, ns=(2, 2))
    assert made() != before
    assert json.loads(made())["beside"] == ["plans.json contains WithReorient"]
    plans.unlink()
    assert made() == before
    assert found_beside([sample.probabilities], settings_of("fast")) is None
    assert "beside" not in recipe(sample, [], settings_of("fast"), 1)


def test_an_array_of_totalsegmentator_takes_no_geometry_but_that_of_ras(tmp_path):
    totalsegmentator(tmp_path, probabilities(2))
    array, lender = str(tmp_path / "sub-01/probs.npz"), tmp_path / "sub-01/probs.nii.gz"
    check_conventions([array], settings_of("totalsegmentator"))
    save(np.zeros(SHAPE, np.uint8), lender, np.diag([-1.5, 1.5, 1.5, 1]))
    assert "in RAS" in rejected(check_conventions, [array], settings_of("totalsegmentator")).message
    assert not discovered(tmp_path, "totalsegmentator").samples
    check_conventions([array], settings_of("totalsegmentator", geometry=None))
    nibabel.save(nibabel.as_closest_canonical(nibabel.load(lender)), lender)
    check_conventions([array], settings_of("totalsegmentator"))
    assert len(discovered(tmp_path, "totalsegmentator").samples) == 1
