"""Summaries of all samples → the CSV tables of the cohort, with a data dictionary beside each."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .cohort import review_queue
from .columns import SAMPLE_COLUMNS, Column, class_columns, rejected_columns, review_columns, subject_columns
from .csvtext import csv_text, inert, metadata_type
from .errors import WARNINGS
from .files import read_json, remove, write_json, write_text
from .joblog import phase
from .maps.provenance import DESCRIPTION, dataset_description
from .measures import MEASURES, SCHEMA_VERSION, default_measures, statistic_keys, summarised_measures
from .parts import remove_parts
from .scoring.columns import class_score_columns, lesion_columns, region_columns
from .sidecars import store_of

# Threads hide the latency of a shared file system; parsing holds the interpreter lock either way.
READERS = 8

Summary = dict[str, Any]

DESCRIPTIONS = {
    "subjects": "One row a sample that could be used, in the order of the samples table.",
    "classes": "One row a sample and predicted class or region.",
    "regions": "One row a sample and label of its atlas.",
    "lesions": "One row a sample and connected component of the classes that `lesions.classes` names.",
    "review_queue": "The samples that could be used, in the order in which a human should look at them.",
    "rejected": "One row a sample that could not be used.",
}


@dataclass(frozen=True)
class TableCounts:
    """How many samples went where: `missing` are those without a summary, `flagged` the outliers among the `ok`."""

    ok: int
    rejected: int
    missing: int
    flagged: int


@dataclass(frozen=True)
class _Form:
    """What decides which columns there are: the config alone, as every summary repeats it, a rejected one's too."""

    asked: tuple[str, ...] = ("predictive_entropy",)
    unit: str = "bit"
    kind: str = "softmax"
    members: bool = False
    background: str | None = None
    reference: bool = False
    atlas: bool = False
    lesions: bool = False


def write_tables(
    summaries: Iterable[str | os.PathLike[str]],
    metadata: Mapping[str, Mapping[str, str]],
    output: str | os.PathLike[str],
    *,
    group: str | None = None,
) -> TableCounts:
    """Write `subjects`, `classes`, `review_queue` and `rejected`, each as `.csv` and as `.json` data dictionary.

    Also `dataset_description.json`, which makes a BIDS derivative of the folder. Where samples have an atlas, also
    `regions`; where lesions are asked for, also `lesions`.

    The bytes depend on the content of the summaries and on the order of `metadata`, not on the order of `summaries`.
    Columns follow from the config that the summaries carry: which samples were rejected changes none.

    Parameters
    ----------
    summaries
        Paths of the summary files, in any order.
    metadata
        For every sample, in the order of the samples table, its further columns as text. A sample without a summary
        is counted as missing and stands in no table.
    output
        The folder of the tables.
    group
        The metadata column within which samples are compared; None compares all.

    Raises
    ------
    ValueError
        A summary is of no known sample, stands twice, lacks a key, or was made with other settings than the rest.
    """
    paths = list(summaries)
    with phase(f"read {len(paths)} summaries"):
        found = _read(paths, metadata)
    form = _form(found)
    usable = [summary for summary in found if summary["status"] == "ok"]
    rejected = [summary for summary in found if summary["status"] != "ok"]
    for summary in usable:
        _check_keys(summary, form)
    of_table = _metadata_columns(metadata)
    # In this order: a summary has keys that are no columns (status, kind), which the samples table may use.
    rows = [{**summary, "warnings": _codes(summary), **metadata[summary["sample"]]} for summary in usable]
    structures = ({"sample": summary["sample"], **row} for summary in usable for row in summary["structures"])
    groups = [metadata[summary["sample"]][group] if group is not None else "" for summary in usable]
    with phase("review queue"):
        queue = review_queue(usable, groups, form.background)

    folder = Path(output)
    with phase("write the tables"):
        columns = subject_columns(form.asked, form.unit, form.kind, form.members) + of_table
        _write(folder, "subjects", columns, rows, form)
        of_classes = class_columns(form.unit, form.kind, form.members)
        of_classes += class_score_columns(form.kind) if form.reference else ()
        _write(folder, "classes", of_classes, structures, form)
        for name, wanted, of_parts in (
            ("regions", form.atlas, region_columns(form.unit, form.members)),
            ("lesions", form.lesions, lesion_columns(form.unit, form.members)),
        ):
            if wanted:
                _write(folder, name, of_parts, _parts(usable, name), form)
        _remove_old(folder, form)
        _remove_old_scores(paths, found)
        _write(folder, "review_queue", review_columns(form.unit), queue, form)
        _write(folder, "rejected", rejected_columns(), rejected, form)
        write_json(folder / DESCRIPTION, dataset_description(set().union(*(s["folders"] for s in found)), folder))
    flagged = sum(bool(row["flags"]) for row in queue)
    return TableCounts(len(usable), len(rejected), len(metadata) - len(found), flagged)


def _read(paths: Iterable[str | os.PathLike[str]], metadata: Mapping[str, Any]) -> list[Summary]:
    """Read all summaries, into the order of the samples table."""
    with ThreadPoolExecutor(READERS) as pool:
        summaries = list(pool.map(_read_one, paths))
    by_sample = {summary["sample"]: summary for summary in summaries}
    unknown = sorted(by_sample.keys() - metadata.keys())
    if unknown:
        raise ValueError(f"summaries of samples that are not in the samples table: {', '.join(unknown)}")
    if len(by_sample) < len(summaries):
        raise ValueError("a sample has more than one summary")
    return [by_sample[sample] for sample in metadata if sample in by_sample]


