"""Processes and their cost, medians of interleaved runs, and tables."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Cost:
    """What a process, and the children it waited for, took: wall and processor seconds, peak memory in MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


# A process starts with the peak memory of the one that starts it: a small one has to.
LAUNCHER = """
import json, os, sys, time
started = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ), 0)
cost = time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
with open(sys.argv[1], "w") as file:
    json.dump(cost, file)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def cost_of(command: Sequence[str | Path]) -> Cost:
    """Run a command of which the files are in the page cache already; its output is shown if it fails."""
    return costs_of([command])[0]


def costs_of(commands: Sequence[Sequence[str | Path]], logs: Sequence[Path] = ()) -> list[Cost]:
    """Run commands at the same time, with the library on their path; what they say goes to `logs`, if given."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'scripts'}{os.pathsep}{ROOT / 'tests'}"}
    # Where it is set, our modules are compiled anew in each process, and the installed ones of a rival are not.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        launcher = (sys.executable, "-I", "-S", "-c", LAUNCHER)
        reports = [Path(folder, str(number)) for number in range(len(commands))]
        with ExitStack() as stack:
            streams = [stack.enter_context(log.open("wb")) for log in logs] or [None] * len(commands)
            started = [
                subprocess.Popen([*launcher, report, *map(str, command)], env=environment, cwd=ROOT, stderr=stream)
                for report, command, stream in zip(reports, commands, streams, strict=True)
            ]
        for process, command in zip(started, commands, strict=True):
            if process.wait() != 0:
                sys.exit(f"{' '.join(map(str, command))} failed")
        return [Cost(*json.loads(report.read_text())) for report in reports]


def interleaved(runs: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[Any]]:
    """Call each once a round, so that what slows the machine for a while slows all of them alike."""
    results: dict[str, list[Any]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            results[name].append(run())
    return results


def median(values: Sequence[float]) -> float:
    """Of an even number, the mean of the middle two."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """Median, and the range in brackets where there is one."""
    middle = f"{median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f}–{max(values):.2f})"


def median_ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """Median of the ratios of paired runs."""
    return median([value / other for value, other in zip(values, others, strict=True)])


def verdict(value: float, limit: float, at_least: bool = False) -> str:
    """A ratio beside its target."""
    kept = value >= limit if at_least else value <= limit
    return f"{value:.3g} (target {'≥' if at_least else '≤'} {limit:g}: {'kept' if kept else 'MISSED'})"


def table(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same keys as a Markdown table; floats with three digits."""
    if not rows:
        return f"\n{title}: nothing measured\n"
    cells = [[_text(value) for value in row.values()] for row in rows]
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + " --- |" * len(rows[0])]
    lines += ["| " + " | ".join(row) + " |" for row in cells]
    return f"\n{title}\n\n" + "\n".join(lines) + "\n"


def _text(value: object) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float) and abs(value) < 100
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )
