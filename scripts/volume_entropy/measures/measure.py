"""What a measure is: one object, from which schema, tables, maps, figures, methods text, docs and tests are written.

Light to import: no numpy, no numba. A kernel is named here, and loaded where a block is computed.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

Kind = Literal["softmax", "regions"]
Unit = Literal["bit", "nat"]
# What one bit is in each unit: a quantity in bit times this is one in that unit.
ONE_BIT = {"bit": 1.0, "nat": math.log(2.0)}

# What of a block a measure is made from.
#   entropy  it is the entropy of the mean probabilities, which every block gives
#   split    a part of that entropy, or the spread, which the kernels of members give with it (`kernels.members.Split`)
#   pairs    what `kernels.divergence` adds up member by member
#   mode     how often the most frequent label is said (`kernels.agreement`)
#   mean     a kernel of its own fills it from the mean probabilities
Origin = Literal["entropy", "split", "pairs", "mode", "mean"]


@dataclass(frozen=True)
class Bound:
    """The highest value of a measure.

    Attributes
    ----------
    text
        As a formula.
    most
        The same of the number of classes (or regions) and of members; in bit where the measure is an entropy.
    measure
        The measure of which no voxel has less, if it is one.
    """

    text: str
    most: Callable[[int, float], float]
    measure: str | None = None


@dataclass(frozen=True)
class Form:
    """A measure of one kind of probabilities.

    Attributes
    ----------
    definition
        P is the probability averaged over the members, p that of one member, c a class, r a region.
    bound
        None: no upper end.
    origin
        What it is made from.
    kernel
        Of origin `mean`: `<module of kernels>.<function>`, called as `kernel(rows, complement, entropy, settings,
        out)`. `rows` are the mean probabilities (class, voxel) before their sum is divided out, of which `complement`
        says that class 0 is missing, max(0, 1 - Σp); of regions the means of p of all and then of 1 - p of all.
        `entropy` (voxel,) is predictive entropy, NaN where the voxel is invalid; `out` (voxel,) is to be filled: NaN
        there too, 0 where there are no probabilities.
    """

    definition: str
    bound: Bound | None
    origin: Origin
    kernel: str = ""

    @property
    def range(self) -> str:
        """The range as text."""
        return "≥ 0" if self.bound is None else f"0 … {self.bound.text}"

    def load(self) -> Callable[..., Any]:
        """Import the kernel, and numba with it."""
        module, function = self.kernel.split(".")
        kernel: Callable[..., Any] = getattr(import_module(f"..kernels.{module}", __package__), function)
        return kernel


@dataclass(frozen=True)
class Measure:
    """One uncertainty value per voxel, written as one map.

    Attributes
    ----------
    name, symbol
        The symbol is ASCII, of at most 15 characters: NIfTI headers hold no other.
    unit
        `entropy` (the configured bit or nat), or `1`.
    source
        Whose definition it is, as it stands beside numbers.
    good_for
        What it tells, and where another measure tells more.
    colour
        Six hexadecimal digits, RGB: its channel of an OME-Zarr image. Light, since viewers add channels up on black.
    softmax, regions
        What it is for each kind of probabilities; None: it is not written for that kind.
    references
        The works behind it, in full.
    of_one_member
        What it is with one member, where that is known beforehand: such a measure is written where there are several.
    scale
        The share of its range at which the colours of a figure end.
    accuracy, relative_accuracy
        How far from float64 arithmetic on the same input a voxel may be (entropies: in bit), and what may be added, as
        a share of the value.
    """

    name: str
    symbol: str
    unit: Literal["entropy", "1"]
    source: str
    good_for: str
    colour: str
    softmax: Form
    regions: Form | None
    references: tuple[str, ...] = ()
    of_one_member: Literal["predictive_entropy", "0"] | None = None
    scale: float = 1.0
    accuracy: float = 1e-6
    relative_accuracy: float = 0.0

    @property
    def words(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    @property
    def suffix(self) -> str:
        """The name in camelCase, as in `sub-01_desc-predictiveEntropy_map.nii.gz`."""
        first, *rest = self.name.split("_")
        return first + "".join(word.capitalize() for word in rest)

    @property
    def needs_members(self) -> bool:
        """Whether it is written only where there are several members."""
        return self.of_one_member is not None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of probabilities that it is written for."""
        return ("softmax",) if self.regions is None else ("softmax", "regions")

    def form(self, kind: str) -> Form:
        """Give what it is for probabilities of this kind.

        Raises
        ------
        ValueError
            It is not written for them.
        """
        form = self.regions if kind == "regions" else self.softmax
        if form is None:
            raise ValueError(f"{self.name} is not defined for kind {kind}")
        return form

    def unit_in(self, unit: str) -> str:
        """Give the unit as text, where entropies are in `unit`."""
        return unit if self.unit == "entropy" else self.unit

    def highest(self, kind: str, unit: str, n_classes: int, n_members: float) -> float:
        """Give the upper end of its range, where entropies are in `unit`; 0 where it has none."""
        bound = self.form(kind).bound
        if bound is None:
            return 0.0
        return bound.most(n_classes, n_members) * (ONE_BIT[unit] if self.unit == "entropy" else 1.0)
