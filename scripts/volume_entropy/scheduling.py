"""Where the blocks of a sample are processed: in threads of this process, or by the workers of a Dask cluster."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from dask.threaded import get
from numpy.typing import NDArray

from . import __version__
from .blocks import BlockSettings, finish_block, open_block, process_block
from .joblog import logger
from .memory import reuse_freed_arrays
from .partials import SampleSums, merge
from .stores.layout import Slices
from .stores.probabilities import ProbabilityStore
from .tails import Tails
from .voxelwise import BlockMeasures

if TYPE_CHECKING:
    from distributed import Client

Key = tuple[str, int]

# The scheduler that is no address.
THREADS = "threads"
# Partial sums that are merged by one task, and blocks of one Dask graph: few of either are in memory at a time,
# whatever the number of blocks, and the threads wait for each other once in so many blocks.
FAN_IN = 8
GRAPH_BLOCKS = 256
# Blocks that a cluster has waiting, a thread; the next ones are sent as results come in.
WAITING = 3
CONNECT_S = 60
# How long a cluster may be without a worker: a queue may hold up one that was lost.
WORKERLESS_S = 900
POLL_S, LOOK_S = 0.02, 10


def run_blocks(
    probabilities: Path,
    measures: Path,
    boxes: Sequence[Slices],
    settings: BlockSettings,
    *,
    threads: int,
    scheduler: str = THREADS,
) -> SampleSums:
    """Process all blocks of a sample; the result does not depend on where, and in which order, that was.

    Parameters
    ----------
    probabilities
        A sealed probability store.
    measures
        Where the blocks of an open `MeasureWriter` are written.
    boxes
        All blocks of the volume.
    settings, threads
        See `BlockSettings`; the number of threads, which a cluster has of its own.
    scheduler
        `threads`, or the address of a Dask scheduler.

    Raises
    ------
    StoreError
        The probability store is damaged.
    RuntimeError
        The cluster has no workers, or other code than this process.
    """
    if scheduler == THREADS:
        return _in_threads(probabilities, measures, boxes, settings, threads)
    return _on_cluster(scheduler, probabilities.absolute(), measures.absolute(), boxes, settings)


def stream_blocks(
    store: ProbabilityStore,
    measures: Path,
    members: Iterable[NDArray[Any]],
    settings: BlockSettings,
    *,
    threads: int,
    tails: Tails | None = None,
) -> SampleSums:
    """Process all blocks of a sample whose members are made one after the other, and stored nowhere.

    Parameters
    ----------
    store
        Names the members, and holds what else a sample has.
    measures
        As in `run_blocks`.
    members
        (class, z, y, x), contiguous, every one another array.
    tails
        Is shown the members until it has seen enough.
    """
    boxes = store.layout.blocks()
    blocks = [open_block(store, box, settings) for box in boxes]
    with ThreadPoolExecutor(threads) as pool:

        def add(block: BlockMeasures, part: NDArray[Any]) -> None:
            block.add(np.ascontiguousarray(part))

        for member in members:
            if tails is not None:
                tails.add_slices(member)
            list(pool.map(add, blocks, (member[:, z, y, x] for z, y, x in boxes)))
        finish = partial(finish_block, store, measures=measures, settings=settings)
        sums = pool.map(lambda block, box: finish(block, box=box), blocks, boxes)
        return merge(list(sums))


def _in_threads(
    probabilities: Path, measures: Path, boxes: Sequence[Slices], settings: BlockSettings, threads: int
) -> SampleSums:
    done: list[SampleSums] = []
    for start in range(0, len(boxes), GRAPH_BLOCKS):
        graph, total = _graph(
            # Arguments that Dask does not see: it would look through each for tasks.
            partial(process_block, probabilities, measures, box, settings)
            for box in boxes[start : start + GRAPH_BLOCKS]
        )
        # Kernels and codecs release the interpreter: no processes. Not `dask.compute`, which imports `distributed`
        # (0.2 s) to see that there is no cluster.
        done = [merge([*done, get(graph, total, num_workers=threads)])]
    return done[0]


def _graph(tasks: Iterable[Callable[[], SampleSums]]) -> tuple[dict[Key, tuple[Any, ...]], Key]:
    """Write down tasks, and how their sums are merged, as Dask's scheduler takes them; and the key of the total.

    As a dict, since `delayed` takes 0.4 ms a task, one thread alone: 9 of the 300 ms of 23 blocks in two threads.
    """
    graph: dict[Key, tuple[Any, ...]] = {("block", index): (task,) for index, task in enumerate(tasks)}
    level = list(graph)
    while len(level) > 1:
        groups = [level[first : first + FAN_IN] for first in range(0, len(level), FAN_IN)]
        merged: dict[Key, tuple[Any, ...]] = {
            ("sums", len(graph) + index): (merge, group) for index, group in enumerate(groups)
        }
        graph |= merged
        level = list(merged)
    return graph, level[0]


def _on_cluster(
    address: str, probabilities: Path, measures: Path, boxes: Sequence[Slices], settings: BlockSettings
) -> SampleSums:
    from distributed import Client, as_completed

    with Client(address, timeout=CONNECT_S, set_as_default=False) as client:
        logger.info("cluster %s: %d workers", address, len(client.nthreads()))
        waiting = iter(boxes)

        def send(n_blocks: int) -> list[Any]:
            return [
                # Not pure: a block that was processed for a store that is gone must be processed again.
                client.submit(_process, library(), probabilities, measures, box, settings, pure=False)
                for box in islice(waiting, n_blocks)
            ]

        first = send(WAITING * max(1, sum(client.nthreads().values())))
        results = as_completed(first, loop=client.loop, with_results=True)
        total: SampleSums | None = None
        for future, sums in _while_there_are_workers(results, client):
            total = sums if total is None else merge([total, sums])
            future.release()
            for following in send(1):
                results.add(following)
    if total is None:
        raise ValueError("a volume without blocks")
    return total


def _while_there_are_workers(results: Any, client: "Client") -> Iterator[tuple[Any, SampleSums]]:
    """Yield what is completed; give up when the cluster has had no worker for `WORKERLESS_S`."""
    workers_seen = looked = time.monotonic()
    while not results.is_empty():
        if results.has_ready():
            yield next(results)
            continue
        time.sleep(POLL_S)
        if time.monotonic() - looked > LOOK_S:
            looked = time.monotonic()
            workers_seen = looked if client.nthreads() else workers_seen
            if looked - workers_seen > WORKERLESS_S:
                raise RuntimeError(f"the Dask cluster has had no worker for {WORKERLESS_S} s")


def library() -> tuple[str, int]:
    """What must be equal wherever blocks of one sample are processed."""
    from .config import REVISION

    return __version__, REVISION


def _process(
    asked: tuple[str, int], probabilities: Path, measures: Path, box: Slices, settings: BlockSettings
) -> SampleSums:
    """Process a block in a worker."""
    if library() != asked:
        raise RuntimeError(
            f"a worker of the Dask cluster has version and revision {library()} of the code, the job has {asked}: "
            "start both from one clone"
        )
    reuse_freed_arrays()
    return process_block(probabilities, measures, box, settings)