def _read_one(path: str | os.PathLike[str]) -> Summary:
    summary = read_json(path)
    for key in ("sample", "status", "recipe"):
        if key not in summary:
            raise ValueError(f"{os.fspath(path)} has no key {key!r}; delete it and run again")
    # Ten thousand lists of source files are most of the memory, and none of the tables.
    recipe = summary.pop("recipe")
    summary["settings"], summary["atlas"] = recipe["settings"], "atlas" in recipe.get("paths", {})
    summary["folders"] = {os.path.dirname(store_of(source[0])) for source in recipe["sources"]}
    return summary


def _form(summaries: Sequence[Summary]) -> _Form:
    """Take the columns' settings from the summaries; they all say the same."""
    forms = {
        _Form(
            tuple(settings["measures"]),
            settings["unit"],
            settings["kind"],
            settings["members"] is not None,
            settings["background_class"],
        ): summary["sample"]
        for summary in summaries
        for settings in [summary["settings"]]
    }
    if len(forms) > 1:
        first, second = sorted(forms.values())[:2]
        raise ValueError(f"the summaries of {first} and {second} were made with different settings; run again")
    form = next(iter(forms), _Form())
    # A file may hold members that the config does not list; their columns are then added rather than lost.
    several = any(summary.get("n_members", 1) > 1 for summary in summaries)
    return replace(
        form,
        members=form.members or several,
        reference=any("reference" in summary["settings"] for summary in summaries),
        atlas=any(summary["atlas"] for summary in summaries),
        lesions=any("lesions" in summary["settings"] for summary in summaries),
    )


def _check_keys(summary: Summary, form: _Form) -> None:
    """Refuse a summary that lacks a key it must have: absent is not the same as null."""
    measures = summarised_measures(summary["n_members"], form.asked, form.kind)
    keys = [column.name for column in SAMPLE_COLUMNS] + [key for name in measures for key in statistic_keys(name)]
    missing = [key for key in [*keys, "structures"] if key not in summary]
    if missing:
        raise ValueError(f"the summary of {summary['sample']} lacks {', '.join(missing)}; delete it and run again")


def _codes(summary: Summary) -> str:
    """Join the codes of a sample's warnings, each once."""
    return ";".join(dict.fromkeys(warning["code"] for warning in summary["warnings"]))


def _remove_old(folder: Path, form: _Form) -> None:
    """Remove the tables of an earlier cohort that this one does not have: they would pass for its own."""
    wanted = {"regions": form.atlas, "lesions": form.lesions, "scores": form.reference}
    remove_parts(folder, [part for part, there in wanted.items() if not there])


def _remove_old_scores(summaries: Iterable[str | os.PathLike[str]], found: Sequence[Summary]) -> None:
    """Remove the scores and their figure beside the summary of a sample that no longer has a reference."""
    without = {summary["sample"] for summary in found if "reference" not in summary["settings"]}
    for folder in {Path(path).parent for path in summaries}:
        for suffix in ("json", "png", "svg") if folder.name in without else ():
            remove(folder / f"{folder.name}_scores.{suffix}")


def _parts(usable: Sequence[Summary], name: str) -> Iterator[dict[str, Any]]:
    """Take the rows of a table of parts from the summaries that have them."""
    for summary in usable:
        for row in summary.get(name, []):
            yield {"sample": summary["sample"], **row}


def _metadata_columns(metadata: Mapping[str, Mapping[str, str]]) -> tuple[Column, ...]:
    """Describe the further columns of the samples table, in its order; every cell stays as it was written."""
    names = dict.fromkeys(name for cells in metadata.values() for name in cells)
    return tuple(
        Column(
            name,
            "A column of the samples table",
            type=metadata_type(cells.get(name, "") for cells in metadata.values()),
            as_written=True,
        )
        for name in names
    )


def _write(folder: Path, name: str, columns: Sequence[Column], rows: Iterable[Mapping[str, Any]], form: _Form) -> None:
    more: dict[str, Any] = {}
    if name != "rejected":
        more["measures"] = measure_entries(2 if form.members else 1, form.asked, form.kind)
    if name == "subjects":
        more["warnings"] = WARNINGS
    write_table(folder, name, DESCRIPTIONS[name], columns, rows, more)


def measure_entries(n_members: int, asked: Iterable[str], kind: str = "softmax") -> dict[str, dict[str, str]]:
    """Describe for a data dictionary the measures that are written for so many members."""
    return {
        measure: {
            "symbol": MEASURES[measure].symbol,
            "definition": MEASURES[measure].form(kind).definition,
            "source": MEASURES[measure].source,
        }
        for measure in default_measures(n_members, asked, kind)
    }


def write_table(
    folder: Path,
    name: str,
    description: str,
    columns: Sequence[Column],
    rows: Iterable[Mapping[str, Any]],
    more: Mapping[str, Any],
) -> None:
    """Write one table and its data dictionary, the dictionary last: where it stands, its table does."""
    write_text(folder / f"{name}.csv", csv_text(columns, rows))
    content: dict[str, Any] = {
        "table": f"{name}.csv",
        "description": description,
        "schema_version": SCHEMA_VERSION,
        "empty_cell": "the value does not exist",
        "columns": {
            inert(column.name): {key: getattr(column, key) for key in ("description", "unit", "range", "type")}
            for column in columns
        },
        **more,
    }
    write_json(folder / f"{name}.json", content)
