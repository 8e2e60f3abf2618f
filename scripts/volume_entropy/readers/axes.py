"""Which axis of a file is the class and which ones are space: declared, checked, never guessed."""

from dataclasses import dataclass

from ..errors import DataError
from .base import times


@dataclass(frozen=True)
class Axes:
    """The roles of a file's axes.

    Attributes
    ----------
    shape
        Voxels along x, y, z.
    n_classes
        Classes in the file.
    class_first
        Whether the class axis stands before the spatial ones.
    space
        Which axes of the file are x, y, z; None for one that the file does not have.
    """

    shape: tuple[int, int, int]
    n_classes: int
    class_first: bool
    space: tuple[int | None, int | None, int | None]


def find_axes(path: str, shape: tuple[int, ...], n_classes: int | None, class_axis: str) -> Axes:
    """Find the roles of the axes of a file of `shape` that has to hold `n_classes`.

    With four axes one is the class, first or last; a single class may be either. With three the file is one class in
    space or, where more than one class is expected, a 2-D image with classes; with two, one class of a 2-D image. A
    fifth axis is taken where the fourth has length 1 (a NIfTI vector image); axes of length 1 after the fourth do not
    count. Without `n_classes` the file may hold any number, and three axes are space.

    Raises
    ------
    DataError
        `axes_unclear` or `class_mismatch`.
    """
    sizes = list(enumerate(shape))
    first = class_axis == "first"
    while len(sizes) > 4 and sizes[-1][1] == 1:
        sizes.pop()
    if len(sizes) == 5 and sizes[3][1] == 1:
        del sizes[3]
        first = False
    if not 2 <= len(sizes) <= 4:
        raise DataError(
            "axes_unclear",
            f"{path} has the shape {times(shape)}, expected x × y × z × class, x × y × z, or x × y × class",
            "Give a file with three spatial axes and at most one class axis.",
        )
    if len(sizes) == 4 and n_classes == 1 and sizes[0 if first else -1][1] != 1:
        first = not first
    found = 1
    # Three axes and one class are space; three axes and more classes are a slice with a class axis.
    if len(sizes) == 4 or (len(sizes) == 3 and n_classes not in (1, None)):
        _, found = sizes.pop(0 if first else -1)
    if n_classes is not None and found != n_classes:
        raise _mismatch(path, shape, found, n_classes, first)
    axes = [axis for axis, _ in sizes] + [None] * (3 - len(sizes))
    x, y, z = ([size for _, size in sizes] + [1])[:3]
    return Axes((x, y, z), found, first, (axes[0], axes[1], axes[2]))


def _mismatch(path: str, shape: tuple[int, ...], found: int, expected: int, first: bool) -> DataError:
    where, other = ("first", "last") if first else ("last", "first")
    message = (
        f"{path} has the shape {times(shape)}, and so {found} class{'es' * (found != 1)} on its {where} axis; "
        f"expected {expected}"
    )
    remedy = (
        "List in `probabilities.classes` what the file holds (all but the background with `background: complement`); "
        "where each class has a file, put {class} into the path."
    )
    if shape[-1 if first else 0] == expected:
        remedy = f"Set `probabilities.class_axis: {other}`: the {other} axis has length {expected}."
    return DataError("class_mismatch", message, remedy)
