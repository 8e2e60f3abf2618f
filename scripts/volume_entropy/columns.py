"""The columns of the tables, in order: names, descriptions, units, ranges, types.

CSV files and their data dictionaries are both written from here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from .errors import WARNINGS
from .measures import MEASURES, statistics_of, summarised_measures


@dataclass(frozen=True)
class Column:
    """One column of a table; `unit` and `range` are None where they make no sense (text).

    `as_written` marks text from the samples table, numbers included, that is not to be parsed and printed again.
    """

    name: str
    description: str
    unit: str | None = None
    range: str | None = None
    type: Literal["string", "integer", "number"] = "string"
    as_written: bool = False


# Why a sample may stand in the queue's front, as its column `flags` says it.
FLAGS = (
    "warning",
    *(f"{name}_{side}" for name in ("entropy", "total", "interior", "mutual_information") for side in ("high", "low")),
    "class_volume",
    "class_order",
)


def _count(name: str, description: str) -> Column:
    return Column(name, description, "voxel", "≥ 0", "integer")


_SAMPLE = Column("sample", "Id of the sample, as in the samples table")

# What stands in a summary before its statistics; no measure changes it.
SAMPLE_COLUMNS: tuple[Column, ...] = (
    _SAMPLE,
    Column("n_members", "Number of members (probability volumes) of the sample", "1", "≥ 1", "integer"),
    Column("n_classes", "Number of classes or regions, a complemented background included", "1", "≥ 1", "integer"),
    Column("unit", "Unit of every entropy", None, "bit or nat"),
    _count("n_voxels", "Voxels of the whole field"),
    *(_count(f"n_voxels_{axis}", f"Voxels along {axis}") for axis in "xyz"),
    _count("n_domain_voxels", "Voxels in the domain: the mask if given, less empty and invalid voxels"),
    _count("n_foreground_voxels", "Domain voxels whose predicted class is not the background class"),
    _count("n_boundary_voxels", "Domain voxels whose predicted class differs from that of one of 6 neighbours"),
    _count("n_interior_voxels", "Foreground voxels that are no boundary voxels"),
    _count("n_empty_voxels", "Voxels 0 in every class of every member, or NaN outside the field; 0 under kind regions"),
    _count("n_invalid_voxels", "Voxels with values or sums that are no probabilities; they are in no total or mean"),
    _count("n_renormalised_voxels", "Valid voxels whose classes did not sum to 1 before the sum was divided out"),
    Column("voxel_volume_mm3", "Volume of one voxel", "mm^3", "> 0", "number"),
    Column("content", "What the values mean; a partial volume is a tissue mixture, not an uncertainty", None,
           "posterior or partial_volume"),
    Column("warnings", "What may be wrong with the sample although its numbers are right, joined by ;; what each code "
           "means stands under `warnings` in this dictionary", None, ", ".join(WARNINGS)),
)  # fmt: skip


def subject_columns(asked: Iterable[str], unit: str, kind: str, members: bool) -> tuple[Column, ...]:
    """List the columns of `subjects.csv`, less those of the samples table; they depend on the arguments alone.

    Parameters
    ----------
    asked
        The measures of the config.
    unit
        bit or nat.
    kind
        softmax or regions.
    members
        Whether there are samples with more than one member; those of one member leave such columns empty.
    """
    return SAMPLE_COLUMNS + tuple(
        Column(
            f"{name}_{statistic.name}",
            statistic.description.format(measure=MEASURES[name].words),
            _product(statistic.unit, MEASURES[name].unit_in(unit)),
            statistic.range.format(range=MEASURES[name].form(kind).range),
            statistic.type,
        )
        for name in summarised_measures(2 if members else 1, asked, kind)
        for statistic in statistics_of(name)
    )


def _product(rule: str, unit: str) -> str:
    # "1 mm^3" is mm^3.
    return rule.format(unit=unit).removeprefix("1 ")


def class_columns(unit: str, kind: str, members: bool) -> tuple[Column, ...]:
    """List the columns of `classes.csv`: one row a sample and predicted class or region; keys of `structures`."""

    def mean(measure: str) -> Column:
        its = MEASURES[measure]
        return Column(f"{measure}_mean", f"Mean of {its.words} inside the predicted class (n_voxels)",
                      its.unit_in(unit), its.form(kind).range, "number")  # fmt: skip

    columns = (
        _SAMPLE,
        Column("class", "Name of the predicted class or region"),
        _count("n_voxels", "Domain voxels predicted as this class"),
        Column("volume_mm3", "n_voxels times the volume of a voxel", "mm^3", "≥ 0", "number"),
        Column("expected_volume_mm3", "Sum of the mean probability over the domain times the volume of a voxel",
               "mm^3", "≥ 0", "number"),
        mean("predictive_entropy"),
    )  # fmt: skip
    of_members = (
        mean("mutual_information"),
        Column("volume_cv", "Coefficient of variation (ddof 0) of the volume over members", "1", "≥ 0", "number"),
        Column("iou", "Intersection over union of the class over all members", "1", "0 … 1", "number"),
        Column("pairwise_dice", "Mean Dice coefficient over all pairs of members", "1", "0 … 1", "number"),
    )
    return columns + of_members if members else columns


def review_columns(unit: str) -> tuple[Column, ...]:
    """List the columns of `review_queue.csv`: what put a sample there, and where to look."""
    peak = "the slice with the highest mean of that measure"

    def z(name: str, of: str) -> Column:
        return Column(name, f"Robust z within the group of {of}; empty where there is none", "1", None, "number")

    return (
        Column("rank", "1 is the sample to look at first", "1", "≥ 1", "integer"),
        _SAMPLE,
        Column("value", "Mean predictive entropy of the foreground, or of the domain where there is no foreground",
               unit, "≥ 0", "number"),
        Column("robust_z", "Robust z of value within the group; empty under 8 samples", "1", None, "number"),
        z("total_robust_z", "the total predictive entropy of the whole field, times the volume of a voxel"),
        z("interior_robust_z", "the mean predictive entropy of the foreground away from boundaries"),
        z("mutual_information_robust_z", "the mean mutual information of the foreground (else of the domain)"),
        Column("highest_abs_z", "Highest absolute robust z of any reason; the queue's order, in which a sample with a "
               "warning counts as 3.5 at least, and one with reference_permuted is first", "1", "≥ 0", "number"),
        Column("flags", "Reasons with an absolute robust z of at least 3.5, and `warning` where the sample has one that"
               " half of the cohort or less has, joined by ;", None, ", ".join(FLAGS)),
        Column("reason", "What put the sample at its rank, in words"),
        Column("group", "Group within which the sample was judged; empty if no group is configured"),
        Column("measure", "Measure whose peaks say where to look: that of the strongest reason", None,
               "predictive_entropy or mutual_information"),
        Column("axis", "Axis along which the peak slice has the highest mean of that measure", None, "x, y or z"),
        Column("slice", f"Index (0-based) along that axis of {peak}", "voxel", "≥ 0", "integer"),
        *(Column(f"slice_{axis}", f"{axis} index (0-based) of {peak}", "voxel", "≥ 0", "integer") for axis in "xyz"),
        *(Column(f"box_{axis}", f"First {axis} index (0-based) of the box with the highest sum of that measure",
                 "voxel", "≥ 0", "integer") for axis in "xyz"),
        *(_count(f"box_size_{axis}", f"Voxels of that box along {axis}") for axis in "xyz"),
        *(Column(f"box_{axis}_mm", f"Centre of that box, {axis} in the space of the affine", "mm", "any", "number")
          for axis in "xyz"),
    )  # fmt: skip


def rejected_columns() -> tuple[Column, ...]:
    """List the columns of `rejected.csv`."""
    return (
        _SAMPLE,
        Column("stage", "Stage that rejected the sample"),
        Column("code", "Kind of fault, one of a fixed list"),
        Column("message", "Which file, what was found, what was expected"),
        Column("remedy", "What can be done about it"),
    )


def failed_columns() -> tuple[Column, ...]:
    """List the columns of `incomplete/failed.csv`."""
    return (_SAMPLE, Column("log", "Log of the last stage that it reached; empty if none began"))


@cache
def reserved_columns() -> frozenset[str]:
    """Collect every name that `subjects.csv` can have under any config; the samples table must not use them."""
    columns = subject_columns(MEASURES, "bit", "softmax", members=True)
    return frozenset(column.name for column in columns)
