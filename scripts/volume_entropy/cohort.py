"""Samples compared with their cohort: robust z, unusual class volumes, and the queue of what to look at first."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .measures import PATCH_EDGE
from .robust import FLAG_LIMIT, Usual, robust_z, usual
from .warned import widespread

# Warnings that stand above all outliers: scores of such a sample are wrong for a reason that a look at it finds.
FIRST = frozenset({"reference_permuted"})

Row = dict[str, Any]


@dataclass(frozen=True)
class Criterion:
    """A number of the summary by which samples are compared.

    `keys`: the first that has a value is judged, among the samples whose value is of the same key; `places` are their
    names in words. Flags are `<name>_high` and `<name>_low`; `measure` is the one whose peaks then say where to look.
    """

    name: str
    keys: tuple[str, ...]
    words: str
    places: tuple[str, ...]
    unit: str
    measure: str


_MEANS = ("foreground_mean", "mean")
# The total tells of what no mean sees: voxels that failed outside the foreground. Times the volume of a voxel, so that
# two resolutions compare.
CRITERIA = (
    Criterion(
        "entropy", tuple(f"predictive_entropy_{mean}" for mean in _MEANS), "mean predictive entropy of the {place}",
        ("foreground", "domain"), "{unit}", "predictive_entropy",
    ),
    Criterion(
        "total", ("predictive_entropy_total_mm3",), "total predictive entropy of the {place}", ("whole field",),
        "{unit} mm^3", "predictive_entropy",
    ),
    Criterion(
        "interior", ("predictive_entropy_interior_mean",), "mean predictive entropy of the {place}",
        ("foreground away from boundaries",), "{unit}", "predictive_entropy",
    ),
    Criterion(
        "mutual_information", tuple(f"mutual_information_{mean}" for mean in _MEANS),
        "mean mutual information of the {place}", ("foreground", "domain"), "{unit}", "mutual_information",
    ),
)  # fmt: skip


@dataclass
class _Reason:
    """Why a sample may stand high in the queue."""

    flag: str
    words: str
    z: float
    measure: str = "predictive_entropy"


@dataclass
class _Entry:
    """A sample on its way into the queue."""

    summary: Mapping[str, Any]
    group: str
    value: float | None = None
    z: dict[str, float | None] = field(default_factory=dict)
    reasons: list[_Reason] = field(default_factory=list)
    warnings: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def sample(self) -> str:
        return str(self.summary["sample"])

    @property
    def highest_abs_z(self) -> float | None:
        return max((abs(reason.z) for reason in self.reasons), default=None)

    def order(self) -> tuple[bool, float, float, str]:
        # A warning counts as much as an outlier at the limit. Without any z the value decides; a sample without either
        # is last.
        highest, value = self.highest_abs_z, math.inf if self.value is None else -self.value
        strength = max(highest or 0.0, FLAG_LIMIT) if self.warnings else highest
        return (
            FIRST.isdisjoint(warning["code"] for warning in self.warnings),
            math.inf if strength is None else -strength,
            value if highest is None else -highest,
            self.sample,
        )


def review_queue(
    summaries: Sequence[Mapping[str, Any]], groups: Sequence[str], background: str | None = None
) -> list[Row]:
    """Rank the samples: highest absolute robust z of any reason first, then highest value, ties by id.

    A sample with a warning stands behind outliers, and above what is no outlier; one whose reference looks permuted
    stands above all. Warnings that are `widespread` do not count.

    Reasons are the `CRITERIA` (of predictive entropy the mean over the foreground, the total, and the mean away from
    boundaries; with members the mean mutual information) and the predicted volume of each class but `background`. A
    mean is over the domain where a sample has no foreground; both are judged among their like only.

    Parameters
    ----------
    summaries
        Of `ok` samples, in any order.
    groups
        One name a summary; samples are compared within it.
    background
        The class whose volume tells about the field of view instead of the anatomy.

    Returns
    -------
    list
        One dict a sample with the keys of `columns.review_columns`.
    """
    entries = [_Entry(summary, group) for summary, group in zip(summaries, groups, strict=True)]
    of_cohort = widespread([[warning["code"] for warning in summary["warnings"]] for summary in summaries])
    for entry in entries:
        entry.value = next((value for value, _ in _found(entry.summary, CRITERIA[0])), None)
        entry.warnings = [warning for warning in entry.summary["warnings"] if warning["code"] not in of_cohort]
    for criterion in CRITERIA:
        _judge(entries, criterion)
    _judge_volumes(entries, background)
    entries.sort(key=_Entry.order)
    return [_row(rank, entry) for rank, entry in enumerate(entries, start=1)]


def _found(summary: Mapping[str, Any], criterion: Criterion) -> list[tuple[float, str]]:
    """List the values of a criterion that a summary has, each with the name of its place."""
    values = ((summary.get(key), place) for key, place in zip(criterion.keys, criterion.places, strict=True))
    return [(value, place) for value, place in values if value is not None]


def _judge(entries: Sequence[_Entry], criterion: Criterion) -> None:
    """Hold one number of every sample against those of its group."""
    found = [next(iter(_found(entry.summary, criterion)), (None, "")) for entry in entries]
    groups = [(entry.group, place) for entry, (_, place) in zip(entries, found, strict=True)]
    zs = robust_z([value for value, _ in found], groups)
    for entry, (value, place), z in zip(entries, found, zs, strict=True):
        entry.z[criterion.name] = z
        if value is not None and z is not None:
            unit = criterion.unit.format(unit=entry.summary["unit"])
            words = f"{criterion.words.format(place=place)} is {_written(value)} {unit}"
            flag = f"{criterion.name}_{'high' if z > 0 else 'low'}"
            entry.reasons.append(_Reason(flag, words, z, criterion.measure))


def _judge_volumes(entries: Sequence[_Entry], background: str | None) -> None:
    """Hold the volume of each class against the group's; labels that were permuted show in two classes at once."""
    by_group: dict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        by_group[entry.group].append(entry)
    for members in by_group.values():
        volumes = [_volumes(entry.summary, background) for entry in members]
        names = dict.fromkeys(name for of_sample in volumes for name in of_sample)
        # A class that one sample lacks and others have is missing there: its volume is 0.
        judges = {name: usual([of_sample.get(name, 0.0) for of_sample in volumes]) for name in names}
        known = {name: judge for name, judge in judges.items() if judge is not None}
        for entry, of_sample in zip(members, volumes, strict=True):
            _add_volume_reasons(entry, {name: of_sample.get(name, 0.0) for name in known}, known)


