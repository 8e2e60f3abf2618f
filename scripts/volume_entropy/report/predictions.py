"""The report page's sections on what networks predicted: methods side by side, and images classified as a whole."""

from pathlib import Path
from typing import TYPE_CHECKING

from .data import Table, read_table
from .page import Section

if TYPE_CHECKING:
    from markupsafe import Markup

# Pictures of `images.csv` that are listed, a method: those to look at first.
N_LISTED = 5
METHODS_TEXT = (
    "The same images, predicted by several methods, or one; means over the samples of a row. A ratio sets a row "
    "against the first one of the same method and split: above 1, its samples are the more uncertain ones.",
)
IMAGES_TEXT = (
    "Images that are classified as a whole. An uncertainty that finds wrong predictions has an error AUROC near 1; "
    "every image stands in images.csv.",
)


def method_section(tables: Path) -> Section | None:
    """Make the section from `methods.csv` and the figures of networks; None where networks predicted nothing."""
    if not (tables / "methods.csv").exists():
        return None
    from .html import picture, plain_table, short

    table = read_table(tables, "methods")
    dice = [name for name in table.columns if name.startswith("dice_") and any(table.texts(name))]
    unit = table.columns["predictive_entropy_mean"]["unit"]
    numbers = ["predictive_entropy_mean", "predictive_entropy_ratio", "mutual_information_mean"]
    numbers += ["mutual_information_ratio", *dice]
    heads = ["method", "split", "group", "samples", f"predictive entropy ({unit})", "ratio"]
    heads += [f"mutual information ({unit})", "ratio", *(f"Dice {name.removeprefix('dice_')}" for name in dice)]
    rows = [
        [_words(row["method"]), row["split"], row["group"], row["n_samples"], *(short(row[name]) for name in numbers)]
        for row in table.rows
    ]
    html = picture("methods.png", "Mean predictive entropy and mutual information of every sample, by method and group")
    html += plain_table("Methods and groups", heads, rows, n_words=3)
    if (tables / "models/posterior_kl.png").exists():
        alt = "Standard deviations of the Bayesian network's posterior by epoch, a line a weight of the divergence"
        html += picture("models/posterior_kl.png", alt)
    html += _loss_curves(tables, "models")
    return Section("Methods compared", "methods-compared", METHODS_TEXT, html)


def image_section(tables: Path) -> Section | None:
    """Make the section from the tables and figures of classified images; None where there are none."""
    if not (tables / "image_scores.csv").exists():
        return None
    from .html import picture, plain_table

    html = picture("image_scores.png", "Accuracy, cross-entropy and error AUROC of each method")
    html += _scores(read_table(tables, "image_scores"))
    html += _most_uncertain(read_table(tables, "images"))
    rejected = read_table(tables, "images_rejected")
    if rejected.rows:
        cells = [[row[name] for name in ("image", "code", "message", "remedy")] for row in rejected.rows]
        html += plain_table("Rejected images", ["image", "code", "what was found", "what to do"], cells, n_words=4)
    for name, alt in (
        ("image_classes.png", "Images of each class, by split"),
        ("labelling.png", "Accuracy by number of labels: the most uncertain images labelled first, or any"),
    ):
        if (tables / name).exists():
            html += picture(name, alt)
    html += _loss_curves(tables, "networks")
    return Section("Images", "images", IMAGES_TEXT, html)


def _loss_curves(tables: Path, folder: str) -> "Markup | str":
    """Link the figures of the networks that were trained; nothing where they were given."""
    from .html import links

    ending = "_losses.png"
    names = sorted(path.name.removesuffix(ending) for path in (tables / folder).glob(f"*{ending}"))
    files = [(f"{folder}/{name}{ending}", name) for name in names]
    return links("Loss curves of the trainings:", files) if files else ""


def _scores(table: Table) -> "Markup":
    from .html import plain_table, short

    names = ("accuracy", "cross_entropy", "member_cross_entropy", "brier", "error_auroc")
    heads = ["method", "members", "images", "wrong", "accuracy", "cross-entropy (nat)", "of one member", "Brier score"]
    rows = [
        [
            _words(row["method"]),
            row["n_members"],
            row["n_images"],
            row["n_wrong"],
            *(short(row[name]) for name in names),
        ]
        for row in table.rows
    ]
    return plain_table("Methods", [*heads, "error AUROC"], rows)


def _most_uncertain(table: Table) -> "Markup":
    from .html import plain_table, short

    unit = table.columns["predictive_entropy"]["unit"]
    heads = ["image", "method", "predicted", "label", "confidence", f"predictive entropy ({unit})"]
    first = [row for row in table.rows if int(row["rank"]) <= N_LISTED]
    first.sort(key=lambda row: (table.texts("method").index(row["method"]), int(row["rank"])))
    numbers = ("confidence", "predictive_entropy", "mutual_information")
    rows = [
        [row["image"], _words(row["method"]), row["predicted"], row["label"], *(short(row[name]) for name in numbers)]
        for row in first
    ]
    return plain_table("Most uncertain images", [*heads, f"mutual information ({unit})"], rows, n_words=4)


def _words(name: str) -> str:
    return name.replace("_", " ")
