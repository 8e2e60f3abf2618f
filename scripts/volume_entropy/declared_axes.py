"""What the config says of the axes of files: `probabilities.axes`, and the two older keys that it replaces."""

from collections.abc import Iterator, Mapping
from typing import Any

SPACE = "xyz"
# Alone they say only the order of space, with `class_axis` beside them: the older form of the key.
OLDER = ("xyz", "zyx")


def says_roles(axes: str | None) -> bool:
    """Whether the string says where class or member are, and not only the order of space."""
    return axes is not None and not set(axes) <= set(SPACE)


def spatial_order(axes: str | None) -> str | None:
    """The letters of space alone: the order of the axes of a mask, a label image or an image that is a plain array."""
    return None if axes is None else "".join(letter for letter in axes if letter in SPACE)


def contradictions_of_axes(probabilities: Mapping[str, Any]) -> Iterator[str]:
    """What the config's `probabilities` say of axes that cannot be."""
    axes, class_axis = probabilities["axes"], probabilities["class_axis"]
    if axes is None:
        return
    twice = sorted({letter for letter in axes if axes.count(letter) > 1})
    if twice:
        yield f"probabilities.axes: found {axes!r}, in which {', '.join(twice)} stands twice; expected a letter an axis"
    missing = [letter for letter in "yx" if letter not in axes]
    if missing:
        yield (
            f"probabilities.axes: found {axes!r}, without {' and '.join(missing)}; expected a letter for each axis of "
            "the file, y and x among them, such as czyx, mczyx, xyzc or cyx"
        )
    if class_axis is not None and says_roles(axes) and not _agree(axes, class_axis):
        yield (
            f"probabilities.class_axis: found {class_axis!r} beside `axes: {axes}`, which says itself where the class "
            "is; leave `class_axis` out, and write the order that the files have into `axes`"
        )


def notice_of_older_keys(probabilities: Mapping[str, Any]) -> str | None:
    """What to write in place of `class_axis`, and of `axes: xyz` without a class; None where that is written."""
    axes, class_axis = probabilities["axes"], probabilities["class_axis"]
    several = len(probabilities["classes"]) > 1
    if class_axis is None and not (axes in OLDER and several):
        return None
    if says_roles(axes):
        return f"probabilities.class_axis can go: `axes: {axes}` says the same."
    space = axes or SPACE
    order = f"c{space}" if class_axis == "first" else f"{space}c"
    older = [f"{key}: {value}" for key, value in (("class_axis", class_axis), ("axes", axes)) if value is not None]
    return (
        f"probabilities: `{', '.join(older)}` goes on to work; now the key `axes` alone says the order of all axes of "
        f"a file: `axes: {order}` where it holds all classes, `{space}` where it holds one, `m{order}` with members "
        "first."
    )


def _agree(axes: str, class_axis: str) -> bool:
    inner = axes.replace("m", "")
    return inner[0 if class_axis == "first" else -1] == "c"
