"""What the config's `model` and the samples table say together: who is predicted by which networks, trained on what.

Nothing here needs torch: the workflow's rules are made from it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .files import fingerprint
from .nearest import nearest
from .paths import snakemake_takes
from .samples import Sample, read_samples

# Raised by one when a change of the code changes what networks are trained to, or predict.
REVISION = 1
METHOD_COLUMN, SPLIT_COLUMN = "method", "split"
_BASIC_UNET = {"features": [16, 16, 32, 64, 64, 16], "dropout": 0.1, "upsample": "nontrainable"}
# A variational network draws its weights, and nothing else; these are what MONAI's networks call dropout.
_DROPOUT_ARGUMENTS = ("dropout", "dropout_prob", "dropout_rate")


@dataclass(frozen=True)
class Model:
    """The configured methods and the rows of the samples table.

    Attributes
    ----------
    settings
        The config's group `model`; without methods there is no network.
    rows
        The samples table.
    conversion
        `config.conversion_settings`.
    """

    settings: Mapping[str, Any]
    rows: Mapping[str, Sample]
    conversion: Mapping[str, Any]

    @property
    def trains(self) -> bool:
        """Whether the networks are trained here."""
        return bool(self.settings["methods"]) and not self.settings["checkpoints"]

    @cached_property
    def cohort(self) -> dict[str, Sample]:
        """The samples that are predicted, in the order of the table; the table's own where there is no network."""
        return dict(self._predicted())

    def _predicted(self) -> Iterator[tuple[str, Sample]]:
        methods = self.settings["methods"]
        if not methods:
            yield from self.rows.items()
            return
        for sample in self.rows.values():
            if self.trains and _split(sample) == "train" and not self.settings["predict_training"]:
                continue
            for method in methods if len(methods) > 1 else [None]:
                if method is None:
                    yield sample.id, sample
                    continue
                name = f"{sample.id}_{method}"
                yield name, replace(sample, id=name, metadata={METHOD_COLUMN: method, **sample.metadata})

    def method_of(self, sample: str) -> str:
        """Name the method that predicts a sample of the cohort."""
        return str(self.cohort[sample].metadata.get(METHOD_COLUMN) or self.settings["methods"][0])

    def networks_of(self, method: str) -> list[str]:
        """Name the networks that are trained for a method; MC Dropout uses the first of the ensemble."""
        if not self.trains:
            return []
        if method == "bayesian":
            return ["variational-0"]
        return [f"point-{number}" for number in range(self.settings["ensemble"] if method == "ensemble" else 1)]

    def n_members(self, method: str) -> int:
        """How many members a method makes of an image."""
        if method in ("mc_dropout", "bayesian"):
            return int(self.settings["passes"])
        return len(self.settings["checkpoints"] or self.networks_of(method)) if method == "ensemble" else 1

    @property
    def sweep(self) -> list[str]:
        """Name the networks that are trained for the figure of the posterior against the weight of the divergence."""
        if not self.trains or "bayesian" not in self.settings["methods"]:
            return []
        return [f"variational-0_kl-{weight:g}" for weight in self.settings["train"]["kl_sweep"]]

    @property
    def networks(self) -> list[str]:
        """Name all networks that are trained."""
        named = [name for method in self.settings["methods"] for name in self.networks_of(method)]
        return [*dict.fromkeys(named), *self.sweep]

    def settings_of(self, sample: str) -> dict[str, Any]:
        """Give what a sample's members depend on, besides its own files: part of its recipe."""
        method, settings = self.method_of(sample), self.settings
        keys = ("output", "intensity", "patch", "overlap")
        part = {"method": method, **{key: settings[key] for key in keys}, "revision": REVISION}
        if method in ("mc_dropout", "bayesian"):
            part |= {"passes": settings["passes"], "seed": settings["seed"]}
        if self.trains:
            part["networks"] = [_digest(self.training_recipe(name)) for name in self.networks_of(method)]
        else:
            part["checkpoints"] = [fingerprint(path) for path in settings["checkpoints"]]
            part["network"] = self.spec(variational=method == "bayesian")
        return part

    def spec(self, *, variational: bool) -> dict[str, Any]:
        """Give what `networks.build_network` makes the network from."""
        network, train = self.settings["network"], self.settings["train"]
        given = network["arguments"]
        if given is None:
            given = _BASIC_UNET if network["name"] == "BasicUNet" else {}
        if variational:
            given = {key: value for key, value in given.items() if key not in _DROPOUT_ARGUMENTS}
        sizes = {"spatial_dims": 3, "in_channels": 1, "out_channels": len(self.conversion["classes"])}
        widths = {"prior_std": train["prior_std"], "posterior_std": train["posterior_std"]}
        return {
            "name": network["name"],
            "arguments": {**sizes, **given},
            "variational": widths if variational else None,
        }

    def training_recipe(self, network: str) -> dict[str, Any]:
        """Give all that the weights of a network depend on, for the params of its job."""
        train, variational = dict(self.settings["train"]), network.startswith("variational")
        name, _, weight = network.partition("_kl-")
        for key in ("kl_sweep", "prior_std", "posterior_std", *(() if variational else ("kl_weight",))):
            del train[key]
        if weight:
            train["kl_weight"] = float(weight)
        reference = self.conversion.get("reference") or {}
        return {
            "network": network,
            "spec": self.spec(variational=variational),
            "train": train,
            "seed": [self.settings["seed"], int(name.rpartition("-")[2]), int(variational)],
            "patch": self.settings["patch"],
            "intensity": self.settings["intensity"],
            "classes": self.conversion["classes"],
            "labels": reference.get("labels"),
            "ignore_labels": reference.get("ignore_labels", []),
            "data": self._data_digest,
            "revision": REVISION,
        }

    @property
    def examples(self) -> dict[str, list[tuple[str, str]]]:
        """Give image and reference of the training and of the validation samples."""
        return {
            split: [
                (sample.image or "", sample.reference or "") for sample in self.rows.values() if _split(sample) == split
            ]
            for split in ("train", "val")
        }

    @cached_property
    def _data_digest(self) -> str:
        files = {split: [list(map(fingerprint, pair)) for pair in pairs] for split, pairs in self.examples.items()}
        return _digest(files)

    def check(self) -> None:
        """Refuse, before any job, what no network could work on.

        Raises
        ------
        ConfigError
            One message that names every offender.
        """
        problems = [*self._table_problems(), *(self._training_problems() if self.trains else ())]
        problems += [
            f"model.checkpoints: {path} does not exist"
            for path in self.settings["checkpoints"]
            if not Path(path).exists()
        ]
        if problems:
            raise ConfigError("The networks of `model` cannot be used:\n" + "\n".join(f"  {line}" for line in problems))

    def _table_problems(self) -> Iterator[str]:
        for sample in self.rows.values():
            if sample.probabilities:
                yield f"{sample.id} has probabilities, but `model` makes them: empty the column, or model.methods"
            if sample.image is None:
                yield f"{sample.id} has no image to predict from"
        columns = {name for sample in self.rows.values() for name in sample.metadata}
        if METHOD_COLUMN in columns and len(self.settings["methods"]) > 1:
            yield f"the samples table has a column {METHOD_COLUMN!r}, which several methods add; rename it"
        compared = self.settings["compare"]
        if compared is not None and compared not in {*columns, METHOD_COLUMN}:
            yield f"model.compare: the samples table has no column {compared!r}{nearest(compared, sorted(columns))}"
        if not self.cohort:
            yield "no sample is left to predict; only rows of other splits than `train` are"

    def _training_problems(self) -> Iterator[str]:
        for split, pairs in self.examples.items():
            if not pairs:
                yield (
                    f"model.checkpoints is empty, and no row of the samples table has `{split}` in a column "
                    f"`{SPLIT_COLUMN}`: give checkpoints, or rows to train on"
                )
            for image, reference in pairs:
                if not reference:
                    yield f"{image} is of the split {split} and has no reference"
                for path in filter(None, (image, reference)):
                    if not Path(path).exists():
                        yield f"{path} is of the split {split} and does not exist"
                    elif not snakemake_takes(path):
                        yield f"{path} is of the split {split} and has braces or <…> in its name; rename it"


def read_cohort(path: Path, settings: Mapping[str, Any]) -> dict[str, Sample]:
    """Read the samples table and give the samples of the run: as many times as there are methods that predict them."""
    return Model(settings, read_samples(path, predicted=bool(settings["methods"])), {}).cohort


def _split(sample: Sample) -> str:
    return sample.metadata.get(SPLIT_COLUMN, "")


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
