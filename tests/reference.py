"""Slow, obvious twins of the kernels: float64 numpy, written from the definitions, one member after another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# float32 rounding of stored values must not decide what is valid.
SLACK = 1e-6


def xlog2x(x: NDArray[Any]) -> NDArray[np.float64]:
    """x log2 x, 0 where x is 0."""
    x = np.asarray(x, np.float64)
    return np.where(x > 0, x * np.log2(np.where(x > 0, x, 1)), 0.0)


def class_entropy(q: NDArray[Any], axis: int = 0) -> NDArray[np.float64]:
    """Entropy in bit of probabilities that sum to 1 along `axis`."""
    return -xlog2x(q).sum(axis=axis)


def region_entropy(q: NDArray[Any], axis: int = 0) -> NDArray[np.float64]:
    """Sum over regions of the entropies in bit of independent coins."""
    q = np.asarray(q, np.float64)
    return -(xlog2x(q) + xlog2x(1 - q)).sum(axis=axis)


def tutorial_entropy(p: NDArray[Any]) -> NDArray[np.float64]:
    """The formula of the tutorials, in float64: the sum is divided out, an epsilon keeps the logarithm finite."""
    q = np.asarray(p, np.float64) / np.asarray(p, np.float64).sum(axis=0)
    return -(q * np.log2(q + 1e-12)).sum(axis=0)


@dataclass
class Checked:
    """One member: its normalised probabilities (class, …) and what its voxels are."""

    q: NDArray[np.float64]
    empty: NDArray[np.bool_]
    not_finite: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    above_one: NDArray[np.bool_]
    bad_sum: NDArray[np.bool_]
    excess: NDArray[np.float64]  # how much further than 1e-6 · C the sum is from 1; above 0: renormalised

    @property
    def invalid(self) -> NDArray[np.bool_]:
        return self.not_finite | self.negative | self.above_one | self.bad_sum


def check_member(
    p: NDArray[Any],
    *,
    kind: str = "softmax",
    complement: bool = False,
    sum_tolerance: float | None = 0.01,
    quantum: float = 0.0,
) -> Checked:
    """Normalise one member, (stored class, …), and say which of its voxels hold probabilities."""
    p = np.asarray(p, np.float64)
    n_classes = p.shape[0] + complement
    tolerance = max(0.01 if sum_tolerance is None else sum_tolerance, min(n_classes * quantum, 0.5)) + SLACK
    finite = np.isfinite(p)
    whole = finite.all(axis=0)
    clean = np.where(finite, np.maximum(p, 0), 0)
    no = np.zeros(p.shape[1:], bool)
    negative = ((p < -tolerance) & finite).any(axis=0)
    above_one = ((p > 1 + tolerance) & finite).any(axis=0)
    if kind == "regions":
        return Checked(np.minimum(clean, 1), no, ~whole, negative, above_one, no, np.full(no.shape, -1.0))
    if sum_tolerance is None:
        above_one = no
    if complement:
        clean = np.concatenate([np.maximum(1 - clean.sum(axis=0, keepdims=True), 0), clean])
    total = clean.sum(axis=0)
    off = no if sum_tolerance is None else np.abs(total - 1) > tolerance
    empty = whole & (total == 0) & ~negative & ~above_one
    bad_sum = whole & (total != 0) & off
    q = clean / np.where(total > 0, total, 1)
    excess = np.where(total > 0, np.abs(total - 1) - 1e-6 * n_classes, -1)
    return Checked(q, empty, ~whole, negative, above_one, bad_sum, excess)


def measures(q: NDArray[Any], kind: str = "softmax") -> dict[str, NDArray[np.float64]]:
    """All measures, in bit, of valid probabilities (member, class, …)."""
    q = np.asarray(q, np.float64)
    n_members, n_classes = q.shape[:2]
    mean = q.mean(axis=0)
    entropy = region_entropy if kind == "regions" else class_entropy
    predictive, expected = entropy(mean), np.mean([entropy(member) for member in q], axis=0)
    equal = (q == q[:1]).all(axis=(0, 1))
    top = float(n_classes) if kind == "regions" else np.log2(n_classes)
    result = {
        "predictive_entropy": predictive,
        "expected_entropy": expected,
        "mutual_information": np.where(equal, 0, np.maximum(predictive - expected, 0)),
        "variance": q.var(axis=0).sum(axis=0),
        "normalized_entropy": predictive / (top or 1),
    }
    if kind == "regions":
        result["renyi_entropy_2"] = -np.log2(mean**2 + (1 - mean) ** 2).sum(axis=0)
        result["tsallis_entropy_2"] = (2 * mean * (1 - mean)).sum(axis=0)
        return result
    same = (mean**2).sum(axis=0)
    result["renyi_entropy_2"] = -np.log2(np.where(same > 0, same, 1))
    result["tsallis_entropy_2"] = 1 - same
    ordered = np.sort(mean, axis=0)
    result["least_confidence"] = 1 - ordered[-1]
    result["margin"] = 1 - (ordered[-1] - (ordered[-2] if n_classes > 1 else 0))
    votes = q.argmax(axis=1)
    result["variation_ratio"] = 1 - np.max([(votes == c).sum(axis=0) for c in range(n_classes)], axis=0) / n_members
    floored = np.log2(np.maximum(q, 1e-7))
    pairs = [(q[i] * (floored[i] - floored[j])).sum(axis=0) for i in range(n_members) for j in range(n_members)]
    result["expected_pairwise_kl"] = np.maximum(np.mean(pairs, axis=0), 0)
    return result


@dataclass
class Block:
    """What `BlockMeasures` should give: exact but for the maps, and `expected`, Σ p̄ by class in voxels.

    `clear_mean` (voxel by voxel) and `clear_members` (as a whole) tell where no label hangs on the last digits;
    `n_renormalised` are bounds, since some sums do.
    """

    maps: dict[str, NDArray[np.float64]]
    segmentation: NDArray[np.int64]
    invalid: NDArray[np.bool_]
    empty: NDArray[np.bool_]
    counts: dict[str, int]
    expected: NDArray[np.float64]
    member_voxels: NDArray[np.int64]
    intersection: NDArray[np.int64]
    union: NDArray[np.int64]
    pair_intersection: NDArray[np.int64]
    clear_mean: NDArray[np.bool_]
    clear_members: bool
    n_renormalised: tuple[int, int]


def is_clear(q: NDArray[np.float64], kind: str, axis: int) -> NDArray[np.bool_]:
    """Whether the label of probabilities is beyond rounding."""
    if kind == "regions":
        return np.abs(q - 0.5) > 1e-6
    ordered = np.sort(q, axis=axis)
    return np.asarray(ordered.take(-1, axis) - (ordered.take(-2, axis) if q.shape[axis] > 1 else -1) > 1e-6)


def block(
    p: NDArray[Any],
    *,
    kind: str = "softmax",
    complement: bool = False,
    sum_tolerance: float | None = 0.01,
    quantum: float = 0.0,
    mask: NDArray[np.bool_] | None = None,
) -> Block:
    """Measures and counts of (member, stored class, z, y, x)."""
    members = [
        check_member(m, kind=kind, complement=complement, sum_tolerance=sum_tolerance, quantum=quantum) for m in p
    ]
    some_empty = np.any([m.empty for m in members], axis=0)
    all_empty = np.all([m.empty for m in members], axis=0)
    any_of = {
        name: np.any([getattr(m, name) for m in members], axis=0) for name in ("not_finite", "negative", "above_one")
    }
    filled = np.any([~m.empty & ~m.invalid for m in members], axis=0)
    bad_sum = np.any([m.bad_sum for m in members], axis=0) | (some_empty & filled)
    invalid = bad_sum | np.any([m.invalid for m in members], axis=0)
    empty = all_empty & ~invalid
    valid = ~invalid & ~empty
    # A sum in float32 is rounded by up to two steps.
    excess = np.max([m.excess for m in members], axis=0)
    n_renormalised = (int((valid & (excess > 2e-7)).sum()), int((valid & (excess > -2e-7)).sum()))
    q = np.array([m.q for m in members])
    n_members, n_classes = q.shape[:2]
    maps = {name: np.where(invalid, np.nan, np.where(empty, 0, values)) for name, values in measures(q, kind).items()}
    mean = q.mean(axis=0)
    domain = valid if mask is None else valid & mask
    if kind == "regions":
        segmentation = np.where(invalid, 255, mean > 0.5)
        says = q > 0.5
    else:
        segmentation = np.where(valid, mean.argmax(axis=0), 65535 if n_classes > 254 else 255)
        says = q.argmax(axis=1)[:, None] == np.arange(n_classes).reshape(-1, 1, 1, 1)
    says = says & domain
    pairs = np.zeros((n_classes, n_members, n_members), np.int64)
    for i in range(n_members):
        for j in range(i + 1, n_members):
            pairs[:, i, j] = (says[i] & says[j]).sum(axis=(1, 2, 3))
    counts = {
        "n_empty": empty, "n_invalid": invalid, "n_nan": any_of["not_finite"],
        "n_negative": any_of["negative"], "n_above_one": any_of["above_one"], "n_bad_sum": bad_sum,
    }  # fmt: skip
    return Block(
        maps, segmentation, invalid, empty, {name: int(flags.sum()) for name, flags in counts.items()},
        (mean * domain).sum(axis=(1, 2, 3)), says.sum(axis=(2, 3, 4)), says.all(axis=0).sum(axis=(1, 2, 3)),
        says.any(axis=0).sum(axis=(1, 2, 3)), pairs,
        is_clear(mean, kind, 0), not complement or bool(is_clear(q, kind, 1).all()), n_renormalised,
    )  # fmt: skip
