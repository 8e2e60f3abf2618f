"""A small head that the producers' tools can segment: three tissues in shells, with noise, off the volume's middle."""

from pathlib import Path

import nibabel
import numpy as np

# Radiological storage and three different edges: an axis that is swapped or turned shows.
AFFINE = np.array([[-1.5, 0, 0, 7], [0, 2, 0, -9], [0, 0, 1, -5], [0, 0, 0, 1.0]])
SHAPE = (26, 22, 20)


def phantom() -> tuple[np.ndarray, np.ndarray]:
    """Intensities (x, y, z), float32, 0 outside; and labels, 0 outside, 1 dark rim, 2 shell, 3 bright core."""
    centre, radius = np.array([11.0, 12.0, 9.0]), np.array([10.0, 8.0, 9.0])
    offset = (np.moveaxis(np.indices(SHAPE), 0, -1) - centre) / radius
    distance = np.sqrt((offset**2).sum(axis=-1))
    labels = np.select([distance < 0.45, distance < 0.7, distance < 0.95], [3, 2, 1], 0).astype(np.uint8)
    noise = np.random.default_rng(0).normal(scale=90, size=SHAPE)
    intensities = np.where(labels > 0, np.maximum(300.0 * labels + noise, 1), 0)
    return intensities.astype(np.float32), labels


def save_image_and_mask(folder: Path, image: str, mask: str) -> tuple[Path, Path]:
    """Write both below a new folder and return their paths."""
    folder.mkdir(parents=True)
    intensities, labels = phantom()
    for name, values in ((image, intensities), (mask, (labels > 0).astype(np.uint8))):
        written = nibabel.Nifti1Image(values, AFFINE)
        written.header.set_xyzt_units("mm")
        nibabel.save(written, folder / name)
    return folder / image, folder / mask
