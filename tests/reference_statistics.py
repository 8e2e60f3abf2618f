"""Slow, obvious twins of the sums and statistics of a sample, in float64, written from the definitions alone."""

import itertools
import math

import numpy as np
from scipy.special import xlogy

NEIGHBOURS = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
EDGE = 10


def nothing(segmentation):
    """The label of a voxel without a prediction."""
    return np.iinfo(segmentation.dtype).max


def domain(segmentation, mask=None):
    first = segmentation if segmentation.ndim == 3 else segmentation[0]
    inside = first != nothing(segmentation)
    return inside if mask is None else inside & mask


def differs_from_neighbour(labels):
    """Voxels of one label volume of which a 6-neighbour has another label; no label differs from none."""
    none = nothing(labels)
    padded = np.pad(labels, 1, constant_values=none)
    out = np.zeros(labels.shape, bool)
    for z, y, x in itertools.product(*map(range, labels.shape)):
        here = labels[z, y, x]
        others = [padded[z + 1 + dz, y + 1 + dy, x + 1 + dx] for dz, dy, dx in NEIGHBOURS]
        out[z, y, x] = here != none and any(other not in (here, none) for other in others)
    return out


def boundary(segmentation, mask=None):
    if segmentation.ndim == 3:
        return differs_from_neighbour(segmentation) & domain(segmentation, mask)
    return np.any([differs_from_neighbour(region) for region in segmentation], axis=0) & domain(segmentation, mask)


def foreground(segmentation, background, mask=None):
    if segmentation.ndim == 4:
        return (segmentation == 1).any(axis=0) & domain(segmentation, mask)
    inside = domain(segmentation, mask)
    return inside if background is None else inside & (segmentation != background)


def mean(values):
    return float(np.mean(values)) if values.size else None


def patches(values, inside):
    """Domain sum over box voxels, by first voxel of the box, in z, y, x order."""
    out = {}
    values = np.where(inside, values, 0)
    for corner in itertools.product(*(range(0, n, EDGE) for n in values.shape)):
        box = values[tuple(slice(first, first + EDGE) for first in corner)]
        out[corner] = float(box.sum() / box.size)
    return out


def slice_means(values, inside, axis):
    """Domain mean of every slice with at least 5 % of the domain voxels of the largest."""
    voxels = [int(np.count_nonzero(inside.take(i, axis))) for i in range(values.shape[axis])]
    return {
        i: float(values.take(i, axis)[inside.take(i, axis)].mean())
        for i, n in enumerate(voxels)
        if n > 0 and n >= max(voxels) / 20
    }


def statistics(values, segmentation, *, mask=None, background=None, voxel_volume=1.0, threshold=0.5):
    """All statistics of one measure; quantiles are exact here, and slices and boxes are given as dicts."""
    values = values.astype(np.float64)
    inside, border, front = (
        domain(segmentation, mask),
        boundary(segmentation, mask),
        foreground(segmentation, background, mask),
    )
    chosen = values[inside]
    total = math.fsum(values[np.isfinite(values)])
    some = chosen.size > 0
    return {
        "total": total,
        "total_mm3": total * voxel_volume,
        "domain_total": math.fsum(chosen),
        "mean": mean(chosen),
        "std": float(np.std(chosen)) if some else None,
        "median": float(np.quantile(chosen, 0.5, method="inverted_cdf")) if some else None,
        "p95": float(np.quantile(chosen, 0.95, method="inverted_cdf")) if some else None,
        "p99": float(np.quantile(chosen, 0.99, method="inverted_cdf")) if some else None,
        "max": float(chosen.max()) if some else None,
        "fraction_high": float(np.mean(chosen > threshold)) if some else None,
        "foreground_mean": mean(values[front]),
        "boundary_mean": mean(values[border]),
        "interior_mean": mean(values[front & ~border]),
    }


def pairwise_dice(labels, index):
    """Mean Dice of one class over pairs of members of which one has it; `labels` (M, …)."""
    scores = []
    for one, other in itertools.combinations(labels, 2):
        a, b = one == index, other == index
        if a.any() or b.any():
            scores.append(2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)))
    return float(np.mean(scores)) if scores else None


def iou(labels, index):
    union = np.any(labels == index, axis=0).sum()
    return float(np.all(labels == index, axis=0).sum() / union) if union else None


def volume_cv(labels, index):
    volumes = [np.count_nonzero(member == index) for member in labels]
    return float(np.std(volumes) / np.mean(volumes)) if any(volumes) else None


def plogp(p):
    return xlogy(p, p) / math.log(2)


def softmax_entropy(p):
    """(class, …) → bit."""
    return -plogp(p / p.sum(axis=0)).sum(axis=0)


def region_entropy(p):
    return -(plogp(p) + plogp(1 - p)).sum(axis=0)


def oracle(sample):
    """Maps, segmentation and member labels of a sample without invalid voxels, in float64."""
    p = sample.p.astype(np.float64)
    if sample.complement:
        p = np.concatenate([np.maximum(0, 1 - p.sum(axis=1, keepdims=True)), p], axis=1)
    sums = p.sum(axis=1, keepdims=True)
    empty = (sums[:, 0] == 0).all(axis=0) & (sample.kind == "softmax")
    if sample.kind == "softmax":
        p = np.divide(p, sums, out=np.full_like(p, 1 / p.shape[1]), where=sums > 0)
    entropy = softmax_entropy if sample.kind == "softmax" else region_entropy
    mean = p.mean(axis=0)
    maps = {"predictive_entropy": entropy(mean)}
    maps["mutual_information"] = np.maximum(
        maps["predictive_entropy"] - np.mean([entropy(member) for member in p], axis=0), 0
    )
    for values in maps.values():
        values[empty] = 0
    if sample.kind == "regions":
        return maps, (mean > 0.5).astype(np.uint8), (p > 0.5).astype(np.uint8), mean
    labels = p.argmax(axis=1).astype(np.uint8)
    segmentation = mean.argmax(axis=0).astype(np.uint8)
    for volume in (segmentation, *labels):
        volume[empty] = 255
    return maps, segmentation, labels, np.where(empty, 0, mean)
