"""What readers other than ours make of a sample's files: nibabel, gzip, zipfile, numpy and zarr-python, no line shared.

They are more lenient than ours, which may reject what they accept; but a number that ours gives must be theirs.
"""

import gzip
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

UNIT_MM = {1: 1000.0, 3: 0.001}
KNOWN = ("probabilities", "softmax", "vol_data")


@dataclass
class Volume:
    """A file's numbers (axis of the file, …) as float64, its affine (None: no place), the step of its storage."""

    values: np.ndarray
    affine: np.ndarray | None = None
    unit_mm: float = 1.0
    quantum: float = 0.0


@dataclass
class Content:
    """A sample's files: p (member, class, z, y, x), float32; mask and label images (z, y, x), None if absent."""

    p: np.ndarray
    affine: np.ndarray | None
    unit_mm: float
    quantum: float
    mask: np.ndarray | None
    reference: np.ndarray | None = None
    atlas: np.ndarray | None = None


def read_volume(path: Path, class_first: bool = False) -> Volume:
    """Read a file by the reader that its name asks for."""
    name = path.name
    if name.endswith(".zarr"):
        return read_zarr(path)
    content = path.read_bytes()
    if name.endswith(("gz", "mgz")):
        content = gzip.decompress(content)
    if name.endswith((".nii", ".nii.gz")):
        return read_nifti(content, class_first)
    if name.endswith((".mgh", ".mgz")):
        return read_mgh(content)
    if name.endswith(".npz"):
        content = unzipped(content)
    return Volume(np.lib.format.read_array(io.BytesIO(content), allow_pickle=False))


def nifti_header(content: bytes) -> Any:
    kind = Nifti1Header if 348 in _sizes(content) else Nifti2Header
    # As `nibabel.load` does: what it corrects is corrected, what it refuses is an error.
    return kind(content[: kind.template_dtype.itemsize], check=True)


def read_nifti(content: bytes, class_first: bool = False) -> Volume:
    header = nifti_header(content)
    # By NIfTI's own library, voxels that are said to begin inside the header begin right behind it.
    if int(header["vox_offset"]) == 0:
        header["vox_offset"] = header.single_vox_offset
    raw = header.raw_data_from_fileobj(io.BytesIO(content))
    slope, inter = header.get_slope_inter()
    scaled = slope is not None and (slope, inter) != (1.0, 0.0)
    quantum = abs(slope) if scaled and raw.dtype.kind in "iu" else 0.0
    with np.errstate(all="ignore"):
        values = raw.astype(np.float64) * slope + inter if scaled else raw
    while values.ndim > 4 and values.shape[-1] == 1:  # a NIfTI has no members: such axes say nothing
        values = values[..., 0]
    return Volume(values, *place_of(header, class_first and values.ndim in (3, 4)), quantum)


def place_of(header: Any, class_first: bool = False) -> tuple[np.ndarray, float]:
    """The affine by nibabel, and its unit in mm.

    Without a transform the origin is in the middle of the volume. nibabel takes the first three axes for those of
    space, so that a file whose first is the class has to be turned before.
    """
    if class_first and int(header["qform_code"]) == int(header["sform_code"]) == 0:
        header, shape = header.copy(), header.get_data_shape()
        header.set_data_shape((*shape[1:4], *[1] * (4 - len(shape))))
        sizes = np.abs(header["pixdim"][2:5])
        header["pixdim"][1:4] = np.where((sizes == 0) | (np.arange(3) >= len(shape) - 1), 1, sizes)
    header = header.copy()
    sizes = [*header.get_data_shape(), 1, 1][:3]
    for axis in range(3):
        if sizes[axis] == 1 and header["pixdim"][1 + axis] == 0:  # a slice of no thickness
            header["pixdim"][1 + axis] = 1
    if int(header["qform_code"]) > 0 and not any(header[f"srow_{axis}"][:3].any() for axis in "xyz"):
        header["sform_code"] = 0  # an sform of zeros says no place
    with np.errstate(all="ignore"):
        return header.get_best_affine(), UNIT_MM.get(int(header["xyzt_units"]) & 7, 1.0)


