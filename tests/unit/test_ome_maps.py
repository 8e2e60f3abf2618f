"""Maps as OME-Zarr: valid for others, equal to the measure store, bounded in memory, the same bytes on every run."""

import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask.array
import numpy as np
import pytest
from ome_zarr_models.common.omero import Omero
from ome_zarr_models.v05.image import Image
from sample_store import AFFINE, SHAPE, SampleStore, softmax_members, with_empty_margin
from volume_entropy.maps.ome import CHUNK, Channel, levels_of, mean_of_boxes, start_of, write_ome_maps
from volume_entropy.readers import open_reader
from volume_entropy.readers.base import Geometry
from volume_entropy.stores.layout import Layout, choose_layout
from volume_entropy.stores.measures import MeasureWriter, open_measures
from volume_entropy.stores.shards import ShardedArray

CHANNELS = (
    Channel("predictive_entropy", "predictive_entropy [bit]", "F0E442", 2.0),
    Channel("expected_pairwise_kl", "expected_pairwise_kl [bit]", "CC79A7", 0.0),
)
STRAIGHT = np.array([[0.5, 0, 0, -90.0], [0, 0.5, 0, -126.0], [0, 0, 3.0, -72.0], [0, 0, 0, 1]])


def geometry(shape, affine):
    zooms = tuple(float(edge) for edge in np.linalg.norm(affine[:3, :3], axis=0))
    return Geometry(tuple(shape[::-1]), affine, zooms, qform=affine, qform_code=1, sform_code=1, xyzt_units=2)


def measured(folder, values, affine=STRAIGHT, layout=None):
    """A measure store of these values by name, (z, y, x) each."""
    shape = next(iter(values.values())).shape
    layout = layout or choose_layout(shape, 4, 4, 64)
    place = geometry(shape, affine)
    attributes = {"affine": affine.tolist(), "geometry": place.header()}
    with MeasureWriter(folder / "m.zarr", layout=layout, measures=list(values), attributes=attributes) as writer:
        for box in layout.blocks():
            part = {name: whole[box] for name, whole in values.items()}
            writer.write(box, part, np.zeros([s.stop - s.start for s in box], np.uint8))
        writer.seal()
    return open_measures(folder / "m.zarr")


def noise(shape):
    rng = np.random.default_rng(7)
    values = {channel.measure: rng.gamma(0.5, size=shape).astype(np.float32) for channel in CHANNELS}
    values["predictive_entropy"][rng.random(shape) < 0.2] = np.nan
    values["predictive_entropy"][:4, :4, :4] = np.nan
    return values


def write(folder, store, threads=2):
    with ThreadPoolExecutor(threads) as pool:
        write_ome_maps(folder / "i.ome.zarr", store, CHANNELS, name="sub-01", pool=pool)
    return folder / "i.ome.zarr"


def ome(path):
    return json.loads((path / "zarr.json").read_text())["attributes"]["ome"]


