"""The counts behind the scores of a sample: kept beside its summary, so that a cohort is pooled without its volumes."""

import base64
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import Rejection
from ..files import write_text
from ..kernels.sums import N_BINS
from ..measures import SCHEMA_VERSION
from ..stores.measures import MeasureStore, require_same
from .blocks import ScoreSums

PathLike = str | os.PathLike[str]


def as_json(sums: ScoreSums) -> dict[str, Any]:
    """Counts as JSON has them, less the confusion of classes: no score is made from it.

    The histogram is base64 of the zlib stream of three rows of little-endian int64: how far each bin is from the one
    before it, right voxels, wrong voxels. As lists, the 260 000 bins of a volume that is nowhere certain are 8 MB, and
    took compute_entropy 1.5 s.
    """
    arrays = {name: getattr(sums, name).tolist() for name in ("confidence", "classwise", "filters", "steps")}
    rows = np.vstack([np.diff(sums.bins, prepend=0), sums.counts.T]).astype("<i8")
    histogram = base64.b64encode(zlib.compress(rows.tobytes(), 1)).decode()
    counts = {"n_unlisted": sums.n_unlisted, "n_ignored": sums.n_ignored, "totals": sums.totals}
    return {**counts, **arrays, "histogram": histogram}


def from_json(content: Mapping[str, Any]) -> ScoreSums:
    """What `as_json` made; sums of probabilities as Python integers, which pooling cannot overflow."""
    packed = zlib.decompress(base64.b64decode(content["histogram"]))
    steps, *counts = np.frombuffer(packed, "<i8").astype(np.int64).reshape(3, -1)
    return ScoreSums(
        content["n_unlisted"],
        content["n_ignored"],
        content["totals"],
        np.array(content["confidence"], object),
        np.array(content["classwise"], object),
        np.array(content["filters"], np.int64),
        np.array(content["steps"], np.int64),
        np.cumsum(steps),
        np.array(counts).T,
    )


def write_scores(
    output: PathLike, store: MeasureStore | Rejection, summary: Mapping[str, Any], recipe: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the counts and scores of a sample, or that it was rejected; give what was written.

    Raises
    ------
    ValueError
        The summary was made by another recipe than this.
    StoreError
        The store was not made with the summary.
    """
    recipe = json.loads(json.dumps(recipe))
    if summary["recipe"] != recipe:
        raise ValueError(f"the summary of {summary['sample']} was made with other settings or sources; run again")
    content: dict[str, Any] = {"sample": summary["sample"], "status": summary["status"], "recipe": recipe}
    content["schema_version"] = SCHEMA_VERSION
    if isinstance(store, MeasureStore):
        require_same(store, summary)
        content |= {name: store.attributes[name] for name in ("kind", "unit", "classes")}
        rows = [{key: row[key] for key in row if key != "class"} for row in summary["structures"]]
        content |= {"scores": summary["scores"], "by_class": rows, "counts": store.attributes["scores"]}
    # On one line: indented, each count would have ten bytes of blanks.
    write_text(output, json.dumps(content, allow_nan=False, ensure_ascii=False) + "\n")
    return content


class Pool:
    """Adds up the counts of samples, in any order."""

    def __init__(self) -> None:
        self._tasks: list[ScoreSums] = []
        self._histograms: list[Any] = []

    def add(self, counts: Sequence[Mapping[str, Any]]) -> None:
        """Add a sample: one object a task."""
        tasks = [from_json(content) for content in counts]
        if not self._tasks:
            self._histograms = [np.zeros((N_BINS, 2), np.int64) for _ in tasks]
        for histogram, task in zip(self._histograms, tasks, strict=True):
            histogram[task.bins] += task.counts
            # The histogram is added above: merging two lists of bins for each of ten thousand samples takes a minute.
            task.bins, task.counts = task.bins[:0], task.counts[:0]
        self._tasks = [a + b for a, b in zip(self._tasks, tasks, strict=True)] if self._tasks else tasks

    def tasks(self) -> list[ScoreSums]:
        """Sums of all samples; empty if there is none."""
        for histogram, task in zip(self._histograms, self._tasks, strict=True):
            task.bins = np.flatnonzero(histogram.sum(axis=1))
            task.counts = histogram[task.bins]
        return self._tasks
