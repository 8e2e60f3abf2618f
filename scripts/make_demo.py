"""Write the demo's cohort: six brains with the class probabilities of a tissue classifier, from a real template.

The MNI ICBM 152 template that nilearn installs is bent by a smooth field, shaded by a bias field and made noisy, more
from sample to sample. A classifier that knows neither the bend nor the shade (tissue prior × Gaussian likelihood of the
intensity, after SPM's and FAST's mixture models) then says what it believes. Seeded; files that are there whole are
left alone, so that a second call makes nothing stale.
"""

import argparse
import gzip
import importlib.util
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from volume_entropy.files import read_json, replaced_when_whole, write_json

SEED = 20250
# Raise it when the numbers change: every file is then made again.
REVISION = 1
CLASSES = ("background", "csf", "gm", "wm")
STAMP = "demo.json"
MEANS = np.array([0.0, 105.0, 165.0, 225.0], np.float32)  # of the classes' intensities in the template's T1
SPREADS = np.array([14.0, 26.0, 17.0, 13.0], np.float32)

Volume = NDArray[np.float32]


@dataclass(frozen=True)
class DemoSample:
    """One row of the demo's samples table; voxels are cubes of `voxel_mm`, `noise` is relative to white matter."""

    number: int
    noise: float
    voxel_mm: int = 2
    n_members: int = 1

    @property
    def id(self) -> str:
        """The sample's id."""
        return f"sub-{self.number:02d}"

    def row(self) -> str:
        """Give the sample's line in `config/samples.tsv`, with paths relative to that table."""
        base = f"../data/demo/{self.id}/{self.id}"
        pattern = "_pass-{member}" if self.n_members > 1 else ""
        cells = (self.id, f"{base}{pattern}_probseg.nii.gz", f"{base}_T1w.nii.gz", f"{base}_mask.nii.gz")
        return "\t".join((*cells, f"{self.noise:.2f}"))

    def file_names(self) -> list[str]:
        """Names of the files in the sample's folder: image, mask, probabilities of each member."""
        members = [f"_pass-{member}" for member in range(self.n_members)] if self.n_members > 1 else [""]
        names = ["_T1w", "_mask", *(f"{member}_probseg" for member in members)]
        return [f"{self.id}{name}.nii.gz" for name in names]


COHORT = (
    DemoSample(1, 0.02, voxel_mm=1),
    DemoSample(2, 0.04),
    DemoSample(3, 0.06),
    DemoSample(4, 0.08),
    DemoSample(5, 0.10),
    DemoSample(6, 0.06, n_members=5),
)


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
    for axis in range(3):
        padded = np.pad(volume, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        n = volume.shape[axis]
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
    from scipy.ndimage import map_coordinates

    shape = next(iter(volumes.values())).shape
    places = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in shape), indexing="ij", copy=False))
    for axis in range(3):
        places[axis] += np.float32(amplitude) * smooth_field(shape, rng, knots=8)
    return {name: map_coordinates(volume, places, order=1, mode="nearest") for name, volume in volumes.items()}


def scan(t1: Volume, rng: np.random.Generator, *, noise: float, shade: float) -> Volume:
    """Scan `t1` as a magnitude image: smooth shading by about ± `shade`, Rician noise of `noise` × white matter."""
    sigma = np.float32(noise * MEANS[-1])
    shaded = t1 * np.exp(np.float32(shade) * smooth_field(t1.shape, rng, knots=5))
    shaded += sigma * rng.standard_normal(t1.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(t1.shape, dtype=np.float32)
    magnitude: Volume = np.hypot(shaded, imaginary)
    return magnitude


def classify(image: Volume, priors: dict[str, Volume], *, noise: float, temperature: float = 1.0) -> Volume:
    """Posterior `(x, y, z, class)` ∝ (prior · N(intensity; mean, spread² + noise²)) ^ (1 / temperature).

    Where the prior is sure of the background, the posterior is exactly that, as after a classifier's brain mask.
    """
    inside = priors["background"] < 0.999
    intensity = image[inside]
    variances = SPREADS**2 + np.float32(noise * MEANS[-1]) ** 2
    logits = np.empty((len(CLASSES), intensity.size), np.float32)
    for c, name in enumerate(CLASSES):
        # The floor keeps a class possible where the bent brain has it and the template does not.
        prior = np.maximum(priors[name][inside], 0) + np.float32(0.01 if name != "background" else 1e-4)
        logits[c] = np.log(prior) - (intensity - MEANS[c]) ** 2 / (2 * variances[c]) - np.log(variances[c]) / 2
    logits /= np.float32(temperature)
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)
    posterior = np.zeros((*image.shape, len(CLASSES)), np.float32, order="F")
    posterior[..., 0] = 1
    for c in range(len(CLASSES)):
        posterior[..., c][inside] = logits[c]
    return posterior


