"""What a run says of itself: how far it is, and how long it will take, by what Snakemake's main process is told."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snakemake_interface_logger_plugins.common import LogEvent
from volume_entropy.runs.progress import Progress, in_words


class Run:
    """Plays Snakemake's main process: its logger, with a clock that stands still until it is told."""

    def __init__(self, folder: Path, planned: dict[str, int]) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.nothing = 0
        self.logger = logging.Logger("snakemake")
        self.logger.addHandler(SimpleNamespace(level=0, handle=self._shown))  # type: ignore[arg-type]
        self.file = folder / "logs/progress.log"
        self.progress = Progress(self.logger, self.file, self._nothing, lambda: self.now)
        self.logger.addHandler(self.progress)
        self.tell(LogEvent.RUN_INFO, stats={**planned, "all": 1, "total": sum(planned.values()) + 1})

    def _shown(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) is None:
            self.lines.append(record.getMessage())

    def _nothing(self, progress: Progress) -> None:
        self.nothing += 1

    def tell(self, event: LogEvent, **said: Any) -> None:
        self.logger.info(None, extra={"event": event, **said})

    def start(self, job: int, rule: str, sample: str | None = None) -> None:
        wildcards = {} if sample is None else {"sample": sample}
        self.tell(LogEvent.JOB_INFO, jobid=job, rule_name=rule, wildcards=wildcards)

    def finish(self, job: int, after: float) -> None:
        self.now += after
        self.tell(LogEvent.JOB_FINISHED, job_id=job)


def test_counts_of_each_rule_and_the_time_left(tmp_path: Path) -> None:
    run = Run(tmp_path, {"convert": 4, "compute_entropy": 4, "aggregate": 1})
    run.start(1, "convert", "a")
    run.start(2, "convert", "b")
    run.finish(1, after=20)
    # Two at a time, 20 s each: of the three others one is done right now. How long the rest takes nobody knows.
    assert run.lines == [
        "Progress: convert 1 of 4, compute_entropy 0 of 4, aggregate 0 of 1; 1 of 9 jobs in 20 s, at least 20 s left"
    ]
    run.finish(2, after=0)
    run.start(3, "compute_entropy", "a")
    run.finish(3, after=60)
    # 120 s of work in 80 s: at that pace 2 × 20 + 3 × 60 take 147 s; the tables are one of the six jobs that remain.
    left = (2 * 20 + 3 * 60) / (100 / 80)
    assert run.lines[-1].endswith(f"; 3 of 9 jobs in 1 min 20 s, about {in_words(left)} left")
    assert [line.split(" ", 2)[2] for line in run.file.read_text().splitlines()] == run.lines


def test_what_trainings_take_says_nothing_of_what_comes_after_them(tmp_path: Path) -> None:
    run = Run(tmp_path, {"train": 3, "predict": 100, "render_qc": 100, "aggregate": 1})
    for network in range(2):
        run.start(network, "train")
        run.finish(network, after=3600)
    assert run.lines[-1].endswith("; 2 of 204 jobs in 2 h, at least 1 h left")
    run.start(3, "train")
    run.finish(3, after=3600)
    # All that is known is done.
    assert run.lines[-1].endswith("; 3 of 204 jobs in 3 h")
    run.start(4, "predict", "a")
    run.start(5, "predict", "b")
    run.finish(4, after=120)
    # 99 of 120 s remain, one of which runs as long already; two at a time, but for the trainings.
    pace = (3 * 3600 + 2 * 120) / (3 * 3600 + 120)
    assert run.lines[-1].endswith(f"in 3 h 2 min, at least {in_words(98 * 120 / pace)} left")
    run.start(6, "render_qc", "a")
    run.finish(6, after=120)
    assert ", about " in run.lines[-1]


def test_a_job_that_runs_tells_what_its_rule_takes_at_least(tmp_path: Path) -> None:
    run = Run(tmp_path, {"convert": 2, "compute_entropy": 2})
    run.start(1, "convert", "a")
    run.finish(1, after=5)
    run.start(2, "compute_entropy", "a")
    run.start(3, "convert", "b")
    run.finish(3, after=60)
    assert run.lines[-1].endswith(f"; 2 of 4 jobs in 1 min 5 s, at least {in_words(60 * 65 / 125)} left")


def test_lines_are_ten_seconds_apart_but_the_last_is_always_said(tmp_path: Path) -> None:
    run = Run(tmp_path, {"convert": 30})
    for job in range(30):
        run.start(job, "convert", f"sub-{job}")
        run.finish(job, after=1)
    assert [line.split("; ")[1].split(",")[0] for line in run.lines] == [
        "10 of 30 jobs in 10 s",
        "20 of 30 jobs in 20 s",
        "30 of 30 jobs in 30 s",
    ]
    assert run.progress.samples == {f"sub-{job}" for job in range(30)}


def test_a_failed_job_is_counted_and_its_second_attempt_too(tmp_path: Path) -> None:
    run = Run(tmp_path, {"convert": 2})
    run.start(1, "convert", "a")
    run.now = 100
    run.tell(LogEvent.JOB_ERROR, jobid=1)
    run.start(1, "convert", "a")
    run.finish(1, after=30)
    assert run.lines == ["Progress: convert 1 of 2; 1 of 2 jobs, 1 failed in 2 min 10 s, about 2 min 10 s left"]


def test_the_job_that_judges_what_others_left_is_no_work_and_no_job_that_failed(tmp_path: Path) -> None:
    run = Run(tmp_path, {"convert": 1, "judge_rejected": 1})
    run.start(1, "convert", "a")
    # A second attempt may follow.
    run.tell(LogEvent.JOB_ERROR, jobid=1)
    run.start(1, "convert", "a")
    run.finish(1, after=1)
    assert run.lines == ["Progress: convert 1 of 1; 1 of 1 jobs, 1 failed in 1 s"]
    assert not run.progress.judged_badly
    run.start(2, "judge_rejected")
    run.tell(LogEvent.JOB_ERROR, jobid=2)
    assert run.progress.judged_badly
    assert len(run.lines) == 1


def test_where_there_is_nothing_to_do_that_is_known(tmp_path: Path) -> None:
    run = Run(tmp_path, {})
    run.logger.info("Nothing to be done (all requested files are present and up to date).")
    assert run.nothing == 1
    assert not run.file.exists()


def test_a_file_that_cannot_be_written_ends_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").write_text("no folder")
    run = Run(tmp_path, {"convert": 1})
    run.start(1, "convert", "a")
    run.finish(1, after=1)
    assert run.lines[0] == "Progress: convert 1 of 1; 1 of 1 jobs in 1 s"
    assert "progress.log cannot be written" in run.lines[1]
    # Nor does a message that it does not understand.
    run.tell(LogEvent.JOB_INFO)
    assert "AttributeError" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "59 min 59 s"), (7260, "2 h 1 min"), (200_000, "2 d 7 h")],
)
def test_times_are_written_for_reading(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
