"""Kill a run at seeded random moments, start it again each time, and hold what is left against an undisturbed run.

    python tests/kills.py -n 30 --seed 0

Killed are in turn the main process alone (its jobs live on beside those of the next run), one process of a job, and all
of them at once, as by a power cut. A run that ends before its moment has come is held against the undisturbed one, too.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from slurm import wait_until
from study import Study, environment, save, softmax_volume

VICTIMS = ("main", "job", "all")


@dataclass
class Outcome:
    """What a series of kills was: how often which victim, and how often a run came to its end."""

    kills: Counter[str] = field(default_factory=Counter)
    ends: int = 0


class Killer:
    """Runs of one study that are killed.

    Parameters
    ----------
    study
        Has run undisturbed.
    seconds
        How long that took: within this time the moments lie.
    seed
        Of moments and victims.
    """

    def __init__(self, study: Study, seconds: float, seed: int) -> None:
        self.study, self.seconds, self.random = study, seconds, random.Random(seed)
        self.expected, self.files = study.digests(), files_of(study)
        self.sessions: list[int] = []

    def kill(self, n: int) -> Outcome:
        """Kill so many times, from nothing; then let the run end. AssertionError if its bytes are others."""
        outcome, is_new = Outcome(), True
        self.study.wipe()
        while outcome.kills.total() < n:
            victim, started = VICTIMS[outcome.kills.total() % len(VICTIMS)], time.monotonic()
            if self.run_and_kill(self.random.uniform(1, self.seconds), victim):
                outcome.kills[victim] += 1
                is_new = False
                continue
            if is_new:
                # The machine has become faster than it was.
                self.seconds = time.monotonic() - started
            outcome.ends += 1
            self.check()
            self.study.wipe()
            is_new = True
        run = self.study.run()
        assert run.code == 0, run.output
        self.check()
        return outcome

    def run_and_kill(self, after: float, victim: str) -> bool:
        """Start the run, kill what is asked for, and unlock the folder if need be; False if the run ended before."""
        log = self.study.folder / "killed.log"
        with open(log, "ab") as stream:
            main = subprocess.Popen(
                self.study.command(), stdout=stream, stderr=stream, env=environment(), start_new_session=True
            )
        self.sessions.append(main.pid)
        with suppress(subprocess.TimeoutExpired):
            assert main.wait(timeout=after) == 0, log.read_text()
            return False
        if victim == "job":
            return self.kill_a_job(main)
        if victim == "all":
            os.killpg(main.pid, signal.SIGKILL)
        main.kill()
        main.wait()
        assert self.study.run("--unlock").code == 0
        return True

    def kill_a_job(self, main: "subprocess.Popen[bytes]") -> bool:
        """Kill a process of a job as soon as there is one; the main process reports it and goes on with the others."""
        is_killed = False
        while main.poll() is None:
            jobs = [process for process in session(main.pid) if process != main.pid]
            if jobs and not is_killed:
                with suppress(ProcessLookupError):
                    os.kill(self.random.choice(jobs), signal.SIGKILL)
                    is_killed = True
            time.sleep(0.05)
        return is_killed

    def check(self) -> None:
        """Hold results against those of the undisturbed run, as soon as no job of a killed run is alive."""
        wait_until(lambda: not any(session(number) for number in self.sessions), 300, "jobs of killed runs")
        assert self.study.digests() == self.expected
        assert files_of(self.study) == self.files
        assert self.study.leftovers() == []


def files_of(study: Study) -> list[str]:
    """Every file below the results; those that tell of Snakemake's times are no results."""
    paths = (study.folder / "results").rglob("*")
    return sorted(str(path) for path in paths if path.is_file() and path.name != ".snakemake_timestamp")


def session(leader: int) -> list[int]:
    """Processes of a session that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                # Behind the name, which may hold anything: state, parent, group, session.
                state, _, _, of = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(of) == leader and state != "Z":
                    found.append(int(entry.name))
    return found


def make_study(folder: Path) -> Study:
    """Three samples that can be used, one of them with a reference, and a truncated one."""
    study = Study(folder)
    save(softmax_volume(1).argmax(axis=-1).astype(np.uint8), folder / "data/labels.nii.gz")
    study.add("sub-01", softmax_volume(1), reference="../data/labels.nii.gz", site="A")
    for number in (2, 3):
        study.add(f"sub-0{number}", softmax_volume(number, (40, 30, 20)), site="B")
    cut = study.add("cut", softmax_volume(4), site="B")
    cut.write_bytes(cut.read_bytes()[:-200])
    return study


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("-n", type=int, default=30, help="how many kills")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = make_study(Path(folder))
        started = time.monotonic()
        run = study.run()
        if run.code != 0:
            sys.exit(run.output)
        seconds = time.monotonic() - started
        print(f"undisturbed: {seconds:.1f} s", flush=True)
        outcome = Killer(study, seconds, options.seed).kill(options.n)
        kills = ", ".join(f"{victim} {count}" for victim, count in sorted(outcome.kills.items()))
        print(f"{outcome.kills.total()} kills ({kills}); every one of {outcome.ends + 1} ends gave the same bytes")


if __name__ == "__main__":
    main()
