"""The demo cohort, here and on a Slurm of three nodes on this machine, through `profiles/slurm` alone: the same bytes?

python tests/cluster_demo.py
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster_run import ClusterRun, assert_same_bytes
from slurm import running
from study import ROOT, Study


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running() as slurm:
        study = Study(Path(folder))
        subprocess.run([sys.executable, ROOT / "scripts/make_demo.py", "--output", folder], check=True)
        shutil.copy(ROOT / "config/demo.yaml", study.folder / "config/config.yaml")
        started = time.monotonic()
        run = study.run()
        if run.code != 0:
            sys.exit(run.output)
        study.expected = study.digests()
        print(f"here: {time.monotonic() - started:.0f} s, {len(study.expected)} files", flush=True)
        study.wipe()
        started = time.monotonic()
        on_cluster = ClusterRun(study, patient=True)
        if on_cluster.wait(1800) != 0:
            sys.exit(on_cluster.output)
        assert_same_bytes(study)
        jobs = slurm.jobs(on_cluster.name)
        print(f"on the cluster: {time.monotonic() - started:.0f} s, {len(jobs)} jobs, the same bytes")
        for job in jobs:
            print(f"  {job.comment} on {job.node}: {job.state}, {job.cpus} processors, {job.memory}, {job.limit}")


if __name__ == "__main__":
    main()
