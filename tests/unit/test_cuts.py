"""Huge volumes are drawn from fewer voxels, never fewer than a tile has pixels, in memory that does not grow."""

import tracemalloc
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qc_sample import QC, SHAPE, ball
from volume_entropy.figures import views
from volume_entropy.figures.cuts import Cuts, cut, steps_of
from volume_entropy.figures.sheets import MOSAIC_PIXELS, SHEET_PIXELS, arrange
from volume_entropy.figures.slices import MOST_SLICES, choose_slices, orientation_of, plane_of
from volume_entropy.figures.tiles import INVALID, OUTSIDE, OVER, TOP
from volume_entropy.figures.views import gather
from volume_entropy.stores.measures import MeasureStore, open_measures

PLANES = ("sagittal", "coronal", "axial")
AXES = {"sagittal": 2, "coronal": 1, "axial": 0}  # of a (z, y, x) array, as in RAS+


def coarse(volume, steps, name, index, *, mean):
    """One slice of a (z, y, x) array in RAS+, voxel by voxel; rows and columns fall along the sheet."""
    axis = AXES[name]
    part = np.take(volume, index, axis=axis)
    rows, columns = (step for other, step in enumerate(steps) if other != axis)
    out = np.zeros((part.shape[0] // rows, part.shape[1] // columns))
    for i, j in np.ndindex(*out.shape):
        box = part[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
        out[i, j] = box.mean() if mean else box[rows // 2, columns // 2]
    return out[::-1, ::-1]


@given(
    shape=st.tuples(*(st.integers(1, 9) for _ in range(3))),
    steps=st.tuples(*(st.integers(1, 4) for _ in range(3))),
    name=st.sampled_from(PLANES),
    thickness=st.integers(1, 5),
    mean=st.booleans(),
    seed=st.integers(0, 9),
)
def test_voxels_are_read_as_one_by_their_mean_or_their_middle(shape, steps, name, thickness, mean, seed):
    steps = tuple(min(step, size) for step, size in zip(steps, shape, strict=True))
    volume = np.random.default_rng(seed).integers(0, 250, shape).astype(np.uint8)
    plane = plane_of(name, orientation_of(np.eye(4)), shape)
    indices = list(range(shape[AXES[name]]))
    slabs = [(z, volume[z : z + thickness]) for z in range(0, shape[0], thickness)]
    stack = cut(slabs[::-1], shape, [plane], {name: indices}, steps, mean=mean)[name]
    assert stack.dtype == (np.float32 if mean and steps != (1, 1, 1) else np.uint8)
    expected = [coarse(volume, steps, name, index, mean=mean) for index in indices]
    np.testing.assert_allclose(stack, expected, rtol=1e-5)


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("indices", [[2], range(6)])
def test_values_are_coded_once_before_they_are_averaged(indices, mean):
    volume = np.random.default_rng(5).integers(0, 9, (6, 8, 10)).astype(np.float32)
    chosen = {name: list(indices) for name in PLANES}
    planes = [plane_of(name, orientation_of(np.eye(4)), volume.shape) for name in PLANES]
    cuts = Cuts(volume.shape, planes, chosen, (2, 1, 2), mean=mean, coded=lambda values: (values**2).astype(np.uint8))
    for z in (0, 3):
        cuts.add(z, volume[z : z + 3])
    for name, stack in cuts.stacks().items():
        assert stack.dtype == (np.float32 if mean else np.uint8)
        expected = [coarse(volume**2, (2, 1, 2), name, index, mean=mean) for index in indices]
        np.testing.assert_allclose(stack, expected, rtol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(*(st.integers(1, 3000) for _ in range(3))),
    voxel_mm=st.tuples(*(st.sampled_from([0.05, 0.7, 1.0, 5.0]) for _ in range(3))),
    names=st.sets(st.sampled_from(PLANES), min_size=1).map(sorted),
    mosaic=st.booleans(),
)
def test_no_slice_is_coarser_than_its_tile_or_much_finer(shape, voxel_mm, names, mosaic):
    planes = [plane_of(name, orientation_of(np.diag([*voxel_mm, 1])), shape) for name in names]
    pixels = MOSAIC_PIXELS if mosaic else SHEET_PIXELS
    longest = max(edge for plane in planes for edge in plane.size)
    steps = steps_of(shape, voxel_mm, longest / pixels)
    for block in arrange(planes, dict.fromkeys(names, 2), 3, mosaic=mosaic).blocks:
        axes = [axis for axis in range(3) if axis != AXES[block.plane.name]]
        for axis, tile in zip(axes, block.tile, strict=True):
            voxels = shape[axis] // steps[axis]
            assert steps[axis] == 1 or voxels >= tile - 1
            assert voxels <= 2 * pixels


@pytest.mark.parametrize(("n_slices", "size"), [(5, 1400), ("all", 250)])
def test_every_voxel_of_an_ordinary_volume_is_read(n_slices, size):
    pixels = MOSAIC_PIXELS if n_slices == "all" else SHEET_PIXELS
    assert steps_of((size, size // 2, 1), (0.5, 0.5, 0.5), size * 0.5 / pixels) == (1, 1, 1)


def test_of_more_slices_than_a_sheet_holds_some_are_shown_and_the_peak():
    assert choose_slices(np.ones(MOST_SLICES), "all", [9]) == list(range(MOST_SLICES))
    chosen = choose_slices(np.ones(2 * MOST_SLICES + 1), "all", [9])
    assert len(chosen) <= MOST_SLICES
    assert 9 in chosen
    assert {b - a for a, b in pairwise(chosen)} <= {2, 3, 4}
    assert chosen[-1] >= 2 * MOST_SLICES - 2


def test_a_coarse_map_has_the_means_of_values_and_keeps_states(tmp_path, monkeypatch):
    monkeypatch.setattr(views, "SHEET_PIXELS", SHAPE[1] / 2)
    entropy = np.random.default_rng(4).random(SHAPE).astype(np.float32)
    entropy[:, :5], entropy[:, 5:9, :5] = np.nan, 3.0
    segmentation = ball().astype(np.uint8)
    segmentation[:, :, -2:] = 255
    sample = QC(tmp_path, entropy=entropy, segmentation=segmentation)
    store = open_measures(tmp_path / "measures.zarr")
    shown = gather(store, {}, sample.image, axes=["axial"], n_slices=2, tops={"predictive_entropy": 1.0})
    values = np.where(np.isnan(entropy), 0, np.minimum(np.rint(entropy * TOP), TOP))
    for position, index in enumerate(shown.chosen["axial"]):
        codes, labels, image = (
            stacks["axial"][position] for stacks in (shown.heat["predictive_entropy"], shown.labels[0], shown.image)
        )
        inside = coarse(segmentation, (2, 2, 2), "axial", index, mean=False)
        middle = coarse(entropy, (2, 2, 2), "axial", index, mean=False)
        expected = np.rint(coarse(values, (2, 2, 2), "axial", index, mean=True))
        expected[middle > 1], expected[inside == 255], expected[np.isnan(middle)] = OVER, OUTSIDE, INVALID
        assert np.abs(codes.astype(int) - expected).max() <= 1
        np.testing.assert_array_equal(codes > TOP, expected > TOP)
        np.testing.assert_array_equal(labels, np.where(inside == 255, 0, inside))
        np.testing.assert_allclose(image, coarse(100.0 * ball() + 20, (2, 2, 2), "axial", index, mean=True))


@pytest.mark.parametrize(("axes", "order"), [("czyx", (0, 1, 2)), ("xyzc", (2, 1, 0)), (None, (2, 1, 0))])
def test_an_image_that_is_a_plain_array_has_the_order_that_the_config_declares(tmp_path, axes, order):
    shape = (12, 12, 12)
    sample, values = QC(tmp_path, shape=shape, axes=axes), np.random.default_rng(4).random(shape).astype(np.float32)
    np.save(tmp_path / "image.npy", values.transpose(order))
    store = open_measures(tmp_path / "measures.zarr")
    how = {"axes": ["axial"], "n_slices": 3, "tops": {"predictive_entropy": 1.0}}
    shown = gather(store, {}, tmp_path / "image.npy", **how)
    for position, index in enumerate(shown.chosen["axial"]):
        expected = coarse(values, (1, 1, 1), "axial", index, mean=True)
        np.testing.assert_allclose(shown.image["axial"][position], expected, rtol=1e-6)
    assert sample.draw(image=tmp_path / "image.npy")


class Made:
    """An array of a store that is made up where it is read."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, np.dtype(dtype)

    def __getitem__(self, selection):
        z, *_ = selection[1:] if selection[0] is Ellipsis else (selection,)
        return np.full((len(range(*z.indices(self.shape[0]))), *self.shape[1:]), 1, self.dtype)


def peak_and_stacks(tmp_path, depth, n_slices):
    """Peak of traced memory while a volume of depth × 1500 × 1500 is read for a figure, and the largest stack."""
    shape, layout = (depth, 1500, 1500), SimpleNamespace(shape=(depth, 1500, 1500), block=(4, 100, 1500))
    arrays = {"predictive_entropy": Made(shape, np.float32), "segmentation": Made(shape, np.uint8)}
    attributes = open_measures(tmp_path / "measures.zarr").attributes
    store = MeasureStore(tmp_path, layout, arrays, None, attributes)
    summary = {f"predictive_entropy_peak_slice_{axis}": 3 for axis in "xyz"}
    tracemalloc.start()
    try:
        shown = gather(store, summary, None, axes=PLANES, n_slices=n_slices, tops={"predictive_entropy": 1.0})
        return tracemalloc.get_traced_memory()[1], [*shown.heat["predictive_entropy"].values()]
    finally:
        tracemalloc.stop()


def test_a_huge_volume_is_read_in_memory_that_does_not_grow_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(views, "KEPT_BYTES", 0)
    QC(tmp_path)
    small, stacks = peak_and_stacks(tmp_path, 8, 5)
    large, _ = peak_and_stacks(tmp_path, 24, 5)
    assert large < 1.1 * small
    assert [stack.shape for stack in stacks] == [(5, 4, 750), (5, 4, 750), (5, 750, 750)]
    _, stacks = peak_and_stacks(tmp_path, 8, "all")
    assert [stack.shape for stack in stacks] == [(500, 1, 136), (500, 1, 136), (8, 136, 136)]
