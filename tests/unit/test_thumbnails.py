"""The contact sheet's picture shows the most uncertain slice, cut to what is in it, at true proportions."""

import numpy as np
import pytest
from PIL import Image
from qc_sample import QC, SETTINGS, SHAPE, ball, has_colour
from volume_entropy.errors import Rejection
from volume_entropy.figures import views
from volume_entropy.figures.qc import render_qc
from volume_entropy.figures.thumbnails import HEIGHT, WIDTH
from volume_entropy.figures.tiles import INVALID, STATE_COLOURS, class_colours
from volume_entropy.stores.probabilities import write_rejection


def thumbnail(sample: QC, *, image=True, **settings) -> np.ndarray:
    path = sample.folder / "thumb.png"
    render_qc(
        sample.folder / "measures.zarr",
        sample.folder / "summary.json",
        sample.image if image else None,
        sample.folder / "figure",
        sample="sub-01",
        settings={**SETTINGS, **settings},
        thumbnail=path,
    )
    return np.asarray(Image.open(path))


def heat_side(pixels):
    """Where the right half, less the label, is lighter than the background."""
    half = pixels[: HEIGHT - 18, WIDTH // 2 + 2 :].astype(int).sum(axis=-1)
    return half > 100


def hot_slice(axis, index):
    """No entropy but in one slice along z, y or x, there along a rectangle of 8 × 4 voxels."""
    entropy = np.zeros(SHAPE, np.float32)
    box = [slice(3, 11), slice(3, 7)]
    box.insert(axis, index)
    entropy[tuple(box)] = 1.0
    return entropy


@pytest.mark.parametrize(("axis", "index", "name"), [(0, 5, "z"), (1, 11, "y"), (2, 9, "x")])
def test_the_slice_is_that_of_the_highest_mean(tmp_path, axis, index, name):
    entropy = hot_slice(axis, index)
    peaks = {f"predictive_entropy_peak_slice_{a}_mean": 0.5 if a == name else 0.1 for a in "xyz"}
    empty = np.zeros(SHAPE, np.uint8)
    pixels = thumbnail(QC(tmp_path, entropy=entropy, segmentation=empty, **peaks), image=False)
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    rows, columns = (np.flatnonzero(heat_side(pixels).any(axis=along)) for along in (1, 0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    # 8 × 4 voxels of 2 mm, in the plane's orientation, and large enough to be seen.
    assert max(height, width) > 90
    assert max(height / width, width / height) == pytest.approx(2, rel=0.08)


def test_a_slice_read_coarsely_keeps_its_proportions(tmp_path, monkeypatch):
    # Of voxels of 1 mm along y two are read as one, of those of 2 mm every one.
    monkeypatch.setattr(views, "SHEET_PIXELS", SHAPE[2])
    entropy = np.zeros(SHAPE, np.float32)
    entropy[4, 4:12, 4:8] = 1.0
    peaks = {f"predictive_entropy_peak_slice_{a}_mean": 0.5 if a == "z" else 0.1 for a in "xyz"}
    empty = np.zeros(SHAPE, np.uint8)
    sample = QC(tmp_path, entropy=entropy, segmentation=empty, affine=np.diag([2.0, 1, 2, 1]), **peaks)
    rows, columns = (np.flatnonzero(heat_side(thumbnail(sample, image=False)).any(axis=along)) for along in (1, 0))
    assert (np.ptp(rows) + 1) / (np.ptp(columns) + 1) == pytest.approx(1, rel=0.05)


def test_segmentation_and_states_have_the_colours_of_the_figure(tmp_path):
    entropy = np.full(SHAPE, 0.2, np.float32)
    entropy[5:9, 7:11, 6:10] = np.nan
    pixels = thumbnail(QC(tmp_path, entropy=entropy), image=False)
    assert has_colour(pixels, STATE_COLOURS[INVALID])
    assert all(has_colour(pixels[:, : WIDTH // 2], colour) for colour in class_colours(3))


def test_regions_and_images_are_drawn(tmp_path):
    shells = ball()
    segmentation = np.stack([shells > 0, shells > 1, shells > 2]).astype(np.uint8)
    sample = QC(tmp_path, kind="regions", segmentation=segmentation, classes=("whole", "core", "enhancing"))
    pixels = thumbnail(sample)
    assert any(has_colour(pixels, colour) for colour in class_colours(3))


@pytest.mark.parametrize("shape", [(1, 18, 16), (14, 1, 16), (1, 1, 1), (3, 1, 1)])
def test_thin_volumes_have_one_too(tmp_path, shape):
    pixels = thumbnail(QC(tmp_path, shape=shape, segmentation=np.ones(shape, np.uint8)))
    assert pixels.shape == (HEIGHT, WIDTH, 3)


def test_a_sample_without_a_domain_has_one_too(tmp_path):
    nothing = {f"predictive_entropy_{key}": None for key in ("mean", "foreground_mean", "max")}
    segmentation = np.full(SHAPE, 255, np.uint8)
    sample = QC(tmp_path, segmentation=segmentation, entropy=np.zeros(SHAPE, np.float32), **nothing, n_empty_voxels=9)
    assert thumbnail(sample).shape == (HEIGHT, WIDTH, 3)


def test_a_rejected_sample_has_one_that_says_so(tmp_path):
    write_rejection(tmp_path / "measures.zarr", Rejection("convert", "file_truncated", "It ends.", "Copy it."), {})
    path = tmp_path / "thumb.png"
    render_qc(
        tmp_path / "measures.zarr", tmp_path / "no.json", None, tmp_path / "figure.png", sample="sub-01",
        settings={**SETTINGS, "format": "png"}, thumbnail=path,
    )  # fmt: skip
    pixels = np.asarray(Image.open(path))
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    assert pixels.max() > 150


def test_the_same_sample_is_the_same_bytes(tmp_path):
    samples = [QC(tmp_path / name, chunk=chunk) for name, chunk in (("a", 64), ("b", 8))]
    for sample in samples:
        thumbnail(sample)
    first, second = ((sample.folder / "thumb.png").read_bytes() for sample in samples)
    assert first == second
