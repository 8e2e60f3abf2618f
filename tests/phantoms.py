"""Small heads, imaged and segmented by a model that is made up too, so that faults of either can be planted."""

from dataclasses import dataclass

import numpy as np

SHAPE = (20, 22, 24)  # z, y, x
CLASSES = ("background", "csf", "gm", "wm")
# Where a class is brightest, as the model believes, and how noisy the image is.
MEANS = np.array([0.0, 0.3, 0.6, 1.0])
NOISE = 0.09


@dataclass(frozen=True)
class Head:
    """What was imaged and what the model made of it: `image` (z, y, x), `p` (member, class, z, y, x)."""

    image: np.ndarray
    p: np.ndarray


def head(seed: int, *, contrast: float = 1.0, members: int = 2) -> Head:
    """Nested shells whose size varies by subject; `contrast` stretches grey values away from what the model knows."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes)) * (1 + 0.015 * rng.normal())
    truth = 3 - np.digitize(radius, [0.45, 0.68, 0.82])
    image = MEANS[truth] * contrast + NOISE * rng.normal(size=SHAPE)
    # Where tissues lie is known roughly. Members know grey values a little differently, and are the same for all heads.
    prior = -(((radius - np.array([1.1, 0.75, 0.57, 0.2])[:, None, None, None]) / 0.25) ** 2)
    seen = MEANS[:, None, None, None] + 0.02 * np.random.default_rng(0).normal(size=(members, 4, 1, 1, 1))
    logits = prior - ((image - seen) / NOISE) ** 2 / 2
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return Head(image.astype(np.float32), (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32))


def entropy_of(p: np.ndarray) -> np.ndarray:
    """Predictive entropy in bit of `(member, class, z, y, x)`, in float64."""
    mean = p.astype(np.float64).mean(axis=0)
    mean /= mean.sum(axis=0)
    return -np.where(mean > 0, mean * np.log2(np.where(mean > 0, mean, 1)), 0).sum(axis=0)
