"""How fast the kernels are, against what people use today and against the memory itself.

    python tests/benchmarks/kernels.py [--edge 192] [--repeats 15] [--json out.json]

All contestants take turns in one process, round by round, so that a busy machine slows all of them; a ratio is the
median of the ratios within a round. The floor reads the same probabilities and writes the same number of maps.
`torch.compile` takes part where torch is installed.
"""

import argparse
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numba
import numexpr
import numpy as np
import scipy.stats
from llvmlite import binding as llvm
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from volume_entropy import entropy, uncertainty
from volume_entropy.voxelwise import BlockMeasures

Floats = NDArray[np.float32]
Contestants = dict[str, Callable[[], Any]]
WORKERS = 2
OURS = "volume_entropy"
FLOOR = "floor: read, write maps"


def softmax(shape: tuple[int, ...], axis: int) -> Floats:
    """Seeded probabilities, from nearly uniform to nearly one-hot."""
    rng = np.random.default_rng(0)
    p = rng.standard_normal(shape, dtype=np.float32)
    p *= 3
    np.exp(p, out=p)
    p /= p.sum(axis=axis, keepdims=True)
    return p


@numba.njit(nogil=True, error_model="numpy")
def touch(rows: Floats, start: int, stop: int, maps: Floats) -> None:
    """Read all rows of some voxels once, and write every map once."""
    for at in range(start, stop, 4096):
        n = min(4096, stop - at)
        out = maps[0][at : at + n]
        out[:] = 0
        for r in range(rows.shape[0]):
            row = rows[r][at : at + n]
            for v in range(n):
                out[v] += row[v]
        for m in range(1, maps.shape[0]):
            maps[m][at : at + n] = out


def floor(rows: Floats, n_maps: int) -> Callable[[], Any]:
    """The floor of (row, voxel), in as many threads as the others have."""
    maps = np.zeros((n_maps, rows.shape[1]), np.float32)
    edges = np.linspace(0, rows.shape[1], WORKERS + 1).astype(int)
    pool = ThreadPoolExecutor(WORKERS)
    return lambda: list(pool.map(lambda a, b: touch(rows, a, b, maps), edges[:-1], edges[1:]))


def single_contestants(p: Floats) -> Contestants:
    """One member, (class, z, y, x): predictive entropy in bit."""

    def tutorial() -> Any:
        q = p / p.sum(axis=0)
        return -(q * np.log2(q + 1e-12)).sum(axis=0)

    def by_numexpr() -> Any:
        total = np.zeros(p.shape[1:], np.float32)
        for row in p:
            numexpr.evaluate(
                "total - p * log(p + 1e-12) * 1.4426950408889634",
                {"p": row, "total": total},
                out=total,
                casting="same_kind",
            )
        return total

    contestants: Contestants = {
        FLOOR: floor(p.reshape(len(p), -1), 1),
        OURS: lambda: entropy(p, workers=WORKERS),
        "the same with the block's counts": lambda: in_blocks(p[None], ("predictive_entropy",)),
        "numpy (tutorial)": tutorial,
        "scipy.stats.entropy": lambda: scipy.stats.entropy(p, base=2, axis=0),
        "numexpr": by_numexpr,
    }
    return contestants | torch_contestant(p, lambda torch: lambda t: -(t * torch.log2(t + 1e-12)).sum(0))


def member_contestants(p: Floats) -> Contestants:
    """Several members, (member, class, z, y, x): predictive and expected entropy, mutual information."""
    names = ("predictive_entropy", "expected_entropy", "mutual_information")

    def by_numpy() -> Any:
        mean = p.mean(axis=0)
        whole = -(mean * np.log2(mean + 1e-12)).sum(axis=0)
        parts = -(p * np.log2(p + 1e-12)).sum(axis=1).mean(axis=0)
        return whole, parts, whole - parts

    def by_torch(torch: Any) -> Callable[[Any], Any]:
        def split(t: Any) -> Any:
            mean = t.mean(0)
            whole = -(mean * torch.log2(mean + 1e-12)).sum(0)
            parts = -(t * torch.log2(t + 1e-12)).sum(1).mean(0)
            return whole, parts, whole - parts

        return split

    contestants: Contestants = {
        FLOOR: floor(p.reshape(-1, int(np.prod(p.shape[2:]))), 3),
        OURS: lambda: uncertainty(p, measures=names, workers=WORKERS),
        "the same, members streamed": lambda: in_blocks(p, names),
        "numpy": by_numpy,
    }
    return contestants | torch_contestant(p, by_torch)


