"""Measures come back as they were written, by whichever thread or process."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from volume_entropy.stores import layout as layouts
from volume_entropy.stores.layout import Layout
from volume_entropy.stores.probabilities import (
    MeasureStore,
    MeasureWriter,
    StoreError,
    open_measures,
    write_measure_block,
)

SLABS = Layout((20, 13, 11), (7, 7, 6), (7, 14, 12))
BOXES = Layout((20, 13, 11), (5, 4, 4), (10, 8, 4))


@pytest.fixture
def p() -> np.ndarray:
    return np.random.default_rng(0).random((2, 3, *SLABS.shape), dtype=np.float32)


@pytest.mark.parametrize("layout", [SLABS, BOXES])
@pytest.mark.parametrize(("n_regions", "dtype"), [(0, "uint8"), (0, "uint16"), (2, "uint8")])
def test_measures_come_back_whichever_thread_wrote_them(
    tmp_path: Path, p: np.ndarray, layout: Layout, n_regions: int, dtype: str
) -> None:
    maps = {"predictive_entropy": p[0, 0], "mutual_information": p[0, 1]}
    maps["predictive_entropy"][0, 0, 0] = np.nan
    segmentation = (p[0, :n_regions] > 0.5 if n_regions else p[0, 2] * 300).astype(dtype)
    mask = p[1, 0] > 0.5
    with MeasureWriter(
        tmp_path / "m.zarr",
        layout=layout,
        measures=tuple(maps),
        n_regions=n_regions,
        attributes={"unit": "bit"},
        segmentation_dtype=dtype,
        with_mask=True,
    ) as writer:

        def write(box: tuple[slice, slice, slice]) -> None:
            block = {name: values[box] for name, values in maps.items()}
            writer.write(box, block, segmentation[(..., *box)], mask[box])

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, layout.blocks()))
        writer.seal({"counts": {"n_voxels": 3}})
    store = open_measures(tmp_path / "m.zarr")
    assert isinstance(store, MeasureStore)
    for name, values in maps.items():
        np.testing.assert_array_equal(store.array(name)[:], values)
    np.testing.assert_array_equal(store.array("segmentation")[:], segmentation)
    assert store.array("segmentation").dtype == dtype
    assert store.mask is not None
    np.testing.assert_array_equal(store.mask[:], mask)
    assert store.layout == layout
    assert (store.attributes["unit"], store.attributes["counts"]) == ("bit", {"n_voxels": 3})


def test_a_block_can_be_written_by_another_process(tmp_path: Path) -> None:
    layout = Layout((4, 3, 2), (2, 3, 2), (2, 3, 2))
    code = (
        "import sys, numpy as np; sys.path.insert(0, sys.argv[1])\n"
        "from volume_entropy.stores.probabilities import write_measure_block\n"
        "box = (slice(2, 4), slice(0, 3), slice(0, 2)); ones = np.ones((2, 3, 2), np.float32)\n"
        "write_measure_block(sys.argv[2], box, {'margin': ones}, ones.astype(np.uint8))\n"
    )
    with MeasureWriter(tmp_path / "m.zarr", layout=layout, measures=("margin",), attributes={}) as writer:
        here = np.zeros((2, 3, 2), np.float32)
        write_measure_block(writer.location, layout.blocks()[0], {"margin": here}, here.astype(np.uint8))
        scripts = Path(layouts.__file__).parents[2]
        subprocess.run([sys.executable, "-c", code, scripts, writer.location], check=True)
        writer.seal()
    store = open_measures(tmp_path / "m.zarr")
    assert isinstance(store, MeasureStore)
    np.testing.assert_array_equal(store.array("margin")[:].mean(axis=(1, 2)), [0, 0, 1, 1])


def test_a_damaged_measure_is_found_on_reading(tmp_path: Path, p: np.ndarray) -> None:
    with MeasureWriter(tmp_path / "m.zarr", layout=SLABS, measures=("margin",), attributes={}) as writer:
        for box in SLABS.blocks():
            writer.write(box, {"margin": p[(0, 0, *box)]}, (p[(0, 0, *box)] > 0.5).astype(np.uint8))
        writer.seal()
    shard = tmp_path / "m.zarr/margin/c.1.0.0"
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    store = open_measures(tmp_path / "m.zarr")
    assert isinstance(store, MeasureStore)
    with pytest.raises(StoreError, match="damaged"):
        _ = store.array("margin")[:]
