"""The methods text of the report page: definitions, settings, versions, sources, ready for a paper."""

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .. import __version__
from ..cohort import CRITERIA
from ..measures import MEASURES, default_measures, statistics_of
from ..robust import FLAG_LIMIT, MIN_GROUP

# What a number depends on, or what wrote a figure; the first is named apart.
PACKAGES = ("numpy", "numba", "dask", "zarr", "nibabel", "snakemake")

OUTLIERS = "Iglewicz B, Hoaglin DC. How to detect and handle outliers. ASQC Quality Press, 1993."


def methods(
    settings: Mapping[str, Any], *, group: str | None, n_members: int, citation: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Collect what the methods section says.

    Parameters
    ----------
    settings
        Those that the cohort's numbers depend on, as in every summary's recipe.
    group
        The column within which samples were compared.
    n_members
        The highest number of members of a sample.
    citation
        The content of CITATION.cff; None leaves the citation to name and version.
    """
    kind, unit = settings["kind"], settings["unit"]
    names = default_measures(n_members, settings["measures"], kind)
    measures = [
        {
            "name": MEASURES[name].words,
            "symbol": MEASURES[name].symbol,
            "definition": MEASURES[name].form(kind).definition,
            "unit": MEASURES[name].unit_in(unit),
            "range": MEASURES[name].form(kind).range,
            "source": MEASURES[name].source,
        }
        for name in names
    ]
    statistics = [
        {
            "name": statistic.name,
            "description": statistic.description.format(measure="the measure"),
            "unit": statistic.unit.format(unit="unit"),
        }
        for statistic in statistics_of("predictive_entropy")
    ]
    return {
        "measures": measures,
        "statistics": statistics,
        "settings": {key: _plain(value) for key, value in settings.items() if key not in ("refuse", "maps")},
        "sentences": _sentences(settings, n_members, group),
        "versions": {"volume-entropy": __version__, "Python": platform.python_version(), **_versions(PACKAGES)},
        "citation": cite(citation),
        "references": _references(names),
    }


def cite(citation: Mapping[str, Any] | None) -> str:
    """Write the citation of this software from the content of CITATION.cff."""
    if citation is None:
        return f"volume-entropy, version {__version__}."
    authors = ", ".join(
        author.get("name") or f"{author['family-names']} {author['given-names']}" for author in citation["authors"]
    )
    released = str(citation.get("date-released", ""))[:4]
    parts = [authors, f"{citation['title']} (version {citation['version']})", released, citation.get("doi", "")]
    return ". ".join(part for part in parts if part) + "."


def _sentences(settings: Mapping[str, Any], n_members: int, group: str | None) -> list[str]:
    """Say what was done, in the order in which it was done."""
    regions = settings["kind"] == "regions"
    classes = settings["classes"]
    listed = ", ".join(classes[:12]) + (f" and {len(classes) - 12} more" if len(classes) > 12 else "")
    what = f"{len(classes)} overlapping regions (independent sigmoids)" if regions else f"{len(classes)} classes"
    tolerance = settings["sum_tolerance"]
    logarithm = "to base 2" if settings["unit"] == "bit" else "natural"
    text = [
        f"The uncertainty of the segmentations was measured voxel by voxel with volume-entropy {__version__}, from the "
        f"probabilities of {what} ({listed}).",
    ]
    if settings.get("scale") is not None:
        text.append(f"The values of the files were divided by {settings['scale']:g}.")
    if n_members > 1:
        text.append(
            f"Up to {n_members} probability volumes (members) of a sample were combined; P is their mean, p that of "
            "one member."
        )
    if settings["background"] == "complement":
        text.append(
            "The class background was completed as 1 − Σp, where that is positive, and the sum over classes divided "
            "out."
        )
    elif not regions:
        text.append("The sum over classes was divided out.")
    if settings["content"] == "partial_volume":
        text.append(
            "The values are partial volumes: their entropy is that of a mixture of tissues in a voxel, and no "
            "uncertainty of a model."
        )
    text.append(f"Entropies are in {settings['unit']}: the logarithm is {logarithm}, and 0·log 0 is 0.")
    sums = "" if regions or tolerance is None else f", or whose sum was off 1 by more than {tolerance:g}"
    text.append(
        f"Voxels with values that are no probabilities{sums} were counted as invalid and left out; a sample in which "
        f"more than {settings['max_invalid_fraction']:.4g} of the voxels that say anything (a class but the background "
        "above 0, or invalid) were invalid was rejected."
    )
    background = settings["background_class"]
    foreground = (
        f"the domain's voxels whose predicted class is not {background}"
        if not regions and background in classes
        else "the domain's voxels in any region"
        if regions
        else "all of the domain"
    )
    text.append(
        "Means were taken over the domain (the mask where there is one, less empty and invalid voxels); the "
        f"foreground is {foreground}. A voxel counts as uncertain above {settings['threshold']:g} · log 2."
    )
    text.append("Sums over voxels are 64-bit integers in fixed point, so that no order of computation changes them.")
    compared = [
        f"the {criterion.words.format(place=criterion.places[0])}"
        for criterion in CRITERIA
        if n_members > 1 or criterion.measure == "predictive_entropy"
    ]
    within = f"within each group of equal {group}" if group is not None else "over the whole cohort"
    text.append(
        "Samples were ranked for review by their highest absolute robust z, (x − median) / (1.4826 · MAD), of "
        f"{', '.join(compared)} and the predicted volume of each class, {within} of at least {MIN_GROUP} samples "
        "(where the MAD is 0, 1.2533 · mean absolute deviation; Iglewicz and Hoaglin 1993), and flagged from "
        f"{FLAG_LIMIT:g} on. A sample with a warning that at most half of the samples have was flagged, too, and "
        "stands behind these; one whose reference looks permuted stands first."
    )
    return text


def _plain(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def _versions(packages: Iterable[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _references(measures: Iterable[str]) -> list[str]:
    """List the works behind measures, each once, and behind what was compared."""
    return [*dict.fromkeys(work for name in measures for work in MEASURES[name].references), OUTLIERS]
