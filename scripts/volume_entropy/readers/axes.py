"""Which axis of a file is the member, which the class, and which are space: declared, named, or by convention."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

from ..errors import DataError
from .base import times

LETTERS = "mczyx"
# What dimensions are called, in lower case. Not time, nor `sample`, which may be anything; and not height, width and
# depth, which are y, x, z for some and x, y, z for others.
NAMES = {
    letter: letter for letter in LETTERS
} | dict.fromkeys(("channel", "channels", "class", "classes", "label", "labels"), "c") | dict.fromkeys(
    ("member", "members", "pass", "passes", "realization", "realizations", "ensemble", "draw", "draws"), "m"
)  # fmt: skip
# The orders of space that plain arrays usually have: as SimpleITK and torch give them, and as nibabel does.
PLAIN = ("zyx", "xyz")
NIFTI = ("xyz",)
_MOST_AXES, _MOST_CHOICES = 8, 12


@dataclass(frozen=True)
class Roles:
    """The roles of a file's axes.

    Attributes
    ----------
    order
        One letter an axis, in the order of the file's shape: m(ember), c(lass), z, y, x; `-` for one of length 1 that
        has no role.
    sizes
        Length of each of `mczyx`; 1 where the file has no such axis.
    named
        Whether the file itself says them, by names or by the standard of its format.
    assumed
        Whether neither the file nor the config says all of them.
    """

    order: str
    sizes: dict[str, int]
    named: bool = False
    assumed: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        return self.sizes["x"], self.sizes["y"], self.sizes["z"]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Length of each axis of the file."""
        return tuple(self.sizes.get(letter, 1) for letter in self.order)

    @property
    def letters(self) -> str:
        """The order without axes that have no role, as `probabilities.axes` says it."""
        return self.order.replace("-", "")


def roles_of(order: str, shape: Sequence[int], *, named: bool = False, assumed: bool = False) -> Roles:
    """Give each axis of `shape` its letter in `order`."""
    sizes = dict.fromkeys(LETTERS, 1) | dict(zip(order, shape, strict=True))
    sizes.pop("-", None)
    return Roles(order, sizes, named, assumed)


def declared_roles(
    path: str,
    shape: tuple[int, ...],
    n_classes: int | None,
    axes: str,
    *,
    named: str | None = None,
    spaces: Sequence[str] = PLAIN,
) -> Roles:
    """Give the axes of a file the letters of `axes`.

    Axes of length 1 that it does not name may be there, where it is plain which they are; a file of one class may lack
    the axis of the class, and any file that of members, so that its caller has to see whether it may.

    Parameters
    ----------
    axes
        The config's `probabilities.axes`.
    named
        What the file itself says: a letter an axis, `-` where its name says nothing; None: it has no names.
    spaces
        Orders of space that the file may have, for the advice.

    Raises
    ------
    DataError
        `axes_unclear`: another number of axes, or the file's own names contradict; `class_mismatch`.
    """
    found = [list(_placed(shape, letters)) for letters in _shorter(axes, n_classes)]
    if not any(found):
        raise DataError(
            "axes_unclear",
            f"{path} has the shape {times(shape)}, {len(shape)} axes, but `probabilities.axes: {axes}` names "
            f"{len(axes)}",
            advice(shape, n_classes, spaces),
        )
    if named is not None:
        found = [[joined for order in orders if (joined := merged(order, named)) is not None] for orders in found]
        if not any(found):
            raise contradiction(path, shape, axes, f"names its axes {' '.join(named)} itself", named)
    for orders in found:
        each = [roles_of(order, shape, named=named is not None) for order in orders]
        # Which of two axes of length 1 is left out is all one where the same lengths are left.
        matching = {tuple(roles.sizes.items()): roles for roles in each if n_classes in (None, roles.sizes["c"])}
        if len(matching) == 1:
            return next(iter(matching.values()))
        if matching:
            raise DataError(
                "axes_unclear",
                f"{path} has the shape {times(shape)}; which of its axes of length 1 are not among the {len(axes)} of "
                f"`probabilities.axes: {axes}` is open",
                "Name each axis of the file in `probabilities.axes`, also those of length 1; or save it without them.",
            )
    first = roles_of(next(orders[0] for orders in found if orders), shape)
    raise mismatch(path, shape, first.sizes["c"], n_classes or 1, f"by `probabilities.axes: {axes}`", spaces)


