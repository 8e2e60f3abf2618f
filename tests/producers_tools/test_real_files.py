"""Files that the producers' own programs write, here and now, are found by their presets and read right.

`make test-producers` installs the programs in an environment of their own; each is run by one script of this folder.
"""

import json
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
from preset_runs import PresetStudy, assert_numbers_of, expected
from producers_tools.phantom import AFFINE, phantom
from study import ROOT, environment
from volume_entropy.stores.measures import open_measures

INTERPRETER = ROOT / ".venv-producers/bin/python"


def run_tool(script, folder, *arguments):
    """Run a script of this folder with the producers' interpreter; it makes `folder`."""
    command = [str(INTERPRETER), str(Path(__file__).with_name(script)), str(folder), *arguments]
    process = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=300)
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    return folder


def processed(study, tree):
    """Discover and compute the one sample of a tree: the sample, its summary, its map, its labels (x, y, z)."""
    assert "1 sample below" in (said := study.discover(tree)), said
    (sample,) = study.samples().values()
    summary, entropy = study.process(sample)
    labels = open_measures(study.folder / f"work/{sample.id}/measures.zarr").array("segmentation")[:]
    return sample, summary, entropy, np.moveaxis(labels, (-1, -2, -3), (0, 1, 2))


def values_of(*paths):
    """The values of NIfTI files as stored values (member, x, y, z, class) of one member."""
    volumes = [nibabel.load(path).get_fdata() for path in paths]
    return (np.stack(volumes, axis=-1) if len(volumes) > 1 or volumes[0].ndim == 3 else volumes[0])[None]


@pytest.mark.parametrize(("preset", "number"), [("atropos", "%d"), ("atropos_nipype", "%02d")])
def test_posteriors_of_ants_atropos(preset, number, tmp_path):
    tree = run_tool("write_atropos.py", tmp_path / "ants", number)
    files = [tree / f"sub-01_BrainSegmentationPosteriors{number % index}.nii.gz" for index in (1, 2, 3)]
    posteriors, inside = values_of(*files), phantom()[1] > 0
    assert {nibabel.load(file).get_data_dtype() for file in files} == {np.dtype(np.float32)}
    assert np.abs(posteriors[0].sum(axis=-1)[inside] - 1).max() < 1e-6
    assert not posteriors[0][~inside].any()

    study = PresetStudy(tmp_path / "study", {"preset": preset})
    sample, summary, entropy, labels = processed(study, tree)
    assert sample.id == "sub-01"
    assert sample.image == str(tree / "sub-01_BrainSegmentation0N4.nii.gz")
    assert sample.mask == str(tree / "sub-01_BrainExtractionMask.nii.gz")
    block = expected(posteriors, study.conversion, Path(sample.mask))
    assert_numbers_of(summary, entropy, block, AFFINE)
    assert summary["n_empty_voxels"] == np.count_nonzero(~inside)
    own = np.asarray(nibabel.load(tree / "sub-01_BrainSegmentation.nii.gz").dataobj)
    np.testing.assert_array_equal(labels[inside], posteriors[0][inside].argmax(axis=-1))
    assert np.mean(labels[inside] + 1 == own[inside]) > 0.99, "Atropos labels before its last update of the posteriors"
    assert np.mean(labels[inside] + 1 == phantom()[1][inside]) > 0.85, "the classes ascend in intensity"


def test_tissue_maps_of_dipy(tmp_path):
    tree = run_tool("write_dipy.py", tmp_path / "sub-01")
    file, inside = tree / "tissue_classified_pve.nii.gz", phantom()[1] > 0
    tissues = values_of(file)
    assert tissues.shape == (1, *inside.shape, 3)
    assert np.abs(tissues[0].sum(axis=-1)[inside] - 1).max() < 1e-6
    # Noise outside the head is background to DIPY, almost surely.
    assert tissues[0].sum(axis=-1)[~inside].max() < 0.05

    study = PresetStudy(tmp_path / "study", {"preset": "dipy"})
    sample, summary, entropy, labels = processed(study, tree.parent)
    assert sample.id == "sub-01"
    # DIPY writes float64: the small differences to 1 that are the background depend on the rounding to float32.
    rounded = tissues.astype(np.float32)
    assert_numbers_of(summary, entropy, expected(rounded, study.conversion), AFFINE)
    assert summary["n_empty_voxels"] == 0
    own = np.asarray(nibabel.load(tree / "tissue_classified.nii.gz").dataobj)
    assert np.mean(labels == own) > 0.98
    assert np.mean(labels == phantom()[1]) > 0.9, "background first, then the tissues ascending in intensity"


