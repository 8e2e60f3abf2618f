"""A brain at 1 mm, made from the MNI 152 template: the tutorial's numbers, in bounded memory, at its place."""

import json
from pathlib import Path

import dask.array
import nibabel
import nilearn
import numpy as np
import pytest
from study import Study, save
from volume_entropy.readers import open_reader

LIMIT_MIB = 400


def template(tissue):
    folder = Path(nilearn.__file__).parent / "datasets/data"
    return nibabel.load(folder / f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz")


def tutorial(p):
    """Entropy in bit of p (…, class), in float64, by the formula that people write themselves."""
    q = p.astype(np.float64)
    q /= q.sum(axis=-1, keepdims=True)
    return -(q * np.log2(q + 1e-12)).sum(axis=-1)


@pytest.fixture(scope="module")
def brain():
    """(x, y, z, class) float32 and the affine: two tissues of the template, softened, and what is left."""
    gm, wm = (np.asarray(template(tissue).dataobj, dtype=np.float32) / 255 for tissue in ("gm", "wm"))
    rest = np.clip(1 - gm - wm, 0, 1)
    stack = np.stack([rest * 0.7, rest * 0.3, gm, wm], axis=-1) + np.float32(1e-3)
    return stack / stack.sum(axis=-1, keepdims=True), template("gm").affine


@pytest.fixture(scope="module")
def saturated(brain):
    """99.7 % of the voxels certain to the last digit of float32, the others not."""
    p, affine = brain
    rng = np.random.default_rng(0)
    certain = np.full_like(p, 2e-8)
    certain[..., 0] = 0.99999994
    open_ = rng.random(p.shape[:3]) < 0.003
    certain[open_] = p[open_]
    return certain, affine


@pytest.fixture(scope="module")
def study(tmp_path_factory, brain, saturated):
    study = Study(tmp_path_factory.mktemp("brain"), storage={"maps": ["nifti", "ome-zarr"]})
    for name, (p, affine) in {"brain": brain, "saturated": saturated}.items():
        study.add(name)
        save(p, study.folder / f"data/{name}.nii.gz", affine)
    run = study.run()
    assert run.code == 0, run.output
    return study


@pytest.mark.parametrize("name", ["brain", "saturated"])
def test_total_and_map_are_the_tutorials(study, name, request):
    p, affine = request.getfixturevalue(name)
    expected = tutorial(p)
    total, voxels = expected.sum(), expected.size
    summary = json.loads((study.folder / f"results/{name}/{name}_summary.json").read_text())
    assert abs(summary["predictive_entropy_total"] - total) <= 1e-6 * total + 3e-8 * voxels
    image = nibabel.load(study.folder / f"results/{name}/maps/{name}_desc-predictiveEntropy_map.nii.gz")
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(image.affine, nibabel.load(study.folder / f"data/{name}.nii.gz").affine)
    np.testing.assert_allclose(image.affine, affine)
    assert np.abs(np.asarray(image.dataobj, dtype=np.float64) - expected).max() <= 1e-6


def test_the_ome_zarr_image_has_the_values_of_the_map_and_lies_where_it_does(study, brain):
    maps = study.folder / "results/brain/maps"
    levels = [dask.array.from_zarr(str(maps / "brain_maps.ome.zarr"), component=str(number)) for number in range(3)]
    assert [level.shape for level in levels] == [(1, 189, 233, 197), (1, 95, 117, 99), (1, 48, 59, 50)]
    values = np.asarray(nibabel.load(maps / "brain_desc-predictiveEntropy_map.nii.gz").dataobj)
    np.testing.assert_array_equal(levels[0][0].compute(), values.T)
    assert open_reader(str(maps / "brain_maps.ome.zarr"), n_classes=1).geometry.affine.tolist() == brain[1].tolist()


@pytest.mark.parametrize("rule", ["convert", "compute_entropy", "render_qc"])
def test_peak_memory_is_bounded(study, rule):
    """What the job says of itself is what the kernel counted for its process."""
    log = (study.folder / f"logs/{rule}/brain.log").read_text()
    peak = float(log.rsplit("peak memory ", 1)[1].split(" MiB")[0])
    assert 20 < peak < LIMIT_MIB
