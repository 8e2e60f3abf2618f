"""Write the cohort of `make demo-predict`: small brains with labels, to train on, to test on, and of another scanner.

The template at 4 mm is bent by a smooth field, which bends its labels along, and scanned. The other
scanner, of which nothing is ever trained on, sees the test brains again, with a weaker contrast between the tissues and
more noise. Seeded; files that are there whole are left alone.
"""

import argparse
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from template_scans import CLASSES, MEANS, SEED, Volume, deform, load_template, save, scan
from volume_entropy.files import read_json, write_json, write_text

REVISION = 1
STAMP = "demo.json"


@dataclass(frozen=True)
class Scanner:
    """How a group's images look: intensity ^ `gamma`, shading by about ± `shade`, noise relative to white matter."""

    gamma: float
    shade: float
    noise: float


SCANNERS = {"own": Scanner(1.0, 0.05, 0.03), "other": Scanner(0.4, 0.05, 0.05)}
# Split, scanner and brain of each row: the same two brains in both scanners, so that nothing but the scanner differs.
COHORT = (
    *(("train", "own", brain) for brain in range(1, 7)),
    *(("val", "own", brain) for brain in (7, 8)),
    *(("test", "own", brain) for brain in (9, 10)),
    *(("test", "other", brain) for brain in (9, 10)),
)


def brain(number: int, scanner: Scanner, voxel_mm: int) -> tuple[NDArray[np.int16], NDArray[np.uint8], Volume]:
    """Make image, labels (an index of `CLASSES`) and affine of a brain."""
    rng = np.random.default_rng([SEED, REVISION, number])
    template, affine = load_template(voxel_mm)
    bent = deform(template, rng, amplitude=2.5 / voxel_mm)
    labels = np.argmax([bent[name] for name in CLASSES], axis=0).astype(np.uint8)
    white = MEANS[-1]
    image = scan(white * (bent["t1"] / white) ** scanner.gamma, rng, noise=scanner.noise, shade=scanner.shade)
    return np.rint(image * 4).clip(0, np.iinfo(np.int16).max).astype(np.int16), labels, affine


def make_cohort(output: Path, voxel_mm: int) -> int:
    """Write what is not there whole, and the samples table last; return how many brains were written."""
    rows, written = ["sample\timage\tmask\treference\tsplit\tscanner"], 0
    for number, (split, group, seed) in enumerate(COHORT, start=1):
        name = f"sub-{number:02d}"
        folder = output / name
        paths = {part: folder / f"{name}_{part}.nii.gz" for part in ("T1w", "mask", "dseg")}
        expected: dict[str, Any] = {
            "seed": SEED,
            "revision": REVISION,
            "brain": seed,
            "mm": voxel_mm,
            **asdict(SCANNERS[group]),
        }
        if not (folder / STAMP).is_file() or read_json(folder / STAMP) != expected:
            image, labels, affine = brain(seed, SCANNERS[group], voxel_mm)
            save(paths["T1w"], image, affine, voxel_mm)
            save(paths["mask"], (labels > 0).astype(np.uint8), affine, voxel_mm)
            save(paths["dseg"], labels, affine, voxel_mm)
            write_json(folder / STAMP, expected)
            written += 1
        cells = (*(f"{name}/{path.name}" for path in paths.values()), split, group)
        rows.append("\t".join((name, *cells)))
    write_text(output / "samples.tsv", "\n".join(rows) + "\n")
    return written


def main() -> None:
    """Make the cohort and its samples table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=Path("data/demo-predict"), help="folder of the cohort")
    parser.add_argument("--voxel-mm", type=int, default=4, help="edge of a voxel (4)")
    arguments = parser.parse_args()
    written = make_cohort(arguments.output, arguments.voxel_mm)
    print(f"{arguments.output}: {written} of {len(COHORT)} brains written, the others were there", file=sys.stderr)


if __name__ == "__main__":
    main()
