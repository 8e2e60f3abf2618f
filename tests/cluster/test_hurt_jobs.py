"""One run of three chains: one is cancelled, one runs out of time, and the node of one dies while its job lives on."""

import os
import signal

import pytest
from cluster_run import ClusterRun, assert_same_bytes, stand_in, started, wipe
from slurm import ask, processes_of, wait_until


@pytest.fixture(scope="module")
def run(study, slurm, tmp_path_factory):
    wipe(study)
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
    wait_until(lambda: len(processes_of(job.id)) > 2, 30, "the job's processes")
    for process in processes_of(job.id):
        os.kill(process, number)


def test_the_run_ends_with_the_bytes_of_an_undisturbed_one(study, run):
    assert run.code == 0, run.output
    assert_same_bytes(study)


def test_a_cancelled_and_a_timed_out_job_are_tried_again_with_more_time_and_memory(run):
    assert run.jobs[run.cancelled.id].state == "CANCELLED"
    assert run.jobs[run.late.id].state == "TIMEOUT"
    assert run.output.count("Trying to restart job") == 2
    again = [job for job in run.jobs.values() if job.memory == "1600M"]
    assert [(job.state, job.limit) for job in again] == [("COMPLETED", "36:00")] * 2


def test_a_job_whose_node_died_is_started_again_by_slurm(run):
    assert run.jobs[run.orphan.id].state == "COMPLETED"
    assert run.jobs[run.orphan.id].node != run.orphan.node
