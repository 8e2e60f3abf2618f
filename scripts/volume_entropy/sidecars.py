"""What says which classes a file of probabilities holds, in it or beside it: held against the configured ones."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from .errors import DataError
from .files import PLAIN_FILE, found_at

# The values of `probabilities.sidecar`.
LABELMAP, DATASET_JSON = "labelmap", "dataset_json"

# What programs write where nobody named a channel: `Channel 0`, `C:1`, `class_2`, a colour, or what the values are.
_NO_NAME = re.compile(
    r"(?:channel|chan|ch|c|class|label|component|band|wave|index)?[\d:#]*"
    r"|#?[0-9a-f]{6}|red|green|blue|cyan|magenta|yellow|white|gr[ae]y|black|none|null|nan|unknown|unnamed"
    r"|prob(?:ability|abilities|s)?|softmax|sigmoid"
)

# Longest first, so that `.nii.gz` goes as a whole.
_SUFFIXES = (".ome.zarr", ".nii.gz", ".zarr", ".nii", ".mgz", ".mgh", ".npz", ".npy")
_OF_FILES = tuple(suffix for suffix in _SUFFIXES if not suffix.endswith(".zarr"))


def check_sidecars(path: str, settings: Mapping[str, Any]) -> None:
    """Hold what stands beside a file of probabilities against `config.conversion_settings`.

    Raises
    ------
    DataError
        `file_missing`, `file_unreadable`, `not_this_format` or `class_mismatch`.
    """
    if settings.get("sidecar") == LABELMAP:
        sidecar = sidecar_file(path)
        check_labelmap(read_sidecar(sidecar), stored_classes(settings), sidecar)
    elif settings.get("sidecar") == DATASET_JSON and os.path.lexists(sidecar := dataset_file(path)):
        check_dataset(read_sidecar(sidecar), stored_classes(settings), settings["kind"], sidecar)


def listed_labels(paths: Iterable[str], settings: Mapping[str, Any]) -> list[Any] | None:
    """Return what the `dataset.json` beside the files say of classes, one item a folder; None where it is not asked.

    nnU-Net writes that file anew with every prediction into a folder, so its time tells nothing: the labels
    themselves are what a sample depends on.
    """
    if settings.get("sidecar") != DATASET_JSON:
        return None
    files = dict.fromkeys(map(dataset_file, paths))
    return [_labels_of(file, *_version(file)) for file in files]


def dataset_file(path: str) -> str:
    """Name nnU-Net's description of a data set beside a file."""
    return os.path.join(os.path.dirname(store_of(path)), "dataset.json")


def sidecar_file(path: str) -> str:
    """Name the JSON file beside a file."""
    folder, name = os.path.split(store_of(path))
    return os.path.join(folder, f"{stem(name)}.json")


def is_in_zarr(path: str) -> bool:
    """Whether a path is a Zarr store, or inside one, by its names."""
    return any(name.lower().endswith(".zarr") for name in path.split(os.sep))


def store_of(path: str) -> str:
    """Return the Zarr store that a path leads into, beside which its sidecars are; any other path as it is."""
    if path.lower().endswith(_OF_FILES):
        return path
    names = path.split(os.sep)
    for position, name in enumerate(names, start=1):
        if name.lower().endswith(".zarr"):
            return os.sep.join(names[:position])
    return path


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
        # Opening a pipe would wait for somebody to write into it.
        if (found := found_at(path)) not in (PLAIN_FILE, "a directory"):
            raise DataError("file_missing", f"{path} is {found}, expected a file", "Write the sidecar as a plain file.")
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


