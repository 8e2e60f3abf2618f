"""A network as a source of probabilities: it gives slabs as the readers of files do."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..joblog import logger, phase
from ..readers import Slab, read_volume
from ..readers.axes import roles_of
from .networks import load_network
from .samplers import check_class_counts, check_draws, make_sampler
from .windows import Volume, members_of, network_input, standardise

ACTIVATIONS = {"softmax": "softmax", "regions": "sigmoid"}


class PredictionReader:
    """The members that networks make of one image; a `readers.Reader`.

    Parameters
    ----------
    image
        Path of the image.
    networks
        Paths of the checkpoints.
    settings
        `classes`, `kind`, and `model`: see `model_recipes.Model.settings_of`.
    device
        Where the networks run.

    Raises
    ------
    DataError
        The image cannot be read.
    ModelError
        The networks cannot be used.
    """

    quantum = 0.0
    interleaved = True
    brick: tuple[int, int, int] | None = None
    labels: Sequence[str] | None = None

    def __init__(
        self, image: str, networks: Sequence[Path], settings: Mapping[str, Any], device: torch.device | str
    ) -> None:
        model = settings["model"]
        self.path = image
        self.geometry, voxels = read_volume(image)
        self.n_classes = len(settings["classes"])
        self._image: Volume = standardise(voxels, model["intensity"])
        activation = ACTIVATIONS[settings["kind"]] if model["output"] == "logits" else "none"
        self._settings = {"patch": model["patch"], "overlap": model["overlap"], "activation": activation}
        self._device = device
        with phase(f"{len(networks)} networks"):
            loaded = [load_network(path, model.get("network"), device) for path in networks]
            self._sampler = make_sampler(
                model["method"], loaded, passes=model.get("passes", 1), seed=model.get("seed", 0)
            )
            names = [str(path) for path in networks]
            window = torch.randn((1, 1, *model["patch"]), generator=torch.Generator().manual_seed(0)).to(device)
            check_class_counts(self._sampler, window, self.n_classes, names)
            check_draws(self._sampler, window, names)
        self.n_members = self._sampler.n_members
        self.roles = roles_of("mczyx", (self.n_members, self.n_classes, *self.geometry.shape[::-1]), named=True)

    def members(self) -> Iterator[NDArray[np.float32]]:
        """Yield (class, z, y, x), member by member."""
        for number, member in enumerate(members_of(self._sampler, self._image, self._settings, self._device)):
            logger.info("member %d of %d", number + 1, self.n_members)
            yield member

    def slabs(self, depth: int, rows: int | None = None, *, scaled_only: bool = False) -> Generator[Slab]:
        """Yield the pieces of every member; see `readers.Reader`. Memory: two members."""
        step = rows if rows is not None and depth == 1 else self._image.shape[1]
        for number, member in enumerate(self.members()):
            for z in range(0, self._image.shape[0], depth):
                for index, values in enumerate(member):
                    for y in range(0, self._image.shape[1], step):
                        yield Slab(number, index, z, values[z : z + depth, y : y + step], y)


def input_of(image: str, intensity: str) -> torch.Tensor:
    """Read an image as a network is trained on it: (x, y, z)."""
    return network_input(standardise(read_volume(image)[1], intensity))[0, 0]
