"""What a job costs: bounded memory whatever the size of the volume, and imports only of what it uses."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from benchmarks.measuring import ROOT, cost_of
from benchmarks.stage import make_recipe
from benchmarks.volumes import large_planes, uncompressed
from study import save, softmax_volume

STAGES = ("convert", "compute_entropy", "render_qc")
PLANE = (1024, 512)


def peaks(folder: Path, source: Path) -> dict[str, float]:
    """Peak memory in MiB of each stage of a sample of two classes."""
    make_recipe(folder, str(source), classes=["background", "vessel"])
    stage = ROOT / "tests/benchmarks/stage.py"
    found = {name: cost_of([sys.executable, stage, name, folder]).peak_mib for name in STAGES}
    shutil.rmtree(folder)
    return found


def write_nifti(path: Path, n_bytes: int) -> Path:
    return uncompressed(n_bytes, path, PLANE)


def zarr_source(path: Path, n_bytes: int) -> Path:
    """The voxels of `uncompressed` as a Zarr array (class, z, y, x) in chunks."""
    depth = n_bytes // (8 * PLANE[0] * PLANE[1])
    array = zarr.create_array(
        str(path), shape=(2, depth, *PLANE[::-1]), chunks=(1, 16, 128, 128), dtype="float32", dimension_names="czyx"
    )
    planes = large_planes(depth, PLANE)
    for class_index in range(2):
        for z in range(0, depth, 16):
            slab = np.stack([next(planes) for _ in range(min(16, depth - z))])
            array[class_index, z : z + len(slab)] = slab
    return path


@pytest.mark.parametrize("format", ["uncompressed NIfTI", "Zarr"])
def test_twice_the_volume_takes_the_same_memory(tmp_path: Path, format: str) -> None:
    write = {"uncompressed NIfTI": write_nifti, "Zarr": zarr_source}[format]
    once, twice = (
        peaks(tmp_path / f"{n_bytes}", write(tmp_path / f"large-{n_bytes}.zarr", n_bytes))
        for n_bytes in (200_000_000, 400_000_000)
    )
    for stage in STAGES:
        assert twice[stage] < 1.05 * once[stage] + 10, (stage, once, twice)
        assert twice[stage] < 320, (stage, twice)


def loaded_by(stage: str, folder: Path) -> set[str]:
    """Names of the modules that a job of one stage imports."""
    program = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); from stage import run\n"
        "folder = pathlib.Path(sys.argv[3]); run(sys.argv[2], folder, folder, 1)\n"
        "print(*sys.modules)"
    )
    command = [sys.executable, "-c", program, str(ROOT / "tests/benchmarks"), stage, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_a_job_imports_only_what_it_uses(tmp_path: Path) -> None:
    save(softmax_volume(1), tmp_path / "p.nii.gz")
    make_recipe(tmp_path, str(tmp_path / "p.nii.gz"), classes=["background", "a", "b", "c"])
    heavy = {"numba", "llvmlite", "dask", "distributed", "scipy.linalg", "matplotlib", "pandas", "zarr", "nibabel"}
    found = {stage: loaded_by(stage, tmp_path) & heavy for stage in STAGES}
    assert found == {
        "convert": {"nibabel"},
        "compute_entropy": {"numba", "llvmlite", "dask"},
        "render_qc": set(),
    }