def check_dataset(content: Any, classes: Sequence[str], kind: str, path: str) -> None:
    """Check that nnU-Net's `dataset.json` lists the configured classes in the order of the array's channels.

    Channels are the labels by their numbers, or, where a label is a list of numbers, the regions in the order of the
    file, without the background; `ignore` is neither (nnU-Net's `LabelManager`).

    Parameters
    ----------
    content
        The file, as JSON gives it.
    classes
        The classes that the array must hold, in order; see `stored_classes`.
    kind
        `softmax` or `regions`.
    path
        The file's path, for the message.

    Raises
    ------
    DataError
        `class_mismatch`, with what was found and what was expected.
    """
    labels, order = _label_fields(content)
    if not isinstance(labels, Mapping) or not all(map(_is_label, labels.values())):
        raise DataError(
            "class_mismatch",
            f"{path} has the labels {_short(labels)}; expected names, each with its number or a list of numbers",
            "Copy the `dataset.json` of the model again; or set `probabilities.sidecar` to none.",
        )
    regions = any(isinstance(value, list) and len(value) > 1 for value in labels.values())
    if regions != (kind == "regions"):
        trained, preset = ("regions", "nnunet_regions") if regions else ("labels that exclude each other", "nnunet")
        raise DataError(
            "class_mismatch",
            f"{path} says that the model was trained on {trained}, but the config has kind: {kind}",
            f"Set preset: {preset}, or `probabilities.kind`.",
        )
    numbers = {name: value if isinstance(value, list) else [value] for name, value in labels.items()}
    numbers.pop("ignore", None)
    if regions:
        channels = [name for name in numbers if set(numbers[name]) != {0}]
        if not isinstance(order, list) or len(order) != len(channels):
            raise DataError(
                "class_mismatch",
                f"{path} has {len(channels)} regions, but the regions_class_order {_short(order)}",
                "Copy the `dataset.json` of the model again; or set `probabilities.sidecar` to none.",
            )
    else:
        channels = sorted(numbers, key=lambda name: numbers[name])
    if channels != list(classes):
        what = "the same classes in another order" if sorted(channels) == sorted(classes) else "other classes"
        raise DataError(
            "class_mismatch",
            f"{path} lists {what}: found {_short(channels)}, expected {_short(list(classes))}",
            f"Set `probabilities.classes` to {_short(channels)}; or `probabilities.sidecar` to none where its names "
            "are surely those of other labels.",
        )


def check_labels(
    path: str, labels: Sequence[str] | None, settings: Mapping[str, Any], first_class: int, n_classes: int
) -> None:
    """Hold what a file itself calls its classes against the configured ones.

    Case, blanks, `_` and `-` do not count. What names nothing, as `Channel 0` or a colour, is no label, unless a class
    has that name.

    Parameters
    ----------
    labels
        One a class of the file, in its order; None: it has none.
    settings
        `config.conversion_settings`; `labels: ignore` turns the check off.
    first_class, n_classes
        Which of the stored classes the file holds.

    Raises
    ------
    DataError
        `class_mismatch`, with what was found and what was expected.
    """
    if labels is None or settings["labels"] == "ignore":
        return
    stored = stored_classes(settings)
    classes, known = stored[first_class : first_class + n_classes], set(map(_folded, stored))
    named = [label if _folded(label) in known or not _NO_NAME.fullmatch(_folded(label)) else None for label in labels]
    if not any(named) or (
        len(labels) == len(classes)
        and all(label is None or _folded(label) == _folded(name) for label, name in zip(named, classes, strict=True))
    ):
        return
    same = sorted(map(_folded, labels)) == sorted(map(_folded, classes))
    what = "the same classes in another order" if same else "other classes"
    remedy = "Correct `probabilities.tokens` or the path, so that each class is read from its own file"
    if classes == stored:
        remedy = f"Set `probabilities.classes` to what the file holds, {_short(list(labels))}"
        if settings["background_class"] in classes and settings["background_class"] not in labels:
            remedy += ", and `probabilities.background_class` to its name of the background"
    raise DataError(
        "class_mismatch",
        f"{path} itself names {what}: found {_short(list(labels))}, expected {_short(classes)}",
        f"{remedy}; or set `probabilities.labels: ignore` where its names are surely other words for the configured "
        "classes, in their order.",
    )


def _folded(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name.casefold())


def _is_label(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return bool(values) and all(type(number) is int for number in values)


def _label_fields(content: Any) -> tuple[Any, Any]:
    fields = content if isinstance(content, Mapping) else {}
    return fields.get("labels"), fields.get("regions_class_order")


def _version(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4096)
def _labels_of(path: str, *version: int) -> list[Any] | None:
    """Read the labels once for all samples of a folder; None where there are none, which the check puts in words."""
    try:
        labels, order = _label_fields(read_sidecar(path))
    except DataError:
        return None
    # As pairs: the order of the names counts, and two dicts are equal in any order.
    return [list(labels.items()) if isinstance(labels, Mapping) else labels, order]


def _short(value: Any, limit: int = 300) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"
