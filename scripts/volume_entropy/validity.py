"""Are a sample's values probabilities? If not: what they look like, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from .errors import DataError
from .partials import Extremes, SampleSums

# Half of the invalid voxels make a reason the reason.
MOST = 0.5
# Rounding of what was written as 0 … 100 or 0 … 255.
SCALE_SLACK = 1.02


@dataclass(frozen=True)
class Found:
    """What the rules below look at."""

    where: str
    counts: Mapping[str, int]
    extremes: Extremes
    n_stored: int
    regions: bool
    complement: bool
    tolerance: float

    @property
    def invalid(self) -> int:
        """Invalid voxels."""
        return self.counts["invalid"]

    def mostly(self, reason: str) -> bool:
        """Tell whether a reason holds for at least half of the invalid voxels."""
        return self.counts[reason] >= MOST * self.invalid

    @property
    def share(self) -> str:
        """The invalid voxels among those that are not empty, in words."""
        filled = self.counts["field"] - self.counts["empty"]
        return f"{self.invalid} of {filled} voxels ({self.invalid / filled:.3g})"


def require_probabilities(
    sums: SampleSums, *, where: str, n_stored: int, complement: bool, quantum: float, settings: Mapping[str, Any]
) -> None:
    """Raise a `DataError` if the sample cannot be used.

    Parameters
    ----------
    sums
        Of all blocks.
    where
        The source files in words.
    n_stored
        Classes in the files, without a complemented background.
    complement
        Whether the background is 1 - Σp.
    quantum
        Slope of integer storage; 0 for floats.
    settings
        `kind`, `sum_tolerance`, `max_invalid_fraction`.

    Raises
    ------
    DataError
        `single_class`, `no_valid_voxels`, `not_probabilities` or `too_many_invalid`.
    """
    regions, tolerance = settings["kind"] == "regions", settings["sum_tolerance"]
    slack = max(tolerance or 0.0, (n_stored + complement) / 2 * quantum)
    found = Found(where, sums.counts, sums.extremes, n_stored, regions, complement, slack)
    filled = found.counts["field"] - found.counts["empty"]
    if n_stored == 1 and not complement and not regions and found.counts["not_binary"]:
        raise _single_class(found)
    if filled == 0:
        raise DataError(
            "no_valid_voxels",
            f"{where}: every class is 0 in every voxel; expected probabilities that sum to 1 somewhere",
            "Check that this is the file the model wrote, and that writing it succeeded.",
        )
    # As the config says it: 0.001 is a thousandth, not the float next to it.
    if found.invalid <= Fraction(str(settings["max_invalid_fraction"])) * filled:
        return
    raise _missing_numbers(found) or _wrong_range(found) or _wrong_sums(found) or _mixture(found)


def _single_class(found: Found) -> DataError:
    return DataError(
        "single_class",
        f"{found.where}: one class with values other than 0 and 1, expected at least two classes that sum to 1; it is "
        "a foreground probability without its background",
        "Set background: complement to add the background as 1 - p, or kind: regions.",
    )


def _missing_numbers(found: Found) -> DataError | None:
    if not found.mostly("nan"):
        return None
    every = found.invalid == found.counts["field"] - found.counts["empty"]
    what = "every voxel that is not empty is NaN or infinite" if every else f"NaN or infinite values in {found.share}"
    return DataError(
        "too_many_invalid",
        f"{found.where}: {what}; expected probabilities",
        "Look for a division by 0 or an overflow (float16?) where the probabilities were made; "
        "max_invalid_fraction sets how many such voxels are tolerated.",
    )


def _wrong_range(found: Found) -> DataError | None:
    """Values below 0 or above 1 in most of the invalid voxels, and in many voxels at all: another quantity."""
    low, high, top = found.extremes.minimum, found.extremes.maximum, found.extremes.sum_maximum
    filled = found.counts["field"] - found.counts["empty"]
    outside = max(found.counts["negative"], found.counts["above_one"])
    if outside < MOST * found.invalid or found.invalid < 0.05 * filled:
        return None
    span = f"values reach from {low:.4g} to {high:.4g}"
    if found.counts["negative"] and low < -found.tolerance:
        function = "sigmoid" if found.regions else "softmax"
        what, remedy = "logits (scores before the softmax)", f"Save the probabilities: apply {function} to the scores."
        if found.regions:
            what = "logits (scores before the sigmoid)"
    elif high <= 100 * SCALE_SLACK and (high > 50 if found.regions else top > 90):
        what, remedy = "percentages, 0 … 100", "Divide by 100, or set the scale factor of the file's header."
    elif high <= 255 and high > 127 and high == round(high):
        what, remedy = "8-bit grey values, 0 … 255", "Divide by 255, or set the scale factor of the file's header."
    else:
        what = "unnormalised scores"
        remedy = "Save probabilities, or set sum_tolerance: null to divide every voxel by its sum."
        if found.regions:
            remedy = "Save probabilities between 0 and 1."
    return DataError(
        "not_probabilities",
        f"{found.where}: {span}, expected 0 … 1; these look like {what} ({found.share} invalid)",
        remedy,
    )


def _wrong_sums(found: Found) -> DataError | None:
    """Values within 0 … 1 whose sum over the classes is not 1 in most of the invalid voxels."""
    if not found.mostly("bad_sum") or found.mostly("negative") or found.mostly("above_one"):
        return None
    low, high = found.extremes.sum_minimum, found.extremes.sum_maximum
    span = f"sums over the {found.n_stored} classes lie between {low:.4g} and {high:.4g}"
    if high <= 1 + max(found.tolerance, 1e-3):
        what = "a class, most likely the background, is missing"
        remedy = "Set background: complement, which adds it as 1 - Σp; or list the file of the missing class."
    else:
        what = "the classes do not exclude each other, or are not normalised"
        remedy = (
            "Set kind: regions if they may overlap (sigmoids), or sum_tolerance: null to divide every voxel by its sum."
        )
    return DataError("not_probabilities", f"{found.where}: {span}, expected 1; {what} ({found.share} invalid)", remedy)


def _mixture(found: Found) -> DataError:
    words = {"nan": "NaN or infinite", "negative": "below 0", "above_one": "above 1", "bad_sum": "with a wrong sum"}
    reasons = ", ".join(f"{found.counts[name]} {word}" for name, word in words.items() if found.counts[name])
    extremes = found.extremes
    span = f"values {extremes.minimum:.4g} … {extremes.maximum:.4g}"
    if not found.regions:
        span += f", sums {extremes.sum_minimum:.4g} … {extremes.sum_maximum:.4g}"
    return DataError(
        "too_many_invalid",
        f"{found.where}: {found.share} are invalid: {reasons} ({span})",
        "If this is known and harmless (resampled maps), raise sum_tolerance or max_invalid_fraction; else repair it.",
    )
