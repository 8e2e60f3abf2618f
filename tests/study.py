"""A study folder and the real `snakemake` on it, for the tests of the workflow."""

import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import yaml

ROOT = Path(__file__).parents[1]


@dataclass
class Run:
    """The end of one `snakemake` process: its exit code, what it said, and how often each rule ran."""

    code: int
    output: str
    jobs: Counter[str]


class Study:
    """A folder with a config, a samples table and source files; `run` starts Snakemake on it."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.folder = folder
        self.expected: dict[str, str] = {}
        self.rows: dict[str, dict[str, str]] = {}
        (folder / "config").mkdir(parents=True, exist_ok=True)
        self.configure(**config)

    def configure(self, **config: Any) -> None:
        (self.folder / "config/config.yaml").write_text(yaml.safe_dump(config))

    def add(self, sample: str, probabilities: np.ndarray | None = None, **cells: str) -> Path:
        """Add a row; `probabilities` (x, y, z, class) become its NIfTI file."""
        path = self.folder / f"data/{sample}.nii.gz"
        if probabilities is not None:
            save(probabilities, path)
        self.rows[sample] = {"sample": sample, "probabilities": f"../data/{sample}.nii.gz", **cells}
        self.write_table()
        return path

    def remove(self, sample: str) -> None:
        del self.rows[sample]
        self.write_table()

    def write_table(self) -> None:
        columns = list(dict.fromkeys(column for row in self.rows.values() for column in row))
        lines = ["\t".join(columns)]
        lines += ["\t".join(row.get(column, "") for column in columns) for row in self.rows.values()]
        (self.folder / "config/samples.tsv").write_text("\n".join(lines) + "\n")

    def wipe(self) -> None:
        """Leave the study as it was before its first run."""
        for name in ("results", "work", "logs", "benchmarks", ".snakemake"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def keep(self) -> None:
        """Remember the whole folder as it is, for `restored`."""
        shutil.copytree(self.folder, self.folder.with_name(f"{self.folder.name}.kept"))

    def restored(self) -> "Study":
        """The study as it was kept: the same paths, sizes and times, so that nothing is stale."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.folder.with_name(f"{self.folder.name}.kept"), self.folder)
        config = (self.folder / "config/config.yaml").read_text()
        study = Study(self.folder, **yaml.safe_load(config))
        study.rows = dict(self.rows)
        return study

    def command(self, *arguments: str, cores: int = 2) -> list[str]:
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        return [*snakemake, "--directory", str(self.folder), "--cores", str(cores), "--nocolor", *arguments]

    def run(self, *arguments: str, cores: int = 2) -> Run:
        process = subprocess.run(
            self.command(*arguments, cores=cores),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(),
            timeout=600,
        )
        jobs = Counter(re.findall(r"^(?:local)?rule (\w+):", process.stdout, flags=re.M))
        return Run(process.returncode, process.stdout, jobs)

    def table(self, name: str) -> list[dict[str, str]]:
        with open(self.folder / f"results/{name}.csv", newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    def described(self) -> set[str]:
        """Names of all CSV files below the results, each held against the data dictionary beside it."""
        from volume_entropy.report.data import read_table

        paths = list((self.folder / "results").rglob("*.csv"))
        for path in paths:
            read_table(path.parent, path.stem)
        return {path.stem for path in paths}

    def digests(self) -> dict[str, str]:
        """A digest of every CSV, summary and map below the results."""
        files = sorted(path for path in (self.folder / "results").rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if path.suffix in (".csv", ".gz", ".json")
        }

    def leftovers(self) -> list[str]:
        """Temporary names that a finished run must not leave."""
        hidden = [*(self.folder / "results").rglob(".*"), *(self.folder / "work").rglob(".*")]
        return [str(path) for path in hidden if path.name != ".snakemake_timestamp"]


def environment() -> dict[str, str]:
    """The environment of a child: this interpreter's programs first, no profile of the developer's own."""
    own = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return {key: value for key, value in own.items() if not key.startswith("SNAKEMAKE_")}


def save(array: np.ndarray, path: Path, affine: np.ndarray | None = None) -> None:
    """Write an array as NIfTI with millimetre voxels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def softmax_volume(seed: int, shape: tuple[int, int, int] = (13, 11, 7), classes: int = 4) -> np.ndarray:
    """Random probabilities (x, y, z, class), float32, sums 1 to rounding."""
    logits = np.random.default_rng(seed).normal(scale=3, size=(*shape, classes))
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True), dtype=np.float32)