def conventional_roles(
    path: str,
    shape: tuple[int, ...],
    n_classes: int | None,
    class_axis: str | None,
    spaces: Sequence[str] = NIFTI,
    *,
    members_first: bool = False,
) -> Roles:
    """Find the roles of the axes of a file by convention, where `class_axis` is all that the config says.

    With four axes one is the class, first or last; a single class may be either. With three the file is one class in
    space or, where more than one class is expected, a 2-D image with classes; with two, one class of a 2-D image. A
    fifth axis is taken where the fourth has length 1 (a NIfTI vector image); axes of length 1 after the fourth do not
    count. Without `n_classes` the file may hold any number, and three axes are space. Space has the first order of
    `spaces`, the others are for the advice. With `members_first` all of this is said of the axes behind the first.

    Raises
    ------
    DataError
        `axes_unclear` or `class_mismatch`.
    """
    left = list(range(members_first, len(shape)))
    first = class_axis == "first"
    while len(left) > 4 and shape[left[-1]] == 1:
        left.pop()
    if len(left) == 5 and shape[left[3]] == 1:
        del left[3]
        first = False
    if not 2 <= len(left) <= 4:
        raise DataError(
            "axes_unclear",
            f"{path} has the shape {times(shape)}, expected three axes of space and at most one of the class, unless "
            "the config says more",
            advice(shape, n_classes, spaces),
        )
    if len(left) == 4 and n_classes == 1 and shape[left[0 if first else -1]] != 1:
        first = not first
    # Three axes and one class are space; three axes and more classes are a slice with a class axis.
    n_space = 3 if len(left) == 4 or (len(left) == 3 and n_classes in (1, None)) else 2
    space = spaces[0] if n_space == 3 else spaces[0].replace("z", "")
    letters = space if n_space == len(left) else f"c{space}" if first else f"{space}c"
    placed = dict(zip(left, letters, strict=True)) | ({0: "m"} if members_first else {})
    # That the first axis is the class, though the config does not say so, follows from its length 1 alone.
    order = "".join(placed.get(axis, "-") for axis in range(len(shape)))
    roles = roles_of(order, shape, assumed=first and "c" in letters and class_axis != "first")
    if n_classes not in (None, roles.sizes["c"]):
        where = f"on its {'first' if first else 'last'} axis{' but that of members' * members_first}"
        raise mismatch(path, shape, roles.sizes["c"], n_classes or 1, where, spaces)
    return roles


def choices(
    shape: Sequence[int], n_classes: int | None, spaces: Sequence[str] = PLAIN, n_members: int | None = None
) -> list[str]:
    """List what `probabilities.axes` may say of a file of `shape`, the usual first; axes of length 1 are left out.

    With `n_members`, an axis of members has that length.
    """
    found: list[str] = []
    for lengths in ([size for size in shape if size > 1], list(shape)):
        for roles in ("mc", "m") if n_members else ("c", "", "mc", "m"):
            n_space = len(lengths) - len(roles)
            if n_space not in (2, 3) or ("c" in roles) == (n_classes == 1):
                continue
            for places, space in (
                (places, space) for places in permutations(range(len(lengths)), len(roles)) for space in spaces
            ):
                letters = iter(space if n_space == 3 else space.replace("z", ""))
                at = dict(zip(places, roles, strict=True))
                order = "".join(at.get(axis) or next(letters) for axis in range(len(lengths)))
                sizes = dict(zip(order, lengths, strict=True))
                if (
                    n_classes in (None, sizes.get("c", 1))
                    and n_members in (None, sizes.get("m"))
                    and _usual(order, spaces)
                ):
                    found.append(order)
        if found:
            break
    return list(dict.fromkeys(found))


