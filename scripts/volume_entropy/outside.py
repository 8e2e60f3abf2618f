"""Voxels that are NaN in every class of every member: outside the field that the producer computed, or invalid.

SPM, for one, writes NaN outside the brain; a network that diverged gives NaN, too. What is connected to the border of
the volume, by faces of voxels and without passing through the mask, is outside: it is empty, as where every class is 0.
All else is invalid. The border is that of axes longer than 1, so that not all of a single slice lies on it.

A block is labelled alone, and the labels on its faces are tied to those of its neighbours: memory is that of a block,
of the faces of one layer of blocks, and of a bit a voxel.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .partials import Flagged
from .stores.layout import Shape, Slices

Flags = NDArray[np.bool_]
Labels = NDArray[np.uint32]
# The first node of the graph of labels.
BORDER = 0
_START, _STOP = 0, -1


def outside_of(
    flagged: Iterable[Flagged], shape: Shape, read_mask: Callable[[Slices], Flags | None]
) -> Iterator[Flagged]:
    """Find which flagged voxels are connected to the border of the volume and outside the mask.

    Parameters
    ----------
    flagged
        Of all blocks that have such voxels; blocks form a grid.
    shape
        (z, y, x) of the volume.
    read_mask
        Gives the mask (z, y, x) of a box, or None.

    Yields
    ------
    Flagged
        Of each block that has such voxels.
    """
    blocks = sorted(flagged, key=lambda block: block.start)
    ties = _Ties()
    nodes = _tie_blocks(blocks, shape, read_mask, ties)
    for block, of_label in zip(blocks, nodes, strict=True):
        is_outside = np.array([node >= 0 and ties.root(node) == ties.root(BORDER) for node in of_label.tolist()])
        if is_outside.any():
            yield Flagged.of(block.start, is_outside[_labels(block, read_mask)])


def _tie_blocks(
    blocks: Iterable[Flagged], shape: Shape, read_mask: Callable[[Slices], Flags | None], ties: "_Ties"
) -> list[NDArray[np.int64]]:
    """Tie labels that touch across blocks, or the border; return the node of each label of each block, -1 if none."""
    # By axis and first voxel of the block that comes next along it: the nodes on the face between.
    waiting: dict[tuple[int, tuple[int, ...]], NDArray[np.int64]] = {}
    nodes = []
    for block in blocks:
        # Blocks come in order: what waits for one before this waits for one that has no such voxel.
        waiting = {key: face for key, face in waiting.items() if key[1] >= block.start}
        labels = _labels(block, read_mask)
        faces = {(axis, end): np.take(labels, end, axis) for axis, end in product(range(3), (_START, _STOP))}
        of_label = np.full(int(labels.max()) + 1, -1, np.int64)
        # Only what lies on a face can be tied to anything.
        touching = np.unique(np.concatenate([face.ravel() for face in faces.values()]))
        of_label[touching[touching > 0]] = ties.add(int(np.count_nonzero(touching)))
        nodes.append(of_label)
        for (axis, end), face in faces.items():
            on_face = of_label[face]
            first = block.start[axis]
            if shape[axis] > 1 and (first == 0 if end == _START else first + block.shape[axis] == shape[axis]):
                ties.tie(np.full_like(on_face, BORDER), on_face)
            elif end == _STOP:
                following = list(block.start)
                following[axis] += block.shape[axis]
                waiting[axis, tuple(following)] = on_face
            elif (before := waiting.pop((axis, block.start), None)) is not None:
                ties.tie(before, on_face)
    return nodes


def _labels(block: Flagged, read_mask: Callable[[Slices], Flags | None]) -> Labels:
    """(z, y, x) numbers of the components of a block's voxels, 0 elsewhere and inside the mask."""
    import cc3d

    flags, mask = block.flags, read_mask(block.box)
    if mask is not None:
        flags = flags & ~mask
    labels: Labels = cc3d.connected_components(flags, connectivity=6)
    return labels


class _Ties:
    """Nodes of which some are tied together; `BORDER` is there from the start."""

    def __init__(self) -> None:
        self._parents = [BORDER]

    def add(self, number: int) -> NDArray[np.int64]:
        """Add nodes."""
        first = len(self._parents)
        self._parents += range(first, first + number)
        return np.arange(first, first + number)

    def tie(self, some: NDArray[np.int64], others: NDArray[np.int64]) -> None:
        """Tie nodes that lie at the same place; -1 is none."""
        both = (some >= 0) & (others >= 0)
        for one, other in np.unique(np.stack([some[both], others[both]], axis=1), axis=0).tolist():
            low, high = sorted((self.root(one), self.root(other)))
            self._parents[high] = low

    def root(self, node: int) -> int:
        """The node that stands for all that a node is tied to."""
        while self._parents[node] != node:
            self._parents[node] = self._parents[self._parents[node]]
            node = self._parents[node]
        return node
