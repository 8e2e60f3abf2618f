"""What the main process checks before any job: that results on disk belong to today's sources and settings."""

import csv
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files import is_unchanged, read_json
from ..maps.names import missing_map
from ..measures import SCHEMA_VERSION

logger = logging.getLogger("volume_entropy")

# What networks need beyond the core: the packages of envs/predict.txt that the library imports.
EXTRA = ("torch", "monai", "bayesian_torch")


def check_extra(keys: Sequence[str], modules: Sequence[str] = EXTRA) -> None:
    """Refuse a config that needs networks where the packages for them are not installed.

    Parameters
    ----------
    keys
        The config's keys that need them.
    modules
        Their names, as they are imported; none is imported here.

    Raises
    ------
    ConfigError
        Naming what is missing, and the command that installs it.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ConfigError(
            f"{' and '.join(keys)}: this takes networks, and {', '.join(missing)} {verb} not installed here. In the "
            "clone, `make env-predict` installs them into .venv-predict; then run .venv-predict/bin/snakemake with the "
            "same arguments."
        )


def check(
    recipes: Mapping[str, Mapping[str, Any]], tables: tuple[str, str], scores: tuple[str, Sequence[str]] | None = None
) -> set[str]:
    """Compare what every summary was made from with today, and the maps that were made with it with what is there.

    Parameters
    ----------
    recipes
        By the path of each sample's summary: the recipe that it would be made from today.
    tables
        Paths of `subjects.csv` and `rejected.csv`, which together name each sample once.
    scores
        Path of `scores.csv`, and the samples that have a reference; None if there are none.

    Returns
    -------
    set
        Files that have to be made again whatever their times say: summaries made from other sources or settings, by
        a version with another schema, or of samples that lack a map; and tables that name other samples than the
        cohort has, or name them in another order.

    Raises
    ------
    ConfigError
        A sample that has results has lost a source. An unmounted disk looks like that, and must not turn a finished
        cohort into rejections.
    """
    with ThreadPoolExecutor(8) as pool:
        found = dict(zip(recipes, pool.map(_look, recipes), strict=True))
    summaries = {path: summary for path, (summary, _) in found.items()}
    lost = [
        f"{recipe['sample']}: {path} {'cannot be read' if size is not None else 'does not exist'}"
        for summary, recipe in recipes.items()
        for path, size in _lost_sources(summaries[summary] or {}, recipe)
    ]
    if lost:
        raise ConfigError(
            "Sources of samples that already have results are gone; nothing was touched. If a disk is not mounted, "
            "mount it. If a sample is to be dropped, remove its row, or its folder in the results:\n"
            + "\n".join(f"  {line}" for line in lost[:20])
            + (f"\n  … and {len(lost) - 20} more" if len(lost) > 20 else "")
        )
    _tell_missing(recipes.values())
    stale = {}
    for path, recipe in recipes.items():
        summary, missing = found[path]
        reason = None if summary is None else _why_stale(summary, recipe, missing)
        if reason is not None:
            stale[path] = f"{recipe['sample']} is computed again: {reason}"
    for line in list(stale.values())[:5]:
        logger.warning(line)
    if len(stale) > 5:
        logger.warning("… and %d samples more are computed again", len(stale) - 5)
    return {*stale, *_tables_of_another_cohort(tables, [recipe["sample"] for recipe in recipes.values()], scores)}


def lacks_files(folder: str, names: Iterable[str]) -> bool:
    """Whether there is a folder that lacks some of the files that a run puts into it."""
    try:
        return not set(names) <= set(os.listdir(folder))
    except FileNotFoundError:
        return False


def _tell_missing(recipes: Iterable[Mapping[str, Any]]) -> None:
    """Name the sources that are not there, in a dry run as well: their samples are rejected only hours later."""
    missing = [
        f"{recipe['sample']}: {path} {'cannot be read' if size is not None else 'does not exist'}"
        for recipe in recipes
        for path, size, _, readable in recipe["sources"]
        if not readable
    ]
    for line in missing[:10]:
        logger.warning(line)
    if missing:
        more = f"… and {len(missing) - 10} more. " if len(missing) > 10 else ""
        logger.warning("%sWhat cannot do without such a file is rejected, and the other samples run.", more)


def _lost_sources(summary: Mapping[str, Any], recipe: Mapping[str, Any]) -> Iterator[tuple[str, int | None]]:
    """Yield path and size of what a finished sample was made from, and cannot be read today.

    Not of an image that could not be read then either: it is for the figure alone.
    """
    if summary.get("status") != "ok":
        return
    never = {path for path, _, _, readable in (summary.get("recipe") or {}).get("sources", ()) if not readable}
    for path, size, _, readable in recipe["sources"]:
        if not readable and path not in never:
            yield path, size


def as_recorded(recipe: Mapping[str, Any], summary: str, store: str) -> dict[str, Any]:
    """Give a recipe with the records of folders in the form of before, where results have them so and still hold.

    A recipe is compared with that of the results, and by Snakemake with what it kept: another form of the same record
    must make nothing again. Where anything else differs, the sample is made again, and its records are of today.

    Parameters
    ----------
    recipe
        That of the sample's numbers, from today's files.
    summary, store
        Paths of what may have been made by it: the summary, and the probability store, from which a job takes the form
        whose summary Snakemake has removed already.
    """
    recipe = dict(recipe)
    if not _has_folders(recipe):
        return recipe
    for made in (_read_or_none(summary), (_read_or_none(f"{store}/zarr.json") or {}).get("attributes")):
        old = made.get("recipe") if isinstance(made, dict) else None
        if isinstance(old, dict) and isinstance(old.get("settings"), dict):
            kept = _in_form_of(recipe, old)
            asked = {**kept, "settings": {key: kept["settings"].get(key) for key in old["settings"]}}
            if json.loads(json.dumps(asked)) == old:
                return dict(kept)
    return recipe


def _is_folder_record(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and isinstance(value[2], str) and isinstance(value[3], bool)


def _has_folders(value: Any) -> bool:
    if _is_folder_record(value):
        return True
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return any(map(_has_folders, inside))


def _in_form_of(new: Any, old: Any) -> Any:
    """Put the records of folders that `old` has in the form of before, and that still hold, into `new`."""
    if _is_folder_record(new):
        of_before = isinstance(old, list) and len(old) == 4 and old[0] == new[0] and isinstance(old[2], int)
        return old if of_before and is_unchanged(old) else new
    if isinstance(new, dict) and isinstance(old, dict):
        return {key: _in_form_of(value, old.get(key)) for key, value in new.items()}
    if isinstance(new, list) and isinstance(old, list) and len(new) == len(old):
        return [_in_form_of(value, other) for value, other in zip(new, old, strict=True)]
    return new


def store_is_stale(path: str, recipe: Mapping[str, Any]) -> bool:
    """Whether there is a store, left by a killed run or kept, that was made by another recipe than this."""
    try:
        attributes = read_json(f"{path}/zarr.json")["attributes"]
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, OSError):
        return True
    return bool(attributes.get("recipe") != json.loads(json.dumps(recipe)))


def difference(old: Any, new: Any, name: str = "") -> str | None:
    """The first place where two recipes differ, in words; None if they are equal."""
    if old == new:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *(key for key in old if key not in new)]:
            reason = difference(old.get(key), new.get(key), f"{name}.{key}" if name else key)
            if reason is not None:
                return reason
    if name == "sources":
        return "its source files changed"
    return f"{name or 'its recipe'} was {json.dumps(old)}, is {json.dumps(new)}"


def is_fresh(made: Mapping[str, Any], recipe: Mapping[str, Any]) -> bool:
    """Whether a summary, or scores, were made by today's recipe and a version with today's schema."""
    return _why_stale(made, recipe, None) is None


def _why_stale(summary: Mapping[str, Any], recipe: Mapping[str, Any], missing: str | None) -> str | None:
    """Say why a summary is made again, in words; `missing`: a map that is gone."""
    if "schema_version" not in summary:
        return "what was kept of it cannot be read"
    if summary["schema_version"] != SCHEMA_VERSION:
        return f"its results are of schema {summary['schema_version']}, this version has {SCHEMA_VERSION}"
    reason = difference(summary.get("recipe"), json.loads(json.dumps(recipe)))
    return f"{missing} is gone" if reason is None and missing is not None else reason


def _look(path: str) -> tuple[dict[str, Any] | None, str | None]:
    """Read a summary, None where there is none; and see which of the maps that were made with it is gone."""
    summary = _read_or_none(path)
    return summary, missing_map(Path(path).parent / "maps", summary.get("maps", {})) if summary else None


def _read_or_none(path: str) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except FileNotFoundError:
        return None
    except (ValueError, OSError):
        # Half a file, or none: it is made again.
        return {}


def _tables_of_another_cohort(
    tables: tuple[str, str], cohort: Sequence[str], scores: tuple[str, Sequence[str]] | None
) -> list[str]:
    """The first of the tables, and of those of scores, if they name other samples than they should, or reordered ones.

    All tables of the cohort are made by one job, and so are those of scores.
    """
    if not all(Path(table).exists() for table in tables):
        return []
    usable, rejected = (_samples_in(table) for table in tables)
    expected = [[sample for sample in cohort if sample in named] for named in (set(usable), set(rejected))]
    wrong = [] if {*usable, *rejected} == set(cohort) and [usable, rejected] == expected else [tables[0]]
    if scores is not None and Path(scores[0]).exists():
        known = set(usable)
        if _samples_in(scores[0]) != [sample for sample in scores[1] if sample in known]:
            wrong.append(scores[0])
    return wrong


def _samples_in(table: str) -> list[str]:
    with open(table, encoding="utf-8", newline="") as stream:
        return [row.get("sample", "") for row in csv.DictReader(stream)]
