"""The stage compute_entropy: what it writes, what it passes on, and what it refuses."""

import gzip
import json
import math
import os
import pickle
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import volume_entropy
from reference_statistics import oracle
from sample_store import AFFINE, SAMPLES, SHAPE, SampleStore, softmax_members, with_empty_margin
from volume_entropy.blocks import BlockSettings, process_block
from volume_entropy.compute_entropy import compute_sample
from volume_entropy.errors import Rejection
from volume_entropy.files import read_json
from volume_entropy.stores.measures import open_measures
from volume_entropy.stores.sealed import StoreError, write_rejection


def test_a_summary_holds_no_path_of_this_machine(tmp_path):
    SAMPLES["one member"].compute(tmp_path)
    assert str(tmp_path) not in (tmp_path / "summary.json").read_text()


def test_maps_have_the_geometry_of_their_source_and_nan_where_invalid(tmp_path):
    p = with_empty_margin(softmax_members(4, n_members=3))
    p[1, 2, 6, 10, 8] = np.nan
    sample = SampleStore(p, settings={"max_invalid_fraction": 0.01})
    summary = sample.compute(tmp_path)
    names = ["predictiveEntropy", "expectedEntropy", "mutualInformation"]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == sorted(
        f"sub-01_desc-{name}_map.{suffix}" for name in names for suffix in ("json", "nii.gz")
    )
    image = nibabel.load(tmp_path / "maps/sub-01_desc-predictiveEntropy_map.nii.gz")
    values = np.asarray(image.dataobj)
    assert image.get_data_dtype() == np.float32
    assert np.argwhere(np.isnan(values)).tolist() == [[8, 10, 6]]
    assert summary["n_invalid_voxels"] == 1
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-6)
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 2)
    assert image.header.get_xyzt_units()[0] == "mm"
    maps, _, _, _ = oracle(SampleStore(np.nan_to_num(p, nan=0.5)))
    expected = maps["predictive_entropy"].T
    assert np.nanmax(np.abs(values - expected)) < 1e-6
    assert np.nansum(values.astype(np.float64)) == pytest.approx(summary["predictive_entropy_total"], rel=1e-9)


def test_without_map_formats_the_folder_is_empty(tmp_path):
    SampleStore(softmax_members(1), settings={"maps": []}).compute(tmp_path)
    assert list((tmp_path / "maps").iterdir()) == []


def test_a_rejection_is_passed_on(tmp_path):
    sample = SAMPLES["one member"]
    rejection = Rejection("convert", "file_truncated", "a.nii.gz ends early", "Copy it again.")
    write_rejection(tmp_path / "p.zarr", rejection, sample.conversion_recipe)
    run(tmp_path, sample.recipe)
    assert open_measures(tmp_path / "measures.zarr") == rejection
    summary = read_json(tmp_path / "summary.json")
    assert [summary[key] for key in ("stage", "code", "message", "remedy")] == list(vars(rejection).values())
    assert summary["recipe"] == sample.recipe


def run(folder, recipe):
    compute_sample(
        folder / "p.zarr",
        recipe=recipe,
        measures_path=folder / "measures.zarr",
        summary_path=folder / "summary.json",
        maps_dir=folder / "maps",
        threads=1,
    )


@pytest.mark.parametrize("rejected", [False, True])
@pytest.mark.parametrize("key", ["sources", "settings", "sample", "revision"])
def test_a_store_of_another_recipe_gives_no_number(key, rejected, tmp_path):
    sample = SAMPLES["one member"]
    if rejected:
        write_rejection(tmp_path / "p.zarr", Rejection("convert", "file_corrupt", "a", "b"), sample.conversion_recipe)
    else:
        sample.write(tmp_path / "p.zarr")
    other = {
        "sources": [["/data/sub-01_probseg.nii.gz", 1234, 9999, True]],
        "settings": {**sample.recipe["settings"], "sum_tolerance": 0.5},
        "sample": "sub-02",
        "revision": 2,
    }
    with pytest.raises(StoreError, match="made with"):
        run(tmp_path, {**sample.recipe, key: other[key]})
    assert [path.name for path in tmp_path.iterdir()] == ["p.zarr"]


def test_a_recipe_that_differs_in_what_this_stage_uses_needs_no_new_store(tmp_path):
    sample = SAMPLES["one member"]
    sample.write(tmp_path / "p.zarr")
    run(tmp_path, {**sample.recipe, "settings": {**sample.recipe["settings"], "unit": "nat"}})
    assert read_json(tmp_path / "summary.json")["unit"] == "nat"


def test_a_block_is_a_function_of_paths_that_can_be_sent_to_another_process(tmp_path):
    sample = SampleStore(softmax_members(1, n_members=2))
    sample.compute(tmp_path)
    wanted = ("predictive_entropy", "expected_entropy", "mutual_information")
    task = (tmp_path / "probabilities.zarr", tmp_path / "measures.zarr", tuple(slice(0, n) for n in SHAPE))
    sent = pickle.loads(pickle.dumps((process_block, task, BlockSettings("bit", 0.01, wanted, wanted[:1], 0.5))))
    function, arguments, block_settings = sent
    sums = function(*arguments, block_settings)
    assert sums.counts["domain"] == math.prod(SHAPE)
    summary = read_json(tmp_path / "summary.json")
    assert sums.measures["predictive_entropy"].total / 2**40 == summary["predictive_entropy_total"]


def test_maps_are_gzip_files_without_a_time_or_a_name(tmp_path):
    SAMPLES["one member"].compute(tmp_path)
    (path,) = (tmp_path / "maps").glob("*.nii.gz")
    head = path.read_bytes()[:10]
    assert (head[3], head[4:8]) == (0, bytes(4))
    assert len(gzip.decompress(path.read_bytes())) == 352 + 4 * math.prod(SHAPE)


def test_the_summary_is_strict_json(tmp_path):
    SAMPLES["members"].compute(tmp_path)
    json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)


def test_a_rejection_is_passed_on_without_loading_what_computes(tmp_path):
    sample = SAMPLES["one member"]
    write_rejection(tmp_path / "p.zarr", Rejection("convert", "file_corrupt", "a", "b"), sample.conversion_recipe)
    program = (
        "import json, sys, pathlib; from volume_entropy.compute_entropy import compute_sample\n"
        "folder, recipe = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])\n"
        "compute_sample(folder / 'p.zarr', recipe=recipe, measures_path=folder / 'm.zarr',\n"
        "               summary_path=folder / 's.json', maps_dir=folder / 'maps', threads=1)\n"
        "print(*sorted({'numba', 'dask', 'scipy', 'matplotlib', 'pandas', 'nibabel'} & set(sys.modules)))"
    )
    scripts = Path(volume_entropy.__file__).parents[1]
    loaded = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), json.dumps(sample.recipe)],
        env={**os.environ, "PYTHONPATH": str(scripts)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == []
    assert read_json(tmp_path / "s.json")["status"] == "rejected"
