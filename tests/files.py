"""Source files for tests: NIfTI written byte by byte, so that no reader's own rules are in them."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from volume_entropy.samples import Sample

AFFINE = np.array([[-1.0, 0, 0, 90], [0, 1.5, 0, -126], [0, 0, 2.0, -72], [0, 0, 0, 1]])
SHAPE = (5, 6, 7)


def softmax_field(shape: tuple[int, int, int] = SHAPE, n_classes: int = 3, seed: int = 0) -> np.ndarray:
    """Random probabilities (x, y, z, class), float32, that sum to 1."""
    logits = np.random.default_rng(seed).normal(size=(*shape, n_classes)) * 3
    p = np.exp(logits)
    return (p / p.sum(axis=-1, keepdims=True)).astype(np.float32)


def nifti_bytes(
    stored: np.ndarray, *, version: int = 1, order: str = "<", slope: float = 1, inter: float = 0, **fields: Any
) -> bytes:
    """A NIfTI file of the numbers `stored` (x, y, z[, class]) as they are; `fields` overwrite the header's."""
    kind = {1: nibabel.Nifti1Header, 2: nibabel.Nifti2Header}[version]
    header = kind(endianness=order)
    header.set_data_dtype(stored.dtype)
    header.set_data_shape(stored.shape)
    header.set_sform(AFFINE, code="scanner")
    header["scl_slope"], header["scl_inter"] = slope, inter
    header["vox_offset"] = header.single_vox_offset
    for name, value in fields.items():
        header[name] = value
    voxels = np.ascontiguousarray(stored.T).astype(stored.dtype.newbyteorder(order))
    return header.binaryblock + b"\0\0\0\0" + voxels.tobytes()


def write(path: Path, content: bytes) -> str:
    """Write a file, compressed if its name says so; with mtime 0, so that a test sees the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, 1, mtime=0) if path.name.endswith(".gz") else content)
    return str(path)


def write_nifti(path: Path, stored: np.ndarray, **how: Any) -> str:
    """Write `nifti_bytes`; returns the path as text, as samples have it."""
    return write(path, nifti_bytes(stored, **how))


def damaged(path: str, damage: str) -> str:
    """Damage a .gz file in place: `cut`, `no trailer`, `crc`, `length`, `flip` or `garbage`."""
    content = bytearray(Path(path).read_bytes())
    match damage:
        case "cut":
            del content[len(content) // 2 :]
        case "no trailer":
            del content[-8:]
        case "crc":
            content[-8] ^= 1
        case "length":
            content[-4] ^= 1
        case "flip":
            content[len(content) * 2 // 3] ^= 4
        case "garbage":
            content += b"not a member"
    Path(path).write_bytes(content)
    return path


def settings(n_classes: int = 3, **changes: Any) -> dict[str, Any]:
    """The conversion settings of `n_classes` stored classes, as `config.conversion_settings` resolves them."""
    names = [f"class{index}" for index in range(n_classes)]
    resolved: dict[str, Any] = {
        "classes": names,
        "tokens": names,
        "members": None,
        "kind": "softmax",
        "class_axis": "last",
        "axes": "xyz",
        "labels": "check",
        "background": "given",
        "scale": None,
        "sum_tolerance": 0.01,
        "max_invalid_fraction": 0.001,
        "mask_threshold": None,
        "background_class": "background",
        "content": "posterior",
        "dtype": "float32",
    }
    resolved.update(changes)
    if resolved["background"] == "complement":
        resolved["classes"] = ["background", *names]
    return resolved


def recipe(sample: Sample, resolved: dict[str, Any]) -> dict[str, Any]:
    """A recipe as the workflow makes it, without fingerprints."""
    paths = {column: getattr(sample, column) for column in ("probabilities", "image", "mask", "reference", "atlas")}
    return {"sample": sample.id, "paths": paths, "sources": [], "settings": resolved, "revision": 1}
