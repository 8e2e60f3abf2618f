"""A small convolutional network for images of any size, and its checkpoint: weights, standardisation, classes.

The network takes pixels 0 … 1 and standardises them itself, by the mean and the standard deviation of the training
split that are stored with its weights: a single image is treated as those were.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import ModelError
from ..files import replaced_when_whole
from ..predict.randomness import seeded
from ..predict.variational import make_variational

FORMAT = "volume-entropy classifier 1"
# The convolutions end at about this edge; what is larger is averaged down to it.
LAST_EDGE = 4
MAX_WIDTH = 128


class Standardise(nn.Module):  # type: ignore[misc]
    """(pixels - mean) / std, one of each a channel; both are stored with the weights."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean.reshape(1, -1, 1, 1))
        self.register_buffer("std", std.reshape(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Standardise (batch, channel, height, width)."""
        return (pixels - self.mean) / self.std


@dataclass(frozen=True)
class Spec:
    """What builds a network.

    Attributes
    ----------
    channels, size
        Of the images; (height, width).
    classes
        Names, in the order of the outputs.
    dropout
        Share of features that is dropped before each layer but the first.
    width
        Features of the first layer; doubled at every halving of the edge.
    variational
        None, or `prior_std` and `posterior_std` (where it starts) of a Bayesian network.
    """

    channels: int
    size: tuple[int, int]
    classes: tuple[str, ...]
    dropout: float = 0.25
    width: int = 16
    variational: Mapping[str, float] | None = None


def build(
    spec: Spec,
    seeds: Sequence[int],
    mean: NDArray[Any] | Tensor | None = None,
    std: NDArray[Any] | Tensor | None = None,
) -> nn.Sequential:
    """Build a network that gives logits (batch, class); its first weights are drawn by `seeds`.

    Parameters
    ----------
    mean, std
        Of the training split, one a channel; None: 0 and 1, until weights are loaded.
    """
    with seeded(*seeds):
        zeros = torch.zeros(spec.channels)
        offset = zeros if mean is None else torch.as_tensor(mean, dtype=torch.float32)
        scale = zeros + 1 if std is None else torch.as_tensor(std, dtype=torch.float32)
        layers: list[nn.Module] = [Standardise(offset, scale)]
        edge, before, width = min(spec.size), spec.channels, spec.width
        while True:
            layers += [] if before == spec.channels else [nn.Dropout(spec.dropout)]
            layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            before, width = width, min(2 * width, MAX_WIDTH)
            if edge < 2 * LAST_EDGE:
                break
            layers.append(nn.MaxPool2d(2))
            edge //= 2
        # An edge that is reached already costs nothing: averaging one pixel each takes as long as a convolution.
        layers += [] if edge == LAST_EDGE and spec.size[0] == spec.size[1] else [nn.AdaptiveAvgPool2d(LAST_EDGE)]
        layers += [nn.Flatten(), nn.Dropout(spec.dropout)]
        layers += [nn.Linear(before * LAST_EDGE**2, 64), nn.ReLU(), nn.Dropout(spec.dropout)]
        layers.append(nn.Linear(64, len(spec.classes)))
        network = nn.Sequential(*layers)
        if spec.variational is not None:
            make_variational(network, **spec.variational)
    return network


def save(path: str | os.PathLike[str], network: nn.Module, spec: Spec, recipe: Mapping[str, Any]) -> None:
    """Write a checkpoint that `weights_only=True` reads; whole or not at all."""
    described = {**spec.__dict__, "variational": None if spec.variational is None else dict(spec.variational)}
    state = {key: value.cpu() for key, value in network.state_dict().items()}
    with replaced_when_whole(path) as temporary:
        torch.save({"format": FORMAT, "spec": described, "recipe": dict(recipe), "state": state}, temporary)


def load(path: str | os.PathLike[str]) -> tuple[nn.Sequential, Spec]:
    """Read a checkpoint that `save` wrote; nothing that is pickled in it can run.

    Raises
    ------
    ModelError
        It is missing, damaged, or another kind of file.
    """
    name = os.fspath(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found = content.get("format") if isinstance(content, dict) else None
    except Exception as error:  # whatever the archive's reader meets
        raise ModelError(f"{name} is no checkpoint: {str(error).splitlines()[0]}") from error
    if found != FORMAT:
        raise ModelError(f"{name} is no classifier of this workflow: its format is {found!r}, expected {FORMAT!r}")
    described = content["spec"]
    spec = Spec(**{**described, "size": tuple(described["size"]), "classes": tuple(described["classes"])})
    network = build(spec, (0,))
    network.load_state_dict(content["state"])
    return network.eval(), spec


def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Squared error of the softmax, summed over classes: the loss that the tutorials hold against cross-entropy."""
    truth = nn.functional.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return ((logits.softmax(dim=1) - truth) ** 2).sum(dim=1).mean()


def as_tensor(pixels: NDArray[np.float32]) -> Tensor:
    """(image, channel, height, width) as a tensor of its own."""
    return torch.from_numpy(np.array(pixels, np.float32))
