"""Whatever happens to the main process, a run on Slurm ends with the bytes of a local one, or says why not."""

import subprocess
import time

import pytest
from cluster_run import ClusterRun, assert_same_bytes, stand_in, started, wipe
from slurm import ask, wait_until
from study import ROOT, environment

CHAIN = "rule_chain_compute_entropy_convert_render_qc"


@pytest.fixture(autouse=True)
def fresh(study, slurm):
    """Every test starts with an untouched study and an idle cluster."""
    wipe(study)
    yield
    wait_until(lambda: not slurm.jobs(states="pending,running,completing"), 30, "an idle cluster")


def test_the_profile_alone_gives_the_bytes_of_a_local_run_in_one_job_a_sample(study, slurm):
    run = ClusterRun(study, "--slurm-init-seconds-before-status-checks", "5", patient=True)
    assert run.wait(150) == 0, run.output
    assert_same_bytes(study)
    assert [row["code"] for row in study.table("rejected")] == ["file_truncated"]
    jobs = slurm.jobs(run.name)
    assert sorted(job.comment for job in jobs) == ["rule_aggregate", CHAIN, CHAIN, CHAIN]
    assert {job.state for job in jobs} == {"COMPLETED"}
    chains = [job for job in jobs if job.comment == CHAIN]
    assert {(job.cpus, job.memory, job.limit) for job in chains} == {("2", "800M", "18:00")}


def test_ctrl_c_leaves_no_job_of_the_run(study, slurm, tmp_path):
    # A slow controller: Ctrl-C comes while jobs wait to be submitted.
    run = ClusterRun(study, commands=stand_in(tmp_path / "bin", "sbatch", 'sleep 2; exec $REAL "$@"'))
    wait_until(lambda: slurm.jobs(run.name), 60, "the first job")
    run.interrupt()
    assert run.wait(60) != 0
    assert "Traceback" not in run.output
    wait_until(lambda: not slurm.jobs(run.name, "pending,running,completing"), 20, "the end of its jobs")
    time.sleep(5)
    assert {job.state for job in slurm.jobs(run.name)} == {"CANCELLED"}
    assert study.run("-n").code == 0, "the lock is left"


def test_a_killed_main_process_is_continued_while_its_jobs_are_alive(study, slurm):
    first = ClusterRun(study)
    jobs = started(slurm, first, 3)
    wait_until(lambda: (study.folder / "logs/convert/sub-01.log").exists(), 60, "a job's log")
    first.kill()
    refused = ClusterRun(study)
    assert refused.wait(60) != 0
    assert "--unlock" in refused.output
    assert {job.state for job in slurm.jobs(first.name)} == {"RUNNING"}
    assert ClusterRun(study, "--unlock").wait(60) == 0
    second = ClusterRun(study)
    assert second.wait(240) == 0, second.output
    assert "jobs of it are still in Slurm's queue: they are cancelled" in second.output
    assert {job.state for job in slurm.jobs(first.name)} == {"CANCELLED"}
    assert len(jobs) == len(slurm.jobs(first.name))
    assert_same_bytes(study)


def test_a_status_query_that_fails_ends_the_run_with_what_to_do(study, slurm, tmp_path):
    commands = stand_in(tmp_path / "bin", "squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    bounds = ("--slurm-status-attempts", "3", "--max-status-checks-per-second", "1")
    run = ClusterRun(study, *bounds, commands=commands)
    assert run.wait(90) == 1
    assert "The cluster's status query (squeue) failed 3 times in a row" in run.output
    assert "give the same command again" in run.output
    # They may go on, as the message says: nothing can be asked of such a cluster.
    for job in slurm.jobs(run.name, "running"):
        ask("scancel", job.id)


def test_one_allocation_holds_the_whole_run(study, slurm):
    script, log = ROOT / "profiles/slurm/one_allocation.sbatch", study.folder / "allocation.log"
    done = subprocess.run(
        ["sbatch", "--wait", "--cpus-per-task=2", f"--output={log}", script, "--directory", study.folder],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr + log.read_text()
    assert_same_bytes(study)
