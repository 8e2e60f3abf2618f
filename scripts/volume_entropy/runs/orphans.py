"""Results of samples that are in the samples table no longer: they stay on the disk until somebody removes them."""

from collections.abc import Container
from pathlib import Path

# What makes a folder one of a sample: a file or store of its own in it.
SIGNS = ("{sample}_summary.json", "{sample}_thumb.png", "measures.zarr", "probabilities.zarr")


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