def content(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def halved(values, factors):
    """Mean over boxes, NaN left out: padded with NaN, one axis a factor."""
    padded = np.pad(
        values.astype(np.float64),
        [(0, -n % f) for n, f in zip(values.shape, factors, strict=True)],
        constant_values=np.nan,
    )
    (a, b, c), (p, q, r) = factors, padded.shape
    boxes = padded.reshape(p // a, a, q // b, b, r // c, c)
    valid = ~np.isnan(boxes)
    count = valid.sum(axis=(1, 3, 5))
    total = np.where(valid, boxes, 0).sum(axis=(1, 3, 5))
    return np.where(count, total / np.maximum(count, 1), np.nan)


def test_every_channel_equals_the_measure_store_and_every_level_the_mean_of_the_one_before(tmp_path):
    values = noise((70, 150, 133))
    path = write(tmp_path, measured(tmp_path, values, np.diag([1.0, 1.0, 1.0, 1])))
    array = dask.array.from_zarr(str(path), component="0")
    assert (array.shape, array.dtype) == ((2, 70, 150, 133), np.float32)
    fine = np.asarray(array)
    for number, channel in enumerate(CHANNELS):
        np.testing.assert_array_equal(fine[number], values[channel.measure])
    datasets = ome(path)["multiscales"][0]["datasets"]
    assert [dataset["path"] for dataset in datasets] == ["0", "1", "2"]
    for dataset in datasets[1:]:
        coarse = np.asarray(dask.array.from_zarr(str(path), component=dataset["path"]))
        for number in range(len(CHANNELS)):
            np.testing.assert_allclose(coarse[number], halved(fine[number], (2, 2, 2)), rtol=1e-6)
        fine = coarse
    assert fine.shape == (2, 18, 38, 34)


@pytest.mark.parametrize("shape", [(9, 8, 7), (1, 300, 2), (30, 70, 200)])
def test_the_published_models_accept_it(shape, tmp_path):
    import zarr

    path = write(tmp_path, measured(tmp_path, noise(shape)))
    image = Image.from_zarr(zarr.open_group(str(path), mode="r"))
    (multiscale,) = image.ome_attributes.multiscales
    assert [(axis.name, axis.type, axis.unit) for axis in multiscale.axes] == [
        ("c", "channel", None),
        *((name, "space", "millimeter") for name in "zyx"),
    ]
    channels = Omero.model_validate(ome(path)["omero"]).channels
    assert [channel.color for channel in channels] == ["F0E442", "CC79A7"]
    assert (channels[0].window.start, channels[0].window.end) == (0, 2)
    highest = float(np.nanmax(noise(shape)["expected_pairwise_kl"]))
    assert channels[1].window.end == pytest.approx(highest)


def test_ome_zarr_info_accepts_it(tmp_path):
    path = write(tmp_path, measured(tmp_path, noise((20, 80, 130))))
    command = [str(Path(sys.executable).with_name("ome_zarr")), "info", str(path)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    shapes = ["(2, 20, 80, 130)", "(2, 20, 40, 65)", "(2, 20, 20, 33)"]
    lines = [line.strip(" -") for line in process.stdout.splitlines()[1:]]
    assert lines == ["version: 0.5", "metadata", "Multiscales", "OMERO", "data", *shapes]


def test_the_bytes_depend_neither_on_the_threads_nor_on_the_layout_of_the_store(tmp_path):
    values = noise((40, 70, 129))
    found = []
    for number, (threads, chunk) in enumerate([(1, 64), (3, 7)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        layout = Layout((40, 70, 129), (chunk, chunk, chunk), (2 * chunk, chunk, 3 * chunk))
        found.append(content(write(folder, measured(folder, values, layout=layout), threads)))
    assert found[0] == found[1]
    assert {"0/zarr.json", "0/c/1/0/0/1", "1/zarr.json", "zarr.json"} <= set(found[0])


def test_every_shard_is_written_once_and_no_read_is_larger_than_a_shard(tmp_path, monkeypatch):
    store = measured(tmp_path, noise((70, 150, 290)))
    read, written = [], []
    get, put = ShardedArray.__getitem__, ShardedArray._write_shard

    def noted(self, selection):
        values = get(self, selection)
        read.append(values.size)
        return values

    def counted(self, shard, *values):
        written.append((self.path.name, shard))
        put(self, shard, *values)

    monkeypatch.setattr(ShardedArray, "__getitem__", noted)
    monkeypatch.setattr(ShardedArray, "_write_shard", counted)
    write(tmp_path, store)
    assert max(read) <= (2 * CHUNK) ** 3
    assert (
        len(written)
        == len(set(written))
        == sum(file.name != "zarr.json" for file in (tmp_path / "i.ome.zarr").rglob("*") if file.is_file())
    )


def test_positions_are_centres_of_voxels_and_thick_slices_stay():
    levels = levels_of((30, 300, 260), (3.0, 0.5, 0.5), (-72.0, -126.0, -90.0))
    assert [level.factors for level in levels] == [(1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2)]
    assert [level.layout.shape for level in levels] == [(30, 300, 260), (30, 150, 130), (30, 75, 65), (15, 38, 33)]
    assert levels[-1].step == (6.0, 4.0, 4.0)
    # The first voxel of the coarsest level covers slices 0 and 1, rows 0 to 7.
    assert levels[-1].start == (-72 + 1.5, -126 + 3.5 * 0.5, -90 + 3.5 * 0.5)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 5000, 4000), (5000, 1, 1), (65, 64, 64), (33, 2000, 2000)])
def test_a_pyramid_ends_in_one_chunk_and_no_chunk_is_large(shape):
    levels = levels_of(shape, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    assert levels[-1].layout.n_blocks == 1
    assert levels[-1].layout.block == levels[-1].layout.chunk
    for level in levels:
        assert math.prod(level.layout.chunk) <= CHUNK**3
        assert math.prod(level.layout.block) <= (2 * CHUNK) ** 3
        assert level.layout.chunk[0] <= level.layout.shape[0]


def test_only_where_axes_are_those_of_the_world_is_there_a_place_in_it():
    assert start_of(STRAIGHT) == (-72.0, -126.0, -90.0)
    for affine in (AFFINE, STRAIGHT * [[-1], [1], [1], [1]], STRAIGHT[[1, 0, 2, 3]]):
        assert start_of(affine) == (0.0, 0.0, 0.0)


def test_our_own_reader_puts_it_where_its_source_lies(tmp_path):
    values = noise((9, 8, 7))
    path = write(tmp_path, measured(tmp_path, values))
    reader = open_reader(str(path), n_classes=2)
    np.testing.assert_allclose(reader.geometry.affine, STRAIGHT)


def test_means_are_of_valid_voxels_alone():
    values = np.array([[[1, np.nan, 5]], [[3, 2, np.nan]], [[np.nan, np.nan, np.nan]]], np.float32)
    np.testing.assert_array_equal(
        mean_of_boxes(values, (2, 1, 2)), np.array([[[2, 5]], [[np.nan, np.nan]]], np.float32)
    )


def test_the_stage_writes_both_formats_with_a_sidecar_each(tmp_path):
    p = with_empty_margin(softmax_members(4, n_members=3))
    SampleStore(p, settings={"maps": ["nifti", "ome-zarr"], "measures": ["margin"]}).compute(tmp_path)
    names = ["predictiveEntropy", "expectedEntropy", "mutualInformation", "margin"]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == sorted(
        [f"sub-01_desc-{name}_map.{suffix}" for name in names for suffix in ("json", "nii.gz")]
        + ["sub-01_maps.ome.zarr", "sub-01_maps.json"]
    )
    path = tmp_path / "maps/sub-01_maps.ome.zarr"
    store = open_measures(tmp_path / "measures.zarr")
    array = np.asarray(dask.array.from_zarr(str(path), component="0"))
    assert array.shape == (4, *SHAPE)
    labels = [channel["label"] for channel in ome(path)["omero"]["channels"]]
    assert labels == [*(f"{name} [bit]" for name in list(store.arrays)[:3]), "margin"]
    for channel, name in zip(
        array, ["predictive_entropy", "expected_entropy", "mutual_information", "margin"], strict=True
    ):
        np.testing.assert_array_equal(channel, store.array(name)[:])
    attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    np.testing.assert_allclose(attributes["volume_entropy"]["affine"], AFFINE)
    sidecar = json.loads((tmp_path / "maps/sub-01_maps.json").read_text())
    assert [entry["Measure"] for entry in sidecar["Channels"]] == list(store.arrays)[:4]
