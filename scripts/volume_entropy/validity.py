"""Are a sample's values probabilities? If not: what is wrong, in which file, and what to do about it."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from .errors import DataError
from .evidence import HIGHEST, LOWEST, axis_of_ones, name_of
from .judged import MOST, Found
from .partials import SampleSums
from .quantities import (
    DIVIDE,
    Diagnosis,
    another_quantity,
    constant_sums,
    needed_tolerance,
    resampling_remedy,
    scale_remedy,
)
from .stores.probabilities import ProbabilityStore

# Values outside 0 … 1 in fewer voxels are odd ones; in more, they are another quantity.
_MANY = 0.05
# Sums that are nowhere further from 1 than this were rounded or resampled; where a class is missing, some are near 0.
_NEAR_ONE = 0.1
# The share of voxels whose sums are 1 where only resampling made values go beyond 0 … 1.
_MOSTLY_ONE = 0.8
# The scale is not the file's if it is this large, and no value in the file is above 1.
_LARGE_SCALE = 10.0
_OVERFLOW = (
    "Look for a division by 0 or an overflow (float16?) where the probabilities were made; max_invalid_fraction sets "
    "how many such voxels are tolerated."
)


def require_probabilities(
    sums: SampleSums, *, where: str, store: ProbabilityStore, recipe: Mapping[str, Any], n_saying: int
) -> None:
    """Raise a `DataError` if the sample cannot be used.

    Parameters
    ----------
    sums
        Of all blocks; its counts have `outside`, too: the voxels that are empty since they are NaN outside the field.
    where
        The source files in words.
    store
        It is read again where something is wrong.
    recipe
        Its `settings` have `sum_tolerance`, `max_invalid_fraction` and `scale`.
    n_saying
        Voxels that say anything: a class but the background above 0, or invalid.

    Raises
    ------
    DataError
        `single_class`, `no_valid_voxels`, `not_probabilities` or `too_many_invalid`.
    """
    found = Found(where, sums, store, recipe, n_saying)
    if found.n_stored == 1 and found.given and found.counts["not_binary"]:
        raise _single_class(found)
    # Without a tolerance scores of any scale are divided by their sums.
    highest = float("inf") if found.given and found.settings["sum_tolerance"] is None else HIGHEST
    beyond = [member for member, seen in enumerate(sums.extremes) if seen.minimum < LOWEST or seen.maximum > highest]
    if beyond:
        raise another_quantity(found.values(beyond))
    if found.filled == 0:
        raise _nothing(found)
    _require_scale(found)
    # As the config says it: 0.001 is a thousandth, not the float next to it.
    limit = Fraction(str(found.settings["max_invalid_fraction"]))
    if found.invalid < found.filled and found.invalid <= limit * found.n_saying:
        return
    raise (
        _silent_members(found)
        or _odd_members(found)
        or _missing_numbers(found)
        or _out_of_range(found)
        or _wrong_sums(found)
        or _mixture(found)
    )


def _single_class(found: Found) -> DataError:
    return DataError(
        "single_class",
        f"{found.where}: one class with values other than 0 and 1, expected at least two classes that sum to 1; it is "
        "a foreground probability without its background",
        "Set background: complement to add the background as 1 - p, or kind: regions.",
    )


def _nothing(found: Found) -> DataError:
    if found.counts["outside"]:
        what = "every voxel is NaN" if found.counts["outside"] == found.counts["field"] else "every voxel is NaN or 0"
        return DataError("too_many_invalid", f"{found.where}: {what} in every class; expected probabilities", _OVERFLOW)
    return DataError(
        "no_valid_voxels",
        f"{found.where}: every class is 0 in every voxel; expected probabilities that sum to 1 somewhere",
        "Check that this is the file the model wrote, and that writing it succeeded.",
    )


def _require_scale(found: Found) -> None:
    """Refuse to divide by the scale what is on 0 … 1 already: nothing else would show it."""
    scale = found.settings.get("scale") or 1.0
    highest = found.extremes.maximum * scale
    # What was divided by the scale as float32 comes back with its rounding.
    if scale >= _LARGE_SCALE and 0 < highest <= HIGHEST * (1 + 1e-6):
        raise DataError(
            "not_probabilities",
            f"{found.where}: the highest value is {highest:.4g}, expected up to {scale:g} (probabilities.scale), by "
            "which it is divided; these look like probabilities on 0 … 1 already",
            "Set probabilities.scale: null if 1 is certain in this file, and where other samples need the scale, bring "
            f"all files to one; if its 1 is one of {scale:g}, nothing is to be seen in this sample: leave it out.",
        )


def _silent_members(found: Found) -> DataError | None:
    """Members that hold nothing, though others do."""
    nan = [member for member, seen in enumerate(found.sums.extremes) if seen.maximum < seen.minimum]
    zero = [member for member, seen in enumerate(found.sums.extremes) if seen.minimum == seen.maximum == 0]
    for members, what in ((nan, "NaN or infinite"), (zero if found.given else [], "0")):
        if 0 < len(members) < found.n_members:
            return DataError(
                "no_valid_voxels",
                f"{found.names(members)}: every value is {what}, but not in the other members; expected probabilities "
                "in each of them",
                "Write it again; or leave it out, of probabilities.members too.",
            )
    return None


def _missing_numbers(found: Found) -> DataError | None:
    if not found.mostly("nan"):
        return None
    look = found.evidence()
    if look is not None and found.n_stored > 1 and look.n_not_finite:
        silent = [index for index, known in enumerate(look.classes) if known.n_not_finite == look.n_voxels]
        if 0 < len(silent) < found.n_stored:
            return _silent_class(found, silent[0], "NaN or infinite")
    n_blank = sum(int(flagged.flags.sum()) for flagged in found.sums.blanks) - found.counts["outside"]
    if n_blank >= MOST * found.invalid:
        return DataError(
            "too_many_invalid",
            f"{found.where}: NaN in every class of {n_blank} voxels that are not outside the field, since they are not "
            f"connected to the border of the volume, or inside the mask ({found.share} are invalid)",
            "Write 0 in every class of voxels that hold nothing, and correct a mask that covers such voxels. "
            + _OVERFLOW,
        )
    every = found.invalid == found.filled
    what = "every voxel that is not empty is NaN or infinite" if every else f"NaN or infinite values in {found.share}"
    return DataError("too_many_invalid", f"{found.where}: {what}; expected probabilities", _OVERFLOW)


def _silent_class(found: Found, index: int, what: str) -> DataError:
    name = name_of(found.store, found.recipe, 0, index)
    return DataError(
        "no_valid_voxels",
        f"{name}: every value is {what}, but not in the other classes; expected probabilities in each of them",
        "Check that this is the file the model wrote, and write it again.",
    )


def _odd_members(found: Found) -> DataError | None:
    """Members that are 0 in every class, or not finite, where the others are not."""
    for reason, what in (("bad_sum", "0 in every class"), ("nan", "NaN or infinite")):
        if found.n_members == 1 or not found.mostly(reason):
            continue
        looks = [look for member in range(found.n_members) if (look := found.evidence(member)) is not None]
        counts = [look.n_empty if reason == "bad_sum" else look.n_not_finite for look in looks]
        least = min(counts, default=0)
        odd = [member for member, count in enumerate(counts) if count - least >= MOST * found.invalid]
        if 0 < len(odd) < found.n_members:
            return DataError(
                "too_many_invalid",
                f"{found.names(odd)}: {what} in {counts[odd[0]]} voxels, where other members have {least} such voxels "
                f"({found.share} are invalid); expected the same field in every member",
                "Write it again; or leave it out, of probabilities.members too.",
            )
    return None


def _out_of_range(found: Found) -> DataError | None:
    """Values a little below 0 or above 1 in most of the invalid voxels: resampled maps, or no probabilities."""
    if max(found.counts["negative"], found.counts["above_one"]) < MOST * found.invalid:
        return None
    values, many = found.values(range(found.n_members)), found.invalid >= _MANY * found.filled
    # A spline overshoots to both sides.
    if values.low < 0 and (not found.given or values.sums_near(values.scale) >= _MOSTLY_ONE):
        return DataError(
            "too_many_invalid",
            f"{found.reasons}; this is how probabilities look that were resampled by a spline, which overshoots",
            resampling_remedy(values) + ("" if many else " Or raise max_invalid_fraction, to leave such voxels out."),
        )
    if not many:
        return None
    return DataError(
        "not_probabilities",
        f"{found.where}: {values.span}, expected 0 … 1 ({found.share} invalid)",
        "Give the file of the probabilities, between 0 and 1; maps that were modulated by a Jacobian are none. If they "
        "were resampled, do it linearly or by the nearest neighbour.",
    )


def _wrong_sums(found: Found) -> DataError | None:
    """Values within 0 … 1 whose sum over the classes is not 1 in most of the invalid voxels."""
    if not found.mostly("bad_sum"):
        return None
    low, high, look = found.extremes.sum_minimum, found.extremes.sum_maximum, found.evidence()
    if look is not None and found.given and high <= 1 + _NEAR_ONE:
        silent = [index for index, known in enumerate(look.classes) if known.n_not_zero == 0]
        if 0 < len(silent) < found.n_stored:
            return _silent_class(found, silent[0], "0")
    what, remedy = _sums_of(found, low, high)
    expected = "1" if found.given else "at most 1"
    return DataError(
        "not_probabilities",
        f"{found.where}: sums over the {found.n_stored} classes lie between {low:.4g} and {high:.4g}, expected "
        f"{expected}; {what} ({found.share} invalid)",
        remedy,
    )


def _sums_of(found: Found, low: float, high: float) -> Diagnosis:
    """What sums between these look like, and what to do about them."""
    values = found.values(range(found.n_members))
    tolerance, total = needed_tolerance(values), constant_sums(values)
    axis = axis_of_ones(found.store) if found.given and values.evidence is not None else None
    if axis is not None:
        return (
            f"but along {axis}, they are 1",
            "Say with the axes of `probabilities` which one holds the classes; or, if the softmax was taken along "
            "another one, take it over the classes.",
        )
    if total is not None:
        what = f"nearly all are {total:.4g}, so that the values are on another scale"
        return what, f"{scale_remedy(total)} {DIVIDE}"
    if tolerance is not None and high <= 1 + _NEAR_ONE and (low >= 1 - _NEAR_ONE or not found.given):
        return (
            "they are near it everywhere, as after rounding down or resampling",
            f"Set probabilities.sum_tolerance: {tolerance:.2f}, if no class is missing; the sums are then divided out.",
        )
    if not found.given:
        remedy = (
            "Set kind: regions and background: given if the classes may overlap (sigmoids). If the files hold every "
            "class, list them all, and set background: given."
        )
        if tolerance is not None:
            remedy += f" If they were resampled one by one, set probabilities.sum_tolerance: {tolerance:.2f}."
        return "less than nothing is left for the background", remedy
    if high <= 1 + max(found.slack, 1e-3):
        return (
            "a class, most likely the background, is missing",
            "Set background: complement, which adds it as 1 - Σp; or list the file of the missing class.",
        )
    return (
        "the classes do not exclude each other, or are not normalised",
        "Set kind: regions if they may overlap (sigmoids), or sum_tolerance: null to divide every voxel by its sum.",
    )


def _mixture(found: Found) -> DataError:
    knob = (
        "max_invalid_fraction" if found.settings["sum_tolerance"] is None else "sum_tolerance or max_invalid_fraction"
    )
    return DataError(
        "too_many_invalid",
        found.reasons,
        f"If this is known and harmless (resampled maps), raise {knob}; else repair it.",
    )
