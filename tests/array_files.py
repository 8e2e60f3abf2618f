"""Plain arrays for tests, written by numpy, nibabel and zarr-python: probabilities are given as (x, y, z, class)."""

import json
import zipfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import zarr
from files import AFFINE

OME_UNIT = {"type": "space", "unit": "millimeter"}


def arranged(p: np.ndarray, order: str) -> np.ndarray:
    """Bring (x, y, z, class) into the axes `order`; a member axis `m` gets length 1."""
    array = p[..., None].transpose(["xyzcm".index(axis) for axis in order + "m" * ("m" not in order)])
    return np.ascontiguousarray(array if "m" in order else array[..., 0])


def write_npy(path: Path, array: np.ndarray) -> str:
    np.save(path, array, allow_pickle=False)
    return str(path)


def write_npz(path: Path, compressed: bool = True, **arrays: np.ndarray) -> str:
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return str(path)


def npz_of(path: Path, content: bytes, name: str = "probabilities.npy") -> str:
    """A zip file with one deflated member."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return str(path)


def write_mgh(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> str:
    nibabel.save(nibabel.freesurfer.MGHImage(array, affine), path)
    return str(path)


def write_zarr(path: Path, array: np.ndarray, chunks: tuple[int, ...], version: int = 3, **how: Any) -> str:
    """An array by zarr-python, uncompressed unless `how` says otherwise."""
    how.setdefault("compressors", None)
    made = zarr.create_array(str(path), shape=array.shape, chunks=chunks, dtype=array.dtype, zarr_format=version, **how)
    made[...] = array
    return str(path)


def write_ome(path: Path, array: np.ndarray, version: str, names: str, **changes: Any) -> str:
    """An OME-Zarr image of two resolutions, 1.5 × 2 × 0.5 mm along x, y, z."""
    scale = {"x": 1.5, "y": 2.0, "z": 0.5}
    transformations = [
        {"type": "scale", "scale": [scale.get(axis, 1.0) for axis in names]},
        {"type": "translation", "translation": [{"x": -7.0, "z": 9.0}.get(axis, 0.0) for axis in names]},
    ]
    kinds = {"c": {"type": "channel"}, "t": {"type": "time"}}
    multiscale = {
        "axes": [{"name": axis, **kinds.get(axis, OME_UNIT)} for axis in names],
        "datasets": [{"path": f"scale{level}", "coordinateTransformations": transformations} for level in (0, 1)],
        **changes,
    }
    if version == "0.4":
        attributes: dict[str, Any] = {"multiscales": [{"version": "0.4", **multiscale}]}
    else:
        attributes = {"ome": {"version": version, "multiscales": [multiscale]}}
    number = 2 if version == "0.4" else 3
    zarr.create_group(str(path), zarr_format=number, attributes=attributes)
    chunks = tuple(min(4, size) for size in array.shape)
    write_zarr(path / "scale0", array, chunks, number)
    write_zarr(path / "scale1", array[..., ::2, ::2], chunks, number)
    return str(path)


def edited(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
