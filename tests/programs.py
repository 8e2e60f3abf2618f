"""What some tests need beside Python and make: on a machine that lacks it they are skipped, and the run says so."""

import os
import shutil
from dataclasses import dataclass


class Unavailable(RuntimeError):
    """What a test needs is not here; the message says what is not tested, why, and how to get it."""


@dataclass(frozen=True)
class Need:
    """Programs of Debian packages, and whether root must start them; `what` is not tested without."""

    what: str
    programs: tuple[str, ...]
    packages: str
    root: bool = False

    def check(self) -> None:
        """Raise `Unavailable` where a program is missing, or the user may not do what it is to do."""
        missing = [program for program in self.programs if find(program) is None]
        if missing:
            remedy = f"on Debian: sudo apt-get install {self.packages}"
            raise self.unavailable(f"{', '.join(missing)} not found", remedy)
        if self.root and os.geteuid() != 0:
            raise self.unavailable("the tests do not run as root", "run them as root, in a container for instance")

    def unavailable(self, why: str, remedy: str) -> Unavailable:
        """Make the error: what is not tested, why, what to do."""
        return Unavailable(f"{self.what}: {why}; {remedy}")


BROWSER = Need("the report page in a browser", ("chromium", "chromedriver"), "chromium chromium-driver")
SLURM = Need(
    "runs on a Slurm cluster",
    ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol"),
    "slurm-wlm munge",
    root=True,
)
FULL_DISK = Need("a disk that is full", ("mount", "umount"), "mount", root=True)


def find(program: str) -> str | None:
    """The path of a program, also of one that only root has in PATH."""
    return shutil.which(program, path=search_path())


def search_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/sbin"])
