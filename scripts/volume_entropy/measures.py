"""The one table of measures and their statistics: names, symbols, units, ranges, definitions, sources.

Pure data. Kernels, summaries, the tables' columns (`columns.py`) and the report take what they say from here.
"""

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["softmax", "regions"]
Unit = Literal["bit", "nat"]
# What one bit is in each unit: a quantity in bit times this is one in that unit.
ONE_BIT = {"bit": 1.0, "nat": math.log(2.0)}


@dataclass(frozen=True)
class Measure:
    """One uncertainty value per voxel, written as one map.

    P is the probability averaged over the members, p that of one member, C the number of classes, M of members,
    R of regions. `unit` is `entropy` (the configured bit or nat) or `1`. `regions` holds range and definition under
    kind `regions`, where they differ in form; it is None where the measure is not written for that kind.
    """

    name: str
    symbol: str
    unit: Literal["entropy", "1"]
    range: str
    definition: str
    source: str
    needs_members: bool
    regions: tuple[str, str] | None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of probabilities that this measure is written for."""
        return ("softmax",) if self.regions is None else ("softmax", "regions")

    def unit_in(self, unit: str) -> str:
        """Give the unit as text, where entropies are in `unit`."""
        return unit if self.unit == "entropy" else self.unit

    def range_of(self, kind: str) -> str:
        """Give the range as text, for probabilities of this kind."""
        return self.regions[0] if kind == "regions" and self.regions else self.range

    def definition_of(self, kind: str) -> str:
        """Give the definition as text, for probabilities of this kind."""
        return self.regions[1] if kind == "regions" and self.regions else self.definition


_BINARY = "h(p) = -p log p - (1 - p) log(1 - p)"

_TABLE = (
    Measure(
        "predictive_entropy", "PE", "entropy", "0 … log C", "-Σ_c P_c log P_c",
        "Shannon 1948; Gal 2016, section 3.3", False, ("0 … R log 2", f"Σ_r h(P_r), {_BINARY}"),
    ),
    Measure(
        "expected_entropy", "EE", "entropy", "0 … PE", "mean over members of -Σ_c p_c log p_c; the aleatoric part",
        "Depeweg et al. 2018", True, ("0 … PE", f"mean over members of Σ_r h(p_r), {_BINARY}; the aleatoric part"),
    ),
    Measure(
        "mutual_information", "MI", "entropy", "0 … PE", "PE - EE, clamped at 0; the epistemic part",
        "Houlsby et al. 2011 (BALD)", True, ("0 … PE", "PE - EE, clamped at 0; the epistemic part"),
    ),
    Measure(
        "variance", "Var", "1", "0 … 1 - 1/min(M, C)", "Σ_c variance over members of p_c (ddof 0)",
        "Gal 2016", True, ("0 … R/4", "Σ_r variance over members of p_r (ddof 0)"),
    ),
    Measure(
        "expected_pairwise_kl", "EPKL", "entropy", "≥ 0",
        "mean over all M² ordered pairs of members of the Kullback-Leibler divergence, p floored at 1e-7 in the "
        "logarithms, clamped at 0",
        "Malinin and Gales 2021", True, None,
    ),
    Measure("least_confidence", "LC", "1", "0 … 1 - 1/C", "1 - max_c P_c", "", False, None),
    Measure("margin", "margin", "1", "0 … 1", "1 - (largest - second largest of P_c)", "", False, None),
    Measure(
        "variation_ratio", "VR", "1", "0 … 1 - 1/M",
        "1 - (members that vote for the most voted class) / M; a member's tie goes to the lower class",
        "Freeman 1965", True, None,
    ),
    Measure(
        "normalized_entropy", "PE/log C", "1", "0 … 1", "PE / log C",
        "", False, ("0 … 1", "PE / (R log 2)"),
    ),
)  # fmt: skip

MEASURES: dict[str, Measure] = {measure.name: measure for measure in _TABLE}

# Written without being asked for. Queue, boundary and figures need the first; the others are what members are for.
ALWAYS = ("predictive_entropy",)
ALWAYS_WITH_MEMBERS = ("expected_entropy", "mutual_information")

# Raised when a key of a summary or a column changes its name or meaning; it stands in summaries and data dictionaries.
SCHEMA_VERSION = "1.1"

# The edge of the box of `patch_max` in voxels, and the share of the largest slice's domain voxels that a slice needs.
PATCH_EDGE = 10
PEAK_SLICE_MIN_SHARE = 0.05


def default_measures(n_members: int, asked: Iterable[str], kind: str = "softmax") -> tuple[str, ...]:
    """Choose what is written for one sample, in the order of `MEASURES`.

    Predictive entropy always; with two members or more also expected entropy and mutual information; and of the
    `asked` ones those that exist for this number of members and this kind.

    Raises
    ------
    ValueError
        If a measure is asked for that there is not; the message names the nearest one.
    """
    wanted = {*ALWAYS, *asked}
    for name in sorted(wanted - MEASURES.keys()):
        nearest = difflib.get_close_matches(name, MEASURES, n=1, cutoff=0.0)[0]
        raise ValueError(f"there is no measure {name!r}; the nearest is {nearest!r}, all are {', '.join(MEASURES)}")
    if n_members > 1:
        wanted.update(ALWAYS_WITH_MEMBERS)
    return tuple(
        measure.name
        for measure in _TABLE
        if measure.name in wanted and kind in measure.kinds and (n_members > 1 or not measure.needs_members)
    )


def summarised_measures(n_members: int, asked: Iterable[str], kind: str = "softmax") -> tuple[str, ...]:
    """Choose the measures that a summary has statistics of: predictive entropy, mutual information, the asked ones.

    Expected entropy is their difference, so it is written as a map without its own two dozen columns unless asked for.
    """
    asked = tuple(asked)
    chosen = {"predictive_entropy", "mutual_information", *asked}
    return tuple(name for name in default_measures(n_members, asked, kind) if name in chosen)


def map_suffix(measure: str) -> str:
    """Put the measure's name in camelCase, as in `sub-01_desc-predictiveEntropy_map.nii.gz`."""
    first, *rest = measure.split("_")
    return first + "".join(word.capitalize() for word in rest)


