"""One training loop for every network here: 2-D or 3-D, point weights or variational ones, any loss on logits.

Adam, a learning rate that is reduced on a plateau of the validation loss, early stopping, the best epoch's weights at
the end. Seeded: on a processor the same data, settings and threads give the same weights.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ..joblog import logger
from .randomness import seeded
from .variational import PosteriorWidth, divergence, posterior_widths, variational_layers

# (logits (batch, class, …), targets) → a scalar, the mean over what is labelled.
Loss = Callable[[Tensor, Tensor], Tensor]


class Examples(Protocol):
    """A map-style `Dataset` with a length."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Attributes
    ----------
    epochs
        At most so many.
    batch_size, learning_rate
        Of Adam's steps; the rate is where it starts.
    patience
        Epochs without a lower validation loss after which training stops.
    plateau_patience, plateau_factor
        Epochs without a lower validation loss after which the learning rate is multiplied by the factor.
    kl_weight
        Of KL(posterior ‖ prior) / N, for variational networks; 1 is the evidence lower bound.
    seed
        Of the order of the examples and of every draw; not negative.
    """

    epochs: int = 100
    batch_size: int = 16
    learning_rate: float = 1e-3
    patience: int = 7
    plateau_patience: int = 3
    plateau_factor: float = 0.1
    kl_weight: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Epoch:
    """One line of the loss curves.

    Attributes
    ----------
    training_loss, validation_loss
        Means over the labels, without the divergence; training as it was during the epoch.
    divergence_loss
        kl_weight × KL / N at the end of the epoch; None without variational layers.
    posterior
        Standard deviations at the end of the epoch, a layer each.
    """

    epoch: int
    learning_rate: float
    training_loss: float
    validation_loss: float
    divergence_loss: float | None = None
    posterior: tuple[PosteriorWidth, ...] = ()


@dataclass
class History:
    """All epochs; `best` is the number of the one whose weights the network has."""

    epochs: list[Epoch] = field(default_factory=list)
    best: int = 0


def train(
    network: nn.Module,
    training: Examples,
    validation: Examples,
    settings: TrainingSettings,
    *,
    loss: Loss = nn.functional.cross_entropy,
    device: torch.device | str = "cpu",
) -> History:
    """Train a network in place.

    Parameters
    ----------
    network
        Gives logits; never a softmax, which the cross-entropy takes itself.
    training, validation
        Examples `(input, target)` of equal shapes, such as a `TensorDataset`: (channel, …) float32, and class indices
        () or (…), int64.
    loss
        Of logits and targets; the cross-entropy, in nat.
    device
        Where the network is moved to, and stays.

    Returns
    -------
    History
        The loss curves. The network is left in evaluation mode, with the weights of the best epoch.

    Raises
    ------
    ValueError
        There are no examples, or the loss is no longer finite.
    """
    if len(training) == 0 or len(validation) == 0:
        raise ValueError(f"{len(training)} training and {len(validation)} validation examples")
    network.to(device)
    history, loop = History(), _Loop(network, settings, loss, torch.device(device))
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=settings.plateau_factor, patience=settings.plateau_patience
    )
    n_labels = labels_of(training)
    best_loss, best_weights = math.inf, copy.deepcopy(network.state_dict())
    for number in range(1, settings.epochs + 1):
        rate = optimiser.param_groups[0]["lr"]
        with seeded(settings.seed, number):
            training_loss = loop.fit(training, optimiser, n_labels)
        # The same draws after every epoch, so that only the weights make a difference.
        with seeded(settings.seed, 0):
            validation_loss = loop.judge(validation)
        if not math.isfinite(training_loss + validation_loss):
            raise ValueError(f"the loss of epoch {number} is not finite; lower the learning rate ({rate:g})")
        schedule.step(validation_loss)
        history.epochs.append(
            Epoch(number, rate, training_loss, validation_loss, *_posterior(network, settings, n_labels))
        )
        logger.info("epoch %d: training %.4f, validation %.4f, rate %g", number, training_loss, validation_loss, rate)
        if validation_loss < best_loss:
            best_loss, history.best = validation_loss, number
            best_weights = copy.deepcopy(network.state_dict())
        elif number - history.best >= settings.patience:
            break
    network.load_state_dict(best_weights)
    network.eval()
    return history


def labels_of(examples: Examples) -> int:
    """Count the labels: images that are classified, or voxels that are segmented. N of KL / N."""
    return sum(target.numel() for _, target in (examples[index] for index in range(len(examples))))


def _posterior(
    network: nn.Module, settings: TrainingSettings, n_labels: int
) -> tuple[float | None, tuple[PosteriorWidth, ...]]:
    if not variational_layers(network):
        return None, ()
    with torch.no_grad():
        kl = settings.kl_weight * divergence(network).item() / n_labels
    return kl, tuple(posterior_widths(network))


@dataclass(frozen=True)
class _Loop:
    """What one epoch needs."""

    network: nn.Module
    settings: TrainingSettings
    loss: Loss
    device: torch.device

    def fit(self, examples: Examples, optimiser: torch.optim.Optimizer, n_labels: int) -> float:
        """One epoch of steps; the mean loss over its examples."""
        self.network.train()
        variational = bool(variational_layers(self.network))
        total, seen = 0.0, 0
        for inputs, targets in DataLoader(examples, self.settings.batch_size, shuffle=True):
            optimiser.zero_grad()
            loss = self.loss(self.network(inputs.to(self.device)), targets.to(self.device))
            objective = loss
            if variational:
                objective = loss + self.settings.kl_weight * divergence(self.network) / n_labels
            objective.backward()
            optimiser.step()
            total, seen = total + loss.item() * len(inputs), seen + len(inputs)
        return total / seen

    def judge(self, examples: Examples) -> float:
        """The mean loss over the examples, of one draw of a variational network."""
        self.network.eval()
        total, seen = 0.0, 0
        with torch.no_grad():
            for inputs, targets in DataLoader(examples, self.settings.batch_size):
                loss = self.loss(self.network(inputs.to(self.device)), targets.to(self.device))
                total, seen = total + loss.item() * len(inputs), seen + len(inputs)
        return total / seen