@pytest.mark.parametrize("channels", [1, 4])
def test_what_monai_saves(channels, tmp_path):
    tree = run_tool("write_monai.py", tmp_path / "monai", str(channels))
    (file,) = tree.rglob("*_trans.nii.gz")
    given = np.moveaxis(np.load(tree / "given.npy"), 0, -1)[None]
    np.testing.assert_array_equal(values_of(file), given)
    assert nibabel.load(file).ndim == (3 if channels == 1 else 4)

    softmax = {"classes": ["background", "csf", "gm", "wm"], "background": "given"}
    config = {"preset": "monai", **({} if channels == 1 else {"probabilities": softmax})}
    study = PresetStudy(tmp_path / "study", config)
    sample, summary, entropy, labels = processed(study, tree)
    assert sample.id == "sub-01_T1w"
    assert_numbers_of(summary, entropy, expected(given, study.conversion), AFFINE)
    predicted = given[0, ..., 0] > 0.5 if channels == 1 else given[0].argmax(axis=-1)
    np.testing.assert_array_equal(labels, predicted)


def nnunet_files(folder):
    """An nnU-Net output folder's array (class, z, y, x) and labels (x, y, z)."""
    with np.load(folder / "case_001.npz") as arrays:
        assert arrays.files == ["probabilities"]
        array = arrays["probabilities"]
    return array, np.asarray(nibabel.load(folder / "case_001.nii.gz").dataobj)


@pytest.mark.parametrize("spacing", [(), ("1", "1.7", "2")], ids=["native", "resampled"])
@pytest.mark.parametrize("reader", ["SimpleITKIO", "NibabelIO"])
def test_probabilities_of_nnunet_lie_where_its_own_labels_lie(reader, spacing, tmp_path):
    tree = run_tool("write_nnunet.py", tmp_path / "nnunet", reader, "labels", *spacing) / "output"
    array, own = nnunet_files(tree)
    assert (array.dtype, array.shape) == (np.dtype(np.float32), (3, *own.shape[::-1]))
    assert np.abs(array.sum(axis=0) - 1).max() < 1e-6
    outside = phantom()[1].T == 0
    assert np.mean(array[0][outside] == 1) > 0.5, "outside the crop the background is certain"

    classes = list(json.loads((tree / "dataset.json").read_text())["labels"])
    study = PresetStudy(tmp_path / "study", {"preset": "nnunet", "probabilities": {"classes": classes}})
    sample, summary, entropy, labels = processed(study, tree)
    assert sample.id == "case_001"
    stored = array.transpose(3, 2, 1, 0)[None]
    assert_numbers_of(summary, entropy, expected(stored, study.conversion), AFFINE)
    np.testing.assert_array_equal(labels, own)


def test_regions_of_nnunet(tmp_path):
    tree = run_tool("write_nnunet.py", tmp_path / "nnunet", "SimpleITKIO", "regions") / "output"
    array, own = nnunet_files(tree)
    names = [name for name in json.loads((tree / "dataset.json").read_text())["labels"] if name != "background"]
    assert array.sum(axis=0).max() > 1.5
    study = PresetStudy(tmp_path / "study", {"preset": "nnunet_regions"})
    assert study.conversion["classes"] == names
    _, summary, entropy, regions = processed(study, tree)
    assert_numbers_of(summary, entropy, expected(array.transpose(3, 2, 1, 0)[None], study.conversion), AFFINE)
    # nnU-Net paints the regions one over the other, in their order.
    painted = np.zeros_like(own)
    for label in (1, 2, 3):
        painted[regions[..., label - 1] == 1] = label
    np.testing.assert_array_equal(painted, own)


@pytest.mark.parametrize("reader", ["NibabelIOWithReorient", "SimpleITKIOWithReorient"])
def test_arrays_of_nnunet_that_stayed_turned_are_left_out(reader, tmp_path):
    tree = run_tool("write_nnunet.py", tmp_path / "nnunet", reader, "labels") / "output"
    array, own = nnunet_files(tree)
    predicted = array.argmax(axis=0).T
    assert not np.array_equal(predicted, own)
    np.testing.assert_array_equal(predicted[::-1], own)
    said = PresetStudy(tmp_path / "study", {"preset": "nnunet"}).discover(tree)
    assert "0 samples below" in said
    assert "the array stays in RAS while the NIfTI beside it is in native orientation" in said
