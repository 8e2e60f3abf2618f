"""What the commands of the Makefile install, and what they leave alone."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path):
    """A folder with the Makefile and what it installs from."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    return tmp_path


def make(folder, *arguments):
    """What `make` says, with nothing of a `make` that these tests may run under."""
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    command = ["make", "-C", str(folder), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink()}


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


# A study in the clone, beside it a first one's data, and what other people's runs left.
OF_THE_USER = (
    "config/config.yaml",
    "config/samples.tsv",
    "results/sub-01/sub-01_summary.json",
    "results/report.html",
    "work/sub-01/measures.zarr/zarr.json",
    "logs/convert/sub-01.log",
    "benchmarks/convert/sub-01.tsv",
    ".snakemake/metadata/record",
    "data/sub-01_probseg.nii.gz",
    "data/demographics.csv",
    "data/digits-of-our-own/0/1.png",
)
OF_THE_MAKEFILE = (
    "data/demo/config/samples.tsv",
    "data/demo/data/sub-01/sub-01_T1w.nii.gz",
    "data/demo/results/report.html",
    "data/demo/.snakemake/metadata/record",
    "data/demo-predict/results/methods.csv",
    "data/digits/results/images.csv",
    "data/benchmarks/sub-01/sub-01_T1w.nii.gz",
    "benchmarks.json",
)


def test_clean_removes_what_the_makefile_made_and_nothing_of_a_study_in_the_clone(clone):
    write(clone, *OF_THE_USER)
    before = files(clone)
    write(clone, *OF_THE_MAKEFILE, ".venv/core.stamp")
    make(clone, "clean")
    assert files(clone) == before | {".venv/core.stamp"}


def test_clean_leaves_no_empty_folder_and_may_be_called_again(clone):
    write(clone, *OF_THE_MAKEFILE)
    make(clone, "clean")
    assert not (clone / "data").exists()
    make(clone, "clean")


def test_clean_takes_a_link_away_and_not_what_it_points_to(clone):
    write(clone, "elsewhere/scan.nii.gz")
    (clone / "data").mkdir()
    (clone / "data/demo").symlink_to(clone / "elsewhere")
    make(clone, "clean")
    assert (clone / "elsewhere/scan.nii.gz").exists()


@pytest.mark.parametrize(
    ("target", "study"),
    [("demo", "data/demo"), ("demo-predict", "data/demo-predict"), ("demo-digits", "data/digits")],
)
def test_a_demo_is_a_study_of_its_own_and_installs_no_tools_of_developers(clone, target, study):
    said = make(clone, "--dry-run", target)
    assert f"--directory {study} " in said
    assert "envs/dev" not in said
    assert "envs/demo.txt" not in said or "--no-deps -r envs/demo.txt" in said


def test_every_target_that_help_lists_is_a_command_and_no_file(clone):
    listed = [line.split()[0] for line in make(clone, "help").splitlines() if line and not line.startswith("make")]
    assert {"env", "demo", "test", "lint", "clean"} <= set(listed)
    for target in listed:
        (clone / target).mkdir(exist_ok=True)
        assert "is up to date" not in make(clone, "--dry-run", target), target
