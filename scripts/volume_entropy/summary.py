"""Exact sums → the scalars of a sample; every value is a ratio of integers until its last division."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .errors import SampleWarning, in_order
from .kernels.entropy import FIXED_POINT_BITS
from .kernels.sums import BOUNDARY, DOMAIN, FOREGROUND
from .measures import MAIN, PATCH_EDGE, PEAK_SLICE_MIN_SHARE, statistics_of
from .partials import (
    Integers,
    MeasureSums,
    Placed,
    RoleSums,
    SampleSums,
    assemble,
    bin_values,
    from_limbs,
)

Value = float | int | None
QUANTILES = {"median": Fraction(1, 2), "p95": Fraction(95, 100), "p99": Fraction(99, 100)}
MIN_SHARE = Fraction(str(PEAK_SLICE_MIN_SHARE))


@dataclass(frozen=True)
class Field:
    """What the summary says of a sample besides its sums.

    Attributes
    ----------
    sample
        Id.
    shape
        (z, y, x).
    affine
        (4, 4), voxel (x, y, z) → mm.
    voxel_volume_mm3
        Volume of a voxel.
    classes
        Names of classes or regions, a complemented background included.
    n_members, kind, unit, content
        As in the config.
    measures
        Those whose statistics are written.
    warnings
        What should be said of the sample.
    """

    sample: str
    shape: tuple[int, int, int]
    affine: Sequence[Sequence[float]]
    voxel_volume_mm3: float
    classes: Sequence[str]
    n_members: int
    kind: str
    unit: str
    content: str
    measures: Sequence[str]
    warnings: Sequence[SampleWarning] = ()


def summarise(field: Field, sums: SampleSums, roles: RoleSums) -> dict[str, Any]:
    """Make the summary of one sample: a flat object, but for `structures`, a list with a row a class or region.

    With a reference there is an object `scores`, too, and the rows have those of their class.

    None stands where a value does not exist: a mean over no voxel, a slice of an empty domain.
    """
    counts, measures = sums.counts, {}
    for name in field.measures:
        found = measure_statistics(sums.measures[name], roles.totals[name], roles.counts, sums, field)
        measures.update({f"{name}_{statistic.name}": found[statistic.name] for statistic in statistics_of(name)})
    structures = [structure(field, sums, index) for index in range(len(field.classes))]
    scores = {}
    if sums.scores:
        from .scoring.scores import scores_of

        scores["scores"], by_class = scores_of(sums.scores, field.kind)
        structures = [{**row, **more} for row, more in zip(structures, by_class, strict=True)]
    depth, height, width = field.shape
    return {
        "sample": field.sample,
        "status": "ok",
        "n_members": field.n_members,
        "n_classes": len(field.classes),
        "unit": field.unit,
        "kind": field.kind,
        "n_voxels": depth * height * width,
        "n_voxels_x": width,
        "n_voxels_y": height,
        "n_voxels_z": depth,
        "n_domain_voxels": counts["domain"],
        "n_foreground_voxels": _with_role(roles.counts, FOREGROUND),
        "n_boundary_voxels": _with_role(roles.counts, BOUNDARY),
        "n_interior_voxels": roles.counts[DOMAIN | FOREGROUND],
        "n_empty_voxels": counts["empty"],
        "n_invalid_voxels": counts["invalid"],
        "n_renormalised_voxels": counts["renormalised"],
        "voxel_volume_mm3": field.voxel_volume_mm3,
        "content": field.content,
        "warnings": [asdict(warning) for warning in in_order(field.warnings)],
        **measures,
        **scores,
        **(
            {"regions": [_region(field, label, row) for label, row in sorted(sums.atlas.items())]} if sums.atlas else {}
        ),
        "structures": structures,
    }


def measure_statistics(
    sums: MeasureSums, role_totals: Sequence[int], role_counts: Sequence[int], sample: SampleSums, field: Field
) -> dict[str, Value]:
    """Compute the statistics of one measure, in the order of their columns; most are None without a domain.

    Parameters
    ----------
    sums
        Of the measure.
    role_totals, role_counts
        Fixed-point totals of the measure, and voxels, by role.
    sample, field
        What the measures share.
    """
    n = sample.counts["domain"]
    total = Fraction(sums.total, 1 << FIXED_POINT_BITS)
    variance = _ratio(n * sums.domain_squares - sums.domain_total**2, n * n << 2 * FIXED_POINT_BITS)
    return {
        "total": float(total),
        "total_mm3": float(total * Fraction(field.voxel_volume_mm3)),
        "domain_total": mean_of(sums.domain_total, 1),
        "mean": mean_of(sums.domain_total, n),
        "std": None if variance is None else math.sqrt(variance),
        **{name: quantile(sums.bins, sums.counts, level) for name, level in QUANTILES.items()},
        "max": sums.maximum if n else None,
        "foreground_mean": mean_of(_with_role(role_totals, FOREGROUND), _with_role(role_counts, FOREGROUND)),
        "fraction_high": _ratio(sums.n_high, n),
        "boundary_mean": mean_of(_with_role(role_totals, BOUNDARY), _with_role(role_counts, BOUNDARY)),
        "interior_mean": mean_of(role_totals[DOMAIN | FOREGROUND], role_counts[DOMAIN | FOREGROUND]),
        **_patch(sums.patches, field, empty=n == 0),
        **_slices(sums, sample, field),
    }


def structure(field: Field, sums: SampleSums, index: int) -> dict[str, str | Value]:
    """Make one row of `classes.csv` without its sample; a mean, overlap or variation of nothing is None.

    Source of the member statistics: Roy et al. 2019, NeuroImage 195.
    """
    n, volume = sums.class_voxels[index], Fraction(field.voxel_volume_mm3)
    row: dict[str, str | Value] = {
        "class": field.classes[index],
        "n_voxels": n,
        "volume_mm3": float(n * volume),
        "expected_volume_mm3": float(Fraction(sums.expected_voxels[index], 1 << FIXED_POINT_BITS) * volume),
    }
    for name in MAIN:
        if name in sums.measures:
            row[f"{name}_mean"] = mean_of(sums.measures[name].class_totals[index], n)
    members = sums.members
    if members is not None:
        row["volume_cv"] = variation([int(count) for count in members.voxels[:, index]])
        row["iou"] = _ratio(int(members.intersection[index]), int(members.union[index]))
        row["pairwise_dice"] = mean_dice(members.voxels[:, index], members.pairs[index])
    return row


def _region(field: Field, label: int, row: Sequence[int]) -> dict[str, Value]:
    """Make one row of `regions.csv` without its sample."""
    n, *totals = row
    means = {f"{name}_mean": mean_of(total, n) for name, total in zip(MAIN, totals, strict=False)}
    return {"label": label, "n_voxels": n, "volume_mm3": float(n * Fraction(field.voxel_volume_mm3)), **means}


def quantile(bins: Integers, counts: Integers, level: Fraction) -> float | None:
    """Invert the CDF of a histogram: the lower edge of the bin that holds the ceil(level · n)-th smallest value."""
    n = int(counts.sum())
    if n == 0:
        return None
    rank = math.ceil(level * n)
    index = int(np.searchsorted(np.cumsum(counts), rank))
    return float(bin_values(bins[index : index + 1])[0])


def variation(volumes: Sequence[int]) -> float | None:
    """Divide the standard deviation (ddof 0) of integers by their mean; None if all are 0."""
    n, total = len(volumes), sum(volumes)
    variance = _ratio(n * sum(volume * volume for volume in volumes) - total * total, total * total)
    return None if variance is None else math.sqrt(variance)


def mean_dice(voxels: Integers, pairs: Integers) -> float | None:
    """Average the Dice coefficient over the pairs of members of which one at least has the structure.

    Parameters
    ----------
    voxels
        (member,) voxels of the structure.
    pairs
        (member, member) voxels of the intersection, where m < m'.
    """
    scores = [
        Fraction(2 * int(pairs[m, other]), int(voxels[m] + voxels[other]))
        for m in range(len(voxels))
        for other in range(m + 1, len(voxels))
        if voxels[m] + voxels[other] > 0
    ]
    return float(sum(scores) / len(scores)) if scores else None


def mean_of(total: int, n: int) -> float | None:
    """Divide a fixed-point total by n voxels, rounded once; None if n is 0."""
    return _ratio(total, n << FIXED_POINT_BITS)


def _ratio(numerator: int, denominator: int) -> float | None:
    # Python divides integers of any size with one correct rounding.
    return numerator / denominator if denominator else None


def _with_role(values: Sequence[int], role: int) -> int:
    """Sum up all roles that include `role`."""
    return sum(value for code, value in enumerate(values) if code & role)


def _patch(parts: Sequence[Placed], field: Field, *, empty: bool) -> dict[str, Value]:
    """Find the box with the highest domain sum over its voxels, its first voxel, and its centre in mm."""
    names = ["patch_max", *(f"patch_max_{axis}" for axis in "xyz"), *(f"patch_max_{axis}_mm" for axis in "xyz")]
    if empty:
        return dict.fromkeys(names)
    boxes = [-(-n // PATCH_EDGE) for n in field.shape]
    sums = assemble(parts, tuple(boxes))
    starts = (PATCH_EDGE * np.arange(n) for n in boxes)
    z, y, x = (np.minimum(PATCH_EDGE, n - start) for n, start in zip(field.shape, starts, strict=True))
    voxels = z[:, None, None] * y[:, None] * x
    # Sums and voxels of the few box sizes are compared as integers, so that ties are ties.
    fullest = [int(np.argmax(np.where(voxels == size, sums, -1))) for size in np.unique(voxels)]
    highest, flat = min((-Fraction(int(sums.flat[box]), int(voxels.flat[box])), box) for box in fullest)
    place = np.unravel_index(flat, sums.shape)
    first = [int(index) * PATCH_EDGE for index in place][::-1]
    middle = [start + (min(PATCH_EDGE, n - start) - 1) / 2 for start, n in zip(first, field.shape[::-1], strict=True)]
    centre = [sum(a * v for a, v in zip(row, [*middle, 1.0], strict=True)) for row in field.affine[:3]]
    return dict(zip(names, [mean_of(-highest.numerator, highest.denominator), *first, *centre], strict=True))


def _slices(sums: MeasureSums, sample: SampleSums, field: Field) -> dict[str, Value]:
    """Find along x, y and z the slice with the highest domain mean, the first of equals, and that mean."""
    out: dict[str, Value] = {}
    for axis, name in ((2, "x"), (1, "y"), (0, "z")):
        n = field.shape[axis]
        voxels = [int(count) for count in assemble(sample.slice_counts[axis], (n,))]
        totals = from_limbs(assemble(sums.slices[axis], (n, 2)))
        needed = max(1, math.ceil(MIN_SHARE * max(voxels)))
        means = {i: Fraction(totals[i], voxels[i]) for i in range(n) if voxels[i] >= needed}
        peak = max(means, key=means.__getitem__) if means else None
        out[f"peak_slice_{name}"] = peak
        out[f"peak_slice_{name}_mean"] = None if peak is None else mean_of(totals[peak], voxels[peak])
    return out
