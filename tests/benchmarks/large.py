"""Volumes beyond memory: an uncompressed NIfTI of 8 GB, and one of 16 GB, in the same memory. 55 GB of disk."""

import shutil
import sys
from pathlib import Path
from typing import Any

from . import volumes
from .measuring import ROOT, cost_of, table, verdict
from .stage import make_recipe

STAGES = ("convert", "compute_entropy", "render_qc")
LIMIT_MIB = 1024


def run(quick: bool) -> dict[str, Any]:
    """Run the stages once on each size."""
    sizes = (100_000_000, 200_000_000) if quick else (8_000_000_000, 16_000_000_000)
    rows: list[dict[str, Any]] = []
    for n_bytes in sizes:
        with volumes.scratch() as place:
            folder = Path(place)
            source = volumes.uncompressed(n_bytes, folder)
            make_recipe(folder, str(source), classes=["background", "vessel"])
            for stage in STAGES:
                cost = cost_of([sys.executable, ROOT / "tests/benchmarks/stage.py", stage, folder])
                rows.append({"GB": n_bytes / 1e9, "stage": stage, **vars(cost)})
                if stage == "convert":
                    source.unlink()
            shutil.rmtree(folder / "maps")
    print(table("Two classes of float32, 1024 x 1024 x as many slices as it takes", rows))
    half, whole = (max(row["peak_mib"] for row in rows if row["GB"] == n_bytes / 1e9) for n_bytes in sizes)
    print(f"Peak of any stage, MiB: {verdict(whole, LIMIT_MIB)}; of twice the volume: {verdict(whole / half, 1.05)}")
    return {"stages": rows, "peak_mib": whole, "twice": whole / half}
