"""The cluster that all tests of this folder share."""

import numpy as np
import pytest
from programs import Unavailable
from slurm import running
from study import Study, save, softmax_volume


@pytest.fixture(scope="module")
def slurm():
    """A Slurm of three nodes on this machine."""
    try:
        with running() as cluster:
            yield cluster
    except Unavailable as error:
        pytest.skip(str(error))


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
