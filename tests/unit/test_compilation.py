"""The cache of machine code: shared by jobs, and never a reason to fail."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from volume_entropy.kernels import compilation
from volume_entropy.kernels.single import make_single

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")

# A job: one small kernel, whether it came from the cache, and what it computed.
JOB = """
import numpy as np
from volume_entropy.kernels.buffers import make_settings
from volume_entropy.kernels.confidence import margin as kernel
settings = make_settings(
    n_classes=2, kind="softmax", complement=False, sum_tolerance=0.01, quantum=0.0, unit="bit"
)
out = np.empty(2, np.float32)
kernel(np.array([[0.75, 0.5], [0.25, 0.5]], np.float32), False, np.zeros(2, np.float32), settings, out)
assert out.tolist() == [0.5, 1.0]
print(sum(kernel.stats.cache_hits.values()))
"""


def start(cache: Path, **environment: str) -> "subprocess.Popen[str]":
    inherited = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    settings = inherited | {"PYTHONPATH": str(ROOT / "scripts"), "XDG_CACHE_HOME": str(cache)} | environment
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", JOB],
        env=settings,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def hits(job: "subprocess.Popen[str]") -> int:
    """How often the job's kernel came from the cache; it must not have failed, nor warned."""
    output, errors = job.communicate(timeout=120)
    assert (job.returncode, errors) == (0, "")
    return int(output)


def files(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_two_jobs_at_once_fill_one_cache_and_the_third_reads_it(tmp_path):
    jobs = [start(tmp_path) for _ in range(2)]
    for job in jobs:
        hits(job)
    assert len(files(tmp_path)) == 1
    assert hits(start(tmp_path)) == 1


def test_a_job_whose_kernels_are_all_cached_compiles_nothing(tmp_path):
    # Of numba's runtime, too: its functions are found by machine code that was made by another process.
    job = """
import hashlib
import numpy as np
from numba.core.runtime import rtsys
from volume_entropy import uncertainty
from volume_entropy.measures import MEASURES
from volume_entropy.reductions import label_sums, measure_sums, roles
p = np.random.default_rng(0).dirichlet(np.ones(4), (3, 6, 7, 8)).astype(np.float32)
maps = uncertainty(p, member_axis=0, class_axis=-1, measures=list(MEASURES))
values, domain = maps["predictive_entropy"], np.ones((6, 7, 8), bool)
sums = measure_sums(values, domain, start=(0, 0, 0), threshold=0.5, edge=4)
found = roles(p[0].argmax(axis=-1).astype(np.uint8), None, None, None, 0)
said = [sums.total, sums.bins.tolist(), label_sums(values, found, 8), *(maps[name].tobytes() for name in sorted(maps))]
print(hashlib.sha256(repr(said).encode()).hexdigest(), rtsys._init)
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT / "scripts")}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", job], env=environment, capture_output=True, text=True, timeout=300, check=True
        ).stdout.split()
        for _ in range(2)
    )
    assert (first[0], first[1]) == (second[0], "True")
    assert second[1] == "False"


def flip(content: bytes) -> bytes:
    """A bit of the machine code is wrong."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [lambda c: b"", lambda c: c[: len(c) // 2], flip])
def test_a_damaged_file_is_compiled_again_and_replaced(tmp_path, damage):
    hits(start(tmp_path))
    (path,) = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert hits(start(tmp_path)) == 0
    assert hits(start(tmp_path)) == 1


def test_without_a_writable_home_there_is_no_cache_and_no_warning(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert hits(start(blocked)) == 0
    assert hits(start(blocked, HOME=str(blocked))) == 0
    assert files(tmp_path) == [blocked]


def test_a_cpu_has_its_own_code(tmp_path):
    hits(start(tmp_path))
    assert hits(start(tmp_path, NUMBA_CPU_NAME="haswell")) == 0
    assert len({path.parent for path in files(tmp_path)}) == 2


def test_a_relative_folder_or_another_users_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = compilation.cache_folder()
    assert folder is not None and folder.stat().st_mode & 0o077 == 0
    if os.geteuid() == 0:
        os.chown(folder, 12345, 12345)
        assert compilation.cache_folder() is None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert compilation.cache_folder() is None


def test_a_full_disk_is_no_reason_to_fail(tmp_path, monkeypatch):
    def no_space(*_: object) -> int:
        raise OSError(28, "No space left on device")

    @numba.njit
    def twice(x):
        return 2 * x

    twice._cache = compilation.KernelCache(tmp_path, twice.py_func)
    monkeypatch.setattr(Path, "write_bytes", no_space)
    assert twice(np.float32(4)) == 8
    assert files(tmp_path) == []


def test_code_is_known_by_what_was_loaded_not_by_what_the_file_says():
    def made(offset):
        @numba.njit
        def inner(x):
            return x + offset

        def outer(x):
            return inner(x) * 2

        return outer

    def other(x):
        return x * 2

    assert compilation._loaded_code(made(1)) == compilation._loaded_code(made(1))
    assert len({compilation._loaded_code(function) for function in (made(1), made(2), other)}) == 3
    three, four = make_single(3), make_single(4)
    assert compilation._loaded_code(three.py_func) != compilation._loaded_code(four.py_func)
