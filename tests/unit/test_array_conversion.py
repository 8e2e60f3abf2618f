"""The same probabilities in any format give the same store; a large file of any format needs little memory."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from array_files import arranged, write_mgh, write_npy, write_npz, write_ome, write_zarr
from files import AFFINE, SHAPE, recipe, settings, softmax_field, write_nifti
from producers import nnunet, nnunet_v1
from volume_entropy.compute_entropy import compute_sample
from volume_entropy.convert import convert_sample
from volume_entropy.errors import DataError
from volume_entropy.files import read_json
from volume_entropy.samples import Sample
from volume_entropy.stores import layout as layouts
from volume_entropy.stores.probabilities import ProbabilityStore, open_probabilities

CLASS_FIRST = {"class_axis": "first", "axes": "zyx"}


def one_nifti_a_class(folder: Path, p: np.ndarray) -> str:
    for index in range(p.shape[-1]):
        write_nifti(folder / f"class{index}.nii.gz", p[..., index])
    return str(folder / "{class}.nii.gz")


def one_array_a_class(folder: Path, p: np.ndarray) -> str:
    for index in range(p.shape[-1]):
        write_npz(folder / f"class{index}.npz", p=arranged(p, "czyx")[index])
    return str(folder / "{class}.npz")


def nnunet_file(folder: Path, p: np.ndarray) -> str:
    nnunet(folder, p, "case", dtype=p.dtype.type)
    return str(folder / "case.npz")


WRITERS: dict[str, tuple[Callable[[Path, np.ndarray], str], dict[str, Any]]] = {
    "NIfTI": (lambda folder, p: write_nifti(folder / "p.nii.gz", p), {}),
    "NIfTI, big-endian": (lambda folder, p: write_nifti(folder / "p.nii", p, order=">"), {}),
    "NIfTI-2, float64": (lambda folder, p: write_nifti(folder / "p.nii", p.astype("f8"), version=2), {}),
    "one NIfTI a class": (one_nifti_a_class, {}),
    "MGZ": (lambda folder, p: write_mgh(folder / "p.mgz", p), {}),
    "nnU-Net": (nnunet_file, {**CLASS_FIRST, "geometry": "{stem}.nii.gz"}),
    "nnU-Net, stored": (lambda folder, p: write_npz(folder / "p.npz", False, softmax=arranged(p, "czyx")), CLASS_FIRST),
    "SynthSeg": (lambda folder, p: write_npz(folder / "p.npz", vol_data=p), {}),
    "one array a class": (one_array_a_class, CLASS_FIRST),
    "npy": (lambda folder, p: write_npy(folder / "p.npy", arranged(p, "czyx")), CLASS_FIRST),
    "npy, big-endian": (lambda folder, p: write_npy(folder / "p.npy", p.astype(p.dtype.newbyteorder(">"))), {}),
    "npy, Fortran": (lambda folder, p: write_npy(folder / "p.npy", np.asfortranarray(p)), {}),
    "Zarr 3": (lambda folder, p: write_zarr(folder / "p.zarr", arranged(p, "czyx"), (1, 3, 4, 5)), CLASS_FIRST),
    "Zarr 2": (lambda folder, p: write_zarr(folder / "p.zarr", p, (2, 3, 4, 2), 2, compressors="auto"), {}),
    "OME-Zarr 0.4": (lambda folder, p: write_ome(folder / "p.ome.zarr", arranged(p, "czyx"), "0.4", "czyx"), {}),
    "OME-Zarr 0.5": (lambda folder, p: write_ome(folder / "p.ome.zarr", arranged(p, "czyx"), "0.5", "czyx"), {}),
}


def convert(sample: Sample, folder: Path, resolved: dict[str, Any], chunk: int = 64) -> ProbabilityStore:
    convert_sample(sample, folder / "store.zarr", recipe=recipe(sample, resolved), chunk=chunk)
    store = open_probabilities(folder / "store.zarr")
    assert isinstance(store, ProbabilityStore)
    return store


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("block_bytes", [2**25, 2000, 60])
def test_every_format_gives_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, block_bytes: int
) -> None:
    monkeypatch.setattr(layouts, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(layouts, "SLAB_BYTES", block_bytes)
    p = softmax_field()
    write, changes = WRITERS[name]
    store = convert(Sample("s", write(tmp_path, p)), tmp_path, settings(**changes))
    np.testing.assert_array_equal(store.array[:], p.T[None])
    assert store.quantum == 0


@pytest.mark.parametrize("name", [name for name in WRITERS if "NIfTI" not in name and name != "MGZ"])
def test_half_precision_gives_the_same_bits(tmp_path: Path, name: str) -> None:
    p = softmax_field().astype(np.float16)
    write, changes = WRITERS[name]
    store = convert(Sample("s", write(tmp_path, p)), tmp_path, settings(dtype="float16", **changes))
    assert store.array.dtype == np.float16
    np.testing.assert_array_equal(store.array[:], p.T[None])


def test_scaled_integers_give_the_numbers_they_stand_for(tmp_path: Path) -> None:
    stored = np.rint(softmax_field() * 32767).astype(np.int16)
    slope = np.float64(np.float32(1 / 32767))
    sample = Sample("s", write_nifti(tmp_path / "p.nii.gz", stored, slope=float(slope), order=">"))
    store = convert(sample, tmp_path, settings())
    np.testing.assert_array_equal(store.array[:], (stored.T[None] * slope).astype(np.float32))


def entropy_map(folder: Path, path: str, resolved: dict[str, Any]) -> np.ndarray:
    """The map of predictive entropy (x, y, z) that the two stages write of a file, as the workflow runs them."""
    folder.mkdir(exist_ok=True)
    sample = Sample("s", path)
    entropy = {"unit": "bit", "measures": ["predictive_entropy"], "threshold": 0.5, "maps": ["nifti"]}
    made = {**recipe(sample, {**resolved, **entropy}), "sources": [[path, 1, 1, True]]}
    convert_sample(sample, folder / "p.zarr", recipe=made, chunk=64, in_place=True)
    paths = {"measures_path": folder / "m.zarr", "summary_path": folder / "s.json", "maps_dir": folder / "maps"}
    compute_sample(folder / "p.zarr", recipe=made, threads=1, **paths)
    assert read_json(folder / "s.json")["status"] == "ok"
    return np.asarray(nibabel.load(folder / "maps/s_desc-predictiveEntropy_map.nii.gz").dataobj)


def test_every_encoding_gives_the_same_map(tmp_path: Path) -> None:
    p = softmax_field()
    exact = -(p.astype(np.float64) * np.log2(p, dtype=np.float64)).sum(axis=-1)
    maps = {}
    for number, (name, (write, changes)) in enumerate(WRITERS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        maps[name] = entropy_map(folder / "out", write(folder, p), settings(**changes))
        np.testing.assert_array_equal(maps[name], maps["NIfTI"], err_msg=name)
    np.testing.assert_allclose(maps["NIfTI"], exact, rtol=0, atol=1e-6)
    lossy = {
        "float16": (write_npy(tmp_path / "half.npy", p.astype(np.float16)), {}, 2**-11),
        "float16, in a Zarr array": (
            write_zarr(tmp_path / "half.zarr", p.astype(np.float16), (5, 6, 2, 1)),
            {},
            2**-11,
        ),
        "float16, stored so": (write_npy(tmp_path / "p.npy", p), {"dtype": "float16"}, 2**-11),
        "int16": (write_nifti(tmp_path / "p.nii", np.rint(p * 2**14).astype(np.int16), slope=2**-14), {}, 2**-15),
    }
    for number, (name, (path, changes, step)) in enumerate(lossy.items()):
        found = entropy_map(tmp_path / f"lossy {number}", path, settings(**changes))
        # By how much p log p changes where p is off by a step, at most: its slope grows like -log p.
        slack = 3 * step * -np.log2(step)
        np.testing.assert_allclose(found, exact, rtol=0, atol=slack, err_msg=name)
        assert not np.array_equal(found, maps["NIfTI"])


def test_an_array_takes_its_geometry_from_the_nifti_beside_it(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "case.npz", probabilities=arranged(softmax_field(), "czyx"))
    write_nifti(tmp_path / "case.nii.gz", np.zeros(SHAPE, np.uint8))
    store = convert(Sample("s", path), tmp_path, settings(geometry="{stem}.nii.gz", **CLASS_FIRST))
    np.testing.assert_array_equal(store.affine, AFFINE)
    assert store.voxel_volume_mm3 == pytest.approx(3.0)
    assert [source[0] for source in store.source] == [path, str(tmp_path / "case.nii.gz")]


def test_a_cropped_array_is_rejected_with_the_reason(tmp_path: Path) -> None:
    nnunet_v1(tmp_path, softmax_field(), "case", crop=2)
    sample = Sample("s", str(tmp_path / "case.npz"))
    with pytest.raises(DataError) as caught:
        convert(sample, tmp_path, settings(geometry="{stem}.nii.gz", **CLASS_FIRST))
    assert caught.value.code == "shape_mismatch"
    assert "case.npz" in caught.value.message
    assert "case.nii.gz" in caught.value.message
    assert "does not revert its cropping" in caught.value.remedy
    assert not (tmp_path / "case.pkl was opened").exists()


def test_an_array_that_is_declared_the_wrong_way_round_is_rejected_with_the_reason(tmp_path: Path) -> None:
    path = nnunet_file(tmp_path, softmax_field())
    with pytest.raises(DataError) as caught:
        convert(Sample("s", path), tmp_path, settings(geometry="{stem}.nii.gz", class_axis="first", axes="xyz"))
    assert caught.value.code == "shape_mismatch"
    assert "permuted" in caught.value.remedy


@pytest.mark.parametrize("ending", [".npy", ".npz", ".zarr"])
@pytest.mark.parametrize("block_bytes", [2**25, 60])
def test_an_array_may_hold_the_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, block_bytes: int
) -> None:
    monkeypatch.setattr(layouts, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(layouts, "SLAB_BYTES", block_bytes)
    array = np.concatenate([arranged(softmax_field(seed=seed), "mczyx") for seed in range(3)])
    path = tmp_path / f"p{ending}"
    match ending:
        case ".npy":
            write_npy(path, array)
        case ".npz":
            write_npz(path, p=array)
        case _:
            write_zarr(path, array, (1, 3, 4, 4, 4))
    store = convert(Sample("s", str(path)), tmp_path, settings(members=["a", "b", "c"], **CLASS_FIRST))
    np.testing.assert_array_equal(store.array[:], array)
    assert store.members == ["a", "b", "c"]


CONVERT = """
import json, re, sys
from pathlib import Path
from volume_entropy.convert import convert_sample
from volume_entropy.samples import Sample
path, output, recipe = sys.argv[1:]
convert_sample(Sample("s", path), Path(output), recipe=json.loads(recipe), chunk=64)
# Not ru_maxrss, which begins with the peak of the process that started this one.
print(int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def peak_mib(path: str, folder: Path, resolved: dict[str, Any]) -> int:
    """Peak resident memory of a process that converts a file."""
    text = json.dumps(recipe(Sample("s", path), resolved))
    command = [sys.executable, "-c", CONVERT, path, str(folder / "store.zarr"), text]
    scripts = Path(layouts.__file__).parents[2]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(scripts)})
    return int(run.stdout)


