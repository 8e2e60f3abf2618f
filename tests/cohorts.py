"""Made-up summaries, as `compute_entropy` writes them, for tests of what is done with a whole cohort."""

import json
import random
from pathlib import Path

from hypothesis import settings as hypothesis_settings
from volume_entropy.columns import SAMPLE_COLUMNS
from volume_entropy.measures import SCHEMA_VERSION, statistics_of, summarised_measures

# The same examples on every run; no deadline, since the cores are shared.
reproducible = hypothesis_settings(deadline=None, derandomize=True)

CLASSES = ("background", "csf", "gm", "wm")
# What every summary says of the version that made it, and of the maps that came with it.
MADE = {"schema_version": SCHEMA_VERSION, "maps": {}}
VOLUMES = {"background": 9e6, "csf": 3e5, "gm": 7e5, "wm": 5e5}


def settings(**changed):
    """The settings in a summary's recipe, as far as tables read them."""
    return {
        "measures": ["predictive_entropy"],
        "unit": "bit",
        "kind": "softmax",
        "members": None,
        "background_class": "background",
        **changed,
    }


def recipe(sample, **changed):
    return {
        "sample": sample,
        "sources": [[f"/data/{sample}.nii.gz", 1000, 10**18, True]],
        "settings": settings(**changed),
    }


def summary(sample, n_members=1, recipe_settings=None, classes=CLASSES, **changed):
    """An `ok` summary; numbers are seeded by the id, so that a sample is always the same."""
    seeded = random.Random(sample)
    of_config = {"members": None if n_members == 1 else n_members, **(recipe_settings or {})}
    content = {"status": "ok", "kind": "softmax", "recipe": recipe(sample, **of_config), **MADE}
    for column in SAMPLE_COLUMNS:
        content[column.name] = seeded.randint(20, 10**6) if column.type == "integer" else seeded.uniform(0.5, 2)
    content |= {
        "sample": sample,
        "unit": "bit",
        "content": "posterior",
        "warnings": [],
        "n_members": n_members,
        "n_classes": len(classes),
    }
    content |= {f"n_voxels_{axis}": 64 for axis in "xyz"}
    asked = content["recipe"]["settings"]["measures"]
    for measure in summarised_measures(n_members, asked):
        for statistic in statistics_of(measure):
            value = seeded.randint(0, 50) if statistic.type == "integer" else seeded.uniform(0, 0.5)
            content[f"{measure}_{statistic.name}"] = value
    content["structures"] = [structure(name, seeded, n_members) for name in classes]
    return content | changed


def structure(name, seeded, n_members):
    volume = VOLUMES.get(name, 1e5) * seeded.uniform(0.95, 1.05)
    row = {"class": name, "n_voxels": round(volume), "volume_mm3": volume, "expected_volume_mm3": volume * 1.01}
    row["predictive_entropy_mean"] = seeded.uniform(0, 0.5)
    if n_members > 1:
        row |= {"mutual_information_mean": seeded.uniform(0, 0.1), "volume_cv": 0.01, "iou": 0.9, "pairwise_dice": 0.95}
    return row


def rejected(sample, recipe_settings=None, **changed):
    """A `rejected` summary."""
    return {
        "sample": sample,
        "status": "rejected",
        "stage": "convert",
        "code": "file_truncated",
        "message": f"/data/{sample}.nii.gz ends after 10 of 100 voxels.",
        "remedy": "Copy the file again.",
        "recipe": recipe(sample, **(recipe_settings or {})),
        **MADE,
        **changed,
    }


def write(folder: Path, summaries):
    """The paths of summaries written below `folder`, as the workflow names them."""
    paths = []
    for content in summaries:
        sample = content["sample"]
        path = folder / sample / f"{sample}_summary.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8")
        paths.append(path)
    return paths
