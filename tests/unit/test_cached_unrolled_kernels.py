"""Kernels of several numbers of classes, cached by several processes, stay apart in one that loads them all."""

import os
import subprocess
import sys

import numba
import pytest
from study import ROOT

JOB = """
import sys
import numpy as np
from volume_entropy import entropy
for n_classes in map(int, sys.argv[1:]):
    p = np.random.default_rng(0).dirichlet(np.ones(n_classes), 1000).T.astype(np.float32)
    right = -(p * np.log2(p, dtype=np.float64)).sum(axis=0)
    assert np.abs(entropy(p, axis=0) - right).max() < 1e-6, n_classes
"""


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_a_process_that_loads_the_code_of_several_others_runs_the_right_one(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT / "scripts")}
    for classes in (["3"], ["4"], ["3", "4"], ["4", "3"]):
        job = [sys.executable, "-c", JOB, *classes]
        process = subprocess.run(job, env=environment, capture_output=True, text=True, timeout=300)
        assert process.returncode == 0, f"{classes}: {process.stderr}"
