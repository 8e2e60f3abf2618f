"""The library is updated while a job runs: no later job gets machine code of the version that went."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")

# The entropy of a fair coin, by a job that waits for a line of input between its imports and its first number.
JOB = """
import numpy as np
import volume_entropy.api
from volume_entropy.kernels.single import make_single
print("imported", flush=True)
input()
p = np.full((2, 1, 1, 4), 0.5, np.float32)
print(volume_entropy.api.entropy(p).ravel()[0])
"""
RIGHT, WRONG = "lost, even + odd, label\n", "lost, even, label\n"


def job(scripts: Path, cache: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(scripts), "NUMBA_CACHE_DIR": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", JOB], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def number(running: "subprocess.Popen[str]") -> float:
    output, _ = running.communicate("\n", timeout=300)
    return float(output.split()[-1])


@pytest.mark.parametrize("old", ["wrong", "right"])
def test_machine_code_is_never_kept_under_the_name_of_other_sources(tmp_path: Path, old: str) -> None:
    scripts = tmp_path / "scripts"
    shutil.copytree(
        SCRIPTS / "volume_entropy", scripts / "volume_entropy", ignore=shutil.ignore_patterns("__pycache__")
    )
    path = scripts / "volume_entropy/kernels/classes.py"
    right = path.read_text()
    wrong = right.replace(RIGHT, WRONG)
    assert wrong != right
    before, after = (wrong, right) if old == "wrong" else (right, wrong)
    numbers = {right: 1.0, wrong: 0.5}

    path.write_text(before)
    early = job(scripts, tmp_path / "cache")
    assert early.stdout is not None
    assert early.stdout.readline() == "imported\n"
    path.write_text(after)
    assert number(early) == numbers[before]
    # The sources that are there now decide, whatever the early job left.
    assert number(job(scripts, tmp_path / "cache")) == numbers[after]
    assert number(job(scripts, tmp_path / "cache")) == numbers[after]
