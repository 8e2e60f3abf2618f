"""What values look like that are no probabilities on a scale of 1, and what makes probabilities of them.

A remedy is only as good as the diagnosis: whoever follows it must come to a right number, or to another rejection. So
where values fit several quantities, the remedy names the condition for each.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import DataError
from .evidence import HIGHEST, LOWEST, NEAR, Evidence
from .partials import Extremes

# What 1 is in files that are not on a scale of 1.
SCALES = {
    100: "percentages, 0 … 100",
    255: "8-bit grey values, 0 … 255",
    1000: "parts per thousand, 0 … 1000",
    4095: "12-bit values, 0 … 4095",
    10000: "values from 0 to 10000",
    32767: "signed 16-bit values, 0 … 32767",
    65535: "16-bit values, 0 … 65535",
}
# How far the highest value may be from the scale that it shows; and how far a spline goes beyond crisp maps at corners,
# and below them.
_REACHED, _OVERSHOT, _UNDERSHOT = 0.02, 0.8, 0.6
# Below this a highest value is on none of the scales; and below this part of it, where some class is sure of a voxel.
_LEAST, _LEAST_PART = 10.0, 0.4
# The share of voxels whose sums show a scale; and a number that nobody uses as one.
_HALF, _NEARLY_ALL = 0.5, 0.9
# Scores of a network are hardly ever above this.
_LARGEST_SCORE = 50.0
# One value in so many voxels is a fill value.
_SOME = 20
# A spline goes beyond 0 … 1 by more than a half in few voxels, scores of a network do in most.
_FEW = 0.05

# What else to do about classes on another scale.
DIVIDE = "Or set probabilities.sum_tolerance: null, which divides every voxel by its sum."

# What the values look like, and what to do about them.
Diagnosis = tuple[str, str]


@dataclass(frozen=True)
class Values:
    """Values that are judged.

    Attributes
    ----------
    subject
        Their files, in words.
    extremes
        As stored: divided by the config's `scale`.
    evidence
        None where members are stored nowhere.
    settings
        `kind`, `background`, `sum_tolerance`, `scale`; and `model` where a network of this run gave the values.
    n_stored
        Stored classes.
    """

    subject: str
    extremes: Extremes
    evidence: Evidence | None
    settings: Mapping[str, Any]
    n_stored: int

    @property
    def regions(self) -> bool:
        """Whether classes may overlap."""
        return bool(self.settings["kind"] == "regions")

    @property
    def given(self) -> bool:
        """Whether the stored classes of a voxel have to sum to 1."""
        return not self.regions and self.settings["background"] == "given"

    @property
    def scale(self) -> float:
        """What the values were divided by."""
        return self.settings.get("scale") or 1.0

    @property
    def low(self) -> float:
        """The lowest value in the file."""
        return self.extremes.minimum * self.scale

    @property
    def high(self) -> float:
        """The highest value in the file."""
        return self.extremes.maximum * self.scale

    @property
    def span(self) -> str:
        """The values in words."""
        divided = f" before they are divided by probabilities.scale: {self.scale:g}" if self.scale != 1 else ""
        return f"values reach from {self.low:.6g} to {self.high:.6g}{divided}"

    def sums_near(self, total: float) -> float:
        """The share of voxels whose sum in the file is near a total."""
        return self.evidence.share_near(total / self.scale) if self.evidence is not None else 0.0


def totals_of(top: float, n_stored: int, scale: float) -> dict[float, float]:
    """The sums that evidence is needed of, and how far others may be from them: 1, that of every scale, and `top`.

    As they are stored. On a scale of whole numbers each class may have been rounded by a half.
    """
    slacks = {top: NEAR * top} if top > 0 else {}
    return {**slacks, 1.0: NEAR, **{total / scale: (NEAR * total + n_stored / 2) / scale for total in SCALES}}


def another_quantity(values: Values) -> DataError:
    """What values of which one is above 1.5 or below -0.5 look like, as a rejection."""
    rules = (_fill_value, _scale_by_sums, _overshoot, _logarithms, _scale_by_top, _whole_numbers, _logits)
    what, remedy = next(found for rule in (*rules, _scores) if (found := rule(values)) is not None)
    beyond = ""
    if values.evidence is not None:
        beyond = (
            f"; {values.evidence.n_beyond} of {values.evidence.n_voxels} voxels are beyond {LOWEST:g} … {HIGHEST:g}"
        )
    return DataError(
        "not_probabilities",
        f"{values.subject}: {values.span}, expected 0 … 1; these look like {what}{beyond}",
        remedy,
    )


def constant_sums(values: Values) -> float | None:
    """The sum in the file that nearly all voxels have, where it is not 1 and classes have to sum to 1."""
    look = values.evidence
    if look is None or not values.given or not look.top > 0 or abs(look.top - 1) <= 0.1:
        return None
    return look.top * values.scale if look.share_near(look.top) >= _NEARLY_ALL else None


def needed_tolerance(values: Values) -> float | None:
    """The least `sum_tolerance`, of two digits, that accepts every value and sum; None if it were no tolerance."""
    extremes = values.extremes
    needed = max(-extremes.minimum, extremes.maximum - 1)
    if not values.regions:
        needed = max(needed, extremes.sum_maximum - 1, 1 - extremes.sum_minimum if values.given else 0)
    rounded = math.ceil(100 * needed + 0.1) / 100
    return rounded if rounded <= -LOWEST else None


def scale_remedy(scale: float) -> str:
    """What to do about values of which this is 1."""
    return (
        f"Set probabilities.scale: {scale:.6g}, which is what 1 is in this file; where other samples are on 0 … 1 "
        "already, divide this file by it instead."
    )


def resampling_remedy(values: Values) -> str:
    """What to do about maps that a spline made go beyond 0 … 1."""
    tolerance = needed_tolerance(values)
    remedy = "Resample the maps again, linearly or by the nearest neighbour, which keeps them within 0 … 1"
    if tolerance is None:
        return f"{remedy}."
    what = "cuts off what is beyond" if values.regions else "takes values below 0 as 0 and divides the sums out"
    return f"{remedy}; or set probabilities.sum_tolerance: {tolerance:.2f}, which {what}."


def _fill_value(values: Values) -> Diagnosis | None:
    look = values.evidence
    if look is None or look.fill is None or not _SOME <= look.n_beyond < look.n_voxels:
        return None
    fill = look.fill * values.scale
    if fill > 0 and values.n_stored == 1:
        return None  # a map of 0 and 255, say
    remedy = "Write 0 in every class of these voxels: they are then empty, outside the field."
    if not values.given:
        remedy = "Write 0 there instead: it is background."
    if values.regions:
        remedy = "Write 0 there instead, and give a mask without these voxels: in a region 0 is certain background."
    return f"probabilities with {fill:g} in every class where there is none, a fill value", remedy


def _scale_by_sums(values: Values) -> Diagnosis | None:
    if not values.given or values.sums_near(values.scale) >= _HALF:
        return None
    for scale, words in SCALES.items():
        if values.sums_near(scale) >= _HALF:
            return words, scale_remedy(scale)
    total = constant_sums(values)
    if total is None or values.low < 0:
        return None
    return f"unnormalised scores, which sum to {total:.4g}", f"{scale_remedy(total)} {DIVIDE}"


def _overshoot(values: Values) -> Diagnosis | None:
    look = values.evidence
    if look is None or values.low >= 0:
        return None
    near_one = values.sums_near(values.scale) >= _HALF if values.given else look.n_beyond <= _FEW * look.n_voxels
    if not near_one or max(-values.extremes.minimum, values.extremes.maximum) > 1 - 2 * LOWEST:
        return None
    return "probabilities that were resampled by a spline, which overshoots", resampling_remedy(values)


def _logarithms(values: Values) -> Diagnosis | None:
    look = values.evidence
    if values.extremes.maximum > 0.01 or values.low >= 0:
        return None
    if values.given:
        sure = look is not None and look.n_logarithms >= _HALF * look.n_filled
        return ("logarithms of probabilities", "Save the probabilities: exp of the values.") if sure else None
    return (
        "logarithms of probabilities, or scores of a network",
        "Save the probabilities: exp of the values if they are logarithms of probabilities, and what the network's "
        "last activation makes of them if they are its scores.",
    )


def _scale_by_top(values: Values) -> Diagnosis | None:
    high, low = values.high, values.low
    if high < _LEAST or (low < 0 and (-low > _UNDERSHOT * high or high <= _LARGEST_SCORE)):
        return None
    beyond = 1 + (_OVERSHOT if low < 0 else _REACHED)
    fitting = [scale for scale in SCALES if high <= scale * beyond]
    if not fitting or fitting[0] == values.scale or (values.given and high < _LEAST_PART * fitting[0]):
        return None
    scale = fitting[0]
    sums = values.extremes.sum_maximum * values.scale
    if values.given and low >= 0 and sums > scale * beyond + values.n_stored / 2:
        return None
    if low >= 0 and high >= (1 - _REACHED) * scale:
        return SCALES[scale], scale_remedy(scale)
    others = [f"{other} if they are {SCALES[other].split(',')[0]}" for other in fitting[:2]]
    return SCALES[scale], f"Set probabilities.scale to what 1 is in this file: {', '.join(others)}."


def _whole_numbers(values: Values) -> Diagnosis | None:
    look = values.evidence
    if look is None or not look.whole or values.low >= 0 or look.n_beyond <= _FEW * look.n_voxels:
        return None
    return (
        "whole numbers, as images and labels are",
        "Give the file of the probabilities. If these were unsigned integers that something took for signed ones, save "
        "them as unsigned.",
    )


def _logits(values: Values) -> Diagnosis | None:
    look = values.evidence
    if values.extremes.minimum >= LOWEST or (look is not None and look.n_beyond <= _FEW * look.n_voxels):
        return None
    if "model" in values.settings:
        return "scores before the last activation", "Set model.output: logits, so that it is applied."
    if values.regions or (not values.given and values.n_stored == 1):
        return (
            "logits (scores before the sigmoid)",
            "Save the probabilities: apply the sigmoid to the scores.",
        )
    if values.given:
        return (
            "logits (scores before the softmax)",
            "Save the probabilities: apply softmax over the classes to the scores.",
        )
    return (
        "logits (scores before the softmax)",
        "Save the probabilities of all outputs of the network, that of the background among them: softmax over the "
        "stored classes alone would leave none for it.",
    )


def _scores(values: Values) -> Diagnosis:
    if values.low < 0:
        return (
            "no probabilities, for a few values",
            "Give the file of the probabilities, between 0 and 1. If they were resampled, do it linearly or by the "
            "nearest neighbour.",
        )
    if values.given:
        return (
            "unnormalised scores",
            "Save probabilities; or, if a voxel's values are shares of their sum, set probabilities.sum_tolerance: "
            "null, which divides by it; or probabilities.scale to what 1 is in this file, if there is such a number.",
        )
    return (
        "values on another scale",
        "Set probabilities.scale to what 1 is in this file, or save probabilities between 0 and 1.",
    )