def _volumes(summary: Mapping[str, Any], background: str | None) -> dict[str, float]:
    return {
        structure["class"]: structure["volume_mm3"] or 0.0
        for structure in summary["structures"]
        if structure["class"] != background
    }


def _add_volume_reasons(entry: _Entry, volumes: Mapping[str, float], judges: Mapping[str, Usual]) -> None:
    zs = {name: judges[name].z(volume) for name, volume in volumes.items()}
    unusual = [name for name, z in zs.items() if abs(z) >= FLAG_LIMIT]
    for name, z in zs.items():
        words = f"predicted volume of {name} is {_written(volumes[name])} mm^3 (median {_written(judges[name].median)})"
        flag = "class_volume"
        if name in unusual:
            # Itself it does not fit, so the nearest one that it fits is another.
            fits = min(unusual, key=lambda other: abs(judges[other].z(volumes[name])))
            if abs(judges[fits].z(volumes[name])) < FLAG_LIMIT:
                flag, words = "class_order", f"{words}, as is usual for {fits}: are the classes in another order?"
        entry.reasons.append(_Reason(flag, words, z))


def _written(value: float) -> str:
    """A value for reading: four significant digits, and no exponent where it is large."""
    return f"{value:.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _row(rank: int, entry: _Entry) -> Row:
    summary, reasons = entry.summary, sorted(entry.reasons, key=lambda reason: -abs(reason.z))
    flagged = [reason for reason in reasons if abs(reason.z) >= FLAG_LIMIT]
    flags = [*(["warning"] if entry.warnings else []), *(reason.flag for reason in flagged)]
    words = [warning["message"].rstrip(".") for warning in entry.warnings]
    # Without anything else, what is nearest to a reason.
    shown = flagged or ([] if words else reasons[:1])
    words += [f"{reason.words}, robust z {reason.z:+.1f}" for reason in shown]
    row: Row = {
        "rank": rank,
        "sample": entry.sample,
        "value": entry.value,
        "robust_z": entry.z["entropy"],
        **{f"{criterion.name}_robust_z": entry.z[criterion.name] for criterion in CRITERIA[1:]},
        "highest_abs_z": entry.highest_abs_z,
        "flags": ";".join(dict.fromkeys(flags)),
        "reason": "; ".join(words) or _without_z(entry),
        "group": entry.group,
    }
    # The strongest reason says which measure's peaks to look at; a volume has none of its own.
    return row | _place(summary, reasons[0].measure if reasons else "predictive_entropy")


def _without_z(entry: _Entry) -> str:
    if entry.value is None:
        return "no voxel has a predictive entropy"
    value = f"{_written(entry.value)} {entry.summary['unit']}"
    return f"predictive entropy {value}; too few samples, or too alike, to compare"


def _place(summary: Mapping[str, Any], measure: str) -> Row:
    """Where to look: the measure's peak slice of each axis, the axis with the highest of them, and its peak box."""
    prefix = f"{measure}_"
    means = {axis: summary[f"{prefix}peak_slice_{axis}_mean"] for axis in "xyz"}
    known = [axis for axis, mean in means.items() if mean is not None]
    axis = max(known, key=lambda axis: means[axis]) if known else None
    row: Row = {"measure": measure, "axis": axis, "slice": summary[f"{prefix}peak_slice_{axis}"] if axis else None}
    for name in "xyz":
        row[f"slice_{name}"] = summary[f"{prefix}peak_slice_{name}"]
        first = row[f"box_{name}"] = summary[f"{prefix}patch_max_{name}"]
        row[f"box_size_{name}"] = None if first is None else min(PATCH_EDGE, summary[f"n_voxels_{name}"] - first)
        row[f"box_{name}_mm"] = summary[f"{prefix}patch_max_{name}_mm"]
    return row
