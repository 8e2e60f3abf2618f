"""On a machine with Python alone the tests pass, and say what they did not test; where CI is true they do not pass."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from programs import BROWSER, FULL_DISK, SLURM, Unavailable

TESTS = Path(__file__).parents[1]


def run(folder, path, **environment):
    """Run the tests in a folder, in workers as `make test` does, with this PATH alone."""
    names = [str(TESTS), str(TESTS.parent / "scripts")]
    command = [sys.executable, "-m", "pytest", "-c", str(TESTS.parent / "pyproject.toml"), f"--rootdir={folder}"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST") and name != "CI"}
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "-n", "1", "--dist", "loadfile", str(folder)],
        env={**kept, "PATH": str(path), "PYTHONPATH": os.pathsep.join(names), **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def suite(tmp_path):
    """A test of ours in each folder that needs a program, with the real fixtures, and one that needs nothing."""
    for folder, fixture in (("page", "browser"), ("cluster", "slurm")):
        (tmp_path / folder).mkdir()
        shutil.copy(TESTS / folder / "conftest.py", tmp_path / folder)
        lines = (f"def test_{folder}_{n}({fixture}):\n    pass\n" for n in "ab")
        (tmp_path / folder / f"test_{folder}.py").write_text("\n".join(lines))
    shutil.copy(TESTS / "conftest.py", tmp_path)
    (tmp_path / "test_plain.py").write_text("def test_plain():\n    pass\n")
    return tmp_path


@pytest.mark.parametrize(("environment", "code"), [({}, 0), ({"CI": "true"}, 1), ({"CI": "false"}, 0)])
def test_what_is_not_there_is_skipped_and_told_last_and_fails_where_ci_is_true(suite, environment, code):
    (suite / "empty").mkdir()
    done = run(suite, suite / "empty", **environment)
    assert done.returncode == code, done.stdout
    *_, said = done.stdout.partition("= NOT TESTED =")
    lines = said.splitlines()[1:]
    cluster, page = sorted(lines[:2])
    # The programs of a system's daemons are found without PATH, where they are installed.
    assert cluster.startswith("2 tests: runs on a Slurm cluster: ")
    assert cluster.endswith("scontrol not found; on Debian: sudo apt-get install slurm-wlm munge")
    assert page == (
        "2 tests: the report page in a browser: chromium, chromedriver not found; "
        "on Debian: sudo apt-get install chromium chromium-driver"
    )
    assert ("CI=true" in lines[2]) == (code == 1)
    assert "1 passed, 4 skipped" in lines[-1]
    assert len(lines) == 3 + code


def test_where_nothing_is_skipped_ci_passes(suite):
    for folder in ("page", "cluster"):
        shutil.rmtree(suite / folder)
    done = run(suite, os.environ["PATH"], CI="true")
    assert done.returncode == 0, done.stdout
    assert "NOT TESTED" not in done.stdout


@pytest.mark.parametrize("need", [SLURM, FULL_DISK])
def test_what_only_root_may_do_is_not_tried_by_another_user(need, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program, path: f"/usr/bin/{program}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="do not run as root"):
        need.check()
    BROWSER.check()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    need.check()
