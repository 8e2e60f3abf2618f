"""Whatever happens to jobs, nodes and main process, a run on Slurm ends with a local run's bytes, or says why not."""

import os
import re
import signal
import subprocess
import time
from contextlib import suppress

import pytest
from cluster_run import ClusterRun, assert_same_bytes, stand_in, started
from slurm import ask, processes_of, wait_until
from study import ROOT, environment

CHAIN = "rule_chain_compute_entropy_convert_render_qc"


@pytest.fixture
def fresh(study, slurm):
    """The study before its first run; afterwards the cluster is idle again."""
    study.wipe()
    yield study
    wait_until(lambda: not slurm.jobs(states="pending,running,completing"), 60, "an idle cluster")


def test_the_profile_alone_gives_the_bytes_of_a_local_run_in_one_job_a_sample(fresh, slurm):
    run = ClusterRun(fresh, "--slurm-init-seconds-before-status-checks", "5", patient=True)
    assert run.wait(240) == 0, run.output
    assert_same_bytes(fresh)
    assert [row["code"] for row in fresh.table("rejected")] == ["file_truncated"]
    jobs = slurm.jobs(run.name)
    scored = f"{CHAIN}_render_scores"
    assert sorted(job.comment for job in jobs) == ["rule_aggregate", "rule_aggregate_scores", CHAIN, CHAIN, scored]
    assert {job.state for job in jobs} == {"COMPLETED"}
    chains = {(job.comment, job.cpus, job.memory, job.limit) for job in jobs if job.comment.startswith(CHAIN)}
    # Figures and scores are drawn at the same time.
    assert chains == {(CHAIN, "2", "800M", "18:00"), (scored, "2", "1200M", "18:00")}


def test_ctrl_c_leaves_no_job_of_the_run(fresh, slurm, tmp_path):
    # A slow controller: Ctrl-C comes while two jobs are being submitted and one waits for that.
    called = tmp_path / "called"
    run = ClusterRun(fresh, commands=stand_in(tmp_path / "bin", "sbatch", f'touch {called}; sleep 3; exec $REAL "$@"'))
    wait_until(called.exists, 60, "the first submission")
    run.interrupt()
    assert run.wait(60) != 0
    assert "Traceback" not in run.output
    wait_until(lambda: not slurm.jobs(run.name, "pending,running,completing"), 20, "the end of its jobs")
    time.sleep(5)
    assert [job.state for job in slurm.jobs(run.name)] == ["CANCELLED"] * 2
    assert fresh.run("-n").code == 0, "the lock is left"


def test_a_killed_main_process_is_continued_while_its_jobs_are_alive(fresh, slurm, tmp_path):
    first = ClusterRun(fresh)
    jobs = started(slurm, first, 3)
    wait_until(lambda: (fresh.folder / "logs/convert/sub-01.log").exists(), 60, "a job's log")
    first.kill()
    # They stay at the stage where they are.
    for job in jobs:
        signalled(job, signal.SIGSTOP)
    refused = ClusterRun(fresh)
    assert refused.wait(60) != 0
    assert "--unlock" in refused.output
    assert {job.state for job in slurm.jobs(first.name)} == {"RUNNING"}
    assert ClusterRun(fresh, "--unlock").wait(60) == 0
    second = ClusterRun(fresh, commands=short_of_memory_and_late(fresh, tmp_path))
    assert second.wait(240) == 0, second.output
    assert "jobs of it are still in Slurm's queue: they are cancelled" in second.output
    assert {job.state for job in slurm.jobs(first.name)} == {"CANCELLED"}
    assert len(jobs) == len(slurm.jobs(first.name))
    assert_same_bytes(fresh)
    # One chain had too little memory at first, and more at its second attempt.
    chains = [job for job in slurm.jobs(second.name) if job.comment.startswith("rule_chain")]
    assert sorted((job.state, job.memory) for job in chains) == [
        ("COMPLETED", "1200M"),
        ("COMPLETED", "1600M"),
        ("COMPLETED", "800M"),
        ("FAILED", "800M"),
    ]
    # A file that came late was waited for.
    assert (tmp_path / "was late").exists()
    assert second.output.count("Trying to restart job") == 1
    # The main process on a cluster says how far it is, too.
    assert re.search("Progress: .*report 1 of 1; .* jobs", second.output)


