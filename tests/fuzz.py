"""Fuzzing of every reader: mutated files end in a right number or in a rejection, within a bound on time and memory.

`make fuzz N=20000 SEED=0` runs seeds SEED … SEED+N-1. A failure prints its seed and leaves its files in `logs/fuzz`;
`python tests/fuzz.py --seed 123` runs one case again. Right is what other readers (`independent.py`) and the float64
reference make of the same files.
"""

import argparse
import json
import math
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
if __name__ == "__main__":
    sys.path[:0] = [str(HERE), str(HERE.parent / "scripts")]

import nibabel
import numpy as np
from files import recipe
from independent import Content, read_sample
from mutations import Tree, mutated
from reference import block
from scipy import ndimage
from valid_samples import VALID, Valid, valid
from volume_entropy.compute_entropy import compute_sample
from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.files import read_json
from volume_entropy.samples import Sample
from volume_entropy.stores.probabilities import ProbabilityStore, open_probabilities
from volume_entropy.stores.sealed import write_rejection

SECONDS = 20
# On top of what the process has mapped when a case begins.
MEMORY = 768 * 2**20
CHUNK = 1000
ENTROPY = {"unit": "bit", "measures": ["predictive_entropy"], "threshold": 0.5, "maps": ["nifti"]}


class Wrong(AssertionError):
    """A case did not end as it must."""


def case(seed: int) -> tuple[Valid, Tree, dict[str, Any]]:
    """The valid sample a seed starts from, its mutated files, and its settings; one in twenty is left as it is."""
    rng = np.random.default_rng(seed)
    names = list(VALID)
    start = valid(names[rng.integers(len(names))])
    tree = start.tree
    for _ in range(rng.choice(4, p=[0.05, 0.65, 0.2, 0.1])):
        tree = mutated(tree, rng) or tree
    tolerance, invalid = rng.choice([0.01, 0.3, -1]), rng.choice([0.001, 0.001, 0.5, 1.0])
    if tolerance < 0 and start.settings["background"] == "complement":
        tolerance = 0.01  # the config refuses a complement without a tolerance
    changes = {"sum_tolerance": None if tolerance < 0 else float(tolerance), "max_invalid_fraction": float(invalid)}
    changes["scale"] = float(scale) if (scale := rng.choice([0, 0, 0, 0, 0, 0, 0, 0, 2, 255])) else None
    return start, tree, {**start.settings, **changes, **ENTROPY}


def write(tree: Tree, folder: Path) -> None:
    for name, content in tree.items():
        path = folder / name
        if path.is_dir() or any(parent.is_file() for parent in path.parents):
            continue  # a folder stands where a file was, or the other way round
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def run_case(seed: int, folder: Path) -> str:
    """Run the case of a seed in an empty folder; see `run`."""
    return run(*case(seed), folder)


def run(start: Valid, tree: Tree, resolved: dict[str, Any], folder: Path) -> str:
    """Run a case in an empty folder; give `ok`, or the code of the rejection.

    Raises
    ------
    Wrong
        A number is not the one that other readers and the reference give; or a valid sample is rejected; or a source
        that is read in place does not give what its copy gives.
    Exception
        Any other than `DataError` that the library raised.
    """
    source = folder / "source"
    source.mkdir(parents=True)
    write(tree, source)
    sample = Sample(
        "s",
        str(source / start.probabilities),
        image=start.image and str(source / start.image),
        mask=start.mask and str(source / start.mask),
        reference=start.reference and str(source / start.reference),
        atlas=start.atlas and str(source / start.atlas),
    )
    made = {**recipe(sample, resolved), "sources": [[sample.probabilities, 1, 1, True]]}
    summary = staged(sample, made, folder / "out", in_place=False)
    if summary["status"] == "ok" or summary["stage"] == "compute_entropy":
        store = open_probabilities(folder / "out/p.zarr")
        assert isinstance(store, ProbabilityStore)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            others = {"mask": start.mask, "reference": start.reference, "atlas": start.atlas}
            truth = read_sample(source, start.probabilities, others, resolved)
        check_store(store, truth)
        check_numbers(summary, folder / "out", truth, resolved)
    if tree == start.tree and resolved["scale"] is None and summary["status"] != "ok":
        raise Wrong(f"a valid sample is rejected: {summary['message']}")
    if start.ending == ".zarr":
        check_in_place(summary, staged(sample, made, folder / "place", in_place=True))
    return "ok" if summary["status"] == "ok" else str(summary["code"])