def assert_same_place(one: Volume, other: Volume) -> None:
    """Both ends of the field's diagonals are within a tenth of a voxel, and what a float32 quaternion keeps of it."""
    ends = np.array(np.meshgrid(*[[0, size - 1] for size in one.values.shape[:3]])).reshape(3, -1)
    first, second = (nibabel.affines.apply_affine(volume.affine, ends.T) * volume.unit_mm for volume in (one, other))
    edges = np.linalg.norm(other.affine[:3, :3], axis=0) * other.unit_mm
    assert (np.abs(first - second) <= 0.11 * edges.sum() + 1e-9).all()


def _sizes(content: bytes) -> set[int]:
    return {int.from_bytes(content[:4], order) for order in ("little", "big")}


def read_mgh(content: bytes) -> Volume:
    header = MGHHeader(content[:284], check=False)
    # nibabel does not know MRI_USHRT, which FreeSurfer 7 writes.
    dtype = np.dtype(">u2") if int(header["type"]) == 10 else header.get_data_dtype()
    shape = [int(size) for size in header["dims"]]
    count = int(np.prod(shape))
    values = np.frombuffer(content, dtype, count, offset=284).reshape(shape, order="F")
    if int.from_bytes(content[28:30], "big", signed=True) <= 0:
        # FreeSurfer's own `mghRead` assumes left, inferior, anterior; nibabel mirrors two of the axes.
        header["delta"], header["Pxyz_c"] = 1, 0
        header["Mdc"] = [[-1, 0, 0], [0, 0, -1], [0, 1, 0]]
    return Volume(values, header.get_affine())


def unzipped(content: bytes) -> bytes:
    """The member with a known name, or the only array; its CRC checked."""
    archive = zipfile.ZipFile(io.BytesIO(content))
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    (name,) = [name for name in names if name.removesuffix(".npy") in KNOWN] or names
    return archive.read(name)


def read_zarr(path: Path) -> Volume:
    """An array with the class last; or, of an OME image or an array with named axes, moved there."""
    import zarr
    from zarr.codecs import gzip as gzip_codec
    from zarr.codecs import zstd

    # How hard to compress is nothing that a reader needs; zarr-python insists that it makes sense.
    zstd.parse_checksum, zstd.parse_zstd_level, gzip_codec.parse_gzip_level = bool, lambda _: 0, lambda _: 1
    node = zarr.open(path, mode="r")
    names = None
    if isinstance(node, zarr.Group):
        attributes = dict(node.attrs)
        attributes = attributes.get("ome", attributes)
        if "multiscales" in attributes:
            image = attributes["multiscales"][0]
            assert all(isinstance(axis["name"], str) for axis in image["axes"])
            # Any name will do for the axis of channels: it is its type that says what it is.
            names = ["c" if axis.get("type") == "channel" else axis["name"] for axis in image["axes"]]
            node = node[image["datasets"][0]["path"]]
        else:
            arrays = dict(node.arrays())
            (name,) = [name for name in arrays if name in KNOWN] or list(arrays)
            node = arrays[name]
    values, attributes = node[...], dict(node.attrs)
    quantum = 0.0
    if {"scale_factor", "add_offset"} & attributes.keys():
        slope, inter = (
            float(np.ravel(attributes.get(key, other))[0]) for key, other in (("scale_factor", 1), ("add_offset", 0))
        )
        quantum = abs(slope) if values.dtype.kind in "iu" and (slope, inter) != (1, 0) else 0.0
        missing = values == attributes["_FillValue"] if "_FillValue" in attributes else np.zeros(values.shape, bool)
        values = np.where(missing, np.nan, values.astype(np.float64) * slope + inter)
    if names is not None:
        assert sorted(names) == ["c", "x", "y", "z"], names
        values = values.transpose([names.index(name) for name in "xyzc"])
    return Volume(values, quantum=quantum)


