"""Runs on a Slurm cluster: no job is waited for in vain, none is left behind.

Snakemake's executor plugin (seen in its version 2.8) leaves three things open. When every attempt of a status query
fails it forgets the jobs that it asked for, and the run waits for them for ever. At Ctrl-C it cancels the jobs on its
list, then submits what was still to be submitted; and while it asks for their status the list is empty. The jobs of a
main process that was killed live on beside those of the next run. `guard` puts a subclass in the plugin's place that
closes the first two through the methods every remote executor has; `end_dead_run` the third.
"""

import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

# Name of the run whose jobs may be alive, below the study's folder. It stays when the main process is killed.
RECORD = Path(".snakemake/slurm_run")
LOCKS = Path(".snakemake/locks")
# A job that ended while the cluster did not answer is struck off `squeue` after Slurm's MinJobAge, unseen.
SECONDS_BETWEEN_LOOKS = 600
SECONDS_TO_END = 120


def guard(registry: Any) -> None:
    """Put the guarded executor in the place of the plugin's, where the plugin is installed.

    Parameters
    ----------
    registry
        Snakemake's `ExecutorPluginRegistry`.
    """
    if registry.is_installed("slurm"):
        plugin = registry.get_plugin("slurm")
        if not getattr(plugin.executor, "is_guarded", False):
            plugin.executor = guarded(plugin.executor)


def guarded(executor: Any) -> Any:
    """Return a subclass of the plugin's `Executor` that accounts for every job."""
    from snakemake_interface_common.exceptions import WorkflowError

    class GuardedExecutor(executor):  # type: ignore[misc]
        is_guarded = True

        def __post_init__(self, *args: Any, **kwargs: Any) -> None:
            super().__post_init__(*args, **kwargs)
            self._settled: set[int] = set()
            self._absent: set[str] = set()
            self._last_look = time.monotonic()
            self._is_lost = False
            if self.workflow.execution_settings.lock:
                RECORD.parent.mkdir(exist_ok=True)
                RECORD.write_text(f"{self.run_uuid}\n")

        def report_job_success(self, job_info: Any) -> None:
            self._settled.add(id(job_info))
            super().report_job_success(job_info)

        def report_job_error(self, job_info: Any, *args: Any, **kwargs: Any) -> None:
            self._settled.add(id(job_info))
            super().report_job_error(job_info, *args, **kwargs)

        async def check_active_jobs(self, active_jobs: list[Any]) -> AsyncIterator[Any]:
            # Plugins start their thread before __post_init__: with no jobs, nothing of ours may be needed.
            if active_jobs:
                self._settled.clear()
            kept = [job async for job in super().check_active_jobs(active_jobs)]
            if not active_jobs:
                return
            accounted = self._settled | {id(job) for job in kept}
            if any(id(job) not in accounted for job in active_jobs):
                self._is_lost = True
                raise WorkflowError(self._no_answer(len(active_jobs)))
            absent = self._absent_twice(kept)
            for job in kept:
                if job.external_jobid in absent:
                    message = f"Slurm no longer knows job {job.external_jobid}, and its end was not seen. "
                    self.report_job_error(job, msg=message)
                else:
                    yield job

        def cancel_jobs(self, active_jobs: list[Any]) -> None:
            # What waits to be submitted is not submitted any more.
            self._job_submission_executor.shutdown(wait=True, cancel_futures=True)
            try:
                super().cancel_jobs(active_jobs)
            finally:
                self._is_lost = _slurm("scancel", "--name", self.run_uuid) is None

        def shutdown(self) -> None:
            super().shutdown()
            if not self._is_lost:
                RECORD.unlink(missing_ok=True)

        def _absent_twice(self, jobs: list[Any]) -> set[str]:
            """Ids that `squeue` has not listed in two looks; `sacct` never strikes a job off."""
            now = time.monotonic()
            by_squeue = self.workflow.executor_settings.status_command == "squeue"
            if not jobs or not by_squeue or now - self._last_look < SECONDS_BETWEEN_LOOKS:
                return set()
            listed = _slurm("squeue", "--noheader", "--states=all", "--format=%i", "--name", self.run_uuid)
            if listed is None:
                return set()
            self._last_look = now
            absent = {job.external_jobid for job in jobs} - set(listed.split())
            twice, self._absent = absent & self._absent, absent
            return twice

        def _no_answer(self, n_jobs: int) -> str:
            settings = self.workflow.executor_settings
            return (
                f"The cluster's status query ({settings.status_command}) failed {settings.status_attempts} times in a "
                f"row, so the run ends here; {n_jobs} jobs may still be running on the cluster. Try "
                f"`{settings.status_command}` by hand. When it answers, remove the lock with --unlock if Snakemake "
                "asks for it and give the same command again: it cancels those jobs and continues from what is "
                "finished. If only this command does not work here, choose the other one with "
                "--slurm-status-command squeue (or sacct)."
            )

    return GuardedExecutor


def end_dead_run(logger: Any) -> None:
    """Cancel the jobs of a run whose main process was killed, and wait until their processes are gone.

    Else a job of the dead run that fails now would remove the files that a job of this run has just written. To be
    called before Snakemake plans what to run: a job that ends now may leave results, or take a temporary store away.
    """
    # A lock tells that the other run is alive, or that this one will be refused until it is removed.
    if not RECORD.exists() or any(LOCKS.glob("*")):
        return
    name = RECORD.read_text().strip()
    if not name or not _slurm("squeue", "--noheader", "--format=%i", "--name", name):
        return
    logger.warning("The run before this one was killed, and jobs of it are still in Slurm's queue: they are cancelled.")
    _slurm("scancel", "--name", name)
    deadline = time.monotonic() + SECONDS_TO_END
    while _slurm("squeue", "--noheader", "--format=%i", "--name", name):
        if time.monotonic() > deadline:
            logger.warning(f"Jobs of the killed run are still not gone; see `squeue --name {name}`.")
            return
        time.sleep(1)


def _slurm(*command: str) -> str | None:
    """Run one of Slurm's commands; return what it says, None if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
