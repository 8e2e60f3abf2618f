"""The numbers of all parts as the table of the README: what is promised, what was measured."""

from collections.abc import Iterator, Mapping
from typing import Any

from .measuring import table

Results = Mapping[str, Any]


def summary(results: Results) -> str:
    """Markdown tables of what was measured; parts that were not are left out."""
    summed = [{"what": what, "measured": measured, "target": target} for what, measured, target in _rows(results)]
    parts = [table("Summary", summed)]
    if "codecs" in results:
        for name, rows in results["codecs"]["codecs"].items():
            parts.append(table(f"Codecs, {name}, in chunks of one class and 64³ voxels", rows))
        parts.append(table("Chunks of a store", results["codecs"]["chunks"]))
    return "".join(parts)


def _rows(results: Results) -> Iterator[tuple[str, str, str]]:
    if "kernels" in results:
        yield from _kernels(results["kernels"]["tables"])
    if "stages" in results:
        yield from _stages(results["stages"])
    if "scores" in results:
        for name, found in results["scores"].items():
            if isinstance(found, dict) and "more" in found:
                yield f"CPU that scoring adds to {name}", f"{100 * found['more']:+.0f} %", "≤ +60 %"
    if "scaling" in results:
        share = results["scaling"]["passes over the blocks"]
        yield (
            "speed-up of `compute_entropy` by a second thread",
            f"{share['speed-up']:.2f}, {100 * share['share']:.0f} % of that of two processes",
            "≥ 85 %",
        )
    if "large" in results:
        large = results["large"]
        yield "peak memory of a volume of 16 GB", f"{large['peak_mib']:.0f} MiB", "< 1024 MiB"
        yield "… against half of the volume", f"× {large['twice']:.2f}", "≤ 1.05"
    if "snakemake" in results:
        for row in results["snakemake"]["rows"]:
            if "ms a job" in row["what"]:
                yield f"Snakemake itself, {row['samples']} samples", row["what"].split(": ")[1], ""


def _kernels(tables: Results) -> Iterator[tuple[str, str, str]]:
    for title, found in tables.items():
        rival = "numpy (tutorial)" if "numpy (tutorial)" in found else "numpy"
        parts = [f"{found['volume_entropy']['median_ms']:.1f} ms", f"{found[rival]['times_ours']:.1f} × numpy"]
        if "torch.compile" in found:
            parts.append(f"{found['torch.compile']['times_ours']:.1f} × torch.compile")
        parts.append(f"{100 * found['floor: read, write maps']['times_ours']:.0f} % of the speed of memory")
        target = ""
        if ", 5 classes" in title:
            target = "≥ 10 ×, 1.2 ×, 50 %"
        elif "classes" in title and title.startswith("entropy"):
            target = "≥ 35 % of memory"
        elif " 10 members" in title:
            target = "≥ 15 ×, 1.2 ×"
        yield title, ", ".join(parts), target


def _stages(results: Results) -> Iterator[tuple[str, str, str]]:
    targets = {"4 classes": ("≤ 65 %", "≤ 25 %"), "33 classes": ("≤ 40 %", "≤ 500 MiB")}
    for name, found in results.items():
        if not isinstance(found, dict) or "ratios" not in found:
            continue
        cpu, peak = targets.get(name.split(",")[0], ("", ""))
        ours = max(cost["peak_mib"] for cost in found["costs"]["all three"])
        ratios = found["ratios"]
        yield f"CPU of all jobs of a sample of {name}, of the tutorial's script", f"{100 * ratios['cpu']:.0f} %", cpu
        yield "… peak memory of any job", f"{ours:.0f} MiB, {100 * ratios['peak']:.0f} % of the script's", peak
