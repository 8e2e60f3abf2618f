"""How the maps of a sample are called, and how many files each of them is: what tells that one is gone."""

import os
from collections.abc import Iterable, Mapping, Sequence

from ..measures import MEASURES

PathLike = str | os.PathLike[str]


def nifti_stem(sample: str, measure: str) -> str:
    """Name the map of a measure and its sidecar, less their endings."""
    return f"{sample}_desc-{MEASURES[measure].suffix}_map"


def ome_stem(sample: str) -> str:
    """Name the image of all measures and its sidecar, less their endings."""
    return f"{sample}_maps"


def map_names(sample: str, measures: Iterable[str], formats: Sequence[str]) -> list[str]:
    """List what lies in a sample's folder `maps`."""
    names = []
    if "nifti" in formats:
        names += [f"{nifti_stem(sample, measure)}{end}" for measure in measures for end in (".nii.gz", ".json")]
    if "ome-zarr" in formats:
        names += [f"{ome_stem(sample)}{end}" for end in (".ome.zarr", ".json")]
    return names


def files_of_maps(folder: PathLike) -> dict[str, int]:
    """Count the files of every entry of a folder `maps`: 1, or all that an OME-Zarr image is made of."""
    with os.scandir(folder) as entries:
        return {entry.name: _count(entry) for entry in sorted(entries, key=lambda entry: entry.name)}


def missing_map(folder: PathLike, files: Mapping[str, int]) -> str | None:
    """Say what a folder `maps` lacks of the files that were written; None where it is whole, whatever else is there.

    One look at the folder, and one at each folder of an OME-Zarr image.
    """
    try:
        with os.scandir(folder) as entries:
            found = {entry.name: entry for entry in entries if entry.name in files}
    except (FileNotFoundError, NotADirectoryError):
        return "maps"
    for name, n in files.items():
        if name not in found:
            return name
        if n > 1 and _count(found[name]) < n:
            return f"a part of {name}"
    return None


def _count(entry: "os.DirEntry[str]") -> int:
    return sum(len(names) for _, _, names in os.walk(entry.path)) if entry.is_dir() else 1
