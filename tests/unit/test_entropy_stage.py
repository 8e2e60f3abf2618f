"""The stage compute_entropy: every number against an independent float64 oracle, the same bytes however it is cut."""

import gzip
import json
import math
import pickle

import nibabel
import numpy as np
import pytest
import reference_statistics as reference
import scipy.stats
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_store import AFFINE, SampleStore, region_members, softmax_members
from volume_entropy import measures
from volume_entropy.blocks import BlockSettings, process_block
from volume_entropy.entropy import compute_sample
from volume_entropy.errors import Rejection
from volume_entropy.files import read_json
from volume_entropy.layout import Layout
from volume_entropy.measure_store import open_measures
from volume_entropy.sealed import StoreError, write_rejection

SHAPE = (13, 21, 17)
VOXEL = abs(float(np.linalg.det(AFFINE[:3, :3])))


def plogp(p):
    return scipy.special.xlogy(p, p) / math.log(2)


def softmax_entropy(p):
    """(class, …) → bit."""
    return -plogp(p / p.sum(axis=0)).sum(axis=0)


def region_entropy(p):
    return -(plogp(p) + plogp(1 - p)).sum(axis=0)


def oracle(sample):
    """Maps, segmentation and member labels of a sample without invalid voxels, in float64."""
    p = sample.p.astype(np.float64)
    if sample.complement:
        p = np.concatenate([np.maximum(0, 1 - p.sum(axis=1, keepdims=True)), p], axis=1)
    sums = p.sum(axis=1, keepdims=True)
    empty = (sums[:, 0] == 0).all(axis=0) & (sample.kind == "softmax")
    if sample.kind == "softmax":
        p = np.divide(p, sums, out=np.full_like(p, 1 / p.shape[1]), where=sums > 0)
    entropy = softmax_entropy if sample.kind == "softmax" else region_entropy
    mean = p.mean(axis=0)
    maps = {"predictive_entropy": entropy(mean)}
    maps["mutual_information"] = np.maximum(
        maps["predictive_entropy"] - np.mean([entropy(member) for member in p], axis=0), 0
    )
    for values in maps.values():
        values[empty] = 0
    if sample.kind == "regions":
        return maps, (mean > 0.5).astype(np.uint8), (p > 0.5).astype(np.uint8), mean
    labels = p.argmax(axis=1).astype(np.uint8)
    segmentation = mean.argmax(axis=0).astype(np.uint8)
    for volume in (segmentation, *labels):
        volume[empty] = 255
    return maps, segmentation, labels, np.where(empty, 0, mean)


def random_mask(seed, shape=SHAPE):
    return np.random.default_rng(seed).random(shape) < 0.7


def with_empty_margin(p):
    p = p.copy()
    p[:, :, :2], p[..., -3:] = 0, 0
    return p