def staged(sample: Sample, made: dict[str, Any], out: Path, in_place: bool) -> dict[str, Any]:
    """Convert and compute a sample, as the workflow does; give its summary."""
    out.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            convert_sample(sample, out / "p.zarr", recipe=made, chunk=64, in_place=in_place)
        except DataError as error:
            if (out / "p.zarr").exists():
                raise Wrong(f"a rejected sample left a store: {error}") from error
            write_rejection(out / "p.zarr", error.rejection("convert"), made)
        paths = {"measures_path": out / "m.zarr", "summary_path": out / "s.json", "maps_dir": out / "maps"}
        compute_sample(out / "p.zarr", recipe=made, threads=1, **paths)
    summary = read_json(out / "s.json")
    if summary["status"] != "ok" and not (20 < len(summary["message"]) < 2000 and summary["remedy"]):
        raise Wrong(f"a rejection without words, or with too many: {summary['message']}")
    return summary


def check_in_place(copied: dict[str, Any], summary: dict[str, Any]) -> None:
    """What is read in place ends as its copy does, and in the same numbers; what is damaged may be found elsewhere."""
    if summary["status"] != copied["status"] or (summary["status"] == "ok" and summary != copied):
        raise Wrong(f"read in place: {summary.get('message')}; copied: {copied.get('message')}, or other numbers")


def check_store(store: ProbabilityStore, truth: Content) -> None:
    """The store holds what other readers find in the files."""
    stored = store.array[:]
    if stored.shape != truth.p.shape or not np.allclose(stored, truth.p, rtol=2e-7, atol=1e-44, equal_nan=True):
        raise Wrong(f"other values in the store: shapes {stored.shape} and {truth.p.shape}")
    if truth.affine is not None and not np.allclose(store.affine, truth.affine, rtol=1e-5, atol=1e-4):
        raise Wrong(f"another place: {store.affine.tolist()} and {truth.affine.tolist()}")
    if not math.isclose(store.quantum, truth.quantum, rel_tol=1e-6):
        raise Wrong(f"another step: {store.quantum} and {truth.quantum}")
    if (store.mask is None) != (truth.mask is None):
        raise Wrong("a mask appeared or went")
    if truth.mask is not None and not np.array_equal(store.read_mask((slice(None),) * 3), truth.mask):
        raise Wrong("another mask")


