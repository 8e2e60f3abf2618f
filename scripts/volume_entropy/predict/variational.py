"""Networks whose weights are distributions: normal posteriors of `bayesian-torch`, their divergence and their widths.

Source: Blundell et al. 2015, Weight Uncertainty in Neural Networks. A standard deviation is log(1 + exp(rho)).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import expm1, log

import torch
from torch import Tensor, nn

from ..errors import ModelError

# What bayesian-torch calls the mean of a layer's weights, and of its biases.
_POSTERIORS = (("kernel", "weight"), ("weight", "weight"), ("bias", "bias"))


@dataclass(frozen=True)
class PosteriorWidth:
    """Standard deviations of the posterior of one layer's weights and biases.

    Attributes
    ----------
    layer
        Its name in the network, or `all`.
    n_weights
        Weights and biases that have a posterior.
    mean, p05, median, p95
        Of their standard deviations.
    """

    layer: str
    n_weights: int
    mean: float
    p05: float
    median: float
    p95: float


def make_variational(network: nn.Module, *, prior_std: float = 1.0, posterior_std: float = 0.05) -> None:
    """Replace, in place, the convolutions and linear layers by variational ones, by the reparameterisation trick.

    Parameters
    ----------
    network
        The means of the posteriors start at its weights.
    prior_std
        The prior of each weight is N(0, prior_std²).
    posterior_std
        Where the standard deviations of the posteriors start.

    Raises
    ------
    ModelError
        The network has no layer to replace, or one that bayesian-torch would replace by another: it drops
        `output_padding` and `padding_mode`.
    """
    from bayesian_torch.models.dnn_to_bnn import dnn_to_bnn

    before = {name: layer for name, layer in network.named_modules() if _is_replaced(layer)}
    for name, layer in before.items():
        padding = getattr(layer, "output_padding", 0)
        lost = any(padding) if isinstance(padding, tuple) else padding
        if lost or getattr(layer, "padding_mode", "zeros") != "zeros":
            raise ModelError(
                f"the layer {name} has output_padding or a padding_mode, which variational layers do not have; choose "
                "a network without, such as BasicUNet with upsample: nontrainable"
            )
    prior = {"prior_mu": 0.0, "prior_sigma": prior_std, "posterior_mu_init": 0.0, "posterior_rho_init": 0.0}
    dnn_to_bnn(network, {**prior, "type": "Reparameterization", "moped_enable": False})
    after = variational_layers(network)
    if not before or before.keys() != after.keys():
        raise ModelError(f"no variational layer stands for {sorted(before.keys() ^ after.keys()) or 'any layer'}")
    with torch.no_grad():
        for name, layer in after.items():
            for mean, rho, kind in _posteriors(layer):
                mean.copy_(getattr(before[name], kind))
                rho.fill_(log(expm1(posterior_std)))


def variational_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Layers with a posterior, by name."""
    return {name: layer for name, layer in network.named_modules() if hasattr(layer, "kl_loss")}


def divergence(network: nn.Module) -> Tensor:
    """KL(posterior ‖ prior) in nat, summed over all weights; bayesian-torch's own loss is the mean of each layer."""
    parts = []
    for layer in variational_layers(network).values():
        for mean, rho, kind in _posteriors(layer):
            prior_mean, prior_std = (getattr(layer, f"prior_{kind}_{part}") for part in ("mu", "sigma"))
            std = nn.functional.softplus(rho)
            ratio = (std**2 + (mean - prior_mean) ** 2) / (2 * prior_std**2)
            parts.append((torch.log(prior_std) - torch.log(std) + ratio - 0.5).sum())
    return torch.stack(parts).sum()


def posterior_widths(network: nn.Module) -> list[PosteriorWidth]:
    """Standard deviations of every variational layer, and of all together."""
    stds: dict[str, Tensor] = {}
    for name, layer in variational_layers(network).items():
        parts = [nn.functional.softplus(rho.detach()).flatten().double().cpu() for _, rho, _ in _posteriors(layer)]
        stds[name] = torch.cat(parts)
    if stds:
        stds["all"] = torch.cat(list(stds.values()))
    return [_width(name, values) for name, values in stds.items()]


def _width(name: str, stds: Tensor) -> PosteriorWidth:
    ordered = stds.sort().values
    low, middle, high = (ordered[int(q * (len(ordered) - 1))].item() for q in (0.05, 0.5, 0.95))
    return PosteriorWidth(name, len(ordered), ordered.mean().item(), low, middle, high)


def _posteriors(layer: nn.Module) -> Iterator[tuple[Tensor, Tensor, str]]:
    """Yield mean, rho, and whether they are of the layer's `weight` or its `bias`."""
    for part, kind in _POSTERIORS:
        mean = getattr(layer, f"mu_{part}", None)
        if mean is not None:
            yield mean, getattr(layer, f"rho_{part}"), kind


def _is_replaced(layer: nn.Module) -> bool:
    # As dnn_to_bnn chooses: layers without children, by the name of their class.
    name = type(layer).__name__
    return not list(layer.children()) and ("Conv" in name or "Linear" in name)
