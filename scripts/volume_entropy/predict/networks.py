"""Networks by name, and checkpoints: our own, TorchScript, `torch.export`, MONAI bundles, plain state dicts.

A pickle can run any code when it is loaded, so plain checkpoints are read with `weights_only=True` alone: tensors,
numbers, texts and their containers, and nothing else.
"""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import ModelError
from ..files import replaced_when_whole
from .randomness import seeded
from .variational import make_variational

FORMAT = "volume-entropy network 1"


def build_network(spec: Mapping[str, Any], seed: int = 0) -> nn.Module:
    """Build a network of `monai.networks.nets` with seeded weights.

    Parameters
    ----------
    spec
        `name` of the class; `arguments` for it; `variational`: None, or `prior_std` and `posterior_std`.
    seed
        Of the weights it starts with.

    Raises
    ------
    ModelError
        There is no such network, or it does not take these arguments.
    """
    from monai.networks import nets

    factory = getattr(nets, spec["name"], None)
    if not (isinstance(factory, type) and issubclass(factory, nn.Module)):
        raise ModelError(f"monai.networks.nets has no network {spec['name']!r}; see `model.network.name`")
    try:
        with seeded(seed):
            network: nn.Module = factory(**spec["arguments"])
    except (TypeError, ValueError) as error:
        raise ModelError(f"{spec['name']} cannot be built with {dict(spec['arguments'])}: {error}") from error
    if spec.get("variational") is not None:
        make_variational(network, **spec["variational"])
    return network


def save_network(path: Path, network: nn.Module, spec: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """Write weights, and what builds the network, as a file that `weights_only=True` reads."""
    state = {key: value.cpu() for key, value in network.state_dict().items()}
    with replaced_when_whole(path) as temporary:
        torch.save({"format": FORMAT, "network": dict(spec), "recipe": dict(recipe), "state": state}, temporary)


def load_network(path: Path, spec: Mapping[str, Any] | None, device: torch.device | str = "cpu") -> nn.Module:
    """Load a network, whatever of the known formats it is in.

    Parameters
    ----------
    path
        A file, or the folder of a MONAI bundle. A bundle's config names the code that it runs: load those you trust.
    spec
        What builds the network whose weights a plain checkpoint holds; the other formats bring their own.
    device
        Where it shall run.

    Raises
    ------
    ModelError
        The file is missing or in no known format, holds more than weights, or does not fit the network.
    """
    if path.is_dir():
        return _load_bundle(path, device)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except FileNotFoundError:
        raise ModelError(f"the checkpoint {path} does not exist") from None
    except (zipfile.BadZipFile, OSError):
        names = []
    if any(name.endswith("constants.pkl") for name in names):
        network: nn.Module = torch.jit.load(path, map_location=device)
        return network
    if path.suffix == ".pt2":
        return _load_program(path, device)
    return _load_weights(path, spec, device)


def _load_program(path: Path, device: torch.device | str) -> nn.Module:
    from torch.export.passes import move_to_device_pass

    try:
        program = torch.export.load(path)
    except Exception as error:  # whatever the archive's reader meets
        raise ModelError(f"{path} is no program of torch.export: {error}") from error
    network: nn.Module = move_to_device_pass(program, str(device)).module()
    return network


def _load_bundle(folder: Path, device: torch.device | str) -> nn.Module:
    from monai.bundle import ConfigParser

    config = next((folder / "configs" / f"inference.{end}" for end in ("json", "yaml") if _has(folder, end)), None)
    weights = folder / "models" / "model.pt"
    if config is None or not weights.exists():
        raise ModelError(f"{folder} is no MONAI bundle: expected configs/inference.json and models/model.pt")
    parser = ConfigParser()
    parser.read_config(config)
    parser["bundle_root"] = str(folder)
    network: nn.Module = parser.get_parsed_content("network_def", instantiate=True)
    return _with_state(network, _state_of(weights), weights).to(device)


def _has(folder: Path, end: str) -> bool:
    return (folder / "configs" / f"inference.{end}").exists()


def _load_weights(path: Path, spec: Mapping[str, Any] | None, device: torch.device | str) -> nn.Module:
    content = _state_of(path)
    if content.get("format") == FORMAT:
        spec, content = content["network"], content["state"]
    if spec is None:
        raise ModelError(f"{path} holds weights alone; name the network that they belong to in `model.network`")
    return _with_state(build_network(spec), content, path).to(device)


def _state_of(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} holds more than weights, and a pickle can run any code when it is loaded, so it was not: save "
            f"`network.state_dict()` instead, or export the network with torch.jit or torch.export. {_first(error)}"
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise ModelError(f"{path} is no checkpoint: {_first(error)}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path} holds a {type(content).__name__}, expected a dictionary of weights")
    for key in ("state_dict", "model_state_dict", "network_weights", "model"):
        # As trainers wrap it.
        if isinstance(content.get(key), dict):
            return dict(content[key])
    return content


def _with_state(network: nn.Module, state: Mapping[str, Any], path: Path) -> nn.Module:
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"the weights of {path} do not fit the network of `model.network`: {error}") from error
    return network


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
