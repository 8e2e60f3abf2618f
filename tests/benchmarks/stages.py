"""What a sample costs, stage by stage, with start-up and figure, against the tutorial as a script on the same file."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import volumes
from .measuring import ROOT, Cost, cost_of, interleaved, median, median_ratio, spread, table, verdict
from .stage import make_recipe

STAGES = ("convert", "compute_entropy", "render_qc")
TUTORIAL = "tutorial as a script"
BRAIN = ("background", "csf", "gm", "wm")
# Largest share of the tutorial's CPU and memory, for one file of each.
TARGETS = {
    "4 classes, 1 mm, 139 MB": (0.65, 0.25),
    "4 classes, 206³, 140 MB, values everywhere": (0.65, 0.25),
    "33 classes, 160³, 541 MB": (0.40, 500),
}


def run(quick: bool) -> dict[str, Any]:
    """Measure each sample; give its costs and ratios."""
    with volumes.scratch() as folder:
        small = volumes.structures(64, 5)
        names = [f"class {index}" for index in range(33)]
        samples = {"5 classes, 64³": (small, names[:5])} if quick else {
            "4 classes, 1 mm, 139 MB": (volumes.brain(), list(BRAIN)),
            "4 classes, 206³, 140 MB, values everywhere": (volumes.structures(206, 4), list(BRAIN)),
            "33 classes, 160³, 541 MB": (volumes.structures(), names),
        }  # fmt: skip
        results = {
            name: measure(name, path, classes, Path(folder, str(number)), 1 if quick else 5)
            for number, (name, (path, classes)) in enumerate(samples.items())
        }
        results["5 members of 4 classes"] = members(Path(folder, "members"), 32 if quick else 160, 1 if quick else 3)
        return results


def measure(name: str, path: Path, classes: list[str], folder: Path, repeats: int) -> dict[str, Any]:
    """Run the stages and the tutorial in turn."""
    make_recipe(folder, str(path), classes=classes)
    tutorial = [sys.executable, ROOT / "tests/benchmarks/tutorial.py", path, folder]
    runs = {**_stages(folder), TUTORIAL: lambda: cost_of(tutorial)}
    for warm_up in runs.values():
        warm_up()
    costs = interleaved(runs, repeats)
    ours = [_together([costs[stage][turn] for stage in STAGES]) for turn in range(repeats)]
    theirs = costs[TUTORIAL]
    rows = {**{stage: costs[stage] for stage in STAGES}, "all three": ours, TUTORIAL: theirs}
    print(table(f"{name}: {repeats} rounds, median (lowest–highest)", _rows(rows)))
    ratios = {
        "cpu": median_ratio([cost.cpu_s for cost in ours], [cost.cpu_s for cost in theirs]),
        "wall": median_ratio([cost.wall_s for cost in ours], [cost.wall_s for cost in theirs]),
        "peak": median_ratio([cost.peak_mib for cost in ours], [cost.peak_mib for cost in theirs]),
    }
    most_cpu, most_memory = TARGETS.get(name, (1.0, 1.0))
    print(f"CPU of all jobs / tutorial: {verdict(ratios['cpu'], most_cpu)}; wall: {ratios['wall']:.2f}")
    if most_memory > 1:
        print(f"Peak of any job, MiB: {verdict(median([cost.peak_mib for cost in ours]), most_memory)}")
    else:
        print(f"Peak of any job / tutorial: {verdict(ratios['peak'], most_memory)}")
    return {"costs": {key: [vars(cost) for cost in values] for key, values in rows.items()}, "ratios": ratios}


def members(folder: Path, edge: int, repeats: int) -> dict[str, Any]:
    """Run the stages on several members; the tutorial knows none."""
    make_recipe(folder, str(volumes.passes(5, edge)), classes=list(BRAIN), n_members=5)
    runs = _stages(folder)
    for warm_up in runs.values():
        warm_up()
    costs = interleaved(runs, repeats)
    print(table(f"5 members of 4 classes, {edge}³", _rows(costs)))
    return {key: [vars(cost) for cost in values] for key, values in costs.items()}


def _stages(folder: Path) -> dict[str, Callable[[], Cost]]:
    script = ROOT / "tests/benchmarks/stage.py"
    return {stage: lambda stage=stage: cost_of([sys.executable, script, stage, folder]) for stage in STAGES}


def _together(costs: list[Cost]) -> Cost:
    return Cost(
        sum(cost.wall_s for cost in costs), sum(cost.cpu_s for cost in costs), max(cost.peak_mib for cost in costs)
    )


def _rows(costs: dict[str, list[Cost]]) -> list[dict[str, str]]:
    return [
        {
            "": name,
            "CPU s": spread([cost.cpu_s for cost in values]),
            "wall s": spread([cost.wall_s for cost in values]),
            "peak MiB": f"{median([cost.peak_mib for cost in values]):.0f}",
        }
        for name, values in costs.items()
    ]
