"""The volumes that are measured, made once and kept in `data/benchmarks`."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np

from .measuring import ROOT

FOLDER = ROOT / "data/benchmarks"


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for what a benchmark writes, on the disk that has its volumes; gone at the end of a `with`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=FOLDER.parent)


def brain() -> Path:
    """The demo's 1 mm sample: 4 classes, 197 x 233 x 189, 139 MB of float32 in a .nii.gz of 30 MB."""
    sys.path[:0] = [str(ROOT / "scripts")]
    import make_demo

    sample = make_demo.COHORT[0]
    make_demo.make_sample(sample, FOLDER)
    return FOLDER / sample.id / sample.file_names()[2]


def passes(n_members: int = 5, edge: int = 160, n_classes: int = 4) -> Path:
    """A pattern with `{member}`: volumes of smooth structures with values everywhere."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for member in range(n_members):
        path = FOLDER / f"passes-{n_classes}-{edge}_{member}.nii.gz"
        if not path.exists():
            _save(np.concatenate(list(_slabs(edge, n_classes, member)), axis=2), path)
    return FOLDER / f"passes-{n_classes}-{edge}_{{member}}.nii.gz"


def structures(edge: int = 160, n_classes: int = 33) -> Path:
    """As a whole-brain parcellation writes it: 33 classes, 160³, 541 MB of float32; values everywhere."""
    passes(1, edge, n_classes)
    return FOLDER / f"passes-{n_classes}-{edge}_0.nii.gz"


def uncompressed(n_bytes: int, folder: Path = FOLDER, plane: tuple[int, int] = (1024, 1024)) -> Path:
    """A .nii of about `n_bytes`: two classes of float32, as many slices of `plane` as that takes."""
    width, height = plane
    depth = n_bytes // (8 * width * height)
    path = folder / f"large-{n_bytes}.nii"
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return path
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((width, height, depth, 2))
    header.set_sform(np.diag([0.005, 0.005, 0.005, 1]), code=1)
    header.set_xyzt_units("mm")
    header["vox_offset"], header["magic"] = 352, b"n+1"
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        file.write(header.binaryblock + bytes(4))
        for values in large_planes(depth, plane):
            file.write(values.data)
    aside.rename(path)
    return path


def large_planes(depth: int, plane: tuple[int, int]) -> Iterator[np.ndarray]:
    """Slices of one class, then of the other: noise, shifted from slice to slice, so that no two are alike."""
    n = plane[0] * plane[1]
    noise = np.random.default_rng(0).random(n + depth, dtype=np.float32) ** 4
    for values in (noise, 1 - noise):
        for z in range(depth):
            yield values[z : z + n].reshape(plane[::-1])


def _slabs(edge: int, n_classes: int, seed: int) -> Iterator[np.ndarray]:
    """Softmax of noisy distances to a centre a class, slab by slab: (x, y, z, class)."""
    rng = np.random.default_rng([7, seed])
    centres = np.random.default_rng(3).uniform(0, edge, (n_classes, 3)).astype(np.float32)
    axis = np.arange(edge, dtype=np.float32)
    for z in np.array_split(axis, max(1, edge // 8)):
        places = np.stack(np.meshgrid(axis, axis, z, indexing="ij"), axis=-1)
        logits = np.empty((*places.shape[:3], n_classes), np.float32)
        for index, centre in enumerate(centres):
            logits[..., index] = -((places - centre) ** 2).sum(axis=-1) / np.float32(edge)
        logits += rng.normal(scale=0.5, size=logits.shape).astype(np.float32)
        logits -= logits.max(axis=-1, keepdims=True)
        np.exp(logits, out=logits)
        yield logits / logits.sum(axis=-1, keepdims=True)


def _save(p: np.ndarray, path: Path) -> None:
    image = nibabel.Nifti1Image(p, np.diag([-1.0, 1, 1, 1]))
    image.header.set_xyzt_units("mm")
    aside = path.with_name(f"part-{path.name}")
    nibabel.save(image, aside)
    aside.rename(path)