def volumes_of(sample: DemoSample) -> Iterator[tuple[str, NDArray[Any], Volume]]:
    """File name, voxels and affine of every file of a sample, in the order of `file_names`."""
    rng = np.random.default_rng([SEED, REVISION, sample.number])
    template, affine = load_template(sample.voxel_mm)
    bent = deform({name: template[name] for name in ("t1", "background")}, rng, amplitude=2.5 / sample.voxel_mm)
    image = scan(bent["t1"], rng, noise=sample.noise, shade=0.02 + sample.noise / 4)
    names = iter(sample.file_names())
    yield next(names), np.minimum(np.rint(image * 4), np.iinfo(np.int16).max).astype(np.int16), affine
    yield next(names), (bent["background"] < 0.5).astype(np.uint8), affine
    if sample.n_members == 1:
        yield next(names), classify(image, template, noise=sample.noise), affine
        return
    for name in names:
        # A member saw other noise and another shade, and is more or less sure of itself.
        seen = scan(image, rng, noise=sample.noise / 2, shade=0.04)
        yield name, classify(seen, template, noise=sample.noise, temperature=rng.uniform(0.8, 1.3)), affine


def make_sample(sample: DemoSample, output: Path) -> bool:
    """Write the files of a sample that are not there whole, each at once or not at all; tell if there were any."""
    folder = output / sample.id
    expected = {"seed": SEED, "revision": REVISION, **asdict(sample)}
    stamp = _stamp(folder)
    sizes = stamp.get("sizes", {}) if {key: stamp.get(key) for key in expected} == expected else {}
    missing = [name for name in sample.file_names() if not _is_whole(folder / name, sizes.get(name))]
    if not missing:
        return False
    for name, voxels, affine in volumes_of(sample):
        if name in missing:
            save(folder / name, voxels, affine, sample.voxel_mm)
    # The stamp comes last: a folder without it is made again.
    sizes = {name: (folder / name).stat().st_size for name in sample.file_names()}
    write_json(folder / STAMP, {**expected, "sizes": sizes})
    return True


def _stamp(folder: Path) -> dict[str, Any]:
    try:
        return read_json(folder / STAMP)
    except (OSError, ValueError):
        return {}


def _is_whole(path: Path, size: int | None) -> bool:
    return size is not None and path.is_file() and path.stat().st_size == size


def save(path: Path, voxels: NDArray[Any], affine: Volume, voxel_mm: int) -> None:
    """Write a NIfTI-1 file with gzip level 1 and no time in it: the same voxels are the same bytes."""
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_zooms((*(voxel_mm,) * 3, *(1,) * (voxels.ndim - 3)))
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, code=4)
    image.set_sform(affine, code=4)
    with (
        replaced_when_whole(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as stream,
    ):
        stream.write(image.to_bytes())


def main() -> None:
    """Make the cohort, two samples at a time, and print the rows of the samples table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=Path("data/demo"), help="folder of the cohort (data/demo)")
    output = parser.parse_args().output
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        made = list(pool.map(partial(make_sample, output=output), COHORT))
    print(f"{output}: {sum(made)} of {len(COHORT)} samples written, the others were there", file=sys.stderr)
    print("\n".join(["sample\tprobabilities\timage\tmask\tnoise", *(sample.row() for sample in COHORT)]))


if __name__ == "__main__":
    main()
