"""Where results come from: a JSON sidecar for each map, and `dataset_description.json` (BIDS derivatives).

No times and no host names: the same input gives the same bytes. Source of the keys: BIDS 1.10, "Derived dataset and
pipeline description" (bids-specification.readthedocs.io).
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .. import __version__
from ..files import read_json
from ..measures import MEASURES, SCHEMA_VERSION
from ..stores.probabilities import ProbabilityStore
from .nifti import affine_mm

BIDS_VERSION = "1.10.0"
DESCRIPTION = "dataset_description.json"
GENERATOR = {"Name": "volume-entropy", "Version": __version__}


def measure_entry(measure: str, store: ProbabilityStore, unit: str) -> dict[str, Any]:
    """Describe the values of a map; `unit` is that of entropies."""
    its = MEASURES[measure]
    form = its.form(store.kind)
    return {
        "Measure": measure,
        "Symbol": its.symbol,
        "Units": its.unit_in(unit),
        "Range": form.range,
        "Definition": form.definition,
        "Reference": its.source or None,
    }


def map_sidecar(measures: Sequence[str], store: ProbabilityStore, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a file of maps: what it holds, of which members and classes, from which files, made how and by what.

    Parameters
    ----------
    measures
        One measure, or the channels of an image in order.
    store, recipe
        The sample's.
    """
    settings = recipe["settings"]
    entries = [measure_entry(measure, store, settings["unit"]) for measure in measures]
    return {
        "Description": f"{', '.join(name.replace('_', ' ') for name in measures)} of each voxel of {recipe['sample']}",
        **(entries[0] if len(entries) == 1 else {"Channels": entries}),
        "InvalidVoxels": "NaN",
        "EmptyVoxels": "0",
        "Kind": store.kind,
        "Content": settings.get("content", "posterior"),
        "Classes": store.classes,
        "NumberOfMembers": len(store.members),
        "Members": store.members,
        "Normalization": _scaling(settings) + _normalization(store.kind, settings["sum_tolerance"], store.complement),
        **({"Model": settings["model"]} if "model" in settings else {}),
        "Affine": affine_mm(store.affine, store.geometry).tolist(),
        "Sources": [source[0] for source in recipe["sources"]],
        "GeneratedBy": [{**GENERATOR, "Revision": recipe["revision"]}],
        "SchemaVersion": SCHEMA_VERSION,
    }


def dataset_description(folders: Iterable[str], folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe a folder of results as BIDS derivatives.

    Parameters
    ----------
    folders
        Those of all source files of the cohort.
    folder
        The folder of the results; source datasets are given relative to it.
    """
    return {
        "Name": "Uncertainty of segmentations, voxel by voxel",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [GENERATOR],
        "SourceDatasets": [_source_dataset(root, folder) for root in _datasets(folders)],
    }


def _datasets(folders: Iterable[str]) -> list[str]:
    """Return the BIDS datasets around folders, and the one folder that holds all those of none."""
    roots = {folder: _dataset_of(folder) for folder in folders}
    others = [folder for folder, root in roots.items() if root is None]
    found = {root for root in roots.values() if root is not None}
    return sorted(found | ({os.path.commonpath(others)} if others else set()))


@cache
def _dataset_of(folder: str) -> str | None:
    """Return the BIDS dataset around a folder."""
    if os.path.isfile(os.path.join(folder, DESCRIPTION)):
        return folder
    parent = os.path.dirname(folder)
    return None if parent == folder else _dataset_of(parent)


def _scaling(settings: Mapping[str, Any]) -> str:
    scale = settings.get("scale")
    return "" if scale is None else f"values are divided by {scale:g}; "


def _normalization(kind: str, tolerance: float | None, complement: bool) -> str:
    if kind == "regions":
        return "none: each region is a probability of its own"
    background = "the background is 1 less the sum of the other classes, at least 0; " if complement else ""
    if tolerance is None:
        return f"{background}the classes of a voxel are divided by their sum, whatever it is"
    return (
        f"{background}the classes of a voxel are divided by their sum where it is within {tolerance} of 1; else the "
        "voxel is invalid"
    )


def _source_dataset(root: str, folder: str | os.PathLike[str]) -> dict[str, str]:
    entry = {"URL": Path(os.path.relpath(root, folder)).as_posix()}
    if not os.path.isfile(os.path.join(root, DESCRIPTION)):
        return entry
    try:
        described = read_json(Path(root) / DESCRIPTION)
    except (OSError, ValueError):
        return entry
    for theirs, ours in (("Name", "Name"), ("DatasetDOI", "DOI")):
        if isinstance(described.get(theirs), str):
            entry[ours] = described[theirs]
    return entry
