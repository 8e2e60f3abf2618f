"""Snakemake's shortcuts for large cohorts answer as the long way does."""

import gc
from types import SimpleNamespace

import pytest
from snakemake import jobs, sourcecache
from snakemake.io import flag
from snakemake.scheduling.job_scheduler import JobScheduler
from volume_entropy.runs import scale


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Other tests of this process see Snakemake, and the garbage collector, as they are."""
    monkeypatch.setattr(sourcecache, "parse_uri", sourcecache.parse_uri)
    monkeypatch.setattr(jobs.Job, "is_pipe_or_service_input", jobs.Job.is_pipe_or_service_input)
    monkeypatch.setattr(JobScheduler, "remaining_jobs", JobScheduler.remaining_jobs)
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)


def job_with(*outputs):
    rules = [SimpleNamespace(output=["plain.txt"]), SimpleNamespace(output=list(outputs))]
    return SimpleNamespace(rule=SimpleNamespace(workflow=SimpleNamespace(rules=rules)))


def test_without_pipes_no_job_is_searched():
    is_pipe = scale.unless_no_pipes(lambda job, path: pytest.fail("searched"))
    assert is_pipe(job_with("a.txt"), "a.txt") is False


@pytest.mark.parametrize("kind", ["pipe", "service"])
@pytest.mark.parametrize("answer", [True, False])
def test_with_pipes_snakemake_itself_answers(kind, answer):
    is_pipe = scale.unless_no_pipes(lambda job, path: answer)
    assert is_pipe(job_with(flag("a.txt", kind)), "a.txt") is answer


def test_easing_twice_is_easing_once():
    uri = "file:///some/script.py"
    parsed = sourcecache.parse_uri(uri)
    scale.ease()
    eased = sourcecache.parse_uri, jobs.Job.is_pipe_or_service_input, JobScheduler.remaining_jobs
    scale.ease()
    assert (sourcecache.parse_uri, jobs.Job.is_pipe_or_service_input, JobScheduler.remaining_jobs) == eased
    assert sourcecache.parse_uri(uri)._asdict() == parsed._asdict()


def test_jobs_that_remain_are_listed_when_they_are_asked_for():
    asked = []

    def needrun_jobs():
        asked.append("all")
        return ["done", "running", "failed", "waiting"]

    dag = SimpleNamespace(needrun_jobs=needrun_jobs, finished=lambda job: job == "done")
    scheduler = SimpleNamespace(workflow=SimpleNamespace(dag=dag), running={"running"}, failed={"failed"})
    scale.ease()
    remaining = JobScheduler.remaining_jobs.__get__(scheduler)
    assert asked == []
    assert list(remaining) == ["waiting"]
    assert (len(remaining), bool(remaining), asked) == (1, True, ["all"])
