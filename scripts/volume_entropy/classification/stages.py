"""The stages of images that need no network: collect a folder, measure predictions, show the passes of an image."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..errors import DataError
from ..files import read_json, replaced_when_whole, write_json
from ..joblog import logger, phase
from ..tables import measure_entries, write_table
from .columns import class_count_columns, image_columns, pass_columns, rejected_image_columns, score_columns
from .folder import class_counts, read_folder, read_images, write_images
from .predictions import Predictions
from .rows import Measured, measure_images, pass_rows
from .shown import chosen_images, pass_stem
from .table import STAGE, read_table

PathLike = str | os.PathLike[str]

DESCRIPTIONS = {
    "images": "One row a method and image that could be used; the methods and images in the order in which they came.",
    "image_scores": "One row a method: what it is worth over the images that have a label.",
    "images_rejected": "One row an image that could not be used.",
    "image_classes": "One row a class: how many of its images stand in each split.",
}


def collect_images(settings: Mapping[str, Any], images: PathLike, rejected: PathLike, figure: PathLike) -> None:
    """Read a folder into one file; write the class counts, as table beside the figure, and what was rejected.

    Parameters
    ----------
    settings
        `folder`, `channels`, `size`, `split`, `seed`; see `folder.read_folder`.
    images, rejected, figure
        An npz, a JSON file, a PNG file; the table of class counts stands beside the figure, under the same name.
    """
    from .charts import draw_class_counts

    with phase("read the images"):
        found, faults = read_folder(
            settings["folder"],
            channels=settings["channels"],
            size=settings["size"],
            split=settings["split"],
            seed=settings["seed"],
        )
    for _, fault in faults:
        logger.warning("rejected: %s. %s", fault.message, fault.remedy)
    rows = class_counts(found)
    logger.info("%d images of %d classes, %d rejected", len(found.images), len(rows), len(faults))
    table = Path(figure)
    draw_class_counts(rows, table)
    write_table(table.parent, table.stem, DESCRIPTIONS["image_classes"], class_count_columns(), rows, {})
    write_json(rejected, {"images": [{"image": name, **asdict(fault)} for name, fault in faults]})
    write_images(found, images)


def measure_methods(
    sources: Mapping[str, PathLike],
    folder: PathLike,
    *,
    unit: str,
    sum_tolerance: float | None,
    unread: PathLike | None = None,
) -> None:
    """Write `images`, `image_scores` and `images_rejected`, each as `.csv` and `.json`, and a figure of the scores.

    Parameters
    ----------
    sources
        By method, the ready table of its members; see `table.read_table`. One that cannot be used as a whole is
        rejected in one row.
    folder
        Of the tables.
    unit, sum_tolerance
        See `rows.measure_images`.
    unread
        What `collect_images` rejected, if there was a folder.
    """
    from .charts import draw_scores

    rejected = [] if unread is None else [dict(row) for row in read_json(unread)["images"]]
    measured = []
    for method, path in sources.items():
        one = _measure_one(method, path, unit, sum_tolerance)
        rejected += [{"image": name, "method": method, **asdict(fault)} for name, fault in one.rejected]
        measured.append(one)
    for row in rejected:
        logger.warning("rejected: %s. %s", row["message"], row["remedy"])
    target, scores = Path(folder), [one.score for one in measured]
    rows = [row for one in measured for row in one.images]
    several = any(score["n_members"] > 1 for score in scores)
    measures = {"measures": measure_entries(2 if several else 1, ())}
    draw_scores(scores, target / "image_scores.png")
    for name, columns, content, more in (
        ("image_scores", score_columns(unit), scores, measures),
        ("images_rejected", rejected_image_columns(), rejected, {}),
        ("images", image_columns(unit), rows, measures),
    ):
        write_table(target, name, DESCRIPTIONS[name], columns, content, more)


def _measure_one(method: str, path: PathLike, unit: str, sum_tolerance: float | None) -> Measured:
    try:
        predictions = read_table(path)
    except DataError as error:
        score = {"method": method, "n_members": 0, "n_images": 0, "n_labelled": 0, "n_wrong": 0}
        return Measured([], score, ((os.fspath(path), error.rejection(STAGE)),))
    with phase(f"measure {method}"):
        return measure_images(method, predictions, unit=unit, sum_tolerance=sum_tolerance)


def show_passes(
    sources: Mapping[str, PathLike],
    table: PathLike,
    output: PathLike,
    *,
    show: int | Sequence[str],
    unit: str,
    sum_tolerance: float | None,
    images: PathLike | None = None,
) -> None:
    """Write, for chosen images, their class probabilities pass by pass: a CSV file and a figure each.

    Parameters
    ----------
    sources
        As for `measure_methods`.
    table
        Its `images.csv`, which says who is most uncertain.
    output
        A folder, written whole: `<method>_<image>_passes.csv`, `.json` and `.png`.
    show
        How many of the most uncertain images of each method, or names of images.
    images
        What `collect_images` wrote, if there was a folder: the picture then stands beside its passes.
    """
    chosen = chosen_images(table, show)
    if not isinstance(show, int):
        for name in sorted(set(show) - {image for ranked in chosen.values() for _, image in ranked}):
            logger.warning("images.show: %s is not among the images that could be used", name)
    collected = None if images is None else read_images(images)
    with replaced_when_whole(output) as folder:
        folder.mkdir()
        for method, ranked in chosen.items():
            predictions = read_table(sources[method])
            for rank, written in ranked:
                # A name that a spreadsheet would take for a formula has an apostrophe before it in the table.
                name = written if written in predictions.images else written.removeprefix("'")
                picture = None
                if collected is not None:
                    picture = collected.pixels[collected.images.tolist().index(name)]
                stem = pass_stem(method, rank, name)
                write_passes(folder, stem, method, predictions, name, picture, unit=unit, sum_tolerance=sum_tolerance)


def write_passes(
    folder: Path,
    stem: str,
    method: str,
    predictions: Predictions,
    image: str,
    picture: NDArray[Any] | None,
    *,
    unit: str,
    sum_tolerance: float | None,
) -> None:
    """Write the passes of one image as `<stem>.csv`, `.json` and `.png`; the picture, if known, stands beside them."""
    from .charts import draw_passes

    rows = pass_rows(predictions, image, unit=unit, sum_tolerance=sum_tolerance)
    title = f"{image} | {method.replace('_', ' ')}"
    draw_passes(rows, predictions.classes, folder / f"{stem}.png", title=title, picture=picture)
    columns = pass_columns(predictions.classes, unit)
    write_table(folder, stem, f"Class probabilities of {image}, pass by pass.", columns, rows, {})
