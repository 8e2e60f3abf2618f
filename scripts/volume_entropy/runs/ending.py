"""The end of a run: a summary for the user, and the tables of what finished if jobs failed for good."""

import csv
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..files import read_json, remove
from ..samples import Sample
from ..warned import count_warnings
from . import preflight
from .progress import Progress

# Snakemake's log prints a message as it is, without filling in arguments: hence the f-strings.

# Codes that have a line at the end of a run, and letters of the message in it: the tables have all of it.
MOST_CODES, MOST_LETTERS = 5, 240


def finish(results: str, samples: Mapping[str, Sample], progress: Progress) -> str | None:
    """Say what the run left and did; remove the tables of an earlier, incomplete one.

    Returns
    -------
    str or None
        Why it must not end well: no sample could be used.
    """
    remove(f"{results}/incomplete")
    found = [_read(results, sample) for sample in samples]
    usable, rejected = (
        [summary for summary in found if summary.get("status") == state] for state in ("ok", "rejected")
    )
    where = f", see {results}/rejected.csv" if rejected else ""
    skipped = len(samples.keys() - progress.samples)
    progress.say(
        f"{len(usable)} samples done, {len(rejected)} rejected{where}; {skipped} skipped as up to date; wall time "
        f"{progress.wall_time}"
    )
    _say_rejections([(summary["code"], summary["sample"], summary["message"]) for summary in rejected], progress)
    warned = count_warnings([warning["code"] for warning in summary.get("warnings", ())] for summary in usable)
    if warned:
        counts = ", ".join(f"{n} × {code}" for code, n in sorted(warned.items(), key=lambda item: -item[1]))
        progress.say(f"Samples with a warning: {counts}; see the column warnings of {results}/subjects.csv")
    # Some may have no summary: not every run is asked for all of them.
    n_rejected = len(rejected) if len(rejected) == len(found) else 0
    return verdict("sample", len(usable), n_rejected, f"{results}/rejected.csv")


def finish_images(results: str, progress: Progress) -> str | None:
    """Say what the run left of images that are classified; give why it must not end well: none could be used."""
    table = f"{results}/images_rejected.csv"
    used, rejected = count_rows(f"{results}/images.csv"), _rows(table)
    where = f", see {table}" if rejected else ""
    progress.say(
        f"{used} rows of images measured, {len(rejected)} images rejected{where}; wall time {progress.wall_time}"
    )
    _say_rejections([(row["code"], row["image"], row["message"]) for row in rejected], progress)
    return verdict("image", used, len(rejected), table)


def name_page(results: str, progress: Progress) -> None:
    """Say where the page lies that people open."""
    page = Path(results, "report.html")
    if page.exists():
        progress.say(f"The report is {page.absolute()}")


def none_usable(results: str, samples: Mapping[str, Sample]) -> bool:
    """Whether every sample has a summary that rejects it; usually the first one tells that it is not so."""
    return bool(samples) and all(_read(results, sample).get("status") == "rejected" for sample in samples)


def no_image_usable(results: str) -> bool:
    """Whether there are tables of images, in which every image is rejected."""
    return count_rows(f"{results}/images_rejected.csv") > 0 == count_rows(f"{results}/images.csv")


def verdict(what: str, n_usable: int, n_rejected: int, table: str, *, strict: bool = False) -> str | None:
    """Say why a run must not end well, if so: nothing could be used, or `strict` and something was rejected."""
    if n_rejected and not n_usable:
        return f"No {what} could be used: all {n_rejected} were rejected; {table} says why, and what to do."
    return (
        f"on_rejected is `fail`, and {n_rejected} {what}s were rejected; see {table}" if n_rejected and strict else None
    )


def _say_rejections(rejected: Sequence[tuple[str, str, str]], progress: Progress) -> None:
    """Say how many have each code, the most frequent first, and the message of the first of them."""
    first = {code: (name, message) for code, name, message in reversed(rejected)}
    counts = Counter(code for code, _, _ in rejected).most_common()
    for code, n in counts[:MOST_CODES]:
        name, message = first[code]
        short = message if len(message) <= MOST_LETTERS else f"{message[: MOST_LETTERS - 1]}…"
        progress.say(f"Rejected {n} × {code}, the first is {name}: {' '.join(short.split())}")
    if len(counts) > MOST_CODES:
        progress.say(f"Rejected {sum(n for _, n in counts[MOST_CODES:])} × other codes")


def count_rows(table: str) -> int:
    """Count the rows of a table; one that is not there has none."""
    return len(_rows(table))


def _rows(path: str) -> list[dict[str, str]]:
    # Not every run is asked for the tables.
    if not Path(path).exists():
        return []
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def salvage(
    results: str,
    samples: Mapping[str, Sample],
    recipes: Mapping[str, Mapping[str, Any]],
    group: str | None,
    figure_format: Literal["png", "svg"],
    progress: Progress,
) -> None:
    """Write `failed.csv`, and the tables of the samples that are finished, to `<results>/incomplete`, anew.

    Finished are those whose summary was made by today's recipe and a version with today's schema, in this run or an
    earlier one: an old number next to new ones would be a wrong one.
    """
    from ..columns import failed_columns
    from ..scoring.tables import aggregate_scores
    from ..tables import write_table, write_tables

    def finished(sample: str, part: str = "summary") -> bool:
        return preflight.is_fresh(_read(results, sample, part), recipes[sample])

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