SAMPLES = {
    "one member": SampleStore(softmax_members(1)),
    "empty margin": SampleStore(with_empty_margin(softmax_members(2))),
    "mask": SampleStore(softmax_members(3), mask=random_mask(3)),
    "members": SampleStore(softmax_members(4, n_members=5)),
    "members, mask, empty margin": SampleStore(with_empty_margin(softmax_members(5, n_members=3)), mask=random_mask(5)),
    "complement": SampleStore(softmax_members(6)[:, 1:], complement=True),
    "regions": SampleStore(region_members(7), kind="regions"),
    "regions, members, mask": SampleStore(region_members(8, n_members=4), kind="regions", mask=random_mask(8)),
    "every class is foreground": SampleStore(softmax_members(9), settings={"background_class": None}),
    "nat": SampleStore(softmax_members(10, n_members=2), settings={"unit": "nat", "threshold": 0.7}),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_statistic_is_that_of_the_oracle(name, tmp_path):
    sample = SAMPLES[name]
    summary = sample.compute(tmp_path)
    maps, segmentation, _, _ = oracle(sample)
    log2 = math.log(2) if sample.recipe["settings"]["unit"] == "nat" else 1.0
    background = 0 if sample.recipe["settings"]["background_class"] else None
    inside = reference.domain(segmentation, sample.mask)
    assert summary["n_voxels"] == inside.size
    assert summary["n_domain_voxels"] == np.count_nonzero(inside)
    assert summary["n_empty_voxels"] == np.count_nonzero(reference.domain(segmentation) == 0)
    front = reference.foreground(segmentation, background, sample.mask)
    border = reference.boundary(segmentation, sample.mask)
    assert summary["n_foreground_voxels"] == np.count_nonzero(front)
    assert summary["n_boundary_voxels"] == np.count_nonzero(border)
    assert summary["n_interior_voxels"] == np.count_nonzero(front & ~border)
    for measure in ("predictive_entropy", "mutual_information") if len(sample.p) > 1 else ("predictive_entropy",):
        check_measure(summary, measure, maps[measure] * log2, segmentation, sample, background, log2)


def check_measure(summary, measure, values, segmentation, sample, background, log2):
    threshold = sample.recipe["settings"]["threshold"] * log2
    expected = reference.statistics(
        values, segmentation, mask=sample.mask, background=background, voxel_volume=VOXEL, threshold=threshold
    )
    for statistic, value in expected.items():
        relative = 6e-4 if statistic in ("median", "p95", "p99") else 2e-6
        assert summary[f"{measure}_{statistic}"] == pytest.approx(value, rel=relative, abs=2e-6), statistic
    inside = reference.domain(segmentation, sample.mask)
    boxes = reference.patches(values, inside)
    corner = tuple(summary[f"{measure}_patch_max_{axis}"] for axis in "zyx")
    assert summary[f"{measure}_patch_max"] == pytest.approx(max(boxes.values()), rel=1e-5)
    assert boxes[corner] == pytest.approx(max(boxes.values()), rel=1e-5)
    middle = [first + (min(10, n - first) - 1) / 2 for first, n in zip(corner, values.shape, strict=True)][::-1]
    millimetres = [summary[f"{measure}_patch_max_{axis}_mm"] for axis in "xyz"]
    assert millimetres == pytest.approx((AFFINE @ [*middle, 1])[:3].tolist())
    for axis, name in ((2, "x"), (1, "y"), (0, "z")):
        means = reference.slice_means(values, inside, axis)
        assert summary[f"{measure}_peak_slice_{name}_mean"] == pytest.approx(max(means.values()), rel=1e-5)
        assert means[summary[f"{measure}_peak_slice_{name}"]] == pytest.approx(max(means.values()), rel=1e-5)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_structure_is_that_of_the_oracle(name, tmp_path):
    sample = SAMPLES[name]
    rows = sample.compute(tmp_path)["structures"]
    maps, segmentation, labels, mean = oracle(sample)
    log2 = math.log(2) if sample.recipe["settings"]["unit"] == "nat" else 1.0
    inside = reference.domain(segmentation, sample.mask)
    assert [row["class"] for row in rows] == sample.classes
    for index, row in enumerate(rows):
        regions = sample.kind == "regions"
        here = inside & (segmentation[index] == 1 if regions else segmentation == index)
        assert row["n_voxels"] == np.count_nonzero(here)
        assert row["volume_mm3"] == pytest.approx(row["n_voxels"] * VOXEL)
        assert row["expected_volume_mm3"] == pytest.approx(mean[index][inside].sum() * VOXEL, rel=1e-6)
        pe, mi = maps["predictive_entropy"][here] * log2, maps["mutual_information"][here] * log2
        assert row["predictive_entropy_mean"] == pytest.approx(reference.mean(pe), abs=2e-6)
        if len(sample.p) > 1:
            said = labels[:, index][:, inside] if regions else labels[:, inside]
            which = 1 if regions else index
            assert row["mutual_information_mean"] == pytest.approx(reference.mean(mi), abs=2e-6)
            assert row["iou"] == reference.iou(said, which)
            assert row["pairwise_dice"] == pytest.approx(reference.pairwise_dice(said, which), rel=1e-12)
            assert row["volume_cv"] == pytest.approx(reference.volume_cv(said, which), rel=1e-12)


LAYOUTS = {
    "one block": Layout(SHAPE, SHAPE, SHAPE),
    "chunks of 8 in slabs": Layout(SHAPE, (8, 8, 8), (8, 24, 24)),
    "odd slabs": Layout(SHAPE, (3, 7, 5), (3, 21, 20)),
    "slices": Layout(SHAPE, (1, 21, 17), (1, 21, 17)),
    "odd boxes": Layout(SHAPE, (5, 3, 7), (5, 6, 7)),
}


def content(folder):
    """Bytes of everything that is kept."""
    files = [folder / "summary.json", *sorted((folder / "maps").iterdir())]
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize("name", ["members, mask, empty margin", "regions, members, mask", "complement"])
def test_no_layout_no_threads_and_no_rerun_changes_a_byte(name, tmp_path):
    sample, seen = SAMPLES[name], {}
    for label, layout in LAYOUTS.items():
        for threads in (1, 2):
            folder = tmp_path / f"{label} {threads}"
            SampleStore(**{**vars(sample), "layout": layout}).compute(folder, threads)
            seen[label, threads] = content(folder)
    first, *others = seen.values()
    assert len(first) == 1 + 3 * (len(sample.p) > 1) or len(first) == 2
    for other in others:
        assert other == first


@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12)),
    seed=st.integers(0, 1000),
    classes=st.integers(2, 5),
    members=st.integers(1, 3),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_totals_are_right_for_any_shape(shape, seed, classes, members, tmp_path_factory):
    sample = SampleStore(softmax_members(seed, shape, members, classes))
    summary = sample.compute(tmp_path_factory.mktemp("shape"))
    maps, segmentation, _, _ = oracle(sample)
    assert summary["predictive_entropy_total"] == pytest.approx(maps["predictive_entropy"].sum(), rel=1e-6)
    assert summary["n_boundary_voxels"] == np.count_nonzero(reference.boundary(segmentation))


