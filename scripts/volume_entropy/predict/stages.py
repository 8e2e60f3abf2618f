"""The stages predict and train: what their scripts call."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..compute_entropy import compute_sample
from ..convert import convert_sample
from ..errors import DataError
from ..joblog import logger, phase, processed
from ..labels import ignored_code, reference_codes, unlisted_code, whole_numbers
from ..readers import check_same_place, read_geometry, read_volume
from ..samples import sample_of
from ..stores.probabilities import write_rejection
from .curves import write_curves
from .devices import choose_device
from .networks import build_network, save_network
from .posteriors import write_posterior
from .reader import PredictionReader, input_of
from .training import TrainingSettings, train
from .volumes import UNLABELLED, Patches

STAGE = "predict"


def predict_sample(
    store: Path, *, recipe: Mapping[str, Any], networks: Sequence[Path], chunk: int, threads: int
) -> None:
    """Write the probability store of a sample from its image, member by member; or why it cannot be used.

    Parameters
    ----------
    store
        As `convert` writes it.
    recipe
        See `samples.recipe`; its `settings` have a `model`.
    networks
        Paths of the checkpoints.
    chunk, threads
        See `convert.convert_sample`; threads of torch.
    """
    try:
        _convert(store, recipe, networks, chunk, threads)
    except DataError as error:
        _reject(store, error, recipe)


def measure_stream(
    *,
    recipe: Mapping[str, Any],
    networks: Sequence[Path],
    chunk: int,
    threads: int,
    measures_path: Path,
    summary_path: Path,
    maps_dir: Path,
) -> None:
    """Predict and measure a sample at once: what `predict_sample` and `compute_entropy.compute_sample` give in turn.

    On the disk are, for that time, the mask and the reference, and no member.
    """
    measures_path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".stream.", dir=measures_path.parent) as folder:
        store, reader = Path(folder) / "probabilities.zarr", None
        try:
            reader = _convert(store, recipe, networks, chunk, threads, with_members=False)
        except DataError as error:
            _reject(store, error, recipe)
        compute_sample(
            store,
            recipe=recipe,
            measures_path=measures_path,
            summary_path=summary_path,
            maps_dir=maps_dir,
            threads=threads,
            stream=None if reader is None else reader.members,
        )


def train_network(
    examples: Mapping[str, Sequence[tuple[str, str]]],
    *,
    recipe: Mapping[str, Any],
    output: Path,
    curves: Path,
    figure: Path,
    posterior: Path,
    threads: int,
) -> None:
    """Train one network and write it, its loss curves, and the widths of its posterior.

    Parameters
    ----------
    examples
        Paths of image and reference, of the splits `train` and `val`.
    recipe
        See `model_recipes.Model.training_recipe`.
    output, curves, figure, posterior
        The checkpoint; its curves as CSV and as figure; a CSV that has no rows for a network of point weights.
    threads
        Of torch.

    Raises
    ------
    DataError
        An image or a reference cannot be read, or a reference has no voxel of a class.
    """
    device, settings = choose_device(threads), recipe["train"]
    with phase("examples"):
        volumes = {split: [_example(image, labels, recipe) for image, labels in examples[split]] for split in examples}
    patch = tuple(recipe["patch"])
    network = build_network(recipe["spec"], seed=_seed(recipe["seed"]))
    history = train(
        network,
        Patches(volumes["train"], patch, settings["patches"]),
        Patches(volumes["val"], patch, None),
        TrainingSettings(
            epochs=settings["epochs"],
            batch_size=settings["batch_size"],
            learning_rate=settings["learning_rate"],
            kl_weight=settings.get("kl_weight", 1.0),
            seed=_seed(recipe["seed"]),
        ),
        device=device,
    )
    logger.info("the best of %d epochs was %d", len(history.epochs), history.best)
    # Windows are drawn anew in each epoch.
    processed(len(history.epochs) * settings["patches"] * len(volumes["train"]) * math.prod(patch))
    save_network(output, network, recipe["spec"], recipe)
    write_curves(history, curves, figure)
    write_posterior(history, posterior)


def _convert(
    store: Path,
    recipe: Mapping[str, Any],
    networks: Sequence[Path],
    chunk: int,
    threads: int,
    with_members: bool = True,
) -> PredictionReader:
    sample = sample_of(recipe)
    reader = PredictionReader(sample.image or "", networks, recipe["settings"], choose_device(threads))
    convert_sample(sample, store, recipe=recipe, chunk=chunk, predicted=reader, with_members=with_members)
    return reader


def _reject(store: Path, error: DataError, recipe: Mapping[str, Any]) -> None:
    logger.warning("rejected: %s. %s", error.message, error.remedy)
    write_rejection(store, error.rejection(STAGE), recipe)


def _example(image: str, reference: str, recipe: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Read image and classes (x, y, z) of a training sample."""
    check_same_place(reference, read_geometry(reference), image, read_geometry(image))
    codes = reference_codes("softmax", recipe["labels"], recipe["ignore_labels"])
    values = codes.encode(whole_numbers(read_volume(reference)[1], reference, 0))
    classes = values.astype(np.int64)
    classes[np.isin(values, (ignored_code(codes.dtype), unlisted_code(codes.dtype)))] = UNLABELLED
    pixels, labels = input_of(image, recipe["intensity"]), torch.from_numpy(np.ascontiguousarray(classes.T))
    if not bool((labels != UNLABELLED).any()):
        raise DataError(
            "labels_invalid",
            f"{reference} has no voxel with a label of the classes {', '.join(recipe['classes'])}",
            "Correct `reference.labels`.",
        )
    return pixels, labels


def _seed(parts: Sequence[int]) -> int:
    """One number of the study's seed, the network's number and its kind."""
    return int(np.random.SeedSequence(list(parts)).generate_state(1)[0])
