"""The owner of axes, dtypes and checks around the kernels: the measures of one block, its members streamed."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import simple_kernels as kernels
from .simple_kernels import ABOVE_ONE, BAD_SUM, EMPTY, INVALID, NEGATIVE, NOT_FINITE, RENORMALISED

SUM_SLACK = 1e-6
NEGATIVE_TOLERANCE = 0.01


@dataclass
class BlockResult:
    """Maps, segmentation and exact counts of one block."""

    maps: dict[str, NDArray[np.float32]]
    segmentation: NDArray[np.uint8] | NDArray[np.uint16]
    n_empty: int
    n_invalid: int
    n_renormalised: int
    n_nan: int
    n_negative: int
    n_above_one: int
    n_bad_sum: int
    minimum: float
    maximum: float
    sum_minimum: float
    sum_maximum: float
    expected_voxels: list[int]
    member_voxels: NDArray[np.int64] | None
    intersection: NDArray[np.int64] | None
    union: NDArray[np.int64] | None
    pair_intersection: NDArray[np.int64] | None
    n_not_binary: int


class BlockMeasures:
    """Streams the members of one block through the kernels."""

    def __init__(self, shape: tuple[int, int, int], *, n_members: int, n_classes: int, kind: str, complement: bool,
                 sum_tolerance: float | None, quantum: float, unit: str, measures: tuple[str, ...]) -> None:
        self.shape, self.n_members, self.n_classes = shape, n_members, n_classes
        self.softmax, self.complement, self.measures = kind == "softmax", complement, measures
        self.scale = 1.0 if unit == "bit" else math.log(2.0)
        n = math.prod(shape)
        rounding = n_classes / 2 * quantum
        if sum_tolerance is None:
            low = max(NEGATIVE_TOLERANCE, rounding)
            high = 1 + low if kind == "regions" else math.inf
            self.limits = kernels.Limits(-low - SUM_SLACK, high, 0.0, math.inf, 1e-6 * n_classes)
        else:
            tol = max(sum_tolerance, rounding) + SUM_SLACK
            self.limits = kernels.Limits(-tol, 1 + tol, 1 - tol, 1 + tol, 1e-6 * n_classes)
        self.bits = max(1, (n_classes - 1).bit_length()) if self.softmax else 1
        words = -(-n_members // (32 // self.bits))
        f8 = np.float64
        self.first, self.shift = np.zeros((n_classes, n), f8), np.zeros((n_classes, n), f8)
        self.entropy, self.entropy_shift = np.zeros(n, f8), np.zeros(n, f8)
        self.squares = np.zeros(n if "variance" in measures else 0, f8)
        epkl = "expected_pairwise_kl" in measures
        self.log_shift = np.zeros((n_classes, n if epkl else 0), f8)
        self.cross = np.zeros(n if epkl else 0, f8)
        self.votes = np.zeros((1 if self.softmax else n_classes, words, n), np.uint32)
        self.status = np.zeros(n, np.uint8)
        self.extremes = np.array([math.inf, -math.inf, math.inf, -math.inf])
        self.member = 0
        self.n_not_binary = 0

    def add(self, p: NDArray[np.float32] | NDArray[np.float16]) -> None:
        """Add the next member, (stored class, z, y, x)."""
        expected = (self.n_classes - self.complement, *self.shape)
        if p.shape != expected:
            raise ValueError(f"member {self.member} has shape {p.shape}, expected {expected}")
        if self.member >= self.n_members:
            raise ValueError(f"more than {self.n_members} members")
        p = np.ascontiguousarray(p, dtype=np.float32).reshape(expected[0], -1)
        if self.n_classes == 1:
            self.n_not_binary += int(np.count_nonzero((p != 0) & (p != 1)))
        kernels.simple_add_member(p, self.member, self.n_classes, self.complement, self.softmax, self.limits, self.bits,
                           self.first, self.shift, self.entropy, self.entropy_shift, self.squares, self.log_shift,
                           self.cross, self.votes, self.status, self.extremes)
        self.member += 1

    def finish(self, mask: NDArray[np.bool_] | None = None) -> BlockResult:
        """Measures and counts; the mask (z, y, x) narrows the domain of the counts."""
        if self.member != self.n_members:
            raise ValueError(f"{self.member} members were added, expected {self.n_members}")
        n, m = math.prod(self.shape), self.n_members
        flat = np.ones(n, bool) if mask is None else np.ascontiguousarray(mask, dtype=bool).reshape(-1)
        wide = self.softmax and self.n_classes > 254
        seg = np.zeros((1 if self.softmax else self.n_classes, n), np.uint16 if wide else np.uint8)
        pe, largest, second = np.zeros(n), np.zeros(n), np.zeros(n)
        expected = np.zeros(self.n_classes, np.int64)
        kernels.simple_mean_measures(self.first, self.shift, m, self.softmax, self.status, flat, seg,
                              65535 if wide else 255, pe, largest, second, expected)
        invalid, empty = (self.status & INVALID) != 0, (self.status & (INVALID | EMPTY)) == EMPTY
        domain = flat & ~invalid & ~empty
        counts: list[NDArray[np.int64] | None] = [None] * 4
        mode = np.full(n, m)
        if m > 1:
            c = self.n_classes
            arrays = [np.zeros(s, np.int64) for s in ((m, c), (c,), (c,), (c, m, m))]
            kernels.simple_agreement(self.votes, self.bits, m, domain, self.softmax, *arrays, mode)
            counts = list(arrays)
        ee = self.entropy + self.entropy_shift / m
        top = math.log2(self.n_classes) if self.softmax else self.n_classes
        mean = self.shift / m
        formulas = {
            "predictive_entropy": lambda: pe * self.scale,
            "expected_entropy": lambda: ee * self.scale,
            "mutual_information": lambda: np.maximum(pe - ee, 0) * self.scale,
            "variance": lambda: np.maximum(self.squares / m - (mean**2).sum(0), 0),
            "expected_pairwise_kl": lambda: np.maximum(
                self.cross / m - (mean * self.log_shift / m).sum(0), 0) * self.scale,
            "least_confidence": lambda: 1 - largest,
            "margin": lambda: 1 - (largest - second),
            "variation_ratio": lambda: 1 - mode / m,
            "normalized_entropy": lambda: pe / top if top else pe,
        }
        maps = {}
        for name in self.measures:
            values = formulas[name]().astype(np.float32)
            values[empty] = 0
            values[invalid] = np.nan
            maps[name] = values.reshape(self.shape)
        low, high, sum_low, sum_high = (float(x) if math.isfinite(x) else math.nan for x in self.extremes)
        count = lambda bit: int(np.count_nonzero(self.status & bit))  # noqa: E731
        renormalised = ((self.status & RENORMALISED) != 0) & ~invalid & ~empty
        shape = self.shape if self.softmax else (self.n_classes, *self.shape)
        return BlockResult(maps, seg.reshape(shape), int(empty.sum()), int(invalid.sum()), int(renormalised.sum()),
                           count(NOT_FINITE), count(NEGATIVE), count(ABOVE_ONE), count(BAD_SUM), low, high, sum_low,
                           sum_high, [int(x) for x in expected], *counts, self.n_not_binary)
