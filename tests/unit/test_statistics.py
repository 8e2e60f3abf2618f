"""Every number of a sample against an independent float64 oracle, and the same bytes however it is cut."""

import math

import numpy as np
import pytest
import reference_statistics as reference
import scipy.stats
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference_statistics import oracle
from sample_store import AFFINE, SAMPLES, SHAPE, VOXEL, SampleStore, softmax_members
from volume_entropy import measures
from volume_entropy.stores.layout import Layout


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
    "rows": Layout(SHAPE, (1, 5, 17), (1, 10, 17)),
    "parts of rows": Layout(SHAPE, (1, 4, 6), (1, 4, 6)),
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
    # The summary; of each measure its map and the map's sidecar.
    assert len(first) == 1 + 2 * (3 if len(sample.p) > 1 else 1)
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
    assert list(summary)[-5:] == ["structures", "recipe", "library_version", "schema_version", "maps"]
    assert "least_confidence_fraction_high" not in summary


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
