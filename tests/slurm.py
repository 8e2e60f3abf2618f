"""A small Slurm cluster on this machine, for the tests of `profiles/slurm`: munge, a controller and three nodes.

Everything lies in one folder, except `/etc/slurm/slurm.conf`: the executor plugin clears SLURM_CONF from a job's
environment. A configuration that is not ours is never touched, and a lock keeps two test processes from starting two.
"""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from programs import SLURM, find

CONFIGURATION = Path("/etc/slurm")
MARK = "# written by volume-entropy's tests"
NODES = ("n1", "n2", "n3")
# The real machine may have less; nothing enforces it.
NODE_CPUS, NODE_MIB = 2, 4000
# Runs a daemon until our end of the pipe closes: also when the test process is killed.
SUPERVISOR = 'trap "" INT TERM; "$@" </dev/null & read -r line; kill -KILL $!; wait'


@dataclass(frozen=True)
class Job:
    """A line of `squeue`; `run` is the name that the executor plugin gives all jobs of one main process."""

    id: str
    run: str
    state: str
    node: str
    cpus: str
    memory: str
    limit: str
    comment: str


class Slurm:
    """Start, question and hurt the cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        check_possible()
        for name in ("state", "log", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        self.folder.chmod(0o755)
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o400)
        CONFIGURATION.mkdir(exist_ok=True)
        (CONFIGURATION / "slurm.conf").write_text(configuration(self.folder))
        (CONFIGURATION / "cgroup.conf").write_text(f"{MARK}\nCgroupPlugin=cgroup/v1\n")
        files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "seed-file": "munge.seed"}
        options = [f"--{option}={self.folder / name}" for option, name in files.items()]
        self._start_daemon("munged", "munged", "--foreground", "--force", "--log-file=/dev/stderr", *options)
        wait_until(lambda: (self.folder / "munge.socket").exists(), 10, "munge's socket")
        self._start_daemon("slurmctld", "slurmctld", "-D", "-c")
        for node in NODES:
            self.start_node(node)
        try:
            wait_until(lambda: ask("sinfo", "-h", "-o", "%T %D").strip() == f"idle {len(NODES)}", 30, "the nodes")
        except TimeoutError:
            raise SLURM.unavailable("the daemons started, but no cluster came of it", self.last_words()) from None

    def stop(self) -> None:
        for process in processes_with(f"SLURM_CLUSTER_NAME={cluster_name(self.folder)}"):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for daemon in reversed(self.daemons.values()):
            daemon.stdin.close()
            daemon.wait(timeout=20)
        remove_configuration()

    def start_node(self, node: str) -> None:
        self._start_daemon(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """End a node's daemon as a power cut would; the controller is told at once, not after SlurmdTimeout."""
        pid = int((self.folder / f"{node}.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        daemon = self.daemons.pop(node)
        daemon.stdin.close()
        daemon.wait(timeout=20)
        ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def jobs(self, run: str | None = None, states: str = "all") -> list[Job]:
        """All jobs, or those of one run, also finished ones for as long as Slurm remembers them."""
        output = ask("squeue", "--noheader", f"--states={states}", "--format=%i|%j|%T|%N|%C|%m|%l|%k")
        jobs = [Job(*line.split("|", 7)) for line in output.splitlines()]
        return [job for job in jobs if run is None or job.run == run]

    def last_words(self) -> str:
        lines = [path.read_text(errors="replace").splitlines()[-2:] for path in sorted((self.folder / "log").iterdir())]
        return " / ".join(line for tail in lines for line in tail)

    def _start_daemon(self, name: str, program: str, *arguments: str) -> None:
        executable = find(program)
        with open(self.folder / "log" / name, "ab") as log:
            self.daemons[name] = subprocess.Popen(
                ["sh", "-c", SUPERVISOR, "sh", executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def configuration(folder: Path) -> str:
    """The text of slurm.conf: three nodes on loopback, no accounting, no control groups."""
    host = socket.gethostname().split(".")[0]
    controller, *nodes = free_ports(1 + len(NODES))
    text = f"""\
{MARK} in {folder}
ClusterName={cluster_name(folder)}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
# A job whose node died may start again after cred_expire seconds.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/spool/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
# As on many clusters: a job whose node died starts again only if it asked for that.
JobRequeue=0
KillWait=2
PartitionName=main Nodes={",".join(NODES)} Default=YES MaxTime=INFINITE State=UP
"""
    for node, port in zip(NODES, nodes, strict=True):
        text += f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
        text += f"CPUs={NODE_CPUS} RealMemory={NODE_MIB}\n"
    return text


def check_possible() -> None:
    """Raise `Unavailable` where no cluster can be started."""
    SLURM.check()
    for name in ("slurm.conf", "cgroup.conf"):
        path = CONFIGURATION / name
        if path.exists() and not path.read_text().startswith(MARK):
            raise SLURM.unavailable(f"this machine has a Slurm of its own ({path})", "which the tests do not touch")


def remove_configuration() -> None:
    for name in ("slurm.conf", "cgroup.conf"):
        path = CONFIGURATION / name
        if path.exists() and path.read_text().startswith(MARK):
            path.unlink()


@contextmanager
def running() -> Iterator[Slurm]:
    """A cluster for the time of the block; a second process waits here until the first is done."""
    check_possible()
    with open(Path(tempfile.gettempdir()) / "volume-entropy-slurm.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        cluster = Slurm(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()
            shutil.rmtree(folder)


def ask(*command: str) -> str:
    """What a command of Slurm's says; empty where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout if done.returncode == 0 else ""


def wait_until(condition, seconds: float, what: str) -> None:
    """Return as soon as the condition holds; TimeoutError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.1)


def processes_of(job: Job) -> list[int]:
    """Process ids of a running job's script and steps."""
    return processes_with(f"SLURM_JOB_ID={job.id}")


def processes_with(variable: str) -> list[int]:
    """Process ids whose environment holds `NAME=value`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # It may have ended.
            with suppress(OSError):
                if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def cluster_name(folder: Path) -> str:
    """A name that no other cluster on this machine has, in lower case as Slurm wants it."""
    return re.sub("[^a-z0-9]", "", folder.name.lower())


def free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


if __name__ == "__main__":
    # python tests/slurm.py: a cluster to play with until Enter is pressed.
    with running() as slurm:
        print(slurm.folder, file=sys.stderr)
        input("running; press Enter to end it\n")
