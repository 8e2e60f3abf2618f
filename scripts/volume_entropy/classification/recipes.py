"""What makes the jobs of images stale: for each, all that its numbers depend on, upstream settings included."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files import fingerprint
from .folder import folder_digest, list_folder

Settings = Mapping[str, Any]

# Raised by one when a change of the code changes the numbers.
REVISION = 1
# The method of a ready table.
TABLE = "table"
# Which loss trained the networks of a method.
_TRAINED_BY = {
    "softmax": "cross_entropy",
    "squared_error": "squared_error",
    "mc_dropout": "cross_entropy",
    "ensemble": "cross_entropy",
    "bayesian": "bayesian",
}

_digest = cache(folder_digest)


def check_images(settings: Settings) -> None:
    """Refuse, before any job, a table or a folder that is not there, and labelling that cannot be done.

    Raises
    ------
    ConfigError
        With what is missing.
    """
    if settings["table"] is not None:
        path = Path(settings["table"])
        if not path.is_file():
            raise ConfigError(f"images.table: {path} does not exist")
        if path.suffix.lower() not in (".npz", ".csv"):
            raise ConfigError(f"images.table: found {path.name}, expected a .npz or .csv file")
    if settings["folder"] is not None:
        listed = list_folder(settings["folder"])
        plan, n_labels = settings["labelling"], sum(entry.label is not None for entry in listed)
        if plan["seeds"] and not plan["first"] < plan["last"] <= n_labels:
            raise ConfigError(
                f"images.labelling: first {plan['first']} and last {plan['last']}, expected first < last and at most "
                f"the images that are labelled ({n_labels} in the folder, less those of validation and test)"
            )


def collection(settings: Settings) -> dict[str, Any]:
    """Give what the images, their splits and their standardisation depend on."""
    keys = ("channels", "size", "split", "seed")
    return {**_digest(settings["folder"]), **{key: settings[key] for key in keys}, "revision": REVISION}


def networks_of(settings: Settings, method: str) -> list[str]:
    """Name the networks that a method predicts with: what trained them, and their number."""
    count = settings["ensemble"] if method == "ensemble" else 1
    return [f"{_TRAINED_BY[method]}-{number}" for number in range(count)]


def network(settings: Settings, name: str) -> dict[str, Any]:
    """Give what the weights of a network depend on."""
    training = dict(settings["training"])
    if not name.startswith("bayesian"):
        del training["kl_weight"]
    return {**collection(settings), "network": name, "training": training}


def members(settings: Settings, method: str) -> dict[str, Any]:
    """Give what the members of a method depend on: a ready table, or networks and draws."""
    if method == TABLE:
        return {"method": method, "table": fingerprint(settings["table"]), "revision": REVISION}
    recipe = {"method": method, "networks": [network(settings, name) for name in networks_of(settings, method)]}
    if method in ("mc_dropout", "bayesian"):
        recipe["passes"] = settings["passes"]
    return recipe


def measuring(settings: Settings) -> dict[str, Any]:
    """Give what the measures depend on besides the members."""
    return {key: settings[key] for key in ("unit", "sum_tolerance")}


def labelling(settings: Settings, seed: int) -> dict[str, Any]:
    """Give what one repetition of the labelling depends on."""
    plan = {key: settings["labelling"][key] for key in ("first", "step", "last", "epochs")}
    of_networks = {**network(settings, "cross_entropy-0"), "network": None}
    return {**of_networks, "labelling": plan, "passes": settings["passes"], "repetition": seed}
