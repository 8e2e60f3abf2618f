"""Mutated files of every format end in a right number or a rejection; a few hundred here, thousands by `make fuzz`."""

import gzip
import io
import logging
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fuzz import ENTROPY, Wrong, bounded, case, run, run_case, run_seeds, warm_up
from valid_samples import VALID, valid
from volume_entropy import convert
from volume_entropy.readers import FORMATS, sources

CASES, GROUPS = 300, 6


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.CRITICAL)


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_mutated_file_gives_a_right_number_or_a_rejection(group: int, tmp_path: Path) -> None:
    size = CASES // GROUPS
    ends, failures = run_seeds(range(group * size, (group + 1) * size), tmp_path / "failures")
    assert failures == []
    # Neither everything rejected nor everything accepted.
    assert ends["ok"] > size // 20
    assert len(ends) > 3


def test_every_format_is_mutated() -> None:
    assert {valid(name).ending for name in VALID} == set(FORMATS)
    started = Counter(valid_name(seed) for seed in range(CASES))
    assert set(started) == set(VALID)


def valid_name(seed: int) -> str:
    start = case(seed)[0]
    return next(name for name in VALID if valid(name) is start)


def test_a_case_is_the_same_on_every_run() -> None:
    for seed in range(60):
        assert case(seed)[1:] == case(seed)[1:]


# Would the fuzzer notice? Each guard is taken away once, for a case that needs it.


def test_a_value_that_differs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seed = next(seed for seed in range(1000) if case(seed)[1] == case(seed)[0].tree)
    assert run_case(seed, tmp_path / "right") == "ok"
    writer = convert.ProbabilityWriter.write

    def shifted(self, member, index, z, data, y=0, x=0):
        writer(self, member, index, z, data + np.float32(1e-5), y, x)

    monkeypatch.setattr(convert.ProbabilityWriter, "write", shifted)
    with pytest.raises(Wrong, match="other values"):
        run_case(seed, tmp_path / "wrong")


def unchecked(content: bytes) -> io.BytesIO:
    return io.BytesIO(zlib.decompressobj(-15).decompress(content[10:]))


def test_a_checksum_that_nobody_compares_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A decoder without checksums, and a file without compression, in which a flipped bit shows nowhere else.
    start = valid("nii.gz")
    content = bytearray(gzip.compress(gzip.decompress(start.tree["p.nii.gz"]), 0))
    content[-20] ^= 1
    mutated = {"p.nii.gz": bytes(content)}
    assert run(start, mutated, {**start.settings, **ENTROPY}, tmp_path / "guarded") == "file_corrupt"
    monkeypatch.setattr(sources.igzip, "IGzipFile", lambda fileobj, mode: unchecked(fileobj.read()))
    with pytest.raises(gzip.BadGzipFile):
        run(start, mutated, {**start.settings, **ENTROPY}, tmp_path / "unguarded")


def test_an_exception_of_another_kind_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warm_up()
    monkeypatch.setattr(convert, "choose_layout", lambda *_: 1 / 0)
    _, failures = run_seeds(range(20), tmp_path / "failures")
    assert any("ZeroDivisionError" in line for line in failures)
    seed = failures[0].split()[1].rstrip(":")
    assert (tmp_path / f"failures/{seed}/source").is_dir()
    assert "ZeroDivisionError" in (tmp_path / f"failures/{seed}/failure.txt").read_text()


def test_a_case_that_takes_too_long_or_too_much_memory_is_noticed() -> None:
    with pytest.raises(TimeoutError), bounded(seconds=1):
        time.sleep(5)
    warm_up()
    with pytest.raises(MemoryError), bounded():
        np.ones(2**31, np.uint8)
    np.ones(2**20, np.uint8)
