"""How far a run is: jobs done of each rule and the time that is left, on the terminal and in a log file."""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

NOTHING = "Nothing to be done"
# Lines are at least so many seconds apart, and at least a hundredth of the run's time.
SECONDS_BETWEEN_LINES = 10
# Of the jobs that remain, what may be of rules of which none is done yet, such as the tables: of more jobs that nothing
# is known of there is no estimate, only a time that they take at least.
UNKNOWN_SHARE = 0.2
# They wait for the others and make nothing; the second may end the run with an error.
TARGETS = ("all", "judge_rejected")


class Progress(logging.Handler):
    """Listens to Snakemake's main process, and counts.

    Snakemake says how many steps are done of all; of a cohort one wants to know at which stage it is, and until when.
    On a cluster the main process hears of its jobs in the same way.

    Parameters
    ----------
    logger
        Snakemake's.
    path
        The log file; one line is added to it for every line on the terminal. No file for a dry run.
    when_nothing
        Called where there is nothing to be done: Snakemake then calls no `onsuccess`.
    clock
        Seconds from any start.
    """

    def __init__(
        self,
        logger: logging.Logger,
        path: Path,
        when_nothing: Callable[["Progress"], None] = lambda progress: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(logging.INFO)
        self.samples: set[str] = set()
        # Whether the job failed that judges what all others left; it runs only where they ended well.
        self.judged_badly = False
        self._logger, self._path, self._when_nothing, self._clock = logger, path, when_nothing, clock
        self._started = self._last_line = clock()
        self._first_job: float | None = None
        self._planned: dict[str, int] = {}
        self._done: Counter[str] = Counter()
        self._seconds: dict[str, float] = defaultdict(float)
        self._running: dict[int, tuple[str, float]] = {}
        self._failed = 0
        self._targets: set[int] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Take in a message of Snakemake's; it must not fail, whatever that is."""
        try:
            event = getattr(getattr(record, "event", None), "name", None)
            if event is None and str(record.msg).startswith(NOTHING):
                self._when_nothing(self)
            elif event == "RUN_INFO":
                self._planned = {rule: count for rule, count in record.stats.items() if rule not in (*TARGETS, "total")}  # type: ignore[attr-defined]
            elif event == "JOB_INFO":
                self._start(record)
            elif event == "JOB_ERROR":
                self._failed += self._running.pop(record.jobid, None) is not None  # type: ignore[attr-defined]
                self.judged_badly |= record.jobid in self._targets  # type: ignore[attr-defined]
            elif event == "JOB_FINISHED":
                self._finish(record.job_id)  # type: ignore[attr-defined]
        except Exception:
            self.handleError(record)

    @property
    def wall_time(self) -> str:
        """Since the main process read the workflow, in words."""
        return in_words(self._clock() - self._started)

    def say(self, text: str, level: int = logging.INFO) -> None:
        """Write a line on the terminal, and with the time into the file."""
        self._logger.log(level, text)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {text}\n")
        except OSError as error:
            self._logger.warning(f"{self._path} cannot be written: {error.strerror}")

    def _start(self, record: logging.LogRecord) -> None:
        now = self._clock()
        rule, sample = record.rule_name, dict(record.wildcards or {}).get("sample")  # type: ignore[attr-defined]
        if rule in TARGETS:
            self._targets.add(record.jobid)  # type: ignore[attr-defined]
            return
        if self._first_job is None:
            self._first_job = now
        self._running[record.jobid] = rule, now  # type: ignore[attr-defined]
        if sample is not None:
            self.samples.add(sample)

    def _finish(self, job: int) -> None:
        if job not in self._running:
            return
        now = self._clock()
        rule, started = self._running.pop(job)
        self._done[rule] += 1
        self._seconds[rule] += now - started
        is_last = self._done.total() == sum(self._planned.values())
        if is_last or now - self._last_line >= max(SECONDS_BETWEEN_LINES, (now - self._started) / 100):
            self._last_line = now
            self.say(self._line())

    def _line(self) -> str:
        counts = ", ".join(f"{rule} {self._done[rule]} of {count}" for rule, count in self._planned.items())
        done, total = self._done.total(), sum(self._planned.values())
        failed = f", {self._failed} failed" if self._failed else ""
        return f"Progress: {counts}; {done} of {total} jobs{failed} in {self.wall_time}{self._time_left()}"

    def _time_left(self) -> str:
        """What is still to be done, by the mean of each rule so far, at the pace so far; empty where nobody knows.

        The pace is how many jobs ran at the same time, those that still run included. Where no job of a rule is done
        (networks are trained for hours before the first sample is predicted, in a minute), the time that one of its
        jobs runs already stands for it.
        """
        now = self._clock()
        left = {rule: count - self._done[rule] for rule, count in self._planned.items()}
        ran = [(rule, now - started) for rule, started in self._running.values()]
        means = {
            rule: self._seconds[rule] / self._done[rule]
            if self._done[rule]
            else max((seconds for running, seconds in ran if running == rule), default=0.0)
            for rule in left
        }
        work = sum(count * means[rule] for rule, count in left.items())
        work -= sum(min(seconds, means.get(rule, 0.0)) for rule, seconds in ran)
        spent = sum(self._seconds.values()) + sum(seconds for _, seconds in ran)
        since = now - (now if self._first_job is None else self._first_job)
        seconds_left = round(max(work, 0.0) * since / max(spent, 1e-3))
        unknown = sum(count for rule, count in left.items() if not self._done[rule])
        if not seconds_left:
            return ""
        how = "at least" if unknown > UNKNOWN_SHARE * sum(left.values()) else "about"
        return f", {how} {in_words(seconds_left)} left"


def in_words(seconds: float) -> str:
    """A time for reading: two of days, hours, minutes and seconds."""
    whole = round(seconds)
    for size, name, smaller, small_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {small_name}" if rest else "")
    return f"{whole} s"
