"""nilearn, by its own resampling, puts the entropy map where the structure is in the world that the image shows."""

import nibabel
import numpy as np
import pytest
from in_process import run_cohort
from nilearn.image import load_img, resample_to_img
from scipy.spatial.transform import Rotation
from volume_entropy.samples import Sample

# A ball of one class in another, blurred, in mm: where it is does not depend on any grid.
CENTRE, RADIUS, BLUR = np.array([14.0, -22.0, 31.0]), 17.0, 3.0
# The image: another grid than that of the probabilities, along the axes of the world.
GRID = np.diag([2.0, 2.5, 3.0, 1.0])
GRID[:3, 3] = CENTRE - 30
IMAGE_SHAPE = (31, 25, 21)


def world(shape, affine):
    """Positions of all voxels in mm: (x, y, z, 3)."""
    return np.moveaxis(np.indices(shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]


def probability(positions):
    return 1 / (1 + np.exp((np.linalg.norm(positions - CENTRE, axis=-1) - RADIUS) / BLUR))


def entropy(positions):
    p = probability(positions)
    return -p * np.log2(p) - (1 - p) * np.log2(1 - p)


def turned(angles, zooms, shape):
    """A grid around the ball, turned by degrees about x, y and z."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(zooms)
    affine[:3, 3] = CENTRE - affine[:3, :3] @ (np.array(shape) / 2)
    return affine


def save(array, path, affine, sform, qform, unit="mm"):
    image = nibabel.Nifti1Image(array.astype(np.float32), affine)
    image.set_sform(affine if sform else None, sform)
    image.set_qform(affine if qform else None, qform)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)


@pytest.mark.filterwarnings("ignore:The provided image has no sform")
@pytest.mark.parametrize(
    ("angles", "zooms", "codes", "unit"),
    [
        ((0, 0, 0), (1.6, 1.6, 1.6), (1, 1), "mm"),
        ((20, -35, 50), (1.5, 1.6, 1.9), (4, 0), "unknown"),
        ((20, -35, 50), (-1.5, 1.6, 1.9), (0, 1), "mm"),
    ],
    ids=["straight", "oblique, sform", "oblique and left-handed, qform"],
)
def test_nilearn_finds_the_map_over_the_image(angles, zooms, codes, unit, tmp_path):
    shape = (48, 46, 38)
    affine = turned(angles, zooms, shape)
    p = probability(world(shape, affine))
    save(np.stack([1 - p, p], axis=-1), tmp_path / "p.nii.gz", affine, *codes, unit)
    positions = world(IMAGE_SHAPE, GRID)
    save(100 * probability(positions), tmp_path / "image.nii.gz", GRID, 1, 1)
    sample = Sample("sub-01", str(tmp_path / "p.nii.gz"))
    probabilities = {"classes": ["background", "ball"]}
    storage = {"maps": ["nifti", "ome-zarr"]}
    results = run_cohort(tmp_path, {"sub-01": sample}, probabilities=probabilities, storage=storage)

    image = load_img(str(tmp_path / "image.nii.gz"))
    entropy_map = load_img(str(results / "sub-01/maps/sub-01_desc-predictiveEntropy_map.nii.gz"))
    assert (int(entropy_map.header["sform_code"]), int(entropy_map.header["qform_code"])) == codes
    assert entropy_map.header.get_xyzt_units()[0] == "mm"
    over_image = resample_to_img(entropy_map, image, interpolation="linear").get_fdata()
    inside = resample_to_img(
        nibabel.Nifti1Image(np.ones(shape, np.float32), entropy_map.affine), image, interpolation="nearest"
    ).get_fdata()
    inside = (inside > 0) & (np.linalg.norm(positions - CENTRE, axis=-1) < RADIUS + 4 * BLUR)
    assert inside.sum() > 5000
    np.testing.assert_allclose(over_image[inside], entropy(positions)[inside], atol=0.04)
    # Half a voxel to the side it would be off by more.
    moved = entropy(positions - GRID[:3, 0] / 2)
    assert np.abs(over_image - moved)[inside].max() > 0.08
