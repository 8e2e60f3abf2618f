"""The members of a prediction: one softmax, passes with dropout, models of an ensemble, or posterior draws.

A member is *one* network, drawn once: the random state is set to (seed, member) before every application, so that a
posterior draw has the same weights, and a pass the same dropout, in each window of a volume and in each run.

Sources: Gal & Ghahramani 2016 (MC Dropout), Lakshminarayanan et al. 2017 (deep ensembles), Blundell et al. 2015
(variational weights).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .randomness import seeded
from .variational import variational_layers

METHODS = ("softmax", "mc_dropout", "ensemble", "bayesian")
# Of torch, by name, since a layer of a TorchScript program has only that.
DROPOUT_LAYERS = {
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "AlphaDropout",
    "FeatureAlphaDropout",
}


@dataclass(frozen=True)
class Sampler:
    """Members by number; make one with `make_sampler`, which sets the networks' modes.

    Attributes
    ----------
    networks
        One, or with `ensemble` one a member.
    n_members
        How many members there are.
    seed
        Of the draws.
    """

    method: str
    networks: tuple[nn.Module, ...]
    n_members: int
    seed: int

    def logits(self, member: int, inputs: Tensor) -> Tensor:
        """Apply a member.

        Parameters
        ----------
        member
            0 … n_members - 1.
        inputs
            (batch, channel, …), on the networks' device.

        Returns
        -------
        Tensor
            (batch, class, …): what the network gives, the same bits for the same seed, member and inputs.
        """
        network = self.networks[member if self.method == "ensemble" else 0]
        with torch.no_grad(), seeded(self.seed, member):
            result: Tensor = network(inputs)
        return result


def make_sampler(method: str, networks: Sequence[nn.Module], *, passes: int = 1, seed: int = 0) -> Sampler:
    """Set the modes of the networks for a method, and say how many members it has.

    Batch normalisation stays frozen in every method: only dropout layers, and those only for `mc_dropout`, behave as
    in training.

    Parameters
    ----------
    method
        One of `METHODS`.
    networks
        One network; with `ensemble` at least two.
    passes
        Members of `mc_dropout` and of `bayesian`.
    seed
        Of the draws; not negative.

    Raises
    ------
    ModelError
        `mc_dropout` without active dropout layers, `bayesian` without variational ones, or a number of networks that
        the method cannot use.
    """
    if method not in METHODS:
        raise ModelError(f"the method {method!r} is not known; known are {', '.join(METHODS)}")
    if method == "ensemble" and len(networks) < 2:
        raise ModelError(f"an ensemble needs two checkpoints or more, found {len(networks)}")
    if method != "ensemble" and len(networks) != 1:
        raise ModelError(f"{method} takes one checkpoint, found {len(networks)}; several are an ensemble")
    if passes < 1:
        raise ModelError(f"{method} needs one pass or more, found {passes}")
    for network in networks:
        _freeze(network)
    if method == "mc_dropout":
        _activate_dropout(networks[0])
    if method == "bayesian" and not variational_layers(networks[0]):
        raise ModelError(
            "bayesian draws from the posterior of variational layers, but the network has none: train it with the "
            "method bayesian, or choose mc_dropout or softmax"
        )
    n_members = {"softmax": 1, "ensemble": len(networks)}.get(method, passes)
    return Sampler(method, tuple(networks), n_members, seed)


def check_class_counts(sampler: Sampler, example: Tensor, n_classes: int, names: Sequence[str]) -> None:
    """Apply every network once and refuse one that does not give the configured classes.

    Parameters
    ----------
    example
        (1, channel, …): an input of the size that the networks take.
    n_classes
        Classes, or regions, that the config names.
    names
        Of the networks' files, for the message.

    Raises
    ------
    ModelError
        Naming the classes of each file.
    """
    members = range(len(sampler.networks))
    counts = [sampler.logits(member, example).shape[1] for member in members]
    if set(counts) == {n_classes}:
        return
    found = ", ".join(f"{name} gives {count}" for name, count in zip(names, counts, strict=True))
    problem = "the members of the ensemble disagree in their classes" if len(set(counts)) > 1 else "other classes"
    raise ModelError(f"{problem}: {found}; probabilities.classes names {n_classes}")


def check_draws(sampler: Sampler, example: Tensor, names: Sequence[str]) -> None:
    """Apply networks under two random states: dropout must make a difference, and without it nothing may.

    A traced TorchScript has the mode in which it was traced built in: its dropout layers are there by name, and stay
    as they were.

    Parameters
    ----------
    example
        (1, channel, …), not constant.
    names
        Of the networks' files, for the message.

    Raises
    ------
    ModelError
        The passes of `mc_dropout` are all the same, or a network that is to be applied once draws at random.
    """
    if sampler.method == "bayesian":
        return
    for network, name in zip(sampler.networks, names, strict=True):
        one = Sampler("mc_dropout", (network,), 2, sampler.seed)
        differ = not torch.equal(one.logits(0, example), one.logits(1, example))
        if sampler.method == "mc_dropout" and not differ:
            raise ModelError(
                f"every pass of {name} is the same, although it has dropout layers: a traced network keeps the mode it "
                "was traced in. Save it with torch.jit.script, or its weights, or choose softmax"
            )
        if sampler.method != "mc_dropout" and differ:
            raise ModelError(
                f"{name} gives another result each time: it was exported in training mode. Call eval() before the "
                "export, or choose mc_dropout"
            )


def probabilities_of(outputs: Tensor, activation: str) -> Tensor:
    """Turn a network's outputs (batch, class, …) into probabilities, in float32.

    Parameters
    ----------
    activation
        `softmax` or `sigmoid` for logits; `none` for outputs that are probabilities already.
    """
    outputs = outputs.float()
    if activation == "softmax":
        return outputs.softmax(dim=1)
    if activation == "sigmoid":
        return outputs.sigmoid()
    if activation == "none":
        return outputs
    raise ValueError(f"activation is {activation!r}, expected softmax, sigmoid or none")


def sample_members(
    sampler: Sampler, inputs: Tensor, *, activation: str = "softmax", batch_size: int = 256
) -> Iterator[Tensor]:
    """Yield, member by member, the probabilities (sample, class, …) of inputs (sample, channel, …) that fit in memory.

    A batch is what one dropout mask is drawn for: the same inputs in other batches are other draws.
    """
    for member in range(sampler.n_members):
        batches = [sampler.logits(member, batch) for batch in inputs.split(batch_size)]
        yield probabilities_of(torch.cat(batches), activation)


def dropout_layers(network: nn.Module) -> list[nn.Module]:
    """Layers that drop something: those of p = 0 do not count."""
    return [layer for layer in network.modules() if _kind(layer) in DROPOUT_LAYERS and getattr(layer, "p", 1) > 0]


def _kind(layer: nn.Module) -> str:
    return str(getattr(layer, "original_name", type(layer).__name__))


def _freeze(network: nn.Module) -> None:
    try:
        network.eval()
    except NotImplementedError:
        # A program of torch.export has the mode in which it was exported built in.
        return
    for parameter in network.parameters():
        parameter.requires_grad_(False)


def _activate_dropout(network: nn.Module) -> None:
    layers = dropout_layers(network)
    if not layers:
        raise ModelError(
            "mc_dropout needs dropout layers, and the network has none that is active (a program of torch.export has "
            "none left): every pass would be the same. Give a network that was trained with dropout, or choose softmax"
        )
    for layer in layers:
        layer.train()
