"""The cluster that all tests of this folder share."""

import os
from contextlib import ExitStack

import numpy as np
import pytest
from slurm import SlurmUnavailable, running
from study import Study, save, softmax_volume


@pytest.fixture(scope="module")
def slurm():
    """A Slurm of three nodes on this machine; where there can be none, the summary of the test run says so."""
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(running())
        except SlurmUnavailable as error:
            reason = f"no Slurm for the cluster tests: {error}"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
        yield cluster


@pytest.fixture(scope="module")
def study(tmp_path_factory, slurm):
    """A sample with a reference, one without, a truncated one; `expected` is what a local run gives, and all must."""
    study = Study(tmp_path_factory.mktemp("study"))
    save(softmax_volume(1).argmax(axis=-1).astype(np.uint8), study.folder / "data/labels.nii.gz")
    study.add("sub-01", softmax_volume(1), site="A", reference="../data/labels.nii.gz")
    study.add("sub-02", softmax_volume(2), site="B")
    cut = study.add("cut", softmax_volume(3), site="B")
    cut.write_bytes(cut.read_bytes()[:-200])
    run = study.run()
    assert run.code == 0, run.output
    study.expected = study.digests()
    return study
