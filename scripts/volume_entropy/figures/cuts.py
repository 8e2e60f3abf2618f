"""Slices cut from slabs, no finer than a sheet can show them, so that no volume is too large to be drawn."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .slices import Plane

Steps = tuple[int, int, int]
FINEST: Steps = (1, 1, 1)
Code = Callable[[NDArray[Any]], NDArray[Any]]


def steps_of(shape: Sequence[int], voxel_mm: Sequence[float], pixel_mm: float) -> Steps:
    """Find how many voxels along z, y and x fit into a pixel of the sheet, and are read as one; 1 at least.

    Parameters
    ----------
    shape
        (z, y, x) of the volume.
    voxel_mm
        Length of a voxel along x, y and z.
    pixel_mm
        Length of a pixel of the finest sheet.
    """
    z, y, x = (min(n, max(1, int(pixel_mm / mm))) for n, mm in zip(shape, voxel_mm[::-1], strict=True))
    return z, y, x


class Cuts:
    """The chosen slices of every plane, from slabs that come one by one, in any order.

    Parameters
    ----------
    shape
        (z, y, x) of the volume.
    planes, chosen
        The planes and, by plane, their slice indices in the order of the sheet.
    steps
        Voxels along (z, y, x) that make one of a slice; what is left over at an end is cut off.
    mean
        Whether their mean is taken, in float32, or the voxel in their middle.
    coded
        What is made of the volume's values, one by one, before they are put on slices; None for the values themselves.
    """

    def __init__(
        self,
        shape: Sequence[int],
        planes: Sequence[Plane],
        chosen: Mapping[str, Sequence[int]],
        steps: Steps = FINEST,
        *,
        mean: bool = False,
        coded: Code | None = None,
    ) -> None:
        self._planes, self._chosen, self._steps = planes, chosen, steps
        self._coded = coded or (lambda values: values)
        # Of five slices a plane 93 % of a brain's voxels are on none; of all slices every voxel is on three.
        self._code_whole_slabs = sum(len(chosen[plane.name]) / shape[2 - plane.axis] for plane in planes) > 1
        self._mean = mean and steps != FINEST
        self._sizes = [size // step for size, step in zip(shape, steps, strict=True)]
        self._stacks: dict[str, NDArray[Any]] = {}

    def add(self, start: int, slab: NDArray[Any]) -> None:
        """Cut a slab `(depth, y, x)` that begins at z = `start`; the stacks are of the type of the first."""
        kind = np.dtype(np.float32) if self._mean else self._coded(slab[:0]).dtype
        code = self._coded
        if self._code_whole_slabs:
            slab, code = code(slab), lambda values: values
        for plane in self._planes:
            if plane.name not in self._stacks:
                across = [size for axis, size in enumerate(self._sizes) if axis != 2 - plane.axis]
                self._stacks[plane.name] = np.zeros((len(self._chosen[plane.name]), *across), kind)
            if plane.axis == 2:
                self._add_whole(plane, start, slab, code)
            else:
                self._add_lines(plane, start, slab, code)

    def stacks(self) -> dict[str, NDArray[Any]]:
        """Give by plane `(slice, row, column)`, the right way up; only after the first slab."""
        return {plane.name: plane.turned(self._stacks[plane.name]) for plane in self._planes}

    def _add_whole(self, plane: Plane, start: int, slab: NDArray[Any], code: Code) -> None:
        for position, index in enumerate(self._chosen[plane.name]):
            if start <= index < start + len(slab):
                lines = self._reduced(code(slab[index - start]), 1, volume_axis=2)
                self._stacks[plane.name][position] = self._reduced(lines, 0, volume_axis=1)

    def _add_lines(self, plane: Plane, start: int, slab: NDArray[Any], code: Code) -> None:
        indices, axis, stack = list(self._chosen[plane.name]), 2 - plane.axis, self._stacks[plane.name]
        if not indices:
            return
        lines = np.moveaxis(code(slab[(slice(None),) * axis + (indices,)]), axis, 0)
        lines = self._reduced(lines, 2, volume_axis=3 - axis)
        step = self._steps[0]
        if step == 1:
            stack[:, start : start + len(slab)] = lines
            return
        for k in range(len(slab)):
            row, within = divmod(start + k, step)
            if row >= stack.shape[1]:
                break
            if self._mean:
                stack[:, row] += lines[:, k] / np.float32(step)
            elif within == step // 2:
                stack[:, row] = lines[:, k]

    def _reduced(self, values: NDArray[Any], axis: int, volume_axis: int) -> NDArray[Any]:
        """Take every `steps[volume_axis]` values along `axis` as one."""
        step, size = self._steps[volume_axis], self._sizes[volume_axis]
        if step == 1:
            return values
        before = (slice(None),) * axis
        if not self._mean:
            return values[(*before, slice(step // 2, size * step, step))]
        parts = values[(*before, slice(size * step))]
        shape = (*parts.shape[:axis], size, step, *parts.shape[axis + 1 :])
        means: NDArray[np.float32] = parts.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
        return means


def cut(
    slabs: Iterable[tuple[int, NDArray[Any]]],
    shape: Sequence[int],
    planes: Sequence[Plane],
    chosen: Mapping[str, Sequence[int]],
    steps: Steps = FINEST,
    *,
    mean: bool = False,
) -> dict[str, NDArray[Any]]:
    """Cut the chosen slices of every plane, from one pass over the slabs of a volume; see `Cuts`.

    `slabs`: (first z, array (depth, y, x)), in any order, one at least.
    """
    cuts = Cuts(shape, planes, chosen, steps, mean=mean)
    for start, slab in slabs:
        cuts.add(start, slab)
    return cuts.stacks()