def check_numbers(summary: dict[str, Any], out: Path, truth: Content, resolved: dict[str, Any]) -> None:
    """Summary and map are those of the float64 reference; a rejection has a reason."""
    tolerance, complement = resolved["sum_tolerance"], resolved["background"] == "complement"
    with np.errstate(invalid="ignore"):
        p = truth.p.astype(np.float64)
    if tolerance is None:
        # What float32 cannot divide out is invalid by definition.
        total = np.where(np.isfinite(p), np.maximum(p, 0), 0).sum(axis=1, keepdims=True)
        least = 0 if complement else np.finfo(np.float32).tiny
        p = np.where(((total > 0) & (total < least)) | (total > np.finfo(np.float32).max), np.nan, p)
    low, high = (
        block(
            p, complement=complement, quantum=truth.quantum * slack, mask=truth.mask,
            sum_tolerance=None if tolerance is None else tolerance * slack,
        )
        for slack in (0.9999, 1.0001)
    )  # fmt: skip
    if not np.array_equal(low.invalid, high.invalid):
        return  # a value at the tolerance itself, where rounding decides
    outside = outside_the_field(truth.p, truth.mask)
    invalid, empty = low.invalid & ~outside, low.empty | outside
    n_invalid, n_filled = int(invalid.sum()), int((~empty).sum())
    with np.errstate(invalid="ignore"):
        says = invalid | ((p > 0).any(axis=(0, 1)) if complement else ~empty)
    few = n_invalid < n_filled and n_invalid <= resolved["max_invalid_fraction"] * int(says.sum())
    usable = few and on_its_scale(truth.p, resolved)
    if (summary["status"] == "ok") != usable:
        raise Wrong(f"{summary['status']} with {n_invalid} of {n_filled} voxels invalid: {summary.get('message')}")
    if not usable:
        return
    if (summary["n_invalid_voxels"], summary["n_empty_voxels"]) != (n_invalid, int(empty.sum())):
        raise Wrong(f"{summary['n_invalid_voxels']} voxels invalid, expected {n_invalid}")
    if any(warning["code"] == "nan_outside" for warning in summary["warnings"]) != outside.any():
        raise Wrong(f"NaN in {int(outside.sum())} voxels outside, and the warnings {summary['warnings']}")
    expected = np.where(outside, 0, low.maps["predictive_entropy"])
    values = np.asarray(nibabel.load(out / "maps/s_desc-predictiveEntropy_map.nii.gz").dataobj).T
    if not np.allclose(values, expected, rtol=0, atol=2e-6, equal_nan=True):
        worst = np.nanmax(np.abs(values - expected))
        raise Wrong(f"a map that differs by {worst:.3g} bit, or elsewhere invalid")
    total = np.nansum(expected)
    if abs(summary["predictive_entropy_total"] - total) > 2e-6 * total + 1e-7 * expected.size:
        raise Wrong(f"a total of {summary['predictive_entropy_total']}, expected {total}")
    domain = ~invalid & ~empty & (True if truth.mask is None else truth.mask)
    if summary["n_domain_voxels"] != int(domain.sum()):
        raise Wrong(f"{summary['n_domain_voxels']} voxels in the domain, expected {int(domain.sum())}")
    check_labels(summary, domain, truth, resolved)


