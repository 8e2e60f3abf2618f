"""The end of a run: a summary for the user, and the tables of what finished if jobs failed for good."""

from collections.abc import Mapping
from logging import Logger
from pathlib import Path

from .files import read_json, remove, write_text
from .samples import Sample

def finish(results: str, samples: Mapping[str, Sample], logger: Logger) -> None:
    """Say what the run left; remove the tables of an earlier, incomplete one."""
    remove(f"{results}/incomplete")
    states = [_status(results, sample) for sample in samples]
    rejected = states.count("rejected")
    # Snakemake's log prints a message as it is, without filling in arguments.
    logger.info(f"{states.count('ok')} samples done, {rejected} rejected{_where(results, rejected)}")


def salvage(results: str, samples: Mapping[str, Sample], group: str | None, logger: Logger) -> None:
    """Write the tables of the finished samples, and `failed.csv`, to `<results>/incomplete`."""
    from .tables import write_tables

    done = [sample for sample in samples if _status(results, sample) is not None]
    failed = [sample for sample in samples if sample not in set(done)]
    folder = Path(results) / "incomplete"
    folder.mkdir(parents=True, exist_ok=True)
    summaries = [Path(f"{results}/{sample}/{sample}_summary.json") for sample in done]
    write_tables(summaries, {sample: dict(samples[sample].metadata) for sample in done}, folder, group=group)
    lines = [f"{sample},{_last_log(sample)}" for sample in failed]
    write_text(folder / "failed.csv", "\n".join(["sample,log", *lines]) + "\n")
    logger.error(
        f"The run is incomplete: {len(done)} of {len(samples)} samples have a summary; their tables and failed.csv, "
        f"which names the log of each failure, are in {folder}"
    )


def _status(results: str, sample: str) -> str | None:
    try:
        return str(read_json(f"{results}/{sample}/{sample}_summary.json").get("status"))
    except (OSError, ValueError):
        return None


def _where(results: str, rejected: int) -> str:
    return f", see {results}/rejected.csv" if rejected else ""


def _last_log(sample: str) -> str:
    """The log of the last stage that the sample reached."""
    logs = [Path(f"logs/{stage}/{sample}.log") for stage in ("convert", "compute_entropy", "render_qc")]
    return str(next((log for log in reversed(logs) if log.exists()), ""))
