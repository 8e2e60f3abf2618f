"""What a map's sidecar and `dataset_description.json` say, and that they say the same on every run."""

import json
import os

import cohorts
import numpy as np
import pytest
import volume_entropy
from sample_store import AFFINE, SampleStore, softmax_members
from volume_entropy.files import read_json, write_json
from volume_entropy.maps.provenance import dataset_description
from volume_entropy.tables import write_tables


def sidecar(folder, sample, name):
    sample.compute(folder)
    return json.loads((folder / f"maps/sub-01_desc-{name}_map.json").read_text(encoding="utf-8"))


def test_a_sidecar_says_what_its_map_holds_and_where_it_comes_from(tmp_path):
    sample = SampleStore(softmax_members(1, n_members=2), settings={"unit": "nat"})
    found = sidecar(tmp_path, sample, "mutualInformation")
    assert (found["Measure"], found["Symbol"], found["Units"]) == ("mutual_information", "MI", "nat")
    assert found["Definition"].startswith("PE - EE")
    assert (found["NumberOfMembers"], found["Members"]) == (2, ["0", "1"])
    assert found["Classes"] == ["background", "csf", "gm", "wm"]
    assert "within 0.01 of 1" in found["Normalization"]
    assert found["Sources"] == ["/data/sub-01_probseg.nii.gz"]
    assert found["GeneratedBy"] == [{"Name": "volume-entropy", "Version": volume_entropy.__version__, "Revision": 1}]
    np.testing.assert_allclose(found["Affine"], AFFINE)


@pytest.mark.parametrize(
    ("of_sample", "expected"),
    [
        ({"kind": "regions"}, "none"),
        ({"settings": {"sum_tolerance": None}}, "divided by their sum, whatever it is"),
        ({"complement": True}, "the background is 1 less"),
        ({"settings": {"scale": 255}}, "values are divided by 255; "),
    ],
)
def test_a_sidecar_says_what_was_done_to_sums(of_sample, expected, tmp_path):
    p = softmax_members(1)[:, 1 if of_sample.get("complement") else 0 :]
    assert expected in sidecar(tmp_path, SampleStore(p, **of_sample), "predictiveEntropy")["Normalization"]


def test_the_same_input_gives_the_same_bytes(tmp_path):
    for name in "ab":
        SampleStore(softmax_members(1), settings={"maps": ["nifti", "ome-zarr"]}).compute(tmp_path / name)
    of_a, of_b = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name / "maps").rglob("*.json")}
        for name in "ab"
    )
    assert len(of_a) == 4
    assert of_a == of_b


def test_sources_are_the_datasets_of_the_files(tmp_path):
    raw = tmp_path / "raw"
    write_json(raw / "dataset_description.json", {"Name": "Raw", "BIDSVersion": "1.8.0", "DatasetDOI": "10.1/x"})
    files = [raw / f"sub-{i}/anat/sub-{i}_T1w.nii.gz" for i in (1, 2)]
    files += [tmp_path / f"models/run/sub-{i}/p.nii.gz" for i in (1, 2)]
    found = dataset_description([str(file.parent) for file in files], tmp_path / "study/results")
    assert found["SourceDatasets"] == [
        {"URL": "../../models/run"},
        {"URL": "../../raw", "Name": "Raw", "DOI": "10.1/x"},
    ]
    assert (found["DatasetType"], found["GeneratedBy"][0]["Name"]) == ("derivative", "volume-entropy")
    assert {"Name", "BIDSVersion"} <= set(found)


def test_a_pipe_with_the_name_of_a_description_is_not_opened(tmp_path):
    (tmp_path / "raw").mkdir()
    os.mkfifo(tmp_path / "raw/dataset_description.json")
    found = dataset_description([str(tmp_path / "raw")], tmp_path / "results")
    assert found["SourceDatasets"] == [{"URL": "../raw"}]


def test_a_source_inside_a_zarr_store_belongs_to_the_folder_of_the_store(tmp_path):
    summary = cohorts.summary("sub-01")
    summary["recipe"]["sources"] = [[str(tmp_path / "raw/x.ome.zarr/0"), 1, "a" * 32, True]]
    write_json(tmp_path / "sub-01.json", summary)
    write_tables([tmp_path / "sub-01.json"], {"sub-01": {}}, tmp_path / "results")
    described = read_json(tmp_path / "results/dataset_description.json")
    assert described["SourceDatasets"] == [{"URL": "../raw"}]
