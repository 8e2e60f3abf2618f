"""What Snakemake itself costs with thousands of samples: the real Snakefile, on results that are copied, not computed.

    python tests/benchmarks/large_cohort.py --samples 1000 10000 [--only finished | tiny] [--profile FILE]

`finished`: one sample is run for real. Its source, results and Snakemake's records are then written again under every
other id, so that the whole cohort counts as finished. `tiny`: jobs of the same DAG run from scratch, with a shell line
in the place of each script; the first thousands tell what one costs.
"""

import argparse
import base64
import csv
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from study import ROOT, Study, environment, softmax_volume

FIRST = "sub-00000"


@dataclass(frozen=True)
class Row:
    """One measurement: wall and processor seconds, peak memory, and how many jobs were started."""

    samples: int
    what: str
    wall_s: float
    cpu_s: float
    peak_mib: float
    jobs: int


def name(number: int) -> str:
    return f"sub-{number:05d}"


def make_cohort(folder: Path, n_samples: int) -> Study:
    """A study whose samples all have a source and, but for the tables, finished results."""
    study = Study(folder)
    study.add(FIRST, softmax_volume(1), site="A")
    run = study.run()
    assert run.code == 0, run.output
    shutil.rmtree(folder / "work")
    records = {path: path.read_text() for path in (folder / ".snakemake/metadata").iterdir()}
    results = [path for path in (folder / "results" / FIRST).rglob("*") if path.is_file()]
    # Tables and their records belong to a cohort of one.
    for path in records:
        if FIRST not in base64.b64decode(path.name).decode():
            path.unlink()
    for path in (folder / "results").iterdir():
        if path.is_file():
            path.unlink()
    for number in range(1, n_samples):
        other = name(number)
        os.link(folder / f"data/{FIRST}.nii.gz", folder / f"data/{other}.nii.gz")
        for path in results:
            copy = Path(str(path).replace(FIRST, other))
            copy.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".json":
                copy.write_text(path.read_text().replace(FIRST, other))
                shutil.copystat(path, copy)
            else:
                os.link(path, copy)
        for path, text in records.items():
            output = base64.b64decode(path.name).decode()
            if FIRST in output:
                record = base64.b64encode(output.replace(FIRST, other).encode()).decode()
                (path.parent / record).write_text(text.replace(FIRST, other))
        study.rows[other] = {"sample": other, "probabilities": f"../data/{other}.nii.gz", "site": "AB"[number % 2]}
    study.write_table()
    return study


def measured(
    study: Study, what: str, *arguments: str, snakefile: Path | None = None, profile: Path | None = None
) -> Row:
    """Run Snakemake and take its time."""
    command = study.command(*arguments)
    if snakefile is not None:
        command[command.index("--snakefile") + 1] = str(snakefile)
    if profile is not None:
        command[1:3] = ["-m", "cProfile", "-o", str(profile), "-m", "snakemake"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    jobs = len(re.findall(r"^(?:local)?rule (\w+):", done.stderr + done.stdout, flags=re.M))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Row(len(study.rows), what, round(wall, 1), round(cpu, 1), round(after.ru_maxrss / 1024), jobs)


def seconds_until_a_job(study: Study) -> Row:
    """From the command to the first job of one new sample; the run is then left to end."""
    new = f"sub-new{len(study.rows)}"
    study.add(new, softmax_volume(2), site="A")
    started = time.perf_counter()
    process = subprocess.Popen(
        study.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment()
    )
    first: tuple[float, float] | None = None
    jobs = 0
    assert process.stdout is not None
    for line in process.stdout:
        if re.match(r"(?:local)?rule ", line):
            jobs += 1
            first = first or (time.perf_counter() - started, processor_seconds(process.pid))
    assert process.wait() == 0
    assert first is not None
    wall = time.perf_counter() - started
    what = f"one new sample: first job after {first[0]:.1f} s, {first[1]:.1f} of a processor"
    return Row(len(study.rows), what, round(wall, 1), 0, 0, jobs)


def job(study: Study, rule: str) -> Row:
    """What Snakemake's own benchmark says of the one job of a rule."""
    with open(study.folder / f"benchmarks/{rule}.tsv", newline="") as stream:
        cost = next(csv.DictReader(stream, delimiter="\t"))
    cpu = 0.0 if cost["cpu_time"] == "NA" else float(cost["cpu_time"])
    peak = 0 if cost["max_rss"] == "NA" else round(float(cost["max_rss"]))
    return Row(len(study.rows), f"job {rule}", round(float(cost["s"]), 1), round(cpu, 1), peak, 1)


def tiny_workflow(folder: Path) -> Path:
    """A copy of the workflow in which a shell line stands for each script: what is left is Snakemake's own cost."""
    folder.mkdir()
    for part in ("Snakefile", "workflow", "scripts", "envs", "profiles"):
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / part)
    make = "for f in {output}; do case $f in *.zarr|*/maps|*/report) mkdir -p $f;; *) echo '{{}}' > $f;; esac; done"
    for rules in (folder / "workflow/rules").glob("*.smk"):
        text = re.sub(r'    script:\n        "[^"]+"\n', lambda _: f'    shell:\n        "{make}"\n', rules.read_text())
        rules.write_text(text)
    return folder / "Snakefile"


