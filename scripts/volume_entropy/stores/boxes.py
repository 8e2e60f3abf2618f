"""Boxes of an array of any number of axes, and the cells of a regular grid that they touch."""

import operator
from collections.abc import Iterator
from itertools import product
from typing import Any

Index = tuple[int, ...]
Spans = tuple[range, ...]


def spans_of(selection: Any, shape: Index) -> tuple[Spans, list[bool]]:
    """Turn an index into a range an axis, and whether the axis is dropped."""
    parts = list(selection) if isinstance(selection, tuple) else [selection]
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    place = parts.index(Ellipsis)
    parts[place : place + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    spans = []
    for part, size in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            span = range(*part.indices(size))
            if span.step != 1 or not len(span):
                raise IndexError(f"{part} of {size} is empty, or has a step")
        else:
            index = operator.index(part)
            if not -size <= index < size:
                raise IndexError(f"index {index} of an axis of {size}")
            span = range(index % size, index % size + 1)
        spans.append(span)
    return tuple(spans), [not isinstance(part, slice) for part in parts]


def cells(spans: Spans, edges: Index, within: tuple[Index, Index] | None = None) -> Iterator[Index]:
    """Walk over the cells of a grid that a box touches; only those `within` a cell, given by place and edges."""
    if within is not None:
        outer = (range(place * edge, (place + 1) * edge) for place, edge in zip(*within, strict=True))
        spans = tuple(
            range(max(span.start, limit.start), min(span.stop, limit.stop))
            for span, limit in zip(spans, outer, strict=True)
        )
    grid = (range(span.start // edge, -(-span.stop // edge)) for span, edge in zip(spans, edges, strict=True))
    return product(*grid)


def overlap(span: range, place: int, edge: int) -> tuple[slice, slice]:
    """Return what a range and a cell share: within the range, and within the cell."""
    start = place * edge
    first, last = max(span.start, start), min(span.stop, start + edge)
    return slice(first - span.start, last - span.start), slice(first - start, last - start)