def advice(
    shape: Sequence[int], n_classes: int | None, spaces: Sequence[str] = PLAIN, n_members: int | None = None
) -> str:
    """Say how `probabilities.axes` is set for a file of `shape`, and what it may be here."""
    listed = choices(shape, n_classes, spaces, n_members)
    text = (
        "Set `probabilities.axes` to the order in which numpy (of NIfTI: nibabel) shows the axes of the file, a letter "
        "an axis: m member, c class, z, y, x"
    )
    if not listed:
        return f"{text}. Where the file has other axes, save it without them."
    shown = [f"`{order}`" for order in listed[:_MOST_CHOICES]]
    if len(listed) > len(shown):
        return f"{text}; by its lengths that can be {', '.join(shown)} or yet another."
    return f"{text}; by its lengths that can be {' or '.join(shown)}."


def mismatch(
    path: str, shape: Sequence[int], found: int, expected: int, where: str, spaces: Sequence[str] = PLAIN
) -> DataError:
    """Return the error of a file that holds another number of classes than the config lists."""
    message = (
        f"{path} has the shape {times(tuple(shape))}, and so {found} class{'es' * (found != 1)} {where}; expected "
        f"{expected}"
    )
    remedy = (
        "List in `probabilities.classes` what the file holds (all but the background with `background: complement`); "
        "where each class has a file, put {class} into the path."
    )
    if expected == 1 and choices(shape, 1, spaces):
        return DataError(
            "class_mismatch",
            message,
            f"If they are classes, list them in `probabilities.classes`. If they are members of one class: "
            f"{advice(shape, 1, spaces)}",
        )
    # A volume of one class whose slices happen to be as many as the classes is not to be declared a slice.
    if len(shape) > 3 and choices(shape, expected, spaces):
        remedy = advice(shape, expected, spaces)
    elif choices(shape, expected, spaces):
        remedy = f"Where each class has a file, put {{class}} into the path. Else: {advice(shape, expected, spaces)}"
    return DataError("class_mismatch", message, remedy)


def contradiction(path: str, shape: tuple[int, ...], axes: str, says: str, order: str) -> DataError:
    """Return the error of a file that says another order of its axes than the config."""
    return DataError(
        "axes_unclear",
        f"{path} has the shape {times(shape)} and {says}, but the config says `probabilities.axes: {axes}`",
        f"Write the order that the file has, such as `probabilities.axes: {order.replace('-', '')}`, or leave the key "
        "out; if the file's own names are wrong, correct them.",
    )


def _usual(order: str, spaces: Sequence[str]) -> bool:
    """Whether the axes of space stand together; and in NIfTI, where they come first, a member behind them."""
    together = "".join(letter for letter in order if letter in "xyz") in order
    return together and (tuple(spaces) != NIFTI or "m" not in order or order.index("m") > order.index("x"))


def _shorter(axes: str, n_classes: int | None) -> list[str]:
    """List the letters that a file may have: all, or without the axis of a single class, or without that of members."""
    single = [axes, axes.replace("c", "")] if n_classes in (1, None) else [axes]
    return list(dict.fromkeys([*single, *(letters.replace("m", "") for letters in single)]))


def _placed(shape: Sequence[int], letters: str) -> Iterator[str]:
    """Give each letter an axis, in order, and leave out axes of length 1, in every way that there is."""
    ones = [axis for axis, size in enumerate(shape) if size == 1]
    surplus = len(shape) - len(letters)
    if surplus < 0 or len(shape) > _MOST_AXES:
        return
    for left_out in combinations(ones, surplus):
        left = iter(letters)
        yield "".join("-" if axis in left_out else next(left) for axis in range(len(shape)))


def merged(order: str, named: str) -> str | None:
    """Join what the config and the file say of each axis; None where they contradict each other."""
    pairs = list(zip(order, named, strict=True))
    joined = "".join(own if said == "-" else said for said, own in pairs)
    agree = all(said == own or "-" in (said, own) for said, own in pairs)
    return joined if agree and all(joined.count(letter) < 2 for letter in LETTERS) else None
