"""The numba kernel of predictive entropy as a share of its range."""

import numpy as np

from .compilation import kernel
from .entropy import ONE, ZERO, Floats, Settings


@kernel
def normalized_entropy(rows: Floats, complement: bool, entropy: Floats, settings: Settings, out: Floats) -> None:
    """Fill entropy over its highest value; of one class, 0 over 1. Parameters: see `measures.Form`."""
    most = settings.most if settings.most > ZERO else ONE
    for v in range(entropy.size):
        out[v] = np.float32(entropy[v] / most)
