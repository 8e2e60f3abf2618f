"""Small valid samples of every format that is read, as trees of files: what the fuzzer starts from."""

import io
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from files import AFFINE, SHAPE, nifti_bytes, settings, softmax_field
from mutations import Tree


@dataclass(frozen=True)
class Valid:
    """A valid sample.

    Attributes
    ----------
    tree
        Its files, by their path in the sample's folder.
    probabilities, mask, image, reference, atlas
        As in the samples table, relative to the folder.
    settings
        What the config has to say for it to be read right.
    ending
        The key of `readers.FORMATS` by which the probabilities are read.
    """

    ending: str
    tree: Tree
    probabilities: str
    mask: str | None = None
    image: str | None = None
    settings: dict[str, Any] = field(default_factory=settings)
    reference: str | None = None
    atlas: str | None = None


def field_of(n_classes: int = 3, seed: int = 0, empty: bool = True) -> np.ndarray:
    """(x, y, z, class), with a few certain voxels and an empty margin."""
    p = softmax_field(n_classes=n_classes, seed=seed)
    p[1] = np.eye(n_classes)[0]
    if empty:
        p[0] = 0
    return p


def compress(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content, 6, mtime=0)


def nifti(gz: bool, **how: Any) -> Callable[[], Valid]:
    def make() -> Valid:
        content = nifti_bytes(field_of().astype(how.pop("dtype", np.float32)), **how)
        ending = ".nii.gz" if gz else ".nii"
        return Valid(ending, {f"p{ending}": compress(content) if gz else content}, f"p{ending}")

    return make


def scaled_integers() -> Valid:
    p = np.rint(field_of() * 255).astype(np.uint8)
    return Valid(".nii.gz", {"p.nii.gz": compress(nifti_bytes(p, slope=1 / 255))}, "p.nii.gz")


def scaled_shorts() -> Valid:
    # A slope and an intercept by which a stored number is exactly 0.
    p = np.rint(field_of() * 2**15 - 2000).astype(np.int16)
    content = nifti_bytes(p, order=">", slope=2**-15, inter=2000 * 2**-15)
    return Valid(".nii", {"p.nii": content}, "p.nii")


def one_file_a_class() -> Valid:
    p = field_of(2)
    tree = {f"class{index}.nii.gz": compress(nifti_bytes(p[..., index])) for index in range(2)}
    return Valid(".nii.gz", tree, "{class}.nii.gz", settings=settings(2))


def one_file_a_member() -> Valid:
    tree = {f"pass-{m}.nii": nifti_bytes(field_of(seed=m, empty=False)) for m in range(3)}
    return Valid(".nii", tree, "pass-{member}.nii", settings=settings(members=["0", "1", "2"]))


def with_mask_and_image() -> Valid:
    p = field_of()
    mask = (np.random.default_rng(3).random(SHAPE) < 0.6).astype(np.uint8)
    image = np.random.default_rng(4).normal(size=SHAPE).astype(np.float32)
    tree = {
        "p.nii.gz": compress(nifti_bytes(p)),
        "mask.nii.gz": compress(nifti_bytes(mask)),
        "image.nii": nifti_bytes(image),
    }
    return Valid(".nii.gz", tree, "p.nii.gz", mask="mask.nii.gz", image="image.nii")


def with_reference_and_atlas() -> Valid:
    labels = np.random.default_rng(5).choice([0, 1, 40, 41, 9, 77], size=SHAPE)
    scaled = nifti_bytes((labels - 7).astype(np.int16), inter=7, order=">")
    tree = {
        "p.nii": nifti_bytes(field_of()),
        "reference.nii.gz": compress(scaled),
        "atlas.mgh": nibabel.MGHImage(labels[::-1].astype(np.int32), AFFINE).to_bytes(),
    }
    how = settings(reference={"labels": [[0], [1], [40, 41]], "ignore_labels": [9]})
    return Valid(".nii", tree, "p.nii", settings=how, reference="reference.nii.gz", atlas="atlas.mgh")


def background_missing() -> Valid:
    p = field_of()[..., 1:]
    how = settings(2, background="complement")
    return Valid(".nii.gz", {"p.nii.gz": compress(nifti_bytes(p))}, "p.nii.gz", settings=how)


def class_axis_first() -> Valid:
    content = nifti_bytes(np.moveaxis(field_of(), -1, 0))
    return Valid(".nii", {"p.nii": content}, "p.nii", settings=settings(class_axis="first"))


def mgh(gz: bool) -> Callable[[], Valid]:
    def make() -> Valid:
        image = nibabel.MGHImage(field_of(), AFFINE)
        content = image.to_bytes()
        name = "p.mgz" if gz else "p.mgh"
        return Valid(name[1:], {name: compress(content) if gz else content}, name)

    return make


def npy(dtype: str = "<f4", fortran: bool = False, members: bool = False) -> Callable[[], Valid]:
    def make() -> Valid:
        p = field_of()
        p = np.stack([p, field_of(seed=1)]) if members else p
        file = io.BytesIO()
        np.save(file, np.asarray(p, dtype, order="F" if fortran else "C"))
        return Valid(".npy", {"p.npy": file.getvalue()}, "p.npy")

    return make