def test_the_total_is_that_of_scipy(tmp_path):
    sample = SAMPLES["one member"]
    summary = sample.compute(tmp_path)
    expected = scipy.stats.entropy(sample.p[0].astype(np.float64), axis=0, base=2).sum()
    assert summary["predictive_entropy_total"] == pytest.approx(expected, rel=1e-6)


def test_keys_stand_in_the_order_of_the_columns_and_every_column_is_there(tmp_path):
    asked = [name for name in measures.MEASURES if name != "expected_entropy"]
    summary = SampleStore(softmax_members(1, n_members=3), settings={"measures": asked}).compute(tmp_path)
    keys = [key for name in asked for key in measures.statistic_keys(name)]
    assert [key for key in summary if key in set(keys)] == keys
    assert list(summary)[:7] == ["sample", "status", "n_members", "n_classes", "unit", "kind", "n_voxels"]
    assert list(summary)[-4:] == ["structures", "recipe", "library_version", "schema_version"]
    assert "least_confidence_fraction_high" not in summary


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
        f"sub-01_desc-{name}_map.nii.gz" for name in names
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


def test_an_empty_mask_gives_totals_and_empty_cells(tmp_path):
    sample = SampleStore(softmax_members(1, n_members=2), mask=np.zeros(SHAPE, bool))
    summary = sample.compute(tmp_path)
    assert summary["status"] == "ok"
    assert summary["n_domain_voxels"] == 0
    assert summary["predictive_entropy_total"] > 0
    assert summary["predictive_entropy_domain_total"] == 0
    keys = measures.statistic_keys("predictive_entropy")
    assert all(summary[key] is None for key in keys if not key.endswith("total") and not key.endswith("total_mm3"))
    assert all(row["n_voxels"] == 0 and row["predictive_entropy_mean"] is None for row in summary["structures"])
    assert all(row["iou"] is None and row["volume_cv"] is None for row in summary["structures"])


def test_a_constant_map_gives_defined_results(tmp_path):
    summary = SampleStore(np.full((1, 4, *SHAPE), 0.25, np.float32)).compute(tmp_path)
    for statistic in ("mean", "median", "p95", "p99", "max", "patch_max", "peak_slice_x_mean"):
        assert summary[f"predictive_entropy_{statistic}"] == 2.0
    assert summary["predictive_entropy_std"] == 0.0
    assert summary["predictive_entropy_fraction_high"] == 1.0
    assert [summary[f"predictive_entropy_patch_max_{axis}"] for axis in "xyz"] == [0, 0, 0]
    assert (summary["n_boundary_voxels"], summary["predictive_entropy_boundary_mean"]) == (0, None)
    # A tie goes to the lowest class, the background.
    assert (summary["n_foreground_voxels"], summary["predictive_entropy_foreground_mean"]) == (0, None)


def test_one_class_of_zeros_and_ones_is_certain(tmp_path):
    p = (np.random.default_rng(0).random((1, 1, *SHAPE)) < 0.5).astype(np.float32)
    summary = SampleStore(p).compute(tmp_path)
    assert summary["n_domain_voxels"] == int(p.sum())
    assert summary["predictive_entropy_max"] == 0


def logits():
    return softmax_members(1) * 40 - 3


