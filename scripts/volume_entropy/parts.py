"""Which files of the results belong to which part of a study, so that they go with it: they would pass for today's."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from .files import read_json, remove

PathLike = str | os.PathLike[str]

# Tables, their dictionaries, and figures.
SUFFIXES = ("csv", "png", "svg", "json")
# By part the names in the folder of the results, less their suffixes; one that ends with / is a folder. The dictionary
# of the first name tells that the part is ours, and not a file of that name that a user put there.
PARTS: dict[str, tuple[str, ...]] = {
    "volumes": ("subjects", "classes", "review_queue", "rejected", "cohort", "dataset_description", "incomplete/"),
    "regions": ("regions",),
    "lesions": ("lesions",),
    "scores": ("scores", "scores_cohort"),
    "methods": ("methods",),
    "posteriors": ("models/posterior_kl",),
    "images": ("images", "image_scores", "images_rejected"),
    "passes": ("passes/",),
    "image_classes": ("image_classes",),
    "labelling": ("labelling",),
}


def files_of_part(results: PathLike, part: str) -> list[Path]:
    """List what there is of a part, its first dictionary last."""
    found = []
    for name in reversed(PARTS[part]):
        path = Path(results) / name
        found += [path] if name.endswith("/") else [path.with_name(f"{path.name}.{suffix}") for suffix in SUFFIXES]
    return [path for path in found if path.exists()]


def parts_gone(results: PathLike, kept: Collection[str]) -> list[str]:
    """List the parts that are in the results, and not among those that a run makes."""
    return [part for part in PARTS if part not in kept and _is_ours(Path(results), part)]


def remove_parts(results: PathLike, parts: Collection[str]) -> None:
    """Remove what there is of these parts, as far as a run made it."""
    for part in parts:
        for path in files_of_part(results, part) if _is_ours(Path(results), part) else ():
            remove(path)


def _is_ours(results: Path, part: str) -> bool:
    return any(_is_dictionary(path) for path in _dictionaries(results, PARTS[part][0]))


def _dictionaries(results: Path, name: str) -> Iterator[Path]:
    if name.endswith("/"):
        yield from (results / name).glob("*.json")
    else:
        yield results / f"{name}.json"


def _is_dictionary(path: Path) -> bool:
    """Whether a file is the data dictionary of the table beside which it stands."""
    try:
        return bool(read_json(path).get("table") == f"{path.stem}.csv")
    except (OSError, ValueError):
        return False
