"""Which images' passes are shown, and in which files: what tells that one of them is gone."""

import csv
import os
import re
from collections.abc import Sequence

PathLike = str | os.PathLike[str]


def chosen_images(table: PathLike, show: int | Sequence[str]) -> dict[str, list[tuple[int, str]]]:
    """Choose from `images.csv`: by method the ranks and names, as they are written there, in the order of the ranks.

    `show`: how many of the most uncertain images of each method, or names of images.
    """
    with open(table, encoding="utf-8", newline="") as stream:
        rows = [(int(row["rank"]), row["method"], row["image"]) for row in csv.DictReader(stream)]
    chosen: dict[str, list[tuple[int, str]]] = {}
    for rank, method, image in sorted(rows, key=lambda row: row[0]):
        if rank <= show if isinstance(show, int) else image in show:
            chosen.setdefault(method, []).append((rank, image))
    return chosen


def pass_stem(method: str, rank: int, image: str) -> str:
    """Name the files of an image: `7/a b.png` becomes `7-a_b`; its rank makes it unique."""
    stem = re.sub(r"\.png$", "", image, flags=re.IGNORECASE).replace("/", "-")
    return f"{method}_rank-{rank}_{re.sub(r'[^A-Za-z0-9._-]', '_', stem)[:80]}_passes"


def pass_files(table: PathLike, show: int | Sequence[str]) -> list[str]:
    """List what lies in the folder `passes`, but for names with an apostrophe, of which the table may have put one."""
    stems = (
        pass_stem(method, rank, image)
        for method, ranked in chosen_images(table, show).items()
        for rank, image in ranked
        if not image.startswith("'")
    )
    return [f"{stem}.{suffix}" for stem in stems for suffix in ("csv", "json", "png")]
