"""These tests need the extra: `make test-predict` runs them with the Python of .venv-predict."""

import pytest
import torch


@pytest.fixture(autouse=True)
def few_threads():
    torch.set_num_threads(1)
