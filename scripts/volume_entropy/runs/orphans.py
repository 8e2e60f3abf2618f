"""What a run no longer makes: it stays on the disk until somebody removes it."""

from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..maps.names import map_names
from ..measures import default_measures
from ..parts import files_of_part, parts_gone

# What makes a folder one of a sample: a file or store of its own in it.
SIGNS = ("{sample}_summary.json", "{sample}_thumb.png", "measures.zarr", "probabilities.zarr")
# How files of a network are called, after its name.
OF_NETWORK = (".pt", "_losses.csv", "_losses.json", "_losses.png", "_posterior.csv", "_posterior.json")


@dataclass(frozen=True)
class Made:
    """What decides which files a run makes.

    Attributes
    ----------
    parts
        Of the results, see `volume_entropy.parts`.
    figure_format
        png or svg.
    referenced
        Samples that have a reference.
    settings
        `measures`, `kind` and `maps`, as in a recipe.
    keep_probabilities
        Whether probability stores stay.
    networks
        By folder of the results, the networks that are trained.
    image_files
        What lies in the folder `images` of the intermediate stores.
    """

    parts: Collection[str]
    figure_format: str
    referenced: Collection[str]
    settings: Mapping[str, Any]
    keep_probabilities: bool
    networks: Mapping[str, Collection[str]]
    image_files: Collection[str]


def find_orphans(roots: list[Path], samples: Container[str]) -> dict[str, list[Path]]:
    """Find the folders of samples that the cohort does not have.

    Parameters
    ----------
    roots
        The folders of results and of intermediate stores; one that does not exist has none.
    samples
        Ids of the cohort.

    Returns
    -------
    dict
        By sample, in alphabetical order, its folders.
    """
    found: dict[str, list[Path]] = {}
    for root in roots:
        for folder in root.iterdir() if root.is_dir() else ():
            name = folder.name
            if name not in samples and any((folder / sign.format(sample=name)).exists() for sign in SIGNS):
                found.setdefault(name, []).append(folder)
    return dict(sorted(found.items()))


def find_leftovers(results: Path, work: Path, samples: Collection[str], made: Made) -> list[Path]:
    """Find what another config made, and this one does not, of the cohort's samples and of the whole study.

    Parameters
    ----------
    results, work
        The folders of results and of intermediate stores.
    samples
        Ids of the cohort.
    made
        What a run makes. What no run makes is not looked at: it is the user's.

    Returns
    -------
    list
        Files and folders; also those that the next run will remove by itself.
    """
    other = "svg" if made.figure_format == "png" else "png"
    found = [path for sample in samples for path in _of_sample(results / sample, work / sample, made, other)]
    found += [path for part in parts_gone(results, made.parts) for path in files_of_part(results, part)]
    found += [results / f"scores_cohort.{other}"] if "scores" in made.parts else []
    for folder, networks in made.networks.items():
        found += _others(
            results / folder, {f"{network}{end}" for network in networks for end in OF_NETWORK}, OF_NETWORK
        )
    found += _others(work / "images", made.image_files, (".npz", ".json"))
    return [path for path in found if path.exists()]


def _of_sample(results: Path, work: Path, made: Made, other_format: str) -> Iterator[Path]:
    sample = results.name
    yield results / f"{sample}_qc.{other_format}"
    scores = {"json", "png", "svg"} if sample not in made.referenced else {other_format}
    yield from (results / f"{sample}_scores.{suffix}" for suffix in sorted(scores))
    # Of as many members as there may be.
    measures = default_measures(2, made.settings["measures"], made.settings["kind"])
    for path in _others(results / "maps", map_names(sample, measures, made.settings["maps"]), ()):
        if path.name.startswith((f"{sample}_desc-", f"{sample}_maps.")):
            yield path
    if not made.keep_probabilities:
        yield work / "probabilities.zarr"


def _others(folder: Path, names: Collection[str], ends: tuple[str, ...]) -> list[Path]:
    """List what lies in a folder, is called as ours are, and is none of `names`; the folder, if it is all of it."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in entries if path.name not in names and (not ends or path.name.endswith(ends))]
    return [folder] if ends and found and found == entries else found
