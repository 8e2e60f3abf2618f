"""What lets Snakemake bear ten thousand samples: costs (seen in its version 9.27) that it pays anew for each job."""

import gc
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any


def ease() -> None:
    """Take the costs away, in the process of Snakemake that calls this; nothing that it does changes.

    At 10 000 samples: its objects are millions, live until the end, and are searched for garbage over and over (a
    fifth of the time); the path of a rule's script is taken apart for each job (a tenth of a dry run); each input of a
    job is looked for among the outputs of every job that it depends on, in case it is a pipe (half a minute for the
    tables and the final rule); and at each choice of a job all jobs that remain are listed (ten milliseconds), which
    the greedy scheduler has no use for.
    """
    gc.set_threshold(200_000, 50, 1_000)

    from snakemake import jobs, sourcecache
    from snakemake.scheduling import job_scheduler

    if hasattr(sourcecache, "parse_uri") and not hasattr(sourcecache.parse_uri, "cache_info"):
        sourcecache.parse_uri = cache(sourcecache.parse_uri)
    if hasattr(jobs.Job, "is_pipe_or_service_input"):
        jobs.Job.is_pipe_or_service_input = unless_no_pipes(jobs.Job.is_pipe_or_service_input)
    remaining = getattr(job_scheduler.JobScheduler, "remaining_jobs", None)
    if isinstance(remaining, property) and not isinstance(remaining, _WhenAsked):
        job_scheduler.JobScheduler.remaining_jobs = _WhenAsked(remaining)


class _WhenAsked(property):
    """A property that gives a `ListWhenAsked`."""

    def __init__(self, listing: property) -> None:
        super().__init__(lambda owner: ListWhenAsked(lambda: listing.__get__(owner)))


class ListWhenAsked(Sequence[Any]):
    """A list that is made when something of it is asked for."""

    def __init__(self, make: Callable[[], list[Any]]) -> None:
        self._make = make

    @cached_property
    def _items(self) -> list[Any]:
        return self._make()

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


def unless_no_pipes(is_pipe: Any) -> Any:
    """Wrap `Job.is_pipe_or_service_input`: False at once where no rule of the workflow has such an output."""
    if hasattr(is_pipe, "known"):
        return is_pipe

    known: dict[int, bool] = {}

    def is_pipe_or_service_input(job: Any, path: Any) -> bool:
        workflow = job.rule.workflow
        if id(workflow) not in known:
            outputs = (output for rule in workflow.rules for output in rule.output)
            known[id(workflow)] = any(
                flag in getattr(output, "flags", {}) for output in outputs for flag in ("pipe", "service")
            )
        return known[id(workflow)] and bool(is_pipe(job, path))

    is_pipe_or_service_input.known = known  # type: ignore[attr-defined]
    return is_pipe_or_service_input
