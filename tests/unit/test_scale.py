"""Snakemake's shortcuts for large cohorts answer as the long way does."""

import gc
from types import SimpleNamespace

import pytest
from snakemake import api, common, dag, jobs, rules, sourcecache
from snakemake.exceptions import WorkflowError
from snakemake.io import flag
from snakemake.scheduling.job_scheduler import JobScheduler
from volume_entropy.runs import scale

assert api  # Imported first, it imports the others in an order that works.
WRAPPED = (
    (sourcecache, "parse_uri"),
    (dag.ScriptProcessor, "process_job"),
    (common, "get_function_params"),
    (rules, "get_function_params"),
    (jobs.Job, "is_pipe_or_service_input"),
    (JobScheduler, "remaining_jobs"),
)


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Other tests of this process see Snakemake, and the garbage collector, as they are."""
    for owner, name in WRAPPED:
        monkeypatch.setattr(owner, name, getattr(owner, name))
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
    before = [getattr(owner, name) for owner, name in WRAPPED]
    scale.ease()
    eased = [getattr(owner, name) for owner, name in WRAPPED]
    assert [new.__wrapped__ for new in eased] == before
    scale.ease()
    assert [getattr(owner, name) for owner, name in WRAPPED] == eased
    assert sourcecache.parse_uri(uri)._asdict() == parsed._asdict()


def test_another_major_version_of_snakemake_runs_without(monkeypatch):
    before = [getattr(owner, name) for owner, name in WRAPPED]
    monkeypatch.setattr(scale, "version", lambda package: "10.0.0")
    scale.ease()
    assert [getattr(owner, name) for owner, name in WRAPPED] == before


def test_what_this_snakemake_does_not_have_is_no_error():
    scale.wrap("snakemake.no_such_module:Class", "method", pytest.fail)
    scale.wrap("snakemake.dag:NoSuchClass", "method", pytest.fail)
    scale.wrap("snakemake.dag", "no_such_function", pytest.fail)


def test_parameters_of_functions_are_those_that_snakemake_finds():
    class Resource:
        def evaluate(self, wildcards, attempt):
            pass

        __eq__ = dict.__eq__  # As Snakemake's, it has no hash.

    def with_others(wildcards, **others):
        pass

    def overwritten(*arguments):
        pass

    common.overwrite_function_params(overwritten, ["input"])
    functions = [lambda wildcards, threads: 0, Resource().evaluate, with_others, overwritten]
    found = [common.get_function_params(function) for function in functions]
    scale.ease()
    for module in (common, rules):
        assert [module.get_function_params(function) for function in functions * 2] == found * 2
    assert rules.get_function_params.cache_info().hits == len(functions)


@pytest.mark.parametrize(
    ("script", "looked_for"),
    [("measure.py", ["missing", "sub-01"]), ("{wildcards.tool}.py", ["missing", "sub-01", "sub-02"])],
)
def test_a_script_is_looked_for_until_it_is_found_and_for_each_job_where_it_has_wildcards(script, looked_for):
    looked = []

    def process_job(processor, job):
        looked.append(job.name)
        if job.name == "missing":
            raise WorkflowError("Script not accessible.")

    process = scale.once_a_rule(process_job)
    rule = type("Rule", (), {"script": script})()
    processor = SimpleNamespace(script_type="script")
    with pytest.raises(WorkflowError):
        process(processor, SimpleNamespace(name="missing", rule=rule))
    for sample in ("sub-01", "sub-02"):
        process(processor, SimpleNamespace(name=sample, rule=rule))
    assert looked == looked_for


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
