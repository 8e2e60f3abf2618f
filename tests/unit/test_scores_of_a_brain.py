"""Scores on a real volume: the MNI 152 template's tissues, half of them certain, with the ties of 8-bit maps."""

from pathlib import Path

import nibabel
import nilearn
import numpy as np
import pytest
import reference_scores as oracle
from sample_store import SampleStore
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from volume_entropy.kernels.sums import DROPPED_BITS
from volume_entropy.stores.measures import open_measures

TEMPLATES = Path(nilearn.__file__).parent / "datasets/data"


def tissue(name):
    """(z, y, x) of every third voxel along each axis, 0 … 255."""
    image = nibabel.load(TEMPLATES / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
    return np.asarray(image.dataobj)[::3, ::3, ::3].T.astype(np.float32)


# Entropies within a 2048th of each other are one rank: what that costs here, and nothing else does.
RANKED = {"error_auroc": 5e-5, "error_auprc": 5e-4, "aurc": 1e-5, "eaurc": 1e-5}


@pytest.fixture(scope="module")
def brain(tmp_path_factory):
    """The summary; q (class, voxel) and true classes (voxel,); the bin of each voxel's entropy."""
    gm, wm = tissue("gm") / 255, tissue("wm") / 255
    p = np.stack([np.clip(1 - gm - wm, 0, 1), gm, wm])
    p /= p.sum(axis=0)
    # A second rater, a voxel away along each axis: wrong along boundaries, some of it where the maps are certain.
    truth = np.roll(p.argmax(axis=0), (1, 1, 1), axis=(0, 1, 2))
    sample, folder = SampleStore(p[None], reference=truth.astype(np.int16)), tmp_path_factory.mktemp("brain")
    summary = sample.compute(folder)
    bins = open_measures(folder / "measures.zarr").array("predictive_entropy")[:].view(np.int32) >> DROPPED_BITS
    q = sample.p[0].reshape(3, -1).astype(np.float64)
    return summary, q / q.sum(axis=0), truth.ravel(), bins.ravel()


def test_every_score_of_a_brain_is_that_of_float64(brain):
    summary, q, truth, bins = brain
    wanted = oracle.of_classes(q, truth)
    rows = wanted.pop("classes")
    assert 0 < wanted["n_floored_voxels"] < wanted["n_wrong_voxels"]
    assert np.mean(q.max(axis=0) == 1) > 0.5
    for found, expected in ((summary["scores"], wanted), *zip(summary["structures"], rows, strict=True)):
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, abs=RANKED.get(name, 1e-8)), name
    wrong = q.argmax(axis=0) != truth
    assert summary["scores"]["aurc"] == pytest.approx(oracle.aurc(bins, wrong), abs=1e-9)
    assert summary["scores"]["eaurc"] == pytest.approx(oracle.eaurc(bins, wrong), abs=1e-9)


def test_scores_of_a_brain_are_those_of_scikit_learn(brain):
    summary, q, truth, bins = brain
    scores, wrong, entropy = summary["scores"], q.argmax(axis=0) != truth, oracle.entropy(q)
    # sklearn has another floor: it gets the voxels that need none.
    kept = q[truth, np.arange(truth.size)] > 0
    floored = -np.log(oracle.TINY) * np.count_nonzero(~kept)
    of_kept = log_loss(truth[kept], q.T[kept], labels=[0, 1, 2]) * np.count_nonzero(kept)
    assert scores["cross_entropy"] == pytest.approx((of_kept + floored) / truth.size, abs=1e-8)
    brier = brier_score_loss(truth, q.T, labels=[0, 1, 2], scale_by_half=False)
    assert scores["brier"] == pytest.approx(brier, abs=1e-8)
    for name, score in (("error_auroc", roc_auc_score), ("error_auprc", average_precision_score)):
        assert scores[name] == pytest.approx(score(wrong, bins), abs=1e-9)
        assert scores[name] == pytest.approx(score(wrong, entropy), abs=RANKED[name])
