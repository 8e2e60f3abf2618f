"""What the main process checks before any job: that results on disk belong to today's sources and settings."""

import csv
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files import read_json

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


def check(recipes: Mapping[str, Mapping[str, Any]], tables: tuple[str, str]) -> set[str]:
    """Compare every summary's recipe with today's.

    Parameters
    ----------
    recipes
        By the path of each sample's summary: the recipe that it would be made from today.
    tables
        Paths of `subjects.csv` and `rejected.csv`, which together name each sample once.

    Returns
    -------
    set
        Files that have to be made again whatever their times say: summaries made from other sources or settings, and
        a table that names other samples than the cohort has.

    Raises
    ------
    ConfigError
        A sample that has results has lost a source. An unmounted disk looks like that, and must not turn a finished
        cohort into rejections.
    """
    with ThreadPoolExecutor(8) as pool:
        summaries = dict(zip(recipes, pool.map(_read_or_none, recipes), strict=True))
    lost = [
        f"{recipe['sample']}: {path} {'cannot be read' if size is not None else 'does not exist'}"
        for summary, recipe in recipes.items()
        for path, size, _, readable in recipe["sources"]
        if not readable and (summaries[summary] or {}).get("status") == "ok"
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
        summary = summaries[path]
        reason = None if summary is None else difference(summary.get("recipe"), json.loads(json.dumps(recipe)))
        if reason is not None:
            stale[path] = f"{recipe['sample']} is computed again: {reason}"
    for line in list(stale.values())[:5]:
        logger.warning(line)
    if len(stale) > 5:
        logger.warning("… and %d samples more are computed again", len(stale) - 5)
    return {*stale, *_tables_of_another_cohort(tables, {recipe["sample"] for recipe in recipes.values()})}


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


def _read_or_none(path: str) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except FileNotFoundError:
        return None
    except (ValueError, OSError):
        # Half a summary, or none: it is made again.
        return {}


def _tables_of_another_cohort(tables: tuple[str, str], cohort: set[str]) -> list[str]:
    """The first of the tables, if they exist and name other samples than the cohort: all are made by one job."""
    named: list[str] = []
    for table in tables:
        if not Path(table).exists():
            return []
        with open(table, encoding="utf-8", newline="") as stream:
            named += [row["sample"] for row in csv.DictReader(stream)]
    return [] if set(named) == cohort else [tables[0]]