def read_sample(
    folder: Path, probabilities: str, others: Mapping[str, str | None], settings: dict[str, Any]
) -> Content:
    """Read a sample as its settings say; `others` are the names of its mask, reference and atlas."""
    tokens = settings["tokens"] if "{class}" in probabilities else [None]
    members = settings["members"] if "{member}" in probabilities else [None]
    n_classes = len(settings["classes"]) - (settings["background"] == "complement")
    each = [
        [_volume(folder, probabilities, member, token, n_classes if token is None else 1, settings) for token in tokens]
        for member in members
    ]
    p = np.concatenate([np.concatenate([array for array, _ in row], axis=1) for row in each])
    volumes = [volume for row in each for _, volume in row]
    affine, unit_mm = volumes[0].affine, volumes[0].unit_mm
    if settings.get("geometry"):
        stem = re.sub(r"\.(npz|npy|zarr)$", "", probabilities)
        with gzip.open(folder / settings["geometry"].replace("{stem}", stem)) as file:
            affine, unit_mm = place_of(nifti_header(file.read(540)))
    placed = [volume for volume in volumes if volume.affine is not None]
    for other in placed:
        assert_same_place(other, placed[0])
    single = {
        column: in_space(read_volume(folder / name).values, 1, settings, np.float64)[0, 0]
        for column, name in others.items()
        if name is not None
    }
    if "mask" in single:
        values = single["mask"].astype(np.float32)
        single["mask"] = np.isfinite(values) & (np.abs(values) > 0.001001)
    return Content(p, affine, unit_mm, max(volume.quantum for volume in volumes), **{"mask": None, **single})


def _volume(
    folder: Path, pattern: str, member: str | None, token: str | None, n_classes: int, settings: dict[str, Any]
) -> tuple[np.ndarray, Volume]:
    name = pattern.replace("{class}", token or "").replace("{member}", member or "")
    volume = read_volume(folder / name, settings["class_axis"] == "first" and n_classes > 1)
    if settings["scale"] is not None:
        step = 1.0 if volume.values.dtype.kind in "iub" else volume.quantum
        with np.errstate(all="ignore"):
            values = volume.values.astype(np.float64) / settings["scale"]
        volume = replace(volume, values=values, quantum=step / settings["scale"])
    return in_space(volume.values, n_classes, settings), volume


def in_declared_order(values: np.ndarray, axes: str, n_classes: int, dtype: type) -> np.ndarray:
    """(member, class, z, y, x) of an array whose axes, but for some of length 1, are the letters of `axes`."""
    while values.ndim > len(axes):
        values = values.squeeze(values.shape.index(1))
    present = [axis for axis in "mczyx" if axis in axes]
    array = values.transpose([axes.index(axis) for axis in present])
    array = array.reshape([array.shape[present.index(axis)] if axis in axes else 1 for axis in "mczyx"])
    assert array.shape[1] == n_classes, array.shape
    with np.errstate(all="ignore"):
        return array.astype(dtype)


def in_space(values: np.ndarray, n_classes: int, settings: dict[str, Any], dtype: type = np.float32) -> np.ndarray:
    """(member, class, z, y, x) of a file's axes as they are declared."""
    if set(settings["axes"]) - set("xyz"):
        return in_declared_order(values, settings["axes"], n_classes, dtype)
    members = values.ndim == 5 and values.shape[3] != 1
    array = values if members else values[None]
    while array.ndim > 5 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 6:
        assert array.shape[4] == 1
        array = array[:, :, :, :, 0]
        class_at = 4
    elif array.ndim == 5:
        class_at = 1 if settings["class_axis"] == "first" else 4
        if n_classes == 1 and array.shape[class_at] != 1:
            class_at = 5 - class_at
    elif array.ndim == 4 and n_classes == 1:
        array, class_at = array[..., None], 4
    elif array.ndim == 4:
        class_at = 1 if settings["class_axis"] == "first" else 3
    else:
        assert array.ndim == 3
        assert n_classes == 1
        array, class_at = array[..., None], 3
    array = np.moveaxis(array, class_at, 1)
    if array.ndim == 4:  # a slice: z is of length 1
        array = array[..., None] if settings["axes"] == "xyz" else array[:, :, None]
    if settings["axes"] == "xyz":
        array = array.transpose(0, 1, 4, 3, 2)
    assert array.shape[1] == n_classes, array.shape
    with np.errstate(all="ignore"):
        return array.astype(dtype)
