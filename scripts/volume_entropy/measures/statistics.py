"""The scalars that a sample has of each measure: their keys, descriptions, units and ranges."""

from dataclasses import dataclass
from typing import Literal

from .table import MEASURES

# Raised when a key of a summary or a column changes its name or meaning; it stands in summaries and data dictionaries.
SCHEMA_VERSION = "1.1"

# The edge of the box of `patch_max` in voxels, and the share of the largest slice's domain voxels that a slice needs.
PATCH_EDGE = 10
PEAK_SLICE_MIN_SHARE = 0.05


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