def declared(ending: str, axes: str) -> Callable[[], Valid]:
    """Three members in an order that the config names, without a mark of it in the file (but for NIfTI's x, y, z)."""

    def make() -> Valid:
        p = np.stack([field_of(seed=m, empty=False) for m in range(3)])
        array = np.ascontiguousarray(p.transpose(["mxyzc".index(axis) for axis in axes]))
        file = io.BytesIO()
        np.save(file, array)
        content = compress(nifti_bytes(array)) if ending == ".nii.gz" else file.getvalue()
        how = settings(members=["a", "b", "c"], class_axis=None, axes=axes)
        return Valid(ending, {f"p{ending}": content}, f"p{ending}", settings=how)

    return make


def npz(deflated: bool) -> Callable[[], Valid]:
    def make() -> Valid:
        file = io.BytesIO()
        (np.savez_compressed if deflated else np.savez)(file, field_of())
        return Valid(".npz", {"p.npz": file.getvalue()}, "p.npz")

    return make


def nnunet() -> Valid:
    file = io.BytesIO()
    np.savez_compressed(file, probabilities=field_of().T)
    labels = field_of().argmax(axis=-1).astype(np.uint8)
    tree = {
        "case.npz": file.getvalue(),
        "case.nii.gz": compress(nifti_bytes(labels)),
        "case.pkl": b"\x80\x04cos\nabort\n.",
    }
    how = settings(class_axis="first", axes="zyx", geometry="{stem}.nii.gz")
    return Valid(".npz", tree, "case.npz", settings=how)


def nan_outside() -> Valid:
    p = field_of()
    p[:2], p[4, 5] = np.nan, np.nan
    mask = np.ones(SHAPE, np.float32)
    mask[:2], mask[4] = np.nan, -0.0
    tree = {"p.nii.gz": compress(nifti_bytes(p)), "mask.nii": nifti_bytes(mask)}
    return Valid(".nii.gz", tree, "p.nii.gz", mask="mask.nii")


def packed_zarr() -> Valid:
    import zarr

    with tempfile.TemporaryDirectory() as folder:
        p = np.floor(field_of() * 200).astype(np.uint8)
        p[4, 5] = 255
        attributes = {"scale_factor": 0.005, "add_offset": 0.0, "_FillValue": 255}
        zarr.create_array(f"{folder}/p.zarr", data=p, chunks=(3, 4, 4, 1), attributes=attributes, compressors=None)
        return Valid(".zarr", tree_of(Path(folder)), "p.zarr")


def zarr_array(**how: Any) -> Callable[[], Valid]:
    def make() -> Valid:
        import zarr

        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            p = field_of()
            array = zarr.create_array(f"{folder}/p.zarr", shape=p.shape, dtype=p.dtype, **how)
            array[:] = p
            return Valid(".zarr", tree_of(Path(folder)), "p.zarr")

    return make


def ome_zarr() -> Valid:
    import zarr

    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [1.0, 2.0, 1.5, 1.0]}]
    image = {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    with tempfile.TemporaryDirectory() as folder:
        group = zarr.create_group(f"{folder}/p.zarr", zarr_format=2)
        group.attrs["multiscales"] = [image]
        p = field_of().T
        group.create_array("0", shape=p.shape, dtype=p.dtype, chunks=(1, 4, 4, 4))[:] = p
        return Valid(".zarr", tree_of(Path(folder)), "p.zarr")


def tree_of(folder: Path) -> Tree:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


CHUNKS = {"chunks": (3, 4, 4, 2)}
# What the fuzzer starts from, by name. A format joins by a row.
VALID: dict[str, Callable[[], Valid]] = {
    "nii": nifti(gz=False),
    "nii.gz": nifti(gz=True),
    "nii.gz float64, big-endian": nifti(gz=True, dtype=np.float64, order=">"),
    "nii NIfTI-2": nifti(gz=False, version=2),
    "nii.gz NIfTI-2": nifti(gz=True, version=2),
    "nii.gz uint8 with slope": scaled_integers,
    "nii int16 with slope and intercept": scaled_shorts,
    "one nii.gz a class": one_file_a_class,
    "one nii a member": one_file_a_member,
    "nii.gz, mask and image": with_mask_and_image,
    "nii, reference and atlas": with_reference_and_atlas,
    "background missing": background_missing,
    "class axis first": class_axis_first,
    "mgz": mgh(gz=True),
    "mgh": mgh(gz=False),
    "npy": npy(),
    "npy float16, Fortran": npy("<f2", fortran=True),
    "npy of members": npy(">f4", members=True),
    "npy, declared": declared(".npy", "zcymx"),
    "nii.gz of members, declared": declared(".nii.gz", "xyzcm"),
    "npz": npz(deflated=False),
    "npz deflated": npz(deflated=True),
    "nnU-Net": nnunet,
    "zarr 3": zarr_array(**CHUNKS),
    "zarr 3 in shards": zarr_array(chunks=(3, 2, 4, 1), shards=(3, 4, 8, 1)),
    "zarr 3, gzip": zarr_array(**CHUNKS, compressors={"name": "gzip", "configuration": {"level": 1}}),
    "zarr 3, plain": zarr_array(**CHUNKS, compressors=None),
    "zarr 2": zarr_array(**CHUNKS, zarr_format=2, order="F"),
    "ome-zarr": ome_zarr,
    "NaN outside, NaN in the mask": nan_outside,
    "zarr 3, packed": packed_zarr,
}


@cache
def valid(name: str) -> Valid:
    """A valid sample by its name; made once."""
    return VALID[name]()
