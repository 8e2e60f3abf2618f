"""Measures: what each is, what a sample's scalars of it are, and which are written."""

from .choice import ALWAYS, ALWAYS_WITH_MEMBERS, MAIN, default_measures, summarised_measures
from .measure import ONE_BIT, Bound, Form, Kind, Measure, Origin, Unit
from .statistics import (
    PATCH_EDGE,
    PEAK_SLICE_MIN_SHARE,
    SCHEMA_VERSION,
    STATISTICS,
    Statistic,
    statistic_keys,
    statistics_of,
)
from .table import MEASURES

__all__ = [
    "ALWAYS",
    "ALWAYS_WITH_MEMBERS",
    "MAIN",
    "MEASURES",
    "ONE_BIT",
    "PATCH_EDGE",
    "PEAK_SLICE_MIN_SHARE",
    "SCHEMA_VERSION",
    "STATISTICS",
    "Bound",
    "Form",
    "Kind",
    "Measure",
    "Origin",
    "Statistic",
    "Unit",
    "default_measures",
    "statistic_keys",
    "statistics_of",
    "summarised_measures",
]
