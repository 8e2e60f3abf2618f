"""Interim."""
import numpy as np
from typing import NamedTuple
from .compilation import inlined, kernel
from .kernels import *  # noqa
from .kernels import NOT_FINITE, NEGATIVE, ABOVE_ONE, BAD_SUM, EMPTY, FILLED, RENORMALISED, INVALID, FIXED_POINT_BITS
class Limits(NamedTuple):
    value_low: float
    value_high: float
    sum_low: float
    sum_high: float
    renormalised: float
@inlined
def check(p, v, complement, softmax, limits, q, extremes):
    status = 0
    total = 0.0
    offset = 1 if complement else 0
    for c in range(p.shape[0]):
        x = float(p[c, v])
        if not np.isfinite(x):
            status |= NOT_FINITE
            x = 0.0
        else:
            extremes[0] = min(extremes[0], x)
            extremes[1] = max(extremes[1], x)
        if x < limits.value_low:
            status |= NEGATIVE
        if x > limits.value_high:
            status |= ABOVE_ONE
        x = max(x, 0.0)
        q[c + offset] = x
        total += x
    if not softmax:
        for c in range(p.shape[0]):
            q[c] = min(q[c], 1.0)
        return status | FILLED
    if total > 0:
        extremes[2] = min(extremes[2], total)
        extremes[3] = max(extremes[3], total)
    if abs(total - 1.0) > limits.renormalised and total > 0:
        status |= RENORMALISED
    if complement:
        q[0] = max(0.0, 1.0 - total)
        if total > limits.sum_high:
            status |= BAD_SUM
        total = max(1.0, total)
    elif total == 0:
        return status | EMPTY
    elif not (limits.sum_low <= total <= limits.sum_high):
        status |= BAD_SUM
    for c in range(q.size):
        q[c] /= total
    return status | FILLED
@inlined
def plogp(x):
    return x * np.log2(x) if x > 0 else 0.0
@inlined
def entropy_of(q, softmax):
    h = 0.0
    for c in range(q.size):
        h -= plogp(q[c])
        if not softmax:
            h -= plogp(1.0 - q[c])
    return h
@kernel
def simple_add_member(p, member, n_classes, complement, softmax, limits, bits, first, shift, entropy, entropy_shift, squares,
               log_shift, cross, votes, status, extremes):
    q = np.zeros(n_classes)
    slots = 32 // bits
    for v in range(p.shape[1]):
        status[v] |= check(p, v, complement, softmax, limits, q, extremes)
        h = entropy_of(q, softmax)
        if member == 0:
            entropy[v] = h
        entropy_shift[v] += h - entropy[v]
        best = 0
        for c in range(n_classes):
            if q[c] > q[best]:
                best = c
            if member == 0:
                first[c, v] = q[c]
            d = q[c] - first[c, v]
            shift[c, v] += d
            if squares.size > 0:
                squares[v] += d * d
            if cross.size > 0:
                log_d = np.log2(max(q[c], 1e-7)) - np.log2(max(first[c, v], 1e-7))
                log_shift[c, v] += log_d
                cross[v] += d * log_d
            if not softmax and q[c] > 0.5:
                votes[c, member // 32, v] |= np.uint32(1 << (member % 32))
        if softmax:
            votes[0, member // slots, v] |= np.uint32(best << (bits * (member % slots)))
@kernel
def simple_mean_measures(first, shift, n_members, softmax, status, mask, segmentation, nothing, entropy, largest, second, expected):
    n_classes = first.shape[0]
    q = np.zeros(n_classes)
    for v in range(first.shape[1]):
        s = status[v]
        if s & EMPTY and s & FILLED:
            status[v] |= BAD_SUM
            s = status[v]
        if s & INVALID or s & EMPTY:
            entropy[v] = np.nan if s & INVALID else 0.0
            for c in range(segmentation.shape[0]):
                segmentation[c, v] = nothing
            largest[v] = 0.0
            second[v] = 0.0
            continue
        best = 0
        for c in range(n_classes):
            q[c] = first[c, v] + shift[c, v] / n_members
            if q[c] > q[best]:
                best = c
        entropy[v] = entropy_of(q, softmax)
        largest[v] = q[best]
        runner = 0.0
        for c in range(n_classes):
            if c != best:
                runner = max(runner, q[c])
            if mask[v]:
                expected[c] += np.int64(np.rint(q[c] * 2.0**30)) * 1024
            if not softmax:
                segmentation[c, v] = q[c] > 0.5
        second[v] = runner
        if softmax:
            segmentation[0, v] = best
@kernel
def simple_agreement(votes, bits, n_members, domain, softmax, member_voxels, intersection, union, pairs, mode):
    slots = 32 // bits
    low = np.uint32((1 << bits) - 1)
    label = np.zeros(n_members, np.int64)
    count = np.zeros(member_voxels.shape[1], np.int64)
    for r in range(votes.shape[0]):
        for v in range(votes.shape[2]):
            for m in range(n_members):
                label[m] = (votes[r, m // slots, v] >> np.uint32(bits * (m % slots))) & low
            if softmax:
                count[:] = 0
                for m in range(n_members):
                    count[label[m]] += 1
                mode[v] = count.max()
            if not domain[v]:
                continue
            for m in range(n_members):
                c = label[m] if softmax else r
                if not softmax and label[m] == 0:
                    continue
                member_voxels[m, c] += 1
                seen_before = False
                for k in range(m):
                    if label[k] == label[m]:
                        seen_before = True
                if not seen_before:
                    union[c] += 1
                everywhere = True
                for k in range(m + 1, n_members):
                    if label[k] == label[m]:
                        pairs[c, m, k] += 1
                for k in range(n_members):
                    everywhere = everywhere and label[k] == label[m]
                if everywhere and m == 0:
                    intersection[c] += 1
