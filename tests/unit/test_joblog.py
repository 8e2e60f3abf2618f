"""The log of a job says what it read, how long its phases took, what it cost; and why it failed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from volume_entropy.joblog import logged_to, phase, processed

SCRIPTS = str(Path(__file__).parents[2] / "scripts")


def lines_of(log: Path) -> list[str]:
    """Without their times."""
    return [re.sub(r"^\S+ \S+ [A-Z]+ ", "", line) for line in log.read_text().splitlines()]


def test_a_log_says_in_one_line_each_what_was_read_how_long_and_at_what_pace(tmp_path: Path) -> None:
    (tmp_path / "p.nii").write_bytes(bytes(3 * 2**19))
    (tmp_path / "mask.nii").write_bytes(bytes(2**19))
    with logged_to(str(tmp_path / "log"), [tmp_path / "p.nii", tmp_path / "mask.nii"]):
        print("a library's words")
        with phase("voxels"):
            processed(10**9)
    read, words, voxels, done = lines_of(tmp_path / "log")
    assert read == f"reads {tmp_path}/p.nii and 1 more, 2 MiB"
    assert words == "a library's words"
    assert re.fullmatch(r"voxels: \d+\.\d\d s", voxels)
    assert re.fullmatch(r"done in \d+\.\d\d s, peak memory \d+ MiB, \S+ million voxels a second", done)


def test_a_failure_is_in_the_log_with_its_traceback(tmp_path: Path) -> None:
    streams = sys.stdout, sys.stderr
    with pytest.raises(OSError, match="disk full"), logged_to(str(tmp_path / "log")):
        raise OSError("disk full")
    read, failed, *traceback = lines_of(tmp_path / "log")
    assert read == "reads nothing"
    # No voxel of this job: the one before it does not count.
    assert re.fullmatch(r"failed after \d+\.\d\d s, peak memory \d+ MiB", failed)
    assert traceback[-1] == "OSError: disk full"
    assert (sys.stdout, sys.stderr) == streams


# A job's process, which a large one started: what it takes itself, in MiB.
JOB = """
from volume_entropy.joblog import peak_memory_mib
before = peak_memory_mib()
block = bytearray(2**28)
block[::4096] = bytes(len(block[::4096]))
print(before, peak_memory_mib())
"""


def test_peak_memory_is_that_of_this_process() -> None:
    block = bytearray(2**28)
    block[::4096] = bytes(len(block[::4096]))
    job = subprocess.run(
        [sys.executable, "-c", JOB],
        env={**os.environ, "PYTHONPATH": SCRIPTS},
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = map(float, job.stdout.split())
    assert before < 100
    assert before + 200 < after < before + 400


def test_a_job_that_leaves_has_succeeded_and_said_everything(tmp_path: Path) -> None:
    code = f"""
import atexit, sys
sys.path.insert(0, {SCRIPTS!r})
from volume_entropy.joblog import leave, logged_to
atexit.register(print, "taken apart")
with logged_to({str(tmp_path / "log")!r}):
    print("in the log")
print("on the screen")
leave()
print("after the end")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("on the screen\n", "")
    assert lines_of(tmp_path / "log")[1] == "in the log"
