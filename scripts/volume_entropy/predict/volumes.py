"""Volumes as training examples: boxes of their voxels, drawn anew in every epoch, or those of a grid."""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

# The target of a voxel that is not labelled: the cross-entropy leaves it out.
UNLABELLED = -100


class Patches:
    """Boxes (image, labels) of volumes that are all in memory.

    Parameters
    ----------
    volumes
        Images (x, y, z) float32 and labels (x, y, z) int64, class indices or `UNLABELLED`.
    patch
        Edges (x, y, z); a volume that is smaller is padded, with 0 and without labels.
    per_volume
        Boxes of a volume, each at a random place, from torch's random state; None: those of a grid that covers it.
    """

    def __init__(
        self, volumes: Sequence[tuple[Tensor, Tensor]], patch: tuple[int, int, int], per_volume: int | None
    ) -> None:
        self._volumes = [(_padded(image, patch, 0.0), _padded(labels, patch, UNLABELLED)) for image, labels in volumes]
        self._patch = patch
        self._places: list[tuple[int, tuple[int, ...] | None]] = []
        for number, (image, _) in enumerate(self._volumes):
            if per_volume is None:
                starts = (_grid(size, edge) for size, edge in zip(image.shape, patch, strict=True))
                self._places += [(number, start) for start in product(*starts)]
            else:
                self._places += [(number, None)] * per_volume

    def __len__(self) -> int:
        """Boxes of an epoch."""
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return image (1, x, y, z) and labels (x, y, z) of a box."""
        number, start = self._places[index]
        image, labels = self._volumes[number]
        if start is None:
            room = [size - edge + 1 for size, edge in zip(image.shape, self._patch, strict=True)]
            start = tuple(int(torch.randint(n, ())) for n in room)
        box = tuple(slice(low, low + edge) for low, edge in zip(start, self._patch, strict=True))
        return image[box][None], labels[box]


def _grid(size: int, edge: int) -> list[int]:
    """Starts of the fewest boxes that cover an axis, evenly spread; they overlap where they do not fit."""
    n = -(-size // edge)
    return [round(i * (size - edge) / max(1, n - 1)) for i in range(n)]


def _padded(values: Tensor, patch: Sequence[int], fill: float) -> Tensor:
    missing = [max(0, edge - size) for size, edge in zip(values.shape, patch, strict=True)]
    if not any(missing):
        return values
    # From the last axis to the first, after each.
    widths = [width for amount in reversed(missing) for width in (0, amount)]
    return nn.functional.pad(values, widths, value=fill)
