"""Axes that neither a file nor the config names: what is assumed of them is said, and refused where it may be wrong."""

from collections.abc import Sequence

from ..declared_axes import says_roles
from ..errors import DataError, SampleWarning
from .axes import advice, choices
from .base import Reader, times


def check_members(reader: Reader, axes: str | None, n_members: int | None) -> None:
    """Hold a file of a sample without `{member}` in its path against the number of members that is configured.

    Where the file seems to have none, they may hide behind another axis of their number: then the config has to say
    which axis that is. A file that names its axes, or a string that does, may leave them out: that is one member.

    Parameters
    ----------
    axes
        The config's `probabilities.axes`.
    n_members
        The number of configured members; None: any.

    Raises
    ------
    DataError
        `shape_mismatch` or `axes_unclear`.
    """
    roles = reader.roles
    shape, order, how = times(roles.lengths), roles.letters, ""
    if not roles.named:
        how = advice(roles.lengths, reader.n_classes, n_members=n_members)
    # Of one class the order of space alone would say nothing of members.
    declared = order if says_roles(order) else f"c{order}"
    if axes is not None and "m" in axes and "m" not in order:
        raise DataError(
            "axes_unclear",
            f"{reader.path} has the shape {shape}, with no axis of members, which `probabilities.axes: {axes}` names",
            f"{how and f'{how} '}A path with {{member}} is for members that have a file each, a string without m for "
            "samples of one member.",
        )
    if "m" in order and n_members not in (None, reader.n_members):
        remedy = "Correct `probabilities.members`, or set it to null for however many a file holds."
        if how:
            # Not null: without a number any axis would do for the members.
            remedy = f"{how} If it is `{declared}` indeed, set that, and correct `probabilities.members`."
        raise DataError(
            "shape_mismatch",
            f"{reader.path} has the shape {shape}, and so {reader.n_members} member{'s' * (reader.n_members != 1)} by "
            f"its axes {order}; expected {n_members}",
            remedy,
        )
    open_order = not (roles.named or says_roles(axes))
    if open_order and "m" not in order and n_members not in (None, 1) and n_members in roles.lengths:
        raise DataError(
            "axes_unclear",
            f"{reader.path} has the shape {shape}, of which an axis is as long as the {n_members} configured members, "
            f"but the config does not say so: it would be read as one member, by the axes {order}",
            f"{how} If it is one member indeed, set `{declared}`.",
        )


def check_assumed(
    probabilities: Sequence[Reader], others: Sequence[Reader], axes: str | None, beside: Sequence[str]
) -> list[SampleWarning]:
    """Say which order of axes was assumed of a sample's files.

    Parameters
    ----------
    probabilities, others
        The readers of its probabilities, and of its mask, reference and atlas.
    axes
        The config's `probabilities.axes`.
    beside
        Paths of all files on the grid of the probabilities: others, an image, a NIfTI that lends its geometry.

    Returns
    -------
    list
        `axes_assumed`, at most once. Of a mask or a label image there is nothing to say: its shape is that of the
        probabilities, and tells the order where no two axes are alike.

    Raises
    ------
    DataError
        `axes_unclear`: two axes of space are alike, so that no file beside can tell whether the order is right.
    """
    placed = [reader.path for reader in probabilities if not reader.roles.assumed]
    for reader in [*probabilities, *others]:
        together = [path for path in [*beside, *placed] if path != reader.path]
        long = [size for size in reader.roles.shape if size > 1]
        alike = len(set(long)) < len(long)
        if reader.roles.assumed and axes is None and alike and together and not reader.geometry.placed:
            stored = reader in probabilities
            raise DataError(
                "axes_unclear",
                f"{reader.path} has the shape {times(reader.roles.lengths)}, of which two axes of space are alike: "
                f"nothing tells whether they stand as in {together[0]}, and the config does not say it",
                advice(reader.roles.lengths, reader.n_classes) if stored else _OF_SPACE,
            )
    assumed = [reader for reader in probabilities if reader.roles.assumed]
    return [SampleWarning("axes_assumed", _words(reader)) for reader in assumed[:1]]


_OF_SPACE = (
    "Set `probabilities.axes` to the order in which numpy shows the axes of space of this array, `zyx` or `xyz`; where "
    "the probabilities are plain arrays as well, with the letters of their class and member."
)


def _words(reader: Reader) -> str:
    lengths, order = reader.roles.lengths, reader.roles.letters
    others = [f", else to the right one, such as `{other}`" for other in choices(lengths, reader.n_classes)]
    other = next((text for text in others if f"`{order}`" not in text), "")
    return (
        f"{reader.path} has the shape {times(lengths)}, whose axes are taken to be {order}, which neither the file nor "
        f"the config says in full; if that is right, set `probabilities.axes: {order}`{other}."
    )
