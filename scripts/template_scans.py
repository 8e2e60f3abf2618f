"""Brains for the demos: a real template, bent by a smooth field and scanned.

The template is the MNI ICBM 152 one that nilearn's package holds. Nothing else of nilearn is used, nor what it would
bring: numpy and nibabel do the rest, so that a demo installs little more than a run needs.
"""

import gzip
import importlib.util
import itertools
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from volume_entropy.files import replaced_when_whole

SEED = 20250
CLASSES = ("background", "csf", "gm", "wm")
MEANS = np.array([0.0, 105.0, 165.0, 225.0], np.float32)  # of the classes' intensities in the template's T1
SPREADS = np.array([14.0, 26.0, 17.0, 13.0], np.float32)

Volume = NDArray[np.float32]


def load_template(voxel_mm: int = 1) -> tuple[dict[str, Volume], Volume]:
    """Load the template's T1 (0 … 255) and priors of the four classes (0 … 1), all `(x, y, z)`, and the affine.

    At `voxel_mm` = 2 every voxel is the mean of 2 × 2 × 2, so that borders hold mixtures as in a real 2 mm scan; what
    is left over at the ends is cut off.

    Raises
    ------
    FileNotFoundError
        nilearn is not installed, or does not ship the template.
    """
    package = importlib.util.find_spec("nilearn")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("the demo's template comes with nilearn: pip install nilearn")
    folder = Path(package.submodule_search_locations[0]) / "datasets" / "data"
    volumes: dict[str, Volume] = {}
    for name in ("t1", "gm", "wm"):
        image = nibabel.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
        volumes[name] = _averaged(np.asanyarray(image.dataobj), voxel_mm)
    affine = np.array(image.affine)
    affine[:3, 3] += affine[:3, :3].sum(axis=1) * (voxel_mm - 1) / 2
    affine[:3, :3] *= voxel_mm
    for name in ("gm", "wm"):
        volumes[name] /= np.float32(255)
    # The template holds no CSF: what of the brain is neither grey nor white is that, and the rest is outside.
    tissue = volumes["gm"] + volumes["wm"]
    brain = np.maximum(_smoothed((volumes["t1"] > 0).astype(np.float32)), tissue)
    volumes["csf"] = brain - tissue
    volumes["background"] = 1 - brain
    return volumes, affine


def _averaged(volume: NDArray[np.uint8], edge: int) -> Volume:
    x, y, z = (n // edge for n in volume.shape)
    cropped = volume[: x * edge, : y * edge, : z * edge].astype(np.float32)
    return np.ascontiguousarray(cropped.reshape(x, edge, y, edge, z, edge).mean(axis=(1, 3, 5), dtype=np.float32))


def _smoothed(volume: Volume) -> Volume:
    """Mean over 3 voxels along each axis."""
    for axis, n in enumerate(volume.shape):
        padded = np.pad(volume, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        volume = np.asarray(sum(padded.take(range(i, i + n), axis) for i in range(3)) / 3, np.float32)
    return volume


def smooth_field(shape: tuple[int, ...], rng: np.random.Generator, knots: int) -> Volume:
    """Draw a smooth random field of standard deviation 1: a cubic B-spline on `knots`³ random coefficients."""
    field = rng.standard_normal((knots, knots, knots), dtype=np.float32)
    for n in shape:
        field = np.tensordot(field, _spline_basis(n, knots), axes=(0, 1))
    return np.ascontiguousarray(field / field.std())


def _spline_basis(n: int, knots: int) -> Volume:
    """Weights `(n, knots)` of uniform cubic B-splines, whose outermost knots lie one spacing beyond the ends."""
    positions = np.linspace(1, knots - 2, n)[:, np.newaxis]
    distance = np.abs(positions - np.arange(knots))
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.maximum(2 - distance, 0) ** 3 / 6
    return np.where(distance < 1, inner, outer).astype(np.float32)


def deform(volumes: dict[str, Volume], rng: np.random.Generator, amplitude: float) -> dict[str, Volume]:
    """Every volume, sampled linearly at places displaced by a smooth field of `amplitude` voxels (std)."""
    shape = next(iter(volumes.values())).shape
    places = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij", copy=False))
    for axis in range(3):
        places[axis] += np.float32(amplitude) * smooth_field(shape, rng, knots=8)
    return {name: sampled(volume, places) for name, volume in volumes.items()}


def sampled(volume: Volume, places: Volume) -> Volume:
    """Take the values of `volume` at `places` (axis, x, y, z), in voxels: linear between voxels, the edge's beyond it.

    As `scipy.ndimage.map_coordinates(volume, places, order=1, mode="nearest")`, to the bit; a run needs no scipy.
    """
    taken = np.empty(places.shape[1:], np.float32)
    # A slab at a time: the eight neighbours of a voxel are float64.
    for x in range(taken.shape[0]):
        neighbours, shares = [], []
        for n, along in zip(volume.shape, places[:, x], strict=True):
            clipped = along.astype(np.float64).clip(0, n - 1)
            lower = clipped.astype(np.intp)
            neighbours.append((lower, np.minimum(lower + 1, n - 1)))
            shares.append((1 - (clipped - lower), clipped - lower))
        total = np.zeros(taken.shape[1:])
        for i, j, k in itertools.product((0, 1), repeat=3):
            values = volume[neighbours[0][i], neighbours[1][j], neighbours[2][k]]
            # In this order, which decides the last bit.
            total += values * shares[0][i] * shares[1][j] * shares[2][k]
        taken[x] = total
    return taken


def scan(t1: Volume, rng: np.random.Generator, *, noise: float, shade: float) -> Volume:
    """Scan `t1` as a magnitude image: smooth shading by about ± `shade`, Rician noise of `noise` × white matter."""
    sigma = np.float32(noise * MEANS[-1])
    shaded = t1 * np.exp(np.float32(shade) * smooth_field(t1.shape, rng, knots=5))
    shaded += sigma * rng.standard_normal(t1.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(t1.shape, dtype=np.float32)
    magnitude: Volume = np.hypot(shaded, imaginary)
    return magnitude


def save(path: Path, voxels: NDArray[Any], affine: Volume, voxel_mm: int, part: float = 1.0) -> None:
    """Write a NIfTI-1 file with gzip level 1 and no time in it: the same voxels are the same bytes.

    `part`: as much of the file is left, from its start.
    """
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_zooms((*(voxel_mm,) * 3, *(1,) * (voxels.ndim - 3)))
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=4)
    image.set_sform(affine, code=4)
    with replaced_when_whole(path) as temporary, open(temporary, "wb") as raw:
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as stream:
            stream.write(image.to_bytes())
        raw.truncate(round(part * raw.tell()))
