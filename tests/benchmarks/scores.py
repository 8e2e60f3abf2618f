"""What a reference costs a sample: convert and compute_entropy with one and without, on the same probabilities."""

import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from . import volumes
from .measuring import ROOT, cost_of, interleaved, median_ratio, spread, table, verdict
from .stage import make_recipe

CLASSES = ("background", "csf", "gm", "wm")
# CPU seconds that scoring may add, as a share of those of a sample without it.
MOST_MORE = 0.60
STAGES = ("convert", "compute_entropy")


def run(quick: bool) -> dict[str, Any]:
    """Measure the real brain, most of which is certain, and a volume in which no voxel is."""
    found, repeats = {}, 1 if quick else 5
    with volumes.scratch() as folder:
        edge = 32 if quick else 206
        sources = {f"{edge}³, uncertain everywhere": volumes.passes(1, edge).as_posix().replace("{member}", "0")}
        if not quick:
            sources = {"1 mm brain": str(volumes.brain()), **sources}
        for number, (name, path) in enumerate(sources.items()):
            found[name] = measure(name, path, Path(folder, str(number)), repeats)
    return found


def measure(name: str, path: str, folder: Path, repeats: int) -> dict[str, Any]:
    """Run the two stages with and without a reference, in turn; with the figure apart."""
    reference = folder / "reference.nii.gz"
    folder.mkdir(parents=True)
    _write_reference(path, reference)
    without, scored = folder / "without", folder / "scored"
    make_recipe(without, path, classes=list(CLASSES))
    make_recipe(scored, path, classes=list(CLASSES), reference=str(reference))
    script = ROOT / "tests/benchmarks/stage.py"

    def stage(which: str, place: Path) -> Any:
        return lambda: cost_of([sys.executable, script, which, place])

    runs = {(kind, which): stage(which, place) for kind, place in (("without", without), ("scored", scored))
            for which in STAGES} | {("scored", "render_scores"): stage("render_scores", scored)}  # fmt: skip
    for warm_up in runs.values():
        warm_up()
    costs = interleaved(runs, repeats)
    rows = [
        {"": f"{which}, {kind}", "CPU s": spread([cost.cpu_s for cost in values]),
         "peak MiB": f"{max(cost.peak_mib for cost in values):.0f}"}
        for (kind, which), values in costs.items()
    ]  # fmt: skip
    print(table(f"{name}: {repeats} rounds", rows))
    sums = {kind: [sum(costs[kind, which][turn].cpu_s for which in STAGES) for turn in range(repeats)]
            for kind in ("without", "scored")}  # fmt: skip
    more = median_ratio(sums["scored"], sums["without"]) - 1
    print(f"Scoring adds to the CPU of both stages: {verdict(more, MOST_MORE)}")
    return {"more": more, "cpu": {" ".join(key): [cost.cpu_s for cost in values] for key, values in costs.items()}}


def _write_reference(path: str, output: Path) -> None:
    """The most probable class, moved by a voxel along each axis: wrong along boundaries, as a second rater is."""
    image = nibabel.load(path)
    labels = np.asarray(image.dataobj).argmax(axis=-1).astype(np.uint8)
    moved = nibabel.Nifti1Image(np.roll(labels, (1, 1, 1), axis=(0, 1, 2)), image.affine)
    moved.header.set_xyzt_units("mm")
    nibabel.save(moved, output)
