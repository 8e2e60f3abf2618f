"""Hypothesis strategies: volumes as producers write them, and what goes wrong with them."""

from itertools import pairwise

import numba
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

_TINY = [(1, 1, 1), (1, 1, 7), (2, 3, 5)]
# As plain Python a kernel takes a thousand times as long.
SHAPES = st.sampled_from(_TINY if numba.config.DISABLE_JIT else [*_TINY, (3, 5, 7), (1, 31, 37), (7, 13, 17)])
CLASSES = st.sampled_from([2, 3, 4, 5, 7, 8, 16, 33, 40])
MEMBERS = st.integers(1, 8)
SEEDS = st.integers(0, 2**32 - 1)


def softmax_volume(seed: int, n_members: int, n_classes: int, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """(member, class, z, y, x): voxels that are mixed, nearly certain, one-hot, uniform, or equal in all members."""
    rng = np.random.default_rng(seed)
    full = (n_members, *shape)
    logits = rng.normal(scale=3, size=(n_members, n_classes, *shape))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    label = rng.integers(n_classes, size=full)
    one_hot = np.moveaxis(np.eye(n_classes)[label], -1, 1)
    tiny = rng.choice([1e-12, 1e-9, 6e-8, 1e-6, 1e-3], size=(n_members, 1, *shape))
    saturated = one_hot * (1 - tiny) + (1 - one_hot) * tiny / max(n_classes - 1, 1)
    what = rng.integers(5, size=shape)
    p = np.where(what == 1, saturated, np.where(what == 2, one_hot, np.where(what == 3, 1 / n_classes, p)))
    p = np.where(what == 4, p[:1], p)
    return p.astype(np.float32)


def spoil(p: NDArray[np.float32], seed: int, share: float = 0.1) -> NDArray[np.float32]:
    """The volume with NaN, infinities, values out of range, sums off by little and by much, and empty voxels."""
    rng = np.random.default_rng(seed)
    p = p.copy()
    voxels = rng.permutation(np.prod(p.shape[2:]))[: max(1, int(share * np.prod(p.shape[2:])))]
    flat = p.reshape(*p.shape[:2], -1)
    for voxel in voxels:
        member, c = rng.integers(p.shape[0]), rng.integers(p.shape[1])
        fault = rng.integers(10)
        if fault == 0:
            flat[:, :, voxel] = 0
        elif fault == 1:
            flat[member, :, voxel] = 0
        elif fault == 2:
            flat[member, :, voxel] *= rng.choice([0.995, 1.004, 0.5, 3.0])
        else:
            value = [np.nan, np.inf, -np.inf, -0.005, -0.5, 1.005, 7.0][fault - 3]
            flat[member, c, voxel] = value
    return p


@st.composite
def softmax_volumes(draw: st.DrawFn, members: st.SearchStrategy[int] = MEMBERS) -> NDArray[np.float32]:
    """Valid volumes (member, class, z, y, x)."""
    return softmax_volume(draw(SEEDS), draw(members), draw(CLASSES), draw(SHAPES))


@st.composite
def spoiled_volumes(draw: st.DrawFn, members: st.SearchStrategy[int] = MEMBERS) -> NDArray[np.float32]:
    """Volumes with faults."""
    return spoil(draw(softmax_volumes(members)), draw(SEEDS), draw(st.sampled_from([0.01, 0.1, 0.5])))


@st.composite
def region_volumes(draw: st.DrawFn) -> NDArray[np.float32]:
    """(member, region, z, y, x): independent sigmoids, some of them 0, 1 or next to them."""
    rng = np.random.default_rng(draw(SEEDS))
    shape = (draw(MEMBERS), draw(st.integers(1, 6)), *draw(SHAPES))
    p = 1 / (1 + np.exp(-rng.normal(scale=4, size=shape)))
    edge = rng.choice([0, 1, 2e-8, 1 - 6e-8, 0.5], size=shape)
    return np.where(rng.random(shape) < 0.3, edge, p).astype(np.float32)


@st.composite
def cuts(draw: st.DrawFn, shape: tuple[int, ...]) -> list[tuple[slice, ...]]:
    """Boxes that tile a volume."""
    parts: list[list[slice]] = []
    for n in shape:
        inner = draw(st.lists(st.integers(1, n - 1), max_size=2, unique=True)) if n > 1 else []
        edges = [0, *sorted(inner), n]
        parts.append([slice(a, b) for a, b in pairwise(edges)])
    return [(z, y, x) for z in parts[0] for y in parts[1] for x in parts[2]]