def finished(n_samples: int, folder: Path, profile: Path | None) -> Iterator[Row]:
    """What is done with a cohort that has results: tables, nothing, one new sample; and the plan of one without."""
    study = make_cohort(folder, n_samples)
    yield measured(study, "tables and report only")
    for rule in ("aggregate", "report"):
        yield job(study, rule)
    yield measured(study, "nothing to do", profile=profile)
    yield seconds_until_a_job(study)
    for part in ("results", ".snakemake"):
        shutil.rmtree(study.folder / part)
    yield measured(study, "dry run from scratch", "-n", "--quiet", "rules")


def tiny(n_samples: int, folder: Path, n_jobs: int) -> Row:
    """The first jobs from scratch, two at a time; none does anything, and what the main process takes is its own."""
    study = Study(folder / "study")
    study.add(FIRST, softmax_volume(1), site="A")
    for number in range(1, n_samples):
        other = name(number)
        os.link(folder / f"study/data/{FIRST}.nii.gz", folder / f"study/data/{other}.nii.gz")
        study.rows[other] = {"sample": other, "probabilities": f"../data/{other}.nii.gz", "site": "AB"[number % 2]}
    study.write_table()
    command = study.command()
    command[command.index("--snakefile") + 1] = str(tiny_workflow(folder / "tiny"))
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(), start_new_session=True
    )
    assert process.stdout is not None
    spent: list[tuple[float, float]] = []
    for line in process.stdout:
        if line.startswith("Finished jobid"):
            spent.append((time.perf_counter(), processor_seconds(process.pid)))
            if len(spent) > n_jobs:
                break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = len(spent) - 1
    wall, cpu = (last - first for first, last in zip(spent[0], spent[-1], strict=True))
    what = f"tiny jobs: {1000 * wall / done:.1f} ms a job, {1000 * cpu / done:.1f} of Snakemake's own"
    return Row(n_samples, what, round(wall, 1), round(cpu, 1), 0, done)


def processor_seconds(process: int) -> float:
    """What a process took of a processor, without its children."""
    with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as stat:
        user, system = stat.read().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def main(write: Callable[[str], object] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--samples", type=int, nargs="+", default=[1000])
    parser.add_argument("--only", choices=("finished", "tiny"))
    parser.add_argument("--jobs", type=int, default=2000, help="how many tiny jobs are timed")
    parser.add_argument("--profile", type=Path, help="where cProfile writes the run in which there is nothing to do")
    options = parser.parse_args()
    for n_samples in options.samples:
        with tempfile.TemporaryDirectory() as folder:
            if options.only != "tiny":
                for row in finished(n_samples, Path(folder, "finished"), options.profile):
                    write(json.dumps(row.__dict__))
            if options.only != "finished":
                write(json.dumps(tiny(n_samples, Path(folder), options.jobs).__dict__))


if __name__ == "__main__":
    main()
