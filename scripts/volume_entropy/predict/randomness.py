"""Seeded draws that leave the random state of the process as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(*seeds: int) -> Iterator[None]:
    """Draw from a state made of all the `seeds`, on every device; the state before comes back at the end.

    Parameters
    ----------
    seeds
        Not negative. (1, 2) and (2, 1) are different states, so that a study's seed and a member's number never meet.
    """
    (state,) = np.random.SeedSequence(seeds).generate_state(1, np.uint64)
    with torch.random.fork_rng():
        torch.manual_seed(int(state))
        yield
