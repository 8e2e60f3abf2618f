"""Layouts tile the volume, keep their memory, and never leave a shard half covered."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_store import SampleStore, softmax_members
from volume_entropy.blocks import BlockSettings, process_block
from volume_entropy.stores import layout as layouts
from volume_entropy.stores.layout import Layout, choose_layout

SLABS = Layout((20, 13, 11), (7, 7, 6), (7, 14, 12))
BOXES = Layout((20, 13, 11), (5, 4, 4), (10, 8, 4))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    shape=st.tuples(*[st.integers(1, 300)] * 3),
    n_classes=st.integers(1, 200),
    itemsize=st.sampled_from([2, 4]),
    chunk=st.integers(8, 128),
    interleaved=st.booleans(),
    scale=st.integers(0, 14),
)
def test_any_layout_keeps_its_promises(
    shape: tuple[int, int, int], n_classes: int, itemsize: int, chunk: int, interleaved: bool, scale: int
) -> None:
    block_bytes, slab_bytes = layouts.BLOCK_BYTES >> scale, layouts.SLAB_BYTES >> scale
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layouts, "BLOCK_BYTES", block_bytes)
        patch.setattr(layouts, "SLAB_BYTES", slab_bytes)
        layout = choose_layout(shape, n_classes, itemsize, chunk, interleaved)
    assert all(block % edge == 0 for block, edge in zip(layout.block, layout.chunk, strict=True))
    assert np.prod(layout.chunk) <= chunk**3
    assert layout.chunk[0] <= chunk
    block = np.prod(np.minimum(layout.block, layout.shape))
    assert block * n_classes * itemsize <= max(block_bytes, n_classes * itemsize)
    depth, rows = layout.slab
    assert depth == 1 or depth * rows * shape[2] * itemsize * (n_classes if interleaved else 1) <= max(
        slab_bytes, block_bytes
    )


@pytest.mark.parametrize("layout", [SLABS, BOXES, choose_layout((3, 4, 5), 2, 4, 8)])
def test_blocks_tile_the_volume(layout: Layout) -> None:
    times = np.zeros(layout.shape, dtype=int)
    for box in layout.blocks():
        times[box] += 1
        assert layout.covers_whole_blocks(box)
    assert (times == 1).all()
    assert len(layout.blocks()) == layout.n_blocks


def test_a_brain_at_1_mm_is_six_blocks_of_whole_slices() -> None:
    layout = choose_layout((189, 233, 197), 4, 4, 64)
    assert layout.grid == (6, 1, 1)
    assert layout.slab == (32, 233)


@pytest.mark.parametrize("layout", [SLABS, BOXES])
def test_one_block_is_one_shard_is_one_task(layout: Layout, tmp_path: Path) -> None:
    p = softmax_members(1, layout.shape)
    store = SampleStore(p, layout=layout).write(tmp_path / "p.zarr")
    assert len(list((store / "probabilities").glob("c.*"))) == p.shape[1] * layout.n_blocks
    assert all(layout.is_block(box) for box in layout.blocks())
    settings_ = BlockSettings("bit", 0.01, ("predictive_entropy",), ("predictive_entropy",), 0.5)
    z, y, x = layout.blocks()[0]
    two = slice(0, min(2 * z.stop, layout.shape[0])), y, x
    for box in (two, (slice(0, z.stop - 1), y, x), (slice(1, z.stop), y, x)):
        assert not layout.is_block(box)
        with pytest.raises(ValueError, match="no block"):
            process_block(store, tmp_path, box, settings_)
