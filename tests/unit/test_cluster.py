"""The guarded executor accounts for every job, whatever the plugin or Slurm forgets."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from snakemake_interface_common.exceptions import WorkflowError
from volume_entropy.runs import cluster


class Plugin:
    """What the guard sees of the plugin's executor; `answers` is what a status query yields of its jobs."""

    def __init__(self, answers):
        settings = SimpleNamespace(status_command="squeue", status_attempts=3)
        self.workflow = SimpleNamespace(executor_settings=settings, execution_settings=SimpleNamespace(lock=True))
        self.logger = logging.getLogger("test")
        self.answers = answers
        self.reported = []
        self.cancelled = []
        self.run_uuid = "this-run"
        self._job_submission_executor = ThreadPoolExecutor(1)
        self.__post_init__()

    def __post_init__(self):
        pass

    async def check_active_jobs(self, active_jobs):
        for job in active_jobs:
            match self.answers[job.external_jobid]:
                case "running":
                    yield job
                case "done":
                    self.report_job_success(job)
                case "failed":
                    self.report_job_error(job, msg="failed")

    def report_job_success(self, job_info):
        self.reported.append((job_info.external_jobid, "done"))

    def report_job_error(self, job_info, msg=None):
        self.reported.append((job_info.external_jobid, msg))

    def cancel_jobs(self, active_jobs):
        self.cancelled += active_jobs

    def shutdown(self):
        self._job_submission_executor.shutdown()


@pytest.fixture
def slurm(monkeypatch, tmp_path):
    """Stands in for Slurm's commands: `said` holds what was asked, `answers` the answer by command."""
    monkeypatch.chdir(tmp_path)
    slurm = SimpleNamespace(said=[], answers={})

    def answer(*command):
        slurm.said.append(command)
        found = slurm.answers.get(command[0], "")
        return found.pop(0) if isinstance(found, list) else found

    monkeypatch.setattr(cluster, "_slurm", answer)
    return slurm


def executor_of(**answers):
    return cluster.guarded(Plugin)(answers)


def jobs_of(*ids):
    return [SimpleNamespace(external_jobid=job) for job in ids]


def checked(executor, jobs):
    async def check():
        return [job.external_jobid async for job in executor.check_active_jobs(jobs)]

    return asyncio.run(check())


def test_jobs_go_on_or_are_settled(slurm):
    executor = executor_of(a="running", b="done", c="failed")
    assert checked(executor, jobs_of("a", "b", "c")) == ["a"]
    assert executor.reported == [("b", "done"), ("c", "failed")]
    assert checked(executor, []) == []


def test_a_query_that_forgets_a_job_ends_the_run_with_words(slurm):
    executor = executor_of(a="running", b="no answer")
    with pytest.raises(WorkflowError, match=r"failed 3 times in a row.*2 jobs may still be running"):
        checked(executor, jobs_of("a", "b"))
    executor.shutdown()
    assert cluster.RECORD.read_text() == "this-run\n"


def test_a_run_that_ends_leaves_no_record(slurm):
    executor = executor_of()
    assert cluster.RECORD.read_text() == "this-run\n"
    executor.shutdown()
    assert not cluster.RECORD.exists()


def test_a_job_that_slurm_does_not_list_in_two_looks_has_failed(slurm, monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS_BETWEEN_LOOKS", 0)
    executor = executor_of(a="running", b="running")
    jobs = jobs_of("a", "b")
    slurm.answers["squeue"] = ["a\n", None, "a\nb\n", "a\n", "a\n"]
    assert [checked(executor, jobs) for _ in range(5)] == [["a", "b"]] * 4 + [["a"]]
    assert executor.reported == [("b", "Slurm no longer knows job b, and its end was not seen. ")]


def test_slurm_is_not_asked_twice_more_often_than_it_must_be(slurm):
    executor = executor_of(a="running")
    assert checked(executor, jobs_of("a")) == ["a"]
    assert slurm.said == []


def test_cancelling_takes_every_job_of_the_run_and_submits_no_other(slurm):
    executor = executor_of()
    submitted = []
    executor._job_submission_executor.submit(lambda: submitted.append("first"))
    waiting = [executor._job_submission_executor.submit(lambda: __import__("time").sleep(0.2)) for _ in range(5)]
    executor.cancel_jobs([])
    assert waiting[-1].cancelled()
    assert slurm.said == [("scancel", "--name", "this-run")]


def test_jobs_of_a_killed_run_are_cancelled_and_waited_for(slurm, monkeypatch):
    monkeypatch.setattr(cluster.time, "sleep", lambda seconds: None)
    cluster.RECORD.parent.mkdir()
    cluster.RECORD.write_text("dead-run\n")
    slurm.answers["squeue"] = ["7\n", "7\n", "7\n", ""]
    lock = cluster.LOCKS / "0.input.lock"
    lock.parent.mkdir()
    lock.touch()
    cluster.end_dead_run(logging.getLogger("test"))
    assert slurm.said == [], "the run may be alive"
    lock.unlink()
    cluster.end_dead_run(logging.getLogger("test"))
    assert [command[0] for command in slurm.said] == ["squeue", "scancel", "squeue", "squeue", "squeue"]
    assert {command[-1] for command in slurm.said} == {"dead-run"}
    executor_of()
    assert cluster.RECORD.read_text() == "this-run\n"


def test_a_plugin_is_guarded_once(slurm):
    plugin = SimpleNamespace(executor=Plugin)
    registry = SimpleNamespace(is_installed=lambda name: name == "slurm", get_plugin=lambda name: plugin)
    cluster.guard(registry)
    guarded = plugin.executor
    assert issubclass(guarded, Plugin)
    cluster.guard(registry)
    assert plugin.executor is guarded
    cluster.guard(SimpleNamespace(is_installed=lambda name: False))