def spoiled(fraction, value):
    p = softmax_members(1)
    p[0, 1][np.random.default_rng(0).random(SHAPE) < fraction] = value
    return p


def nothing_but_nan():
    return np.full((1, 4, *SHAPE), np.nan, np.float32)


def without_background():
    p = softmax_members(1)[:, 1:]
    return np.where(p.sum(axis=1, keepdims=True) < 0.2, 0, p).astype(np.float32)


FAULTS = {
    "logits": (SampleStore(logits()), "not_probabilities", "logits", "softmax"),
    "logits of regions": (SampleStore(logits(), kind="regions"), "not_probabilities", "sigmoid", "sigmoid"),
    "percentages": (SampleStore(softmax_members(1) * 100), "not_probabilities", "percentages", "100"),
    "percentages of regions": (
        SampleStore(region_members(1) * 100, kind="regions"), "not_probabilities", "percentages", "100",
    ),
    "grey values": (SampleStore(np.rint(softmax_members(1) * 255)), "not_probabilities", "grey values", "255"),
    "unnormalised scores": (SampleStore(softmax_members(1) * 7), "not_probabilities", "unnormalised", "sum_tolerance"),
    "missing background": (SampleStore(without_background()), "not_probabilities", "missing", "background: complement"),
    "overlapping classes": (SampleStore(region_members(1)), "not_probabilities", "exclude", "kind: regions"),
    "all NaN": (SampleStore(nothing_but_nan()), "too_many_invalid", "every voxel", "overflow"),
    "some NaN": (SampleStore(spoiled(0.1, np.nan)), "too_many_invalid", "NaN", "max_invalid_fraction"),
    "some infinite": (SampleStore(spoiled(0.1, np.inf)), "too_many_invalid", "infinite", "max_invalid_fraction"),
    "some negative": (SampleStore(spoiled(0.02, -0.5)), "too_many_invalid", "below 0", "max_invalid_fraction"),
    "all zero": (SampleStore(np.zeros((1, 4, *SHAPE), np.float32)), "no_valid_voxels", "0 in every voxel", "wrote"),
    "one class": (SampleStore(softmax_members(1)[:, :1]), "single_class", "one class", "complement"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_values_that_are_no_probabilities_are_rejected_in_words(fault, tmp_path):
    sample, code, words, remedy = FAULTS[fault]
    summary = sample.compute(tmp_path)
    assert (summary["status"], summary["stage"], summary["code"]) == ("rejected", "compute_entropy", code)
    assert words in summary["message"]
    assert "sub-01_probseg.nii.gz" in summary["message"]
    assert remedy in summary["remedy"]
    assert list(summary) == [
        "sample", "status", "stage", "code", "message", "remedy", "recipe", "library_version", "schema_version",
    ]  # fmt: skip
    assert isinstance(open_measures(tmp_path / "measures.zarr"), Rejection)
    assert list((tmp_path / "maps").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("scale", [0.5, 7.0])
def test_any_positive_sum_is_divided_out_where_the_config_says_so(scale, tmp_path):
    sample = SampleStore(softmax_members(1) * np.float32(scale), settings={"sum_tolerance": None})
    summary = sample.compute(tmp_path)
    expected = oracle(sample)[0]["predictive_entropy"].sum()
    assert summary["predictive_entropy_total"] == pytest.approx(expected, rel=1e-6)
    assert summary["n_renormalised_voxels"] == summary["n_voxels"]


def test_max_invalid_fraction_is_of_the_voxels_that_are_not_empty(tmp_path):
    p = softmax_members(1, (10, 10, 20))
    p[:, :, :5] = 0
    p[0, 0, 5, 0, :10] = np.nan
    limit = {"max_invalid_fraction": 0.01}
    assert SampleStore(p, settings=limit).compute(tmp_path / "ten")["n_invalid_voxels"] == 10
    p[0, 0, 5, 0, 10] = np.nan
    assert SampleStore(p, settings=limit).compute(tmp_path / "eleven")["code"] == "too_many_invalid"


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
    (path,) = (tmp_path / "maps").iterdir()
    head = path.read_bytes()[:10]
    assert (head[3], head[4:8]) == (0, bytes(4))
    assert len(gzip.decompress(path.read_bytes())) == 352 + 4 * math.prod(SHAPE)


def test_the_summary_is_strict_json(tmp_path):
    SAMPLES["members"].compute(tmp_path)
    json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)
