"""What a producer's convention says of a file beyond its content: what is refused, and what stands beside it."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import DataError

# Longest first, so that `.nii.gz` goes as a whole.
_SUFFIXES = (".ome.zarr", ".nii.gz", ".zarr", ".nii", ".mgz", ".npz", ".npy")


def check_conventions(paths: Iterable[str], settings: Mapping[str, Any]) -> None:
    """Hold a sample's probability files against the producer's convention, before any of them is read.

    Parameters
    ----------
    paths
        Every probability file of the sample.
    settings
        `config.conversion_settings`; of it `refuse`, `sidecar`, `background` and `classes` are used.

    Raises
    ------
    DataError
        `refused_by_preset`, or what is wrong with a sidecar (`file_missing`, `file_unreadable`, `not_this_format`,
        `class_mismatch`).
    """
    for path in paths:
        refused(path, settings.get("refuse", []))
        if settings.get("sidecar") == "labelmap":
            sidecar = sidecar_file(path)
            check_labelmap(read_sidecar(sidecar), stored_classes(settings), sidecar)


def refused(path: str, rules: Sequence[Mapping[str, str]]) -> None:
    """Raise `refused_by_preset` if a rule's pattern is found in the file's name."""
    rule = refusal(os.path.basename(path), rules)
    if rule is not None:
        raise DataError("refused_by_preset", f"{path} is {rule['reason']}", _sentence(rule["remedy"]))


def refusal(name: str, rules: Sequence[Mapping[str, str]]) -> Mapping[str, str] | None:
    """Return the first rule whose pattern is found in a file's name."""
    return next((rule for rule in rules if re.search(rule["pattern"], name)), None)


def companions(paths: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Name the files that are read beside the probability files: sidecars, and NIfTIs that lend their geometry."""
    paths = list(paths)
    sidecars = [sidecar_file(path) for path in paths] if settings.get("sidecar") == "labelmap" else []
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
    if pattern is None or not path.endswith((".npz", ".npy", ".zarr")) or path.endswith(".ome.zarr"):
        return None
    folder, name = os.path.split(path)
    return os.path.normpath(os.path.join(folder, pattern.replace("{stem}", stem(name))))


def sidecar_file(path: str) -> str:
    """Name the JSON file beside a file."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{stem(name)}.json")


def stem(name: str) -> str:
    """Strip from a file's name the suffix of a format that is read: `a.b.nii.gz` becomes `a.b`."""
    suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "")
    return name.removesuffix(suffix)


def stored_classes(settings: Mapping[str, Any]) -> list[str]:
    """List the classes that have a channel or a file: all but a complemented background, which stands first."""
    classes = list(settings["classes"])
    return classes[1:] if settings.get("background") == "complement" else classes


def read_sidecar(path: str) -> Any:
    """Read a JSON sidecar; a `DataError` says why that cannot be done."""
    try:
        with open(path, encoding="utf-8-sig") as stream:
            return json.load(stream)
    except (FileNotFoundError, IsADirectoryError):
        raise DataError(
            "file_missing",
            f"{path} does not exist; without its LabelMap nobody knows which class a volume of the 4-D file holds",
            "Write the sidecar, or set `probabilities.sidecar` to none where the config's classes are surely in order.",
        ) from None
    except OSError as error:
        raise DataError(
            "file_unreadable", f"{path} cannot be read: {error.strerror}", "Give read permission on the file."
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            "not_this_format", f"{path} is no JSON: {error}", "Repair the sidecar; it is plain JSON text."
        ) from None


def check_labelmap(content: Any, classes: Sequence[str], path: str) -> None:
    """Check that a sidecar's LabelMap lists the configured classes in their order.

    Parameters
    ----------
    content
        The sidecar, as JSON gives it.
    classes
        The classes that the 4-D file must hold, in order; see `stored_classes`.
    path
        The sidecar's path, for the message.

    Raises
    ------
    DataError
        `class_mismatch`, with what was found and what was expected.
    """
    labels = content.get("LabelMap") if isinstance(content, Mapping) else None
    if labels is None:
        raise DataError(
            "class_mismatch",
            f"{path} has no LabelMap, which the BIDS standard requires of a 4-D probseg; nobody knows which class a "
            "volume of the file holds",
            'Add it, such as "LabelMap": ' + json.dumps(list(classes), ensure_ascii=False) + ", in the file's order.",
        )
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise DataError(
            "class_mismatch",
            f"the LabelMap of {path} is {_short(labels)}; expected a list of names",
            "Write one name a volume, in the file's order.",
        )
    if labels != list(classes):
        what = "the same classes in another order" if sorted(labels) == sorted(classes) else "other classes"
        raise DataError(
            "class_mismatch",
            f"the LabelMap of {path} has {what}: found {_short(labels)}, expected {_short(list(classes))}",
            "Set `probabilities.classes` to the LabelMap; samples with other classes are a study of their own.",
        )


def _short(value: Any, limit: int = 300) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
