"""One volume on several machines: a Dask cluster gives the bytes that threads give, even if a worker dies."""

import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import volume_entropy
from sample_store import SampleStore, random_mask, softmax_members
from study import environment
from volume_entropy import scheduling
from volume_entropy.blocks import BlockSettings
from volume_entropy.files import read_json
from volume_entropy.stores.layout import Layout
from volume_entropy.stores.sealed import StoreError

SCRIPTS = Path(volume_entropy.__file__).parents[1]
SHAPE = (20, 26, 33)
# 2 x 4 x 3 blocks, the last of an axis sticking out.
LAYOUT = Layout(SHAPE, (5, 4, 6), (10, 8, 12))
# A worker that is killed in its third block, after the shard of its first measure is written.
KILLED = """
import os, signal
from volume_entropy import blocks
from volume_entropy.stores import measures
written = []
def write(location, box, maps, *others):
    written.append(box)
    if len(written) == 3:
        first = next(iter(maps))
        measures.open_array(location / first).write(box, maps[first])
        (location / first / ".c.0.0.0.unfinished").write_bytes(b"half")
        open(os.environ["KILLED_MARK"], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return measures.write_measure_block(location, box, maps, *others)
blocks.write_measure_block = write
"""


@contextmanager
def cluster(folder: Path, *, with_victim: bool) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The address of a scheduler on this machine, and its two workers; with a victim, one will be killed."""
    contact, preload = folder / "scheduler.json", folder / "killed.py"
    preload.write_text(KILLED)
    run = {**environment(), "PYTHONPATH": str(SCRIPTS), "KILLED_MARK": str(folder / "killed")}
    run["DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT"] = "60s"
    local = ("--host", "127.0.0.1", "--no-dashboard")
    worker = ("worker", "--scheduler-file", contact, "--nthreads", "1", "--no-nanny", *local)
    commands = [
        ("scheduler", "--port", "0", "--scheduler-file", contact, *local),
        worker,
        (*worker, "--preload", preload) if with_victim else worker,
    ]
    with ExitStack() as stack:
        processes = []
        for name, *arguments in commands:
            log = stack.enter_context((folder / f"{name}-{len(processes)}.log").open("wb"))
            command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *map(str, arguments)]
            processes.append(subprocess.Popen(command, env=run, stdout=log, stderr=log, cwd=folder))
            stack.callback(processes[-1].wait)
            stack.callback(processes[-1].kill)
        from distributed import Client

        with Client(scheduler_file=str(contact), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield read_json(contact)["address"], processes[1:]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that the stage wrote."""
    paths = [path for part in ("measures.zarr", "maps") for path in (folder / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in [*paths, folder / "summary.json"]}


def test_a_cluster_of_which_a_worker_is_killed_gives_the_bytes_that_threads_give(tmp_path: Path) -> None:
    # NaN outside the field: the blocks that the workers wrote are changed by the job when all are there.
    p, mask = softmax_members(1, SHAPE, n_members=3), random_mask(1, SHAPE)
    p[..., :4], mask[..., :4] = np.nan, False
    sample = SampleStore(p, mask=mask, layout=LAYOUT)
    (tmp_path / "threads").mkdir()
    (tmp_path / "cluster").mkdir()
    sample.compute(tmp_path / "threads")
    with cluster(tmp_path, with_victim=True) as (address, (survivor, victim)):
        sample.compute(tmp_path / "cluster", scheduler=address)
        assert (survivor.poll(), victim.wait(60)) == (None, -9)
    assert (tmp_path / "killed").exists()
    expected, found = contents(tmp_path / "threads"), contents(tmp_path / "cluster")
    assert found.keys() == expected.keys()
    assert len(expected) > 2 * LAYOUT.n_blocks
    assert [name for name in expected if found[name] != expected[name]] == []


def test_damage_that_a_worker_finds_is_told_as_such(tmp_path: Path) -> None:
    sample = SampleStore(softmax_members(1, SHAPE), layout=LAYOUT)
    shard = sample.write(tmp_path / "p.zarr") / "probabilities/c.0.0.1.2.0"
    content = bytearray(shard.read_bytes())
    content[50] ^= 1
    shard.write_bytes(content)
    settings = BlockSettings("bit", 0.01, ("predictive_entropy",), ("predictive_entropy",), 0.5)
    with (
        cluster(tmp_path, with_victim=False) as (address, _),
        pytest.raises(StoreError, match=r"p\.zarr: the content is damaged"),
    ):
        (damaged,) = [box for box in LAYOUT.blocks() if [part.start for part in box] == [10, 16, 0]]
        scheduling.run_blocks(tmp_path / "p.zarr", tmp_path, [damaged], settings, threads=1, scheduler=address)


def test_an_error_of_a_store_survives_the_way_back() -> None:
    error = StoreError("/work/p.zarr", "a shard is missing")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (StoreError, str(error))


def test_a_worker_of_another_version_gives_no_number(tmp_path: Path) -> None:
    box = (slice(0, 1),) * 3
    with pytest.raises(RuntimeError, match="the job has"):
        scheduling._process(("0.0", 0), tmp_path, tmp_path, box, BlockSettings("bit", None, (), (), 0.5))


def test_a_cluster_without_workers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nobody:
        def nthreads(self) -> dict[str, int]:
            return {}

    class Never:
        def is_empty(self) -> bool:
            return False

        has_ready = is_empty

    monkeypatch.setattr(Never, "has_ready", lambda _: False)
    for name in ("POLL_S", "LOOK_S", "WORKERLESS_S"):
        monkeypatch.setattr(scheduling, name, 0.01)
    with pytest.raises(RuntimeError, match="no worker"):
        list(scheduling._while_there_are_workers(Never(), Nobody()))


def test_the_number_of_blocks_of_a_graph_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = SampleStore(softmax_members(2, SHAPE), layout=LAYOUT)
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    sample.compute(tmp_path / "one")
    monkeypatch.setattr(scheduling, "GRAPH_BLOCKS", 5)
    sample.compute(tmp_path / "many", threads=1)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert np.isfinite(read_json(tmp_path / "one/summary.json")["predictive_entropy_total"])