@pytest.mark.parametrize("name", ["SynthSeg", "npy", "Zarr 2"])
def test_memory_does_not_grow_with_the_volume(tmp_path: Path, name: str) -> None:
    write, changes = WRITERS[name]
    peaks = []
    for depth in (8, 120):
        p = np.zeros((96, 96, depth, 33), np.float32)
        p[..., 0] = 1
        folder = tmp_path / str(depth)
        folder.mkdir()
        path = write_zarr(folder / "p.zarr", p, (32, 32, 8, 11), 2) if "Zarr" in name else write(folder, p)
        peaks.append(peak_mib(path, folder, settings(33, **changes)))
    assert peaks[1] - peaks[0] < 130


def members_of(seeds: range) -> np.ndarray:
    """(member, class, z, y, x), one member a seed."""
    return np.concatenate([arranged(softmax_field(seed=seed), "mczyx") for seed in seeds])


def test_a_member_file_with_members_of_its_own_is_rejected(tmp_path: Path) -> None:
    for token in ("0", "1"):
        write_npy(tmp_path / f"pass-{token}.npy", members_of(range(2)))
    sample = Sample("s", str(tmp_path / "pass-{member}.npy"))
    with pytest.raises(DataError) as caught:
        convert(sample, tmp_path, settings(members=["0", "1"], **CLASS_FIRST))
    assert caught.value.code == "axes_unclear"


def test_class_files_with_other_counts_of_members_are_rejected(tmp_path: Path) -> None:
    for token, count in (("class0", 2), ("class1", 3), ("class2", 2)):
        write_npy(tmp_path / f"label-{token}.npy", members_of(range(count))[:, :1])
    sample = Sample("s", str(tmp_path / "label-{class}.npy"))
    with pytest.raises(DataError) as caught:
        convert(sample, tmp_path, settings(**CLASS_FIRST))
    assert caught.value.code == "shape_mismatch"
    assert "3 members" in caught.value.message