@dataclass(frozen=True)
class Statistic:
    """One scalar of a sample taken from a measure; its key is `<measure>_<name>`.

    In `unit` and `range`, `{unit}` and `{range}` stand for those of the measure; in `description`, `{measure}` for its
    name in words. `entropies_only` marks what is undefined for measures of unit 1.
    """

    name: str
    description: str
    unit: str
    range: str
    type: Literal["integer", "number"] = "number"
    entropies_only: bool = False


_PATCH = f"box of {PATCH_EDGE} x {PATCH_EDGE} x {PATCH_EDGE} voxels (clipped to the volume)"
_SLICES = f"slices under {PEAK_SLICE_MIN_SHARE:.0%} of the largest slice's domain voxels are left out"

STATISTICS: tuple[Statistic, ...] = (
    Statistic("total", "Sum of {measure} over the whole field", "{unit}", "≥ 0"),
    Statistic("total_mm3", "Sum of {measure} over the whole field times the volume of a voxel", "{unit} mm^3", "≥ 0"),
    Statistic("domain_total", "Sum of {measure} over the domain; the numerator of the mean", "{unit}", "≥ 0"),
    Statistic("mean", "Mean of {measure} over the domain (n_domain_voxels)", "{unit}", "{range}"),
    Statistic("std", "Standard deviation (ddof 0) of {measure} over the domain", "{unit}", "≥ 0"),
    Statistic("median", "Median of {measure} over the domain (inverted CDF)", "{unit}", "{range}"),
    Statistic("p95", "95th percentile of {measure} over the domain (inverted CDF)", "{unit}", "{range}"),
    Statistic("p99", "99th percentile of {measure} over the domain (inverted CDF)", "{unit}", "{range}"),
    Statistic("max", "Maximum of {measure} over the domain", "{unit}", "{range}"),
    Statistic("foreground_mean", "Mean of {measure} over the foreground (n_foreground_voxels)", "{unit}", "{range}"),
    Statistic(
        "fraction_high", "Fraction of domain voxels with {measure} above the configured threshold times log 2",
        "1", "0 … 1", entropies_only=True,
    ),
    Statistic(
        "boundary_mean", "Mean of {measure} over domain voxels that border another class (n_boundary_voxels)",
        "{unit}", "{range}",
    ),
    Statistic(
        "interior_mean", "Mean of {measure} over foreground voxels that border no other class (n_interior_voxels)",
        "{unit}", "{range}",
    ),
    Statistic("patch_max", f"Highest domain sum of {{measure}} in a {_PATCH}, over its voxels", "{unit}", "{range}"),
    *(
        Statistic(f"patch_max_{axis}", f"First {axis} index (0-based) of the {_PATCH} with the highest {{measure}}",
                  "voxel", "≥ 0", "integer")
        for axis in "xyz"
    ),
    *(
        Statistic(f"patch_max_{axis}_mm", f"Centre of that box, {axis} in the space of the affine", "mm", "any")
        for axis in "xyz"
    ),
    *(
        statistic
        for axis in "xyz"
        for statistic in (
            Statistic(f"peak_slice_{axis}",
                      f"{axis} index (0-based) of the slice with the highest domain mean of {{measure}}; {_SLICES}",
                      "voxel", "≥ 0", "integer"),
            Statistic(f"peak_slice_{axis}_mean", f"Domain mean of {{measure}} in the slice peak_slice_{axis}",
                      "{unit}", "{range}"),
        )
    ),
)  # fmt: skip


def statistics_of(measure: str) -> tuple[Statistic, ...]:
    """List the statistics that are defined for this measure, in the order of their columns."""
    entropy = MEASURES[measure].unit == "entropy"
    return tuple(statistic for statistic in STATISTICS if entropy or not statistic.entropies_only)


def statistic_keys(measure: str) -> tuple[str, ...]:
    """List the keys of one measure in a summary, `<measure>_<statistic>`, in the order of their columns."""
    return tuple(f"{measure}_{statistic.name}" for statistic in statistics_of(measure))