def in_blocks(p: Floats, names: tuple[str, ...]) -> None:
    """As a job does it: a block is a z-slab, its members are added one by one, all counts are taken."""
    depth = max(1, p.shape[2] // 6)

    def block(z: int) -> None:
        part = p[:, :, z : z + depth]
        measures = BlockMeasures(
            part.shape[2:],
            n_members=len(p),
            n_classes=p.shape[1],
            kind="softmax",
            complement=False,
            sum_tolerance=0.01,
            quantum=0.0,
            unit="bit",
            measures=names,
        )
        for member in part:
            measures.add(member)
        measures.finish()

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(block, range(0, p.shape[2], depth)))


def torch_contestant(p: Floats, formula: Callable[[Any], Callable[[Any], Any]]) -> Contestants:
    """`torch.compile` of a formula, if torch is there."""
    try:
        import torch
    except ImportError:
        return {}
    torch.set_num_threads(WORKERS)
    compiled, tensor = torch.compile(formula(torch)), torch.from_numpy(p)
    return {"torch.compile": lambda: compiled(tensor)}


def race(contestants: Contestants, repeats: int) -> dict[str, dict[str, float]]:
    """Time everyone in turn; slow ones (over 20 times ours) only in the first three rounds."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()
    for turn in range(repeats):
        for name, run in contestants.items():
            if turn >= 3 and statistics.median(times[name]) > 20 * statistics.median(times[OURS]):
                continue
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    result = {}
    for name, taken in times.items():
        quarters = statistics.quantiles(taken, n=4)
        pairs = [other / ours for other, ours in zip(taken, times[OURS], strict=False)]
        result[name] = {
            "median_ms": 1e3 * statistics.median(taken), "fastest_ms": 1e3 * min(taken),
            "spread_ms": 1e3 * (quarters[2] - quarters[0]), "times_ours": statistics.median(pairs),
            "rounds": len(taken),
        }  # fmt: skip
    return result


def report(title: str, result: dict[str, dict[str, float]]) -> None:
    """Print one table."""
    print(f"\n{title}\n{'':36}{'median':>10}{'fastest':>10}{'spread':>9}{'x ours':>9}")
    for name, row in result.items():
        print(
            f"{name:36}{row['median_ms']:8.2f}ms{row['fastest_ms']:8.2f}ms{row['spread_ms']:7.2f}ms"
            f"{row['times_ours']:9.2f}",
            flush=True,
        )


def benchmark(edge: int, repeats: int, classes: list[int], members: list[int]) -> dict[str, Any]:
    """Run all races and return their tables."""
    numexpr.set_num_threads(WORKERS)
    tables: dict[str, Any] = {}
    for n_classes in classes:
        title = f"entropy, {n_classes} classes x {edge}^3 float32, {WORKERS} threads"
        tables[title] = race(single_contestants(softmax((n_classes, edge, edge, edge), 0)), repeats)
        report(title, tables[title])
    for n_members in members:
        # numpy's temporaries of thirty members of 192^3 voxels do not fit a small machine.
        side = edge if n_members <= 10 else edge * 2 // 3
        title = f"PE, EE and MI, {n_members} members x 4 classes x {side}^3 float32, {WORKERS} threads"
        tables[title] = race(member_contestants(softmax((n_members, 4, side, side, side), 1)), repeats)
        report(title, tables[title])
    return {"cpu": llvm.get_host_cpu_name(), "load": os.getloadavg()[0], "tables": tables}


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edge", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--classes", type=int, nargs="*", default=[2, 4, 5, 16, 33])
    parser.add_argument("--members", type=int, nargs="*", default=[1, 5, 10, 30])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = benchmark(options.edge, options.repeats, options.classes, options.members)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
