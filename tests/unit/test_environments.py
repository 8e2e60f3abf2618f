"""What is pinned for pip, for conda and in the package's metadata says the same, and no registry's address."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
CONDA_NAMES = {
    "dask-core": "dask",
    "matplotlib-base": "matplotlib",
    "python-isal": "isal",
    "pytorch": "torch",
    "snakemake-minimal": "snakemake",
}


def pinned(name):
    lines = (ROOT / "envs" / name).read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith(("#", "-r"))]
    return dict(pins)


@pytest.mark.parametrize(
    ("environment", "locks"),
    [("environment.yaml", ["requirements.txt"]), ("predict.yaml", ["requirements.txt", "predict.txt"])],
)
def test_conda_has_the_versions_of_the_lock(environment, locks):
    pins = {name: version for lock in locks for name, version in pinned(lock).items()}
    *dependencies, last = yaml.safe_load((ROOT / "envs" / environment).read_text())["dependencies"]
    found = {}
    for dependency in [*dependencies, *(last["pip"] if isinstance(last, dict) else [last])]:
        if dependency == "pip":
            continue
        name, version = re.fullmatch(r"([\w-]+) [=>]=(.+)", dependency).groups()
        if name != "python":
            found[CONDA_NAMES.get(name, name)] = version
    assert found
    assert found == {name: pins[name] for name in found}


def test_the_lock_satisfies_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = pinned("requirements.txt")
    wanted = [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["workflow"]]
    for requirement in wanted:
        assert requirement.specifier.contains(pins[requirement.name]), requirement


def test_no_lock_names_a_registry():
    for path in [*(ROOT / "envs").iterdir(), ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / ".ci/run"]:
        assert not re.search(r"https?://|--(extra-)?index-url|--find-links", path.read_text()), path
