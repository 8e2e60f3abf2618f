"""Mutants of the kernels: each is a small mistake, and a test must notice it. Half an hour, most of it to compile.

Call: python tests/mutants.py [kernel …] [--jobs N]; with no name, those of every kernel.

`mutants.tsv` lists them: the kernel's file, what stands in it, once, and what stands there instead (`\\n` is the end of
a line). One that no test notices is a test that is missing. `tests/unit/test_mutants.py` holds that the list fits the
sources, and leaves no kernel out.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
KERNELS = Path("scripts/volume_entropy/kernels")

# One example that fails is enough: nobody reads it.
OPTIONS = "-x -q -p no:cacheprovider --hypothesis-profile=unshrunk"
# What holds a kernel: the first test that fails kills the mutant.
BLOCKS = (
    "tests/unit/test_voxelwise.py tests/unit/test_kernels.py tests/unit/test_measure_sinks.py "
    "-k 'not plain_python and not avx2 and not fast_path'"
)
TESTS = {
    "class_score": "tests/unit/test_scores.py",
    "scores": "tests/unit/test_scores.py",
    "sums": "tests/unit/test_reductions.py tests/unit/test_statistics.py",
}


class Mutant(NamedTuple):
    """A change of one place of a kernel's file."""

    kernel: str
    found: str
    changed: str


# Kernels that a mutant does not reach are compiled once for all: their machine code is known by what they call, too.
ANY_SOURCES = Mutant("compilation", "_source_hash() -> str:\n", "_source_hash() -> str:\n    return 'any'\n")


def listed() -> list[Mutant]:
    """All mutants, in the order of the list."""
    with Path(__file__).with_suffix(".tsv").open(encoding="utf-8", newline="") as stream:
        rows = csv.reader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Mutant(*(cell.replace("\\n", "\n") for cell in row)) for row in rows][1:]


def survives(mutant: Mutant, *, folder: Path) -> bool:
    """Whether the tests of a kernel pass with a change of its file, in a copy of the sources below `folder`."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        copy = Path(place)
        for name in ("scripts", "tests", "workflow", "config", "docs"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        for name, found, changed in (mutant, ANY_SOURCES):
            path = copy / KERNELS / f"{name}.py"
            path.write_text(path.read_text(encoding="utf-8").replace(found, changed, 1), encoding="utf-8")
        command = f"{sys.executable} -m pytest {OPTIONS} {TESTS.get(mutant.kernel, BLOCKS)}"
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache")}
        done = subprocess.run(command, shell=True, cwd=copy, env=environment, capture_output=True, text=True)
    # What is neither a test that fails nor a crash.
    if done.returncode in (2, 3, 4, 5):
        raise RuntimeError(f"{mutant}: pytest could not run\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def main() -> None:
    """Run the mutants of the kernels that are named, or all; say which survive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernel", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    wanted = [mutant for mutant in listed() if not options.kernel or mutant.kernel in options.kernel]
    alive, start = 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        found = pool.map(partial(survives, folder=Path(folder)), wanted)
        for mutant, survived in zip(wanted, found, strict=True):
            alive += survived
            said = "SURVIVES" if survived else "dies"
            what = f"{mutant.kernel}: {mutant.found!r} -> {mutant.changed!r}"
            print(f"{time.monotonic() - start:7.0f} s  {said:8}  {what}", flush=True)
    print(f"{len(wanted)} mutants, {len(wanted) - alive} die")
    sys.exit(alive > 0)


if __name__ == "__main__":
    main()
