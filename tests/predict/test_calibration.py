"""Class-wise calibration errors are those of MONAI, also of probabilities that lie on the edges of its bins."""

import warnings

import numpy as np
import pytest
import torch
from monai.metrics.calibration import calibration_binning
from volume_entropy.scoring.blocks import Reference, class_scores
from volume_entropy.scoring.scores import scores_of


def test_classwise_calibration_errors_are_those_of_monai():
    rng = np.random.default_rng(0)
    # Sixtieths: every fourth is the edge of one of 15 bins.
    p = (rng.multinomial(60, rng.dirichlet(np.full(4, 0.5), 3000)).T / 60).astype(np.float32)
    truth = np.where(rng.random(3000) < 0.6, p.argmax(axis=0), rng.integers(4, size=3000)).astype(np.uint8)
    reference = Reference(truth.reshape(1, 1, -1), [[0], [1], [2], [3]])
    entropy = np.ones(3000, np.float32)
    task = class_scores(p, False, entropy, 2.0, p.argmax(axis=0).astype(np.uint8), None, reference)
    scores, _ = scores_of([task], "softmax")
    one_hot = torch.from_numpy((truth == np.arange(4)[:, None]).astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch says that a copy of MONAI's takes time
        mean, share, voxels = calibration_binning(torch.from_numpy(p)[None], one_hot[None], num_bins=15)
    gap = (mean - share).abs()
    expected = (torch.nansum(gap * voxels, -1) / 3000).mean()
    assert scores["classwise_expected_calibration_error"] == pytest.approx(float(expected), abs=1e-6)
    average = torch.nanmean(gap, -1).mean()
    assert scores["classwise_average_calibration_error"] == pytest.approx(float(average), abs=1e-6)
    worst = gap.nan_to_num().amax(-1).mean()
    assert scores["classwise_maximum_calibration_error"] == pytest.approx(float(worst), abs=1e-6)
