"""The examples of README.md, section "Reading the tables and maps", run as they stand on a study's results."""

import contextlib
import re
from pathlib import Path

import cohorts
import numpy as np
import pytest
from sample_store import SampleStore, softmax_members
from volume_entropy.stores.measures import open_measures
from volume_entropy.tables import write_tables

README = Path(__file__).parents[2] / "README.md"
SAMPLES = ("001", "1e5", "sub-01")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    summaries = [cohorts.summary(name) for name in SAMPLES]
    write_tables(cohorts.write(folder / "s", summaries), {name: {} for name in SAMPLES}, folder / "results")
    SampleStore(softmax_members(1), settings={"maps": ["nifti", "ome-zarr"]}).compute(folder / "results/sub-01")
    return folder


@pytest.fixture(scope="module")
def names(study):
    """What the Python blocks of the section leave, run one after the other in the study's folder."""
    text = README.read_text(encoding="utf-8")
    section = text[text.index("## Reading the tables and maps") :].split("\n## ")[0]
    found: dict[str, object] = {}
    with contextlib.chdir(study):
        for block in re.findall(r"^```python\n(.*?)^```", section, flags=re.M | re.S):
            exec(block, found)
        # Read on demand, so while the folder is the study's.
        found["counted"], found["rows"] = found["table"].aggregate("count(*)").fetchall(), found["table"].fetchall()
        found["whole"] = np.asarray(found["maps"])
    return found


def test_ids_stay_texts_and_numbers_are_those_of_the_summaries(names):
    for row, sample in enumerate(SAMPLES):
        summary = cohorts.summary(sample)
        for table in (names["subjects"], names["frame"]):
            assert table["sample"][row] == sample
            assert table["n_voxels"][row] == summary["n_voxels"]
            assert table["predictive_entropy_foreground_mean"][row] == summary["predictive_entropy_foreground_mean"]
        assert dict(zip(names["about"], names["rows"][row], strict=True)) == names["frame"].row(row, named=True)
    assert names["counted"] == [(3,)]


def test_maps_are_those_of_the_measure_store(names, study):
    stored = open_measures(study / "results/sub-01/measures.zarr").array("predictive_entropy")[:]
    np.testing.assert_array_equal(names["entropy"], stored.T)
    np.testing.assert_array_equal(names["whole"], stored[None])
    assert names["peak"].tolist() == [stored.max()]
