"""Tiles show what is there: states stand apart, voxels keep their value and their shape, and nothing overlaps."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from volume_entropy.figures.canvas import BACKGROUND, blank
from volume_entropy.figures.magma import colour_scale
from volume_entropy.figures.raster import png
from volume_entropy.figures.sheets import TILE_GAP, arrange
from volume_entropy.figures.slices import orientation_of, plane_of
from volume_entropy.figures.tiles import (
    INVALID,
    OUTSIDE,
    OVER,
    STATE_COLOURS,
    TOP,
    class_colours,
    grey,
    heat_codes,
    heat_tiles,
    label_tiles,
    region_tiles,
    resized,
    window_of,
)

PLANES = ("sagittal", "coronal", "axial")


def test_a_heat_map_tells_the_scale_from_what_is_beyond_it_and_from_no_number():
    values = np.array([[[0.0, 1.0, 2.0, 2.0 * (1 + 1e-6), 2.1, np.nan]]], np.float32)
    assert heat_codes(values, 2.0).tolist() == [[[0, TOP // 2, TOP, TOP, OVER, INVALID]]]


def test_a_higher_value_is_never_darker():
    codes = heat_codes(np.linspace(0, 1.58, 1000, dtype=np.float32).reshape(1, 1, -1), 1.58)
    assert (np.diff(codes.astype(int)) >= 0).all()
    luminance = colour_scale() @ np.array([0.2126, 0.7152, 0.0722])
    # Bytes are rounded, so a step may fall back by less than one.
    assert (np.diff(luminance) > -1).all()
    assert luminance[-1] - luminance[0] > 200


def test_no_state_looks_like_the_scale():
    scale = colour_scale().astype(int)
    for state in (OVER, INVALID):
        distance = np.abs(scale - np.array(STATE_COLOURS[state])).sum(axis=1).min()
        assert distance > 60, state


@pytest.mark.parametrize("size", [(8, 12), (4, 6), (2, 3), (9, 5)])
def test_invalid_voxels_stay_visible_at_any_size(size):
    codes = np.full((1, 4, 6), TOP, np.uint8)
    codes[:, :2, :3] = INVALID
    codes[:, 2:, 3:] = OUTSIDE
    tiles = heat_tiles(codes, size, colour_scale())
    assert tiles.shape == (1, *size, 3)
    assert tuple(tiles[0, 0, 0]) == STATE_COLOURS[INVALID]
    assert tuple(tiles[0, -1, -1]) == STATE_COLOURS[OUTSIDE]
    assert tuple(tiles[0, 0, -1]) == tuple(colour_scale()[TOP])


def test_enlarged_maps_keep_their_voxels_and_reduced_ones_their_mean():
    codes = np.random.default_rng(1).integers(0, TOP, (2, 5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(resized(codes, (15, 8), smooth=False), np.kron(codes, np.ones((1, 3, 2), np.uint8)))
    np.testing.assert_allclose(resized(codes[:, :4], (2, 2), smooth=True)[0, 0, 0], codes[0, :2, :2].mean(), atol=1)


@pytest.mark.parametrize("n", [1, 3, 7, 8, 40])
def test_every_class_has_a_colour_of_its_own(n):
    colours = class_colours(n).astype(int)
    assert colours.shape == (n, 3)
    distances = np.abs(colours[:, np.newaxis] - colours).sum(axis=2) + 1000 * np.eye(n, dtype=int)
    assert distances.min() > 8
    assert colours.max(axis=1, initial=255).min() > 150


def test_a_class_is_tinted_and_outlined_on_its_own_side_and_the_background_untouched():
    labels = np.zeros((1, 12, 12), np.uint8)
    labels[:, 2:10, 2:10] = 1
    image = np.full((1, 12, 12, 3), 100, np.uint8)
    tiles = label_tiles(image.copy(), labels, np.array([[200, 0, 0]], np.uint8), solid=False, line=1)
    assert (tiles[labels == 0] == 100).all()
    assert tiles[0, 2, 5].tolist() == [200, 0, 0]
    assert tiles[0, 5, 5].tolist() == [138, 62, 62]
    alone = label_tiles(image.copy(), labels, np.array([[200, 0, 0]], np.uint8), solid=True, line=1)
    assert alone[0, 5, 5].tolist() == [200, 0, 0]
    assert alone[0, 0, 0].tolist() == [0, 0, 0]


def test_overlapping_regions_are_all_outlined():
    outer, inner = np.zeros((2, 1, 20, 20), np.uint8)
    outer[:, 2:18, 2:18] = 1
    inner[:, 6:14, 6:14] = 1
    inner[:, 0, 0] = 255  # invalid is not inside
    tiles = np.zeros((1, 20, 20, 3), np.uint8)
    for region, colour in zip((outer, inner), class_colours(2), strict=True):
        region_tiles(tiles, region, colour, line=1)
    assert tiles[0, 2, 10].tolist() == class_colours(2)[0].tolist()
    assert tiles[0, 6, 10].tolist() == class_colours(2)[1].tolist()
    assert tiles[0, 0, 0].tolist() == [0, 0, 0]
    assert tiles[0, 10, 10].any()


def test_the_image_window_is_the_objects_and_not_the_bones():
    rng = np.random.default_rng(2)
    image = np.full((1, 100, 100), -1000.0)
    image[:, 20:80, 20:80] = rng.normal(30, 20, (60, 60))
    image[:, 30:50, 30:50] = rng.normal(110, 10, (20, 20))
    image[:, 70:80, 70:80] = 1500
    liver = np.zeros(image.shape, bool)
    liver[:, 30:50, 30:50] = True
    low, high = window_of([image], [liver])
    assert 0 < low < 90
    assert 130 < high < 200


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan, np.inf])
def test_a_constant_or_broken_image_is_shown_without_a_warning(value):
    stack = np.full((1, 3, 4), value, np.float32)
    window = window_of([stack], [np.ones(stack.shape, bool)])
    assert window[1] > window[0]
    assert grey(stack, window).shape == stack.shape


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300)),
    voxel_mm=st.tuples(*(st.sampled_from([0.4, 0.9375, 1.0, 2.0, 5.0, 8.0]) for _ in range(3))),
    planes=st.sets(st.sampled_from(PLANES), min_size=1),
    n_slices=st.integers(1, 12),
    n_columns=st.integers(2, 4),
    mosaic=st.booleans(),
)
def test_tiles_keep_their_aspect_never_overlap_and_never_leave_the_sheet(
    shape, voxel_mm, planes, n_slices, n_columns, mosaic
):
    orientation = orientation_of(np.diag([*voxel_mm, 1]))
    chosen = [plane_of(name, orientation, shape) for name in sorted(planes)]
    counts = {plane.name: min(n_slices, shape[2 - plane.axis]) for plane in chosen}
    sheet = arrange(chosen, counts, n_columns, mosaic=mosaic).lowered(50)
    places = sheet.free_places()
    boxes = [(place.left, place.top, place.width, 10_000) for place in places[-1:]]
    for block in sheet.blocks:
        for side, millimetres in zip(block.tile, block.plane.size, strict=True):
            assert abs(side - millimetres * sheet.pixels_per_mm) <= 0.5 or side == 1
        for position in range(block.n_slices):
            x, y = block.group_origin(position)
            assert y - 16 * sheet.unit >= 50
            boxes.append((x, y, n_columns * (block.tile[1] + TILE_GAP) - TILE_GAP, block.tile[0]))
    for x, y, width, height in boxes[1:]:
        assert x >= 0
        assert x + width <= sheet.width
        assert y + height <= sheet.bottom
    for i, (x, y, width, height) in enumerate(boxes):
        for x2, y2, width2, height2 in boxes[i + 1 :]:
            assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y


def test_a_1_mm_brain_is_shown_voxel_by_pixel_on_a_wide_sheet():
    planes = [plane_of(name, orientation_of(np.eye(4)), (189, 233, 197)) for name in PLANES]
    sheet = arrange(planes, dict.fromkeys(PLANES, 5), 3, mosaic=False)
    assert sheet.pixels_per_mm == 1
    assert sheet.width > 1.2 * sheet.bottom


def test_a_png_file_holds_the_pixels():
    pixels = blank(300, 7)
    assert tuple(pixels[0, 0]) == BACKGROUND
    pixels[..., :3] = np.random.default_rng(3).integers(0, 256, (300, 7, 3))
    image = Image.open(io.BytesIO(png(pixels, 150)))
    image.load()
    assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
    np.testing.assert_array_equal(np.asarray(image), pixels[..., :3])
