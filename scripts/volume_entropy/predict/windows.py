"""One volume through a network, window by window."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .samplers import Sampler, probabilities_of

Volume = NDArray[np.float32]


def standardise(image: NDArray[Any], intensity: str) -> Volume:
    """Give an image (z, y, x) the scale that a network expects.

    Parameters
    ----------
    image
        Any real type; what is not finite counts as 0.
    intensity
        `nonzero`: mean 0 and standard deviation 1 over the voxels that are not 0, which stay as they are in the
        others. `all`: over all voxels. `none`: as the file says.
    """
    values = np.nan_to_num(image.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if intensity == "none":
        return values
    used = values != 0 if intensity == "nonzero" else np.ones(values.shape, np.bool_)
    inside = values[used].astype(np.float64)
    if inside.size:
        spread = inside.std()
        values[used] = (inside - inside.mean()) / (spread if spread > 0 else 1.0)
    return values


def members_of(
    sampler: Sampler, image: Volume, settings: Mapping[str, Any], device: torch.device | str
) -> Iterator[Volume]:
    """Yield the probabilities (class, z, y, x) of a volume, member by member.

    Memory: one member. Windows overlap, and what they say of a voxel is averaged with weights that fall off to the
    border: logits where the network gives logits.

    Parameters
    ----------
    image
        (z, y, x), standardised.
    settings
        `patch`: edges (x, y, z) of a window; `overlap`: fraction of an edge;
        `activation`: see `samplers.probabilities_of`.
    """
    inputs = network_input(image)
    for member in range(sampler.n_members):
        outputs = apply(sampler, member, inputs, settings, device)
        probabilities = probabilities_of(outputs, settings["activation"])[0]
        yield np.ascontiguousarray(probabilities.permute(0, 3, 2, 1).numpy())


def network_input(image: Volume) -> Tensor:
    """Give a volume (z, y, x) as (batch, channel, x, y, z), the order of a NIfTI file and of MONAI."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 1, 0)))[None, None]


def apply(
    sampler: Sampler, member: int, inputs: Tensor, settings: Mapping[str, Any], device: torch.device | str
) -> Tensor:
    """Apply a member to (1, channel, x, y, z) on the processor; windows run on `device`, their sum does not."""
    from monai.inferers import sliding_window_inference

    outputs: Tensor = sliding_window_inference(
        inputs,
        roi_size=tuple(settings["patch"]),
        # One at a time: a dropout mask is drawn for a batch, and must be the same in every window.
        sw_batch_size=1,
        predictor=lambda windows: sampler.logits(member, windows),
        overlap=settings["overlap"],
        mode="gaussian",
        sw_device=device,
        device="cpu",
    )
    return outputs
