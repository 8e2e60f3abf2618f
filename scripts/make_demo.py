"""Write the demo's cohort: brains with the class probabilities of a tissue classifier, from a real template.

The MNI ICBM 152 template that nilearn's package holds is bent by a smooth field, shaded by a bias field and made noisy,
at one of two sites more than at the other. A classifier that knows neither the bend nor the shade (tissue prior ×
Gaussian likelihood of the intensity, after SPM's and FAST's mixture models) then says what it believes. Three samples
show what goes wrong in practice: a scan far noisier than its site, members that are all the same, a file cut short.
Seeded; files that are there as they were written are left alone, so that a second call makes nothing stale.
"""

import argparse
import itertools
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from template_scans import CLASSES, MEANS, SEED, SPREADS, Volume, deform, load_template, save, scan
from volume_entropy.files import read_json, write_json, write_text

# Raise it when the numbers change: every file is then made again.
REVISION = 1
STAMP = "demo.json"


@dataclass(frozen=True)
class DemoSample:
    """One row of the demo's samples table.

    Voxels are cubes of `voxel_mm`; `noise` is relative to white matter. With `members_differ` off every member is the
    same, as when dropout is off; with `cut_short` the probabilities end where a copy was interrupted.
    """

    number: int
    site: str
    noise: float
    voxel_mm: int = 2
    n_members: int = 1
    members_differ: bool = True
    cut_short: bool = False

    @property
    def id(self) -> str:
        """The sample's id."""
        return f"sub-{self.number:02d}"

    def row(self) -> str:
        """Give the sample's line in the samples table, with paths relative to that table."""
        pattern = "_pass-{member}" if self.n_members > 1 else ""
        files = (f"../data/{self.id}/{self.id}{name}.nii.gz" for name in (f"{pattern}_probseg", "_T1w", "_mask"))
        return "\t".join((self.id, *files, self.site, f"{self.noise:.3f}"))

    def file_names(self) -> list[str]:
        """Names of the files in the sample's folder: image, mask, probabilities of each member."""
        members = [f"_pass-{member}" for member in range(self.n_members)] if self.n_members > 1 else [""]
        return [f"{self.id}{name}.nii.gz" for name in ("_T1w", "_mask", *(f"{member}_probseg" for member in members))]


# A sample is judged among at least 8 of its site (volume_entropy.cohort), so each site has that many that can be used.
COHORT = (
    DemoSample(1, "north", 0.020, voxel_mm=1),
    DemoSample(2, "north", 0.020),
    DemoSample(3, "north", 0.030),
    DemoSample(4, "north", 0.025),
    DemoSample(5, "north", 0.035),
    DemoSample(6, "north", 0.045),
    DemoSample(7, "north", 0.040),
    DemoSample(8, "north", 0.160),
    DemoSample(9, "south", 0.060),
    DemoSample(10, "south", 0.065),
    DemoSample(11, "south", 0.070),
    DemoSample(12, "south", 0.075),
    DemoSample(13, "south", 0.080),
    DemoSample(14, "south", 0.085),
    DemoSample(15, "south", 0.060, n_members=5),
    DemoSample(16, "south", 0.070, n_members=5, members_differ=False),
    DemoSample(17, "south", 0.070, cut_short=True),
)


def table() -> str:
    """Give the samples table, whose paths are relative to it: the files lie in `../data`."""
    rows = ["sample\tprobabilities\timage\tmask\tsite\tnoise", *(sample.row() for sample in COHORT)]
    return "\n".join(rows) + "\n"


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
    posterior[inside] = logits.T
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
    if sample.n_members == 1 or not sample.members_differ:
        posterior = classify(image, template, noise=sample.noise)
        yield from ((name, posterior, affine) for name in names)
        return
    for name in names:
        # A member saw other noise and another shade, and is more or less sure of itself.
        seen = scan(image, rng, noise=sample.noise / 2, shade=0.04)
        yield name, classify(seen, template, noise=sample.noise, temperature=rng.uniform(0.8, 1.3)), affine


def make_sample(sample: DemoSample, output: Path) -> bool:
    """Write the files of a sample that are not there as they were written, each at once; tell if there were any."""
    folder = output / sample.id
    expected = {"seed": SEED, "revision": REVISION, **asdict(sample)}
    stamp = _stamp(folder)
    sizes = stamp.get("sizes", {}) if {key: stamp.get(key) for key in expected} == expected else {}
    missing = [name for name in sample.file_names() if not _is_there(folder / name, sizes.get(name))]
    if not missing:
        return False
    for name, voxels, affine in volumes_of(sample):
        if name in missing:
            part = 0.6 if sample.cut_short and "_probseg" in name else 1.0
            save(folder / name, voxels, affine, sample.voxel_mm, part)
    # The stamp comes last: a folder without it is made again.
    sizes = {name: (folder / name).stat().st_size for name in sample.file_names()}
    write_json(folder / STAMP, {**expected, "sizes": sizes})
    return True


def _stamp(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        return read_json(folder / STAMP)
    return {}


def _is_there(path: Path, size: int | None) -> bool:
    return size is not None and path.is_file() and path.stat().st_size == size


def main() -> None:
    """Make the cohort, two samples at a time, and its samples table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=Path("data/demo"), help="folder of the study (data/demo)")
    output = parser.parse_args().output
    with ProcessPoolExecutor(max_workers=min(2, os.cpu_count() or 1)) as pool:
        made = list(pool.map(make_sample, COHORT, itertools.repeat(output / "data")))
    write_text(output / "config/samples.tsv", table())
    print(f"{output}: {sum(made)} of {len(COHORT)} samples written, the others were there", file=sys.stderr)


if __name__ == "__main__":
    main()
