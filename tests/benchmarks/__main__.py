"""Everything that this workflow claims about speed and memory, measured: tables on the screen, numbers in a JSON file.

python -m tests.benchmarks [--only stages scaling] [--quick] [--large] [--json benchmarks.json]
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from .summary import summary

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

PARTS = {
    "kernels": "kernels against numpy, scipy, numexpr, torch and the floor",
    "stages": "each stage of a sample against the tutorial as a script",
    "scores": "what a reference adds to a sample",
    "codecs": "chunk shapes and codecs",
    "scaling": "threads of compute_entropy against two processes",
    "snakemake": "Snakemake's own cost a job; with --large also at 10 000 samples",
    "large": "volumes of 8 and 16 GB (only with --large: minutes, 55 GB of disk)",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    listed = "; ".join(f"{name}: {what}" for name, what in PARTS.items())
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=listed)
    parser.add_argument("--quick", action="store_true", help="small volumes, once: whether it runs, not how fast")
    parser.add_argument("--large", action="store_true", help="what takes long, too")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks.json")
    options = parser.parse_args()
    chosen = options.only or [name for name in PARTS if options.large or options.quick or name != "large"]
    results = json.loads(options.json.read_text()) if options.json.exists() else {}
    for name in chosen:
        print(f"\n== {name}: {PARTS[name]}", flush=True)
        found = _other(name, options) or importlib.import_module(f".{name}", __package__).run(options.quick)
        # Each part is kept as soon as it is there, with the machine's state: parts may be run on different days.
        results[name] = {**found, "machine": _machine(), "quick": options.quick}
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"{summary(results)}\nNumbers in {options.json}")


def _other(name: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """Run a part that is a program of its own."""
    folder = Path(__file__).parent
    if name == "kernels":
        small = ["--edge", "32", "--repeats", "3", "--classes", "2", "5", "--members", "1", "5"]
        with tempfile.TemporaryDirectory() as place:
            path = Path(place, "kernels.json")
            _run([folder / "kernels.py", "--json", path, *(small if options.quick else [])])
            tables: dict[str, Any] = json.loads(path.read_text())
            return tables
    if name == "snakemake":
        samples = ["10"] if options.quick else ["100", "1000", *(["10000"] if options.large else [])]
        lines = _run([folder / "large_cohort.py", "--samples", *samples]).splitlines()
        return {"rows": [json.loads(line) for line in lines if line.startswith("{")]}
    return None


def _run(command: list[Any]) -> str:
    """Run a Python program; show what it prints, and give it."""
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    lines = []
    for line in process.stdout or ():
        print(line, end="", flush=True)
        lines.append(line)
    if process.wait() != 0:
        sys.exit(f"{command[0]} failed")
    return "".join(lines)


def _machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "cpus": os.cpu_count(), "load": os.getloadavg()[0]}


if __name__ == "__main__":
    main()
