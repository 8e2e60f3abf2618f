"""The end of a run: a summary for the user, and the tables of what finished if jobs failed for good."""

import csv
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ..files import read_json, remove
from ..samples import Sample
from .progress import Progress

# Snakemake's log prints a message as it is, without filling in arguments: hence the f-strings.


def finish(results: str, samples: Mapping[str, Sample], progress: Progress) -> None:
    """Say what the run left and did; remove the tables of an earlier, incomplete one."""
    remove(f"{results}/incomplete")
    states = [_read(results, sample).get("status") for sample in samples]
    rejected = states.count("rejected")
    where = f", see {results}/rejected.csv" if rejected else ""
    skipped = len(samples.keys() - progress.samples)
    progress.say(
        f"{states.count('ok')} samples done, {rejected} rejected{where}; {skipped} skipped as up to date; wall time "
        f"{progress.wall_time}"
    )


def finish_images(results: str, progress: Progress) -> None:
    """Say what the run left of images that are classified."""
    used, rejected = (_count_rows(f"{results}/{name}.csv") for name in ("images", "images_rejected"))
    where = f", see {results}/images_rejected.csv" if rejected else ""
    progress.say(f"{used} rows of images measured, {rejected} images rejected{where}; wall time {progress.wall_time}")


def _count_rows(path: str) -> int:
    # Not every run is asked for the tables.
    if not Path(path).exists():
        return 0
    with open(path, encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.reader(stream)) - 1


def salvage(
    results: str,
    samples: Mapping[str, Sample],
    recipes: Mapping[str, Mapping[str, Any]],
    group: str | None,
    figure_format: Literal["png", "svg"],
    progress: Progress,
) -> None:
    """Write `failed.csv`, and the tables of the samples that are finished, to `<results>/incomplete`, anew.

    Finished are those whose summary was made by today's recipe, in this run or an earlier one: an old number next to
    new ones would be a wrong one.
    """
    from ..columns import failed_columns
    from ..scoring.tables import aggregate_scores
    from ..tables import write_table, write_tables

    def finished(sample: str, part: str = "summary") -> bool:
        return bool(_read(results, sample, part).get("recipe") == json.loads(json.dumps(recipes[sample])))

    done = [sample for sample in samples if finished(sample)]
    failed = [sample for sample in samples if sample not in set(done)]
    folder = Path(results) / "incomplete"
    remove(folder)
    rows = [{"sample": sample, "log": _last_log(sample)} for sample in failed]
    write_table(folder, "failed", "One row a sample that a failed job left unfinished.", failed_columns(), rows, {})
    summaries = [_path(results, sample) for sample in done]
    write_tables(summaries, {sample: dict(samples[sample].metadata) for sample in done}, folder, group=group)
    scored = [sample for sample in done if samples[sample].reference is not None and finished(sample, "scores")]
    if scored:
        aggregate_scores(
            [_path(results, sample, "scores") for sample in scored],
            [_path(results, sample) for sample in scored],
            folder / f"scores_cohort.{figure_format}",
            kind=figure_format,
        )
    progress.say(
        f"The run is incomplete: {len(done)} of {len(samples)} samples are finished; their tables, and failed.csv, "
        f"which names the log of each of the others, are in {folder}; wall time {progress.wall_time}",
        logging.ERROR,
    )


def _path(results: str, sample: str, part: str = "summary") -> Path:
    return Path(f"{results}/{sample}/{sample}_{part}.json")


def _read(results: str, sample: str, part: str = "summary") -> dict[str, Any]:
    try:
        return read_json(_path(results, sample, part))
    except (OSError, ValueError):
        return {}


def _last_log(sample: str) -> str:
    """The log of the last stage that the sample reached."""
    stages = ("convert", "predict", "compute_entropy", "render_qc", "render_scores")
    logs = [Path(f"logs/{stage}/{sample}.log") for stage in stages]
    return str(next((log for log in reversed(logs) if log.exists()), ""))
