"""Scores of all samples that have a reference → `scores.csv` and `scores_cohort.csv`, with their data dictionaries."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..files import read_json, remove
from ..tables import write_table
from .blocks import ScoreSums
from .columns import class_score_columns, cohort_columns, score_columns
from .files import Pool
from .scores import SHARED, Score, scores_of

PathLike = str | os.PathLike[str]

RESAMPLES, SEED, BLOCK = 2000, 0, 100
INTERVAL = (0.025, 0.975)
# Counts of voxels are no scores.
NOT_SCORES = {"sample", *SHARED, "n_wrong_voxels", "n_floored_voxels", "n_reference_voxels"}

DESCRIPTIONS = {
    "scores": "One row a sample that could be used and has a reference, in the order of the samples table.",
    "scores_cohort": "One row a score: of all voxels of the cohort together, and over its samples.",
}


def aggregate_scores(
    scores: Sequence[PathLike], summaries: Sequence[PathLike], figure: Path, *, kind: Literal["png", "svg"]
) -> None:
    """Write `scores.csv` and `scores_cohort.csv`, with data dictionaries, and the figure beside them.

    Parameters
    ----------
    scores
        What `scoring.files.write_scores` wrote, in the order of the samples table.
    summaries
        The summaries of the same samples.
    figure
        Its folder gets the tables.
    kind
        File format of the figure.

    Raises
    ------
    ValueError
        Scores belong to another summary, or were made with other settings than the rest.
    """
    from ..figures.scores import render_cohort

    pool, found = Pool(), []
    form: tuple[str, str, list[str]] | None = None
    for path, summary in zip(scores, summaries, strict=True):
        content = read_json(path)
        made_from = read_json(summary)
        if any(content.get(key) != made_from.get(key) for key in ("recipe", "schema_version")):
            raise ValueError(f"{os.fspath(path)} does not belong to {os.fspath(summary)}; delete it and run again")
        if content["status"] != "ok":
            continue
        this = (content["kind"], content["unit"], content["classes"])
        if form is not None and form != this:
            raise ValueError(f"{os.fspath(path)} was made with other settings than the rest; run again")
        form = this
        pool.add(content.pop("counts"))
        found.append(content)
    form = form or ("softmax", "bit", [])
    folder, tasks = figure.parent, pool.tasks()
    rows = [{"sample": content["sample"], **content["scores"]} for content in found]
    _write(folder, "scores", score_columns(form[0]), rows)
    _write(folder, "scores_cohort", cohort_columns(), list(_cohort_rows(found, tasks, form[0], form[2])))
    render_cohort(tasks, form, len(found), figure, kind)
    # The page shows the one that is there.
    remove(figure.with_suffix(".svg" if kind == "png" else ".png"))


def _write(folder: Path, name: str, columns: Any, rows: list[dict[str, Any]]) -> None:
    write_table(folder, name, DESCRIPTIONS[name], columns, rows, {})


def _cohort_rows(
    ordered: Sequence[Mapping[str, Any]], tasks: Sequence[ScoreSums], kind: str, classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    if not tasks:
        return
    whole, by_class = scores_of(tasks, kind)
    for column in score_columns(kind):
        if column.name not in NOT_SCORES:
            values = [content["scores"][column.name] for content in ordered]
            yield {"score": column.name, "pooled": whole[column.name], **over_samples(values)}
    for index, name in enumerate(classes):
        for column in class_score_columns(kind):
            if column.name not in NOT_SCORES:
                values = [content["by_class"][index][column.name] for content in ordered]
                row = {"score": column.name, "class": name, "pooled": by_class[index][column.name]}
                yield {**row, **over_samples(values)}


def over_samples(values: Sequence[Score]) -> dict[str, Score]:
    """Number, mean, standard deviation and bootstrap interval of the values that exist; the order does not matter."""
    found = sorted(float(value) for value in values if value is not None)
    n = len(found)
    if n == 0:
        return {"n_samples": 0}
    mean = math.fsum(found) / n
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in found) / (n - 1)) if n > 1 else None
    low, high = _bootstrap(np.array(found)) if n > 1 else (None, None)
    return {"n_samples": n, "mean": mean, "std": spread, "ci_low": low, "ci_high": high}


def _bootstrap(values: Any) -> tuple[float, float]:
    """The percentiles of the means of samples drawn with replacement, in blocks so that memory stays small."""
    generator = np.random.default_rng(SEED)
    means = [
        values[generator.integers(values.size, size=(BLOCK, values.size))].mean(axis=1)
        for _ in range(RESAMPLES // BLOCK)
    ]
    low, high = np.quantile(np.concatenate(means), INTERVAL, method="inverted_cdf")
    return float(low), float(high)