def short_of_memory_and_late(study, folder):
    """Stand-ins: the first job of sub-02 may take 60 MiB; the figure of sub-01 is not seen for five seconds."""
    figure, number, late = study.folder / "results/sub-01/sub-01_qc.png", folder / "number", folder / "was late"
    stand_in(
        folder / "bin",
        "sbatch",
        f"""case "$*" in *"--mem 800 "*sub-02*) ulimit -d 61440;; esac
answer=$($REAL "$@") || exit
case "$*" in *sub-01*) echo "$answer" > "{number}";; esac
echo "$answer\"""",
    )
    return stand_in(
        folder / "bin",
        "squeue",
        f"""answer=$($REAL "$@") || exit
if [ -e "{number}" ] && [ ! -e "{late}" ] && echo "$answer" | grep -q "^$(cat "{number}")|COMPLETED"; then
    mv "{figure}" "{late}"
    (sleep 5; cp -p "{late}" "{figure}") >/dev/null 2>&1 &
fi
[ -z "$answer" ] || echo "$answer\"""",
    )


def test_a_status_query_that_fails_ends_the_run_with_what_to_do(fresh, slurm, tmp_path):
    commands = stand_in(tmp_path / "bin", "squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    bounds = ("--slurm-status-attempts", "3", "--max-status-checks-per-second", "1")
    run = ClusterRun(fresh, *bounds, commands=commands)
    assert run.wait(90) == 1
    assert "The cluster's status query (squeue) failed 3 times in a row" in run.output
    assert "give the same command again" in run.output
    # They may go on, as the message says: nothing can be asked of such a cluster.
    for job in slurm.jobs(run.name, "running"):
        ask("scancel", job.id)


def test_one_allocation_holds_the_whole_run(fresh, slurm):
    script, log = ROOT / "profiles/slurm/one_allocation.sbatch", fresh.folder / "allocation.log"
    done = subprocess.run(
        ["sbatch", "--wait", "--cpus-per-task=2", f"--output={log}", script, "--directory", fresh.folder],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr + log.read_text()
    assert_same_bytes(fresh)


@pytest.fixture(scope="module")
def hurt(study, slurm, tmp_path_factory):
    """One run of three chains: one is cancelled, one runs out of time, the node of one dies while its job lives on."""
    study.wipe()
    # As on a cluster with accounting: this sacct answers, from what squeue knows.
    answer = 'for name; do :; done; exec squeue --noheader --states=all --format="%i|%T" --name "$name"'
    commands = stand_in(tmp_path_factory.mktemp("bin"), "sacct", f'case "$*" in *-X*) {answer};; *) exit 1;; esac')
    run = ClusterRun(study, "--slurm-status-command", "sacct", commands=commands)
    run.cancelled, run.late, run.orphan = started(slurm, run, 3)
    # None of them may end before it is hurt.
    for job in (run.cancelled, run.late, run.orphan):
        signalled(job, signal.SIGSTOP)
    slurm.kill_node(run.orphan.node)
    ask("scancel", run.cancelled.id)
    ask("scontrol", "update", f"JobId={run.late.id}", "EndTime=now")
    # The job on the dead node lives on beside its successor.
    signalled(run.orphan, signal.SIGCONT)
    run.code = run.wait(240)
    run.jobs = {job.id: job for job in slurm.jobs(run.name)}
    yield run
    slurm.start_node(run.orphan.node)


def signalled(job, number):
    """Send a signal to all processes of a running job."""
    wait_until(lambda: len(processes_of(job)) > 2, 30, "the job's processes")
    for process in processes_of(job):
        with suppress(ProcessLookupError):
            os.kill(process, number)


def test_a_run_whose_jobs_were_hurt_ends_with_the_same_bytes(study, hurt):
    assert hurt.code == 0, hurt.output
    assert_same_bytes(study)


def test_a_cancelled_and_a_timed_out_job_are_tried_again_with_more_time_and_memory(hurt):
    assert hurt.jobs[hurt.cancelled.id].state == "CANCELLED"
    assert hurt.jobs[hurt.late.id].state == "TIMEOUT"
    assert hurt.output.count("Trying to restart job") == 2
    again = [job for job in hurt.jobs.values() if job.memory in ("1600M", "2400M")]
    assert [(job.state, job.limit) for job in again] == [("COMPLETED", "36:00")] * 2


def test_a_job_whose_node_died_is_started_again_by_slurm(hurt):
    assert hurt.jobs[hurt.orphan.id].state == "COMPLETED"
    assert hurt.jobs[hurt.orphan.id].node != hurt.orphan.node
