"""The stages of images that need networks: train one, predict the test split with a method, predict one picture."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import TensorDataset

from ..errors import ModelError
from ..joblog import phase
from ..predict.devices import choose_device
from ..predict.samplers import Sampler, make_sampler, sample_members
from ..predict.training import History, TrainingSettings, train
from .folder import UNLABELLED, ImageSet, read_images
from .networks import Spec, as_tensor, build, load, save, squared_error
from .predictions import Predictions, write_predictions

PathLike = str | os.PathLike[str]

LOSSES = {"cross_entropy": nn.functional.cross_entropy, "squared_error": squared_error}
# Of the Bayesian network: N(0, 0.1²) is about the scale at which its layers start (He et al. 2015).
VARIATIONAL = {"prior_std": 0.1, "posterior_std": 0.02}
# How the methods of the tables are called by the samplers.
_SAMPLERS = {"squared_error": "softmax"}


def train_classifier(
    recipe: Mapping[str, Any], images: PathLike, output: PathLike, curves: PathLike, figure: PathLike, *, threads: int
) -> None:
    """Train one network on the training split, and write its checkpoint and its loss curves.

    Parameters
    ----------
    recipe
        `recipes.network`: `network` is the loss and a number (`cross_entropy-0`), which is a seed of its own.
    images
        What `collect_images` wrote.
    output, curves, figure
        The checkpoint, a CSV file, a PNG file.
    """
    from ..predict.curves import write_curves

    device = choose_device(threads)
    found = read_images(images)
    kind, number = recipe["network"].rsplit("-", 1)
    network, spec, history = fit(
        found,
        found.where("training"),
        found.where("validation"),
        recipe["training"],
        seeds=(recipe["seed"], int(number)),
        kind=kind,
        device=device,
    )
    save(output, network, spec, recipe)
    write_curves(history, curves, figure, loss="squared error" if kind == "squared_error" else "cross-entropy")


def fit(
    images: ImageSet,
    training: Any,
    validation: Any,
    settings: Mapping[str, Any],
    *,
    seeds: tuple[int, int],
    kind: str = "cross_entropy",
    device: torch.device | str = "cpu",
) -> tuple[nn.Sequential, Spec, History]:
    """Build a network and train it on the images of some indices.

    Parameters
    ----------
    training, validation
        Indices of labelled images.
    settings
        `epochs`, `batch_size`, `learning_rate`, `dropout`, and for `bayesian` `kl_weight`.
    seeds
        Of the study, and of this network.
    kind
        `cross_entropy`, `squared_error`, or `bayesian` (cross-entropy and the divergence from the prior).
    """
    height, width = images.pixels.shape[2:]
    variational = VARIATIONAL if kind == "bayesian" else None
    dropout = 0.0 if variational else settings["dropout"]
    spec = Spec(images.pixels.shape[1], (height, width), images.classes, dropout, variational=variational)
    network = build(spec, seeds, images.mean, images.std)
    order = int(np.random.SeedSequence(seeds).generate_state(1)[0])
    loop = TrainingSettings(
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        kl_weight=settings.get("kl_weight", 1.0),
        seed=order,
    )
    loss = LOSSES.get(kind, nn.functional.cross_entropy)
    examples = (_examples(images, training), _examples(images, validation))
    history = train(network, *examples, loop, loss=loss, device=device)
    return network, spec, history


def _examples(images: ImageSet, places: Any) -> TensorDataset:
    return TensorDataset(as_tensor(images.pixels[places]), torch.from_numpy(images.labels[places]))


def predict_images(
    recipe: Mapping[str, Any], images: PathLike, networks: Sequence[PathLike], output: PathLike, *, threads: int
) -> None:
    """Predict the test split, and the images without a label, with one method; write the members as a ready table.

    Parameters
    ----------
    recipe
        `recipes.members`: `method`, and for passes and draws their number.
    networks
        Checkpoints; for `ensemble` one a member.
    """
    device = choose_device(threads)
    found = read_images(images)
    places = found.where("test", UNLABELLED)
    seed = recipe["networks"][0]["seed"]
    sampler, spec = load_sampler(recipe["method"], networks, passes=recipe.get("passes", 1), seed=seed, device=device)
    if spec.classes != found.classes:
        raise ModelError(f"the networks know the classes {spec.classes}, the folder has {found.classes}")
    with phase(f"{sampler.n_members} members of {len(places)} images"):
        p = probabilities(sampler, found.pixels[places], device)
    write_predictions(Predictions(p, tuple(found.images[places]), found.classes, found.labels[places]), output)


def load_sampler(
    method: str, networks: Sequence[PathLike], *, passes: int, seed: int, device: torch.device | str = "cpu"
) -> tuple[Sampler, Spec]:
    """Load checkpoints and make members of them.

    Raises
    ------
    ModelError
        A checkpoint cannot be used, or they disagree in their classes or in the size of their images.
    """
    loaded = [load(path) for path in networks]
    spec = loaded[0][1]
    for path, (_, other) in zip(networks, loaded, strict=True):
        if (other.classes, other.size, other.channels) != (spec.classes, spec.size, spec.channels):
            raise ModelError(
                f"{os.fspath(path)} gives {len(other.classes)} classes of {other.channels} × {other.size} pixels, "
                f"{os.fspath(networks[0])} {len(spec.classes)} of {spec.channels} × {spec.size}: members must agree"
            )
    models = [network.to(device) for network, _ in loaded]
    return make_sampler(_SAMPLERS.get(method, method), models, passes=passes, seed=seed), spec


def probabilities(sampler: Sampler, pixels: Any, device: torch.device | str = "cpu") -> np.ndarray[Any, Any]:
    """Probabilities (member, image, class) of pixels (image, channel, height, width), float32."""
    inputs = as_tensor(pixels).to(device)
    return np.stack([member.cpu().numpy() for member in sample_members(sampler, inputs)])
