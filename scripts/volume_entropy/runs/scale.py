"""What lets Snakemake bear ten thousand samples: costs (seen in its version 9.27) that it pays anew for each job."""

import atexit
import gc
from collections.abc import Callable, Sequence
from functools import cache, cached_property, lru_cache, wraps
from importlib.metadata import version
from pkgutil import resolve_name
from typing import Any


def ease() -> None:
    """Take the costs away, in the process of Snakemake that calls this; nothing that it does changes.

    What this Snakemake does not have, or has wrapped itself, is left as it is, and so is another major version.
    Together a dry run of 10 000 samples takes 22 s instead of 49; what each of them takes away is said below.
    """
    # Millions of objects that live until the end are searched for garbage over and over, a fifth of the time; and three
    # times more when the process ends, 6 s, to free what the system takes back at once.
    gc.set_threshold(200_000, 50, 1_000)
    atexit.register(gc.freeze)
    if not version("snakemake").startswith("9."):
        return
    # The path of a rule's script is taken apart for each job, a tenth; and the script is read for each job, 3 s.
    wrap("snakemake.sourcecache", "parse_uri", cache)
    wrap("snakemake.dag:ScriptProcessor", "process_job", once_a_rule)
    # The parameters of functions in the rules are found out fifteen times for each job, 4 s.
    wrap("snakemake.common", "get_function_params", lru_cache(1024))
    wrap("snakemake.rules", "get_function_params", lru_cache(1024))
    # Each input of a job is looked for among the outputs of every job that it depends on, in case it is a pipe: half a
    # minute for the tables and the final rule.
    wrap("snakemake.jobs:Job", "is_pipe_or_service_input", unless_no_pipes)
    # At each choice of a job all jobs that remain are listed, 10 ms, which the greedy scheduler has no use for.
    wrap("snakemake.scheduling.job_scheduler:JobScheduler", "remaining_jobs", _WhenAsked)


def wrap(owner: str, name: str, wrapper: Callable[[Any], Any]) -> None:
    """Put a wrapper in the place of what it wraps, once, if that exists."""
    try:
        found = resolve_name(owner)
    except (ImportError, AttributeError):
        return
    wrapped = getattr(found, name, None)
    if wrapped is not None and not hasattr(wrapped, "__wrapped__"):
        setattr(found, name, wrapper(wrapped))


class _WhenAsked(property):
    """A property that gives a `ListWhenAsked`."""

    def __init__(self, listing: property) -> None:
        super().__init__(lambda owner: ListWhenAsked(lambda: listing.__get__(owner)))
        self.__wrapped__ = listing


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


def once_a_rule(process_job: Any) -> Any:
    """Wrap `ScriptProcessor.process_job`, which sees whether a job's script is there: once a rule, for all its jobs.

    Only where the script's path has no wildcard.
    """

    @wraps(process_job)
    def process_job_of_new_rule(processor: Any, job: Any) -> None:
        seen = vars(processor).setdefault("rules_seen", set())
        if job.rule in seen:
            return
        process_job(processor, job)
        if "{" not in str(getattr(job.rule, processor.script_type)):
            seen.add(job.rule)

    return process_job_of_new_rule


def unless_no_pipes(is_pipe: Any) -> Any:
    """Wrap `Job.is_pipe_or_service_input`: False at once where no rule of the workflow has such an output."""
    known: dict[int, bool] = {}

    @wraps(is_pipe)
    def is_pipe_or_service_input(job: Any, path: Any) -> bool:
        workflow = job.rule.workflow
        if id(workflow) not in known:
            outputs = (output for rule in workflow.rules for output in rule.output)
            known[id(workflow)] = any(
                flag in getattr(output, "flags", {}) for output in outputs for flag in ("pipe", "service")
            )
        return known[id(workflow)] and bool(is_pipe(job, path))

    return is_pipe_or_service_input