def outside_the_field(p: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Voxels (z, y, x) that are NaN in everything, connected to the border by faces, and not inside the mask."""
    blank = np.isnan(p).all(axis=(0, 1)) & (True if mask is None else ~mask)
    labels, _ = ndimage.label(blank)
    ends = [np.take(labels, end, axis) for axis in range(3) for end in (0, -1) if labels.shape[axis] > 1]
    return blank & np.isin(labels, np.unique(np.concatenate([end.ravel() for end in ends]))) if ends else blank & False


def on_its_scale(p: np.ndarray, resolved: dict[str, Any]) -> bool:
    """Whether no finite value is far from 0 … 1, and a scale is not far above what is in the file."""
    finite = p[np.isfinite(p)]
    if finite.size == 0:
        return True
    if finite.min() < -0.5 or (finite.max() > 1.5 and resolved["sum_tolerance"] is not None):
        return False
    scale = resolved["scale"] or 1
    # A file may hold the bound itself, which comes back from the division with the rounding of float32.
    return not (scale >= 10 and 0 < float(finite.max()) * scale <= 1.5 * (1 + 1e-6))


def check_labels(summary: dict[str, Any], domain: np.ndarray, truth: Content, resolved: dict[str, Any]) -> None:
    """Reference and atlas hold the labels that other readers find."""
    for values in (truth.reference, truth.atlas):
        if values is not None and not np.array_equal(values, np.rint(values)):
            raise Wrong("labels that are no whole numbers")
    if truth.reference is not None:
        inside, how = truth.reference[domain], resolved["reference"]
        classes = [np.isin(inside, labels) for labels in how["labels"]]
        expected = [int(voxels.sum()) for voxels in classes]
        found = [row["n_reference_voxels"] for row in summary["structures"]]
        ignored = int(np.isin(inside, how["ignore_labels"]).sum())
        if found != expected or summary["scores"]["n_ignored_voxels"] != ignored:
            raise Wrong(f"a reference with {found} voxels of each class, expected {expected}")
        if summary["scores"]["n_unlisted_voxels"] != inside.size - ignored - sum(expected):
            raise Wrong("another number of unlisted voxels")
    if truth.atlas is not None:
        labels, counts = np.unique(truth.atlas[domain], return_counts=True)
        regions = {row["label"]: row["n_voxels"] for row in summary["regions"] if row["n_voxels"]}
        if regions != {int(a): int(n) for a, n in zip(labels, counts, strict=True) if a}:
            raise Wrong(f"an atlas with the regions {regions}")


@cache
def warm_up() -> None:
    """Run every valid sample once: kernels are compiled and threads started before memory is bounded.

    A thread that dies for want of memory while it starts leaves Dask waiting for ever.
    """
    for name in VALID:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            run(valid(name), valid(name).tree, {**valid(name).settings, **ENTROPY}, Path(folder))


@contextmanager
def bounded(seconds: int = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Bound time and address space within the block: what is exceeded is an exception there."""

    def too_slow(*_: object) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, too_slow)
    limit = mapped + memory if before[1] == resource.RLIM_INFINITY else min(mapped + memory, before[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    # Again and again: one exception may be lost in a callback.
    signal.setitimer(signal.ITIMER_REAL, seconds, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, handler)


def run_seeds(seeds: range, failures: Path, progress: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Run cases one after another; give how many ended how, and a line a failure."""
    warm_up()
    ends: Counter[str] = Counter()
    bad = []
    for seed in seeds:
        if progress is not None:
            progress.write_text(str(seed))  # so that a crash of the interpreter names its case too
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            try:
                with bounded():
                    ends[run_case(seed, Path(folder))] += 1
            except Exception as error:
                ends["FAILED"] += 1
                bad.append(f"seed {seed}: {type(error).__name__}: {str(error)[:300]}")
                keep(seed, Path(folder), failures)
    return ends, bad


def keep(seed: int, folder: Path, failures: Path) -> None:
    """Keep the files of a failure, and where it failed."""
    target = failures / str(seed)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if (folder / "source").exists():
        shutil.copytree(folder / "source", target / "source")
    resolved = case(seed)[2]
    (target / "failure.txt").write_text(f"{traceback.format_exc()}\nsettings: {json.dumps(resolved, indent=1)}\n")


def run_chunk(seeds: range, failures: Path) -> tuple[Counter[str], list[str], int]:
    """Run seeds in a process of its own; give counts, failures, and the peak of its memory in MiB."""
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder) / "seed"
        command = [sys.executable, __file__, "--chunk", str(seeds.start), str(seeds.stop), "--progress", str(progress)]
        command += ["--failures", str(failures)]
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode == 0:
            content = json.loads(process.stdout.splitlines()[-1])
            return Counter(content["ends"]), content["failures"], content["peak_mib"]
        seed = progress.read_text() if progress.exists() else f"{seeds.start}, before it"
        return (
            Counter({"CRASHED": 1}),
            [f"seed {seed}: the interpreter ended with {process.returncode}: {process.stderr[-2000:]}"],
            0,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, help="cases; default: 20000 from seed 0, or one of a given seed")
    parser.add_argument("--seed", type=int, help="the first seed; alone, the only one")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--failures", type=Path, default=Path("logs/fuzz"), help="where files of failures are left")
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--chunk", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.n = options.n or (20_000 if options.seed is None else 1)
    options.seed = options.seed or 0
    if options.chunk:
        ends, failures = run_seeds(range(*options.chunk), options.failures, options.progress)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"ends": ends, "failures": failures, "peak_mib": peak}))
        return
    starts = range(options.seed, options.seed + options.n, CHUNK)
    chunks = [range(start, min(start + CHUNK, options.seed + options.n)) for start in starts]
    total, peak, failed = Counter[str](), 0, 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for ends, failures, mib in pool.map(lambda chunk: run_chunk(chunk, options.failures), chunks):
            total, peak, failed = total + ends, max(peak, mib), failed + len(failures)
            print("\n".join(failures) if failures else f"{total.total()} cases", flush=True)
    print(f"\n{total.total()} cases from seed {options.seed}: peak {peak} MiB in a process, {failed} failures")
    for end, count in total.most_common():
        print(f"{count:8d}  {end}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
