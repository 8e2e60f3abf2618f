"""How `compute_entropy` scales over threads, against two processes that do not know of each other.

The two cores of a machine may share their execution units, so that two processes are the most there is to gain.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import volumes
from .measuring import ROOT, costs_of, interleaved, median, spread, table, verdict
from .stage import make_recipe

STAGE = ROOT / "tests/benchmarks/stage.py"
TARGET = 0.85
PHASES = re.compile(r"(first|second) pass.*: ([\d.]+) s")


def run(quick: bool) -> dict[str, Any]:
    """Measure whole jobs, and what of them runs in threads: the passes over blocks and slabs."""
    with volumes.scratch() as place:
        folder = Path(place)
        source, n_classes = (volumes.structures(64, 5), 5) if quick else (volumes.structures(), 33)
        make_recipe(folder, str(source), classes=[f"class {index}" for index in range(n_classes)])
        costs_of([[sys.executable, STAGE, "convert", folder]])
        runs = {
            "1 thread": lambda: _jobs(folder, 1),
            "2 threads": lambda: _jobs(folder, 2),
            "two processes of 1 thread": lambda: _jobs(folder, 1, 1),
        }
        for warm_up in runs.values():
            warm_up()
        found = interleaved(runs, 1 if quick else 5)
    rows, result = [], {}
    for index, what in enumerate(("whole job", "passes over the blocks")):
        alone, threads, pair = ([turn[index] for turn in found[name]] for name in runs)
        gains = [one / two for one, two in zip(alone, threads, strict=True)]
        most = [2 * one / two for one, two in zip(alone, pair, strict=True)]
        share = median([gain / limit for gain, limit in zip(gains, most, strict=True)])
        seconds = {name: spread([turn[index] for turn in found[name]]) for name in runs}
        rows.append({"": what, **seconds, "speed-up": median(gains), "of two processes": median(most), "share": share})
        result[what] = {"speed-up": median(gains), "of two processes": median(most), "share": share}
    print(table("Scaling of compute_entropy, 33 classes of 160³ (wall s)" if not quick else "Scaling, quick", rows))
    share = result["passes over the blocks"]["share"]
    print(f"Share of the speed-up of two processes: {verdict(share, TARGET, at_least=True)}")
    return result


def _jobs(folder: Path, *threads: int) -> tuple[float, float]:
    """Run jobs at the same time; give wall seconds of the slowest, in all and in its passes."""
    outputs = [folder / f"out-{number}" for number in range(len(threads))]
    commands: list[Sequence[str | Path]] = [
        [sys.executable, STAGE, "compute_entropy", folder, "--output", output, "--threads", str(n), "--log"]
        for output, n in zip(outputs, threads, strict=True)
    ]
    costs = costs_of(commands, logs=[output.with_suffix(".log") for output in outputs])
    logs = [output.with_suffix(".log").read_text() for output in outputs]
    passes = [sum(float(seconds) for _, seconds in PHASES.findall(log)) for log in logs]
    return max(cost.wall_s for cost in costs), max(passes)
