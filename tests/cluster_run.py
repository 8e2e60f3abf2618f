"""Snakemake's main process on the test cluster, in the background, so that a test can hurt it."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from slurm import Job, Slurm, wait_until
from study import ROOT, Study, environment

PROFILE = ROOT / "profiles/slurm"
# Ours: the plugin's interval between two queries grows by ten seconds a query, which a test has no time for.
IMPATIENT = """
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake.cli import main
RemoteExecutor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None)
main()
"""


class ClusterRun:
    """`snakemake --workflow-profile profiles/slurm` on a study.

    Parameters
    ----------
    arguments
        Further options of Snakemake.
    commands
        A folder whose programs stand in for Slurm's.
    patient
        Leave the interval between two status queries as the profile has it.
    """

    def __init__(self, study: Study, *arguments: str, commands: Path | None = None, patient: bool = False) -> None:
        self.log = study.folder / f"main-{len(list(study.folder.glob('main-*.txt')))}.txt"
        env = environment()
        if commands is not None:
            env["PATH"] = f"{commands}{os.pathsep}{env['PATH']}"
        python = [sys.executable, "-m", "snakemake"] if patient else [sys.executable, "-c", IMPATIENT]
        options = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(study.folder), "--nocolor"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*python, *options, "--workflow-profile", str(PROFILE), *arguments],
                stdout=log,
                stderr=log,
                env=env,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def name(self) -> str:
        """The name that the plugin gives the Slurm jobs of this main process."""
        wait_until(lambda: re.search(r"SLURM run ID: (\S+)\n", self.output), 60, "the run's name")
        return re.search(r"SLURM run ID: (\S+)\n", self.output)[1]

    @property
    def rules(self) -> Counter[str]:
        """How often each rule was started."""
        return Counter(re.findall(r"^ *(?:local)?rule (\w+):", self.output, flags=re.M))

    def wait(self, seconds: float) -> int:
        """The exit code; a run that takes longer is killed, and the test fails with what it said."""
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the run did not end within {seconds} s:\n{self.output[-4000:]}") from None

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def stand_in(folder: Path, name: str, script: str) -> Path:
    """Write a program that stands in for one of Slurm's; `$REAL` in the script is the real one."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\nREAL={shutil.which(name)}\n{script}\n")
    program.chmod(0o755)
    return folder


def started(slurm: Slurm, run: ClusterRun, number: int) -> list[Job]:
    """The run's jobs, as soon as so many of them are running."""
    wait_until(lambda: len(slurm.jobs(run.name, "running")) >= number, 120, f"{number} running jobs")
    return slurm.jobs(run.name, "running")


def assert_same_bytes(study: Study) -> None:
    assert study.digests() == study.expected
    assert study.leftovers() == []
