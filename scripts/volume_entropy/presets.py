"""What a producer's convention says of a file beyond its content: what is refused, and what stands beside it."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import DataError
from .sidecars import LABELMAP, check_sidecars, sidecar_file, stem, store_of


def check_conventions(paths: Iterable[str], settings: Mapping[str, Any]) -> None:
    """Hold a sample's probability files against the producer's convention, before any of them is read.

    Parameters
    ----------
    paths
        Every probability file of the sample.
    settings
        `config.conversion_settings`; of it `refuse`, `sidecar`, `background`, `kind` and `classes` are used.

    Raises
    ------
    DataError
        `refused_by_preset`, or what is wrong with a sidecar (`file_missing`, `file_unreadable`, `not_this_format`,
        `class_mismatch`).
    """
    for path in paths:
        refused(path, settings.get("refuse", []))
        check_sidecars(path, settings)


def refused(path: str, rules: Sequence[Mapping[str, str]]) -> None:
    """Raise `refused_by_preset` if a rule's pattern is found in the file's name."""
    rule = refusal(os.path.basename(store_of(path)), rules)
    if rule is not None:
        raise DataError("refused_by_preset", f"{path} is {rule['reason']}", _sentence(rule["remedy"]))


def refusal(name: str, rules: Sequence[Mapping[str, str]]) -> Mapping[str, str] | None:
    """Return the first rule whose pattern is found in a file's name."""
    return next((rule for rule in rules if re.search(rule["pattern"], name)), None)


def companions(paths: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Name the files that are read beside the probability files: sidecars, and NIfTIs that lend their geometry."""
    paths = list(paths)
    sidecars = [sidecar_file(path) for path in paths] if settings.get("sidecar") == LABELMAP else []
    return [*sidecars, *geometry_files(paths, settings)]


def geometry_files(paths: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Name the NIfTIs that lend the probability files their geometry, each once; none for files with a header."""
    files = (geometry_file(path, settings.get("geometry")) for path in paths)
    return list(dict.fromkeys(file for file in files if file is not None))


def geometry_file(path: str, pattern: str | None) -> str | None:
    """Name the file that lends an array its geometry; None if the file has a header of its own, or no pattern is set.

    In `pattern`, the config's `probabilities.geometry`, `{stem}` stands for the array's name without its suffix; the
    result is relative to the array's folder.
    """
    # What has none of these endings is a Zarr store of another name.
    path = store_of(path)
    if pattern is None or path.endswith((".nii", ".nii.gz", ".mgh", ".mgz", ".ome.zarr")):
        return None
    folder, name = os.path.split(path)
    return os.path.normpath(os.path.join(folder, pattern.replace("{stem}", stem(name))))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
