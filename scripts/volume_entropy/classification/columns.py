"""The columns of the tables of images, in order; data dictionaries are written from here."""

from ..columns import Column

_METHOD = Column("method", "What made the members; `table` for a ready table")
_IMAGE = Column("image", "Name of the image: its path within the folder, or as in the ready table")
_LABEL = Column("label", "True class; empty where it is not known")


def _measure(name: str, description: str, unit: str, range_: str) -> Column:
    return Column(name, description, unit, range_, "number")


def image_columns(unit: str) -> tuple[Column, ...]:
    """List the columns of `images.csv`: one row a method and image."""
    return (
        _METHOD,
        _IMAGE,
        Column("n_members", "Number of members: passes, models or draws", "1", "≥ 1", "integer"),
        Column("predicted", "Class with the highest probability averaged over the members; the first of equal ones"),
        _measure("confidence", "That probability", "1", "1/C … 1"),
        _LABEL,
        Column("correct", "1 if predicted is the label, else 0; empty without a label", "1", "0 or 1", "integer"),
        _measure("predictive_entropy", "Entropy of the members' mean", unit, "0 … log C"),
        _measure("expected_entropy", "Mean entropy of the members; empty with one member", unit, "0 … PE"),
        _measure("mutual_information", "Their difference: how much the members disagree; empty with one member",
                 unit, "0 … PE"),
        _measure("cross_entropy", "-ln of the members' mean probability of the label", "nat", "0 … 87.3"),
        Column("rank", "1 is the image of the method with the highest predictive entropy", "1", "≥ 1", "integer"),
    )  # fmt: skip


def score_columns(unit: str) -> tuple[Column, ...]:
    """List the columns of `image_scores.csv`: one row a method, over the images that have a label."""
    return (
        _METHOD,
        Column("n_members", "Number of members: passes, models or draws", "1", "≥ 1", "integer"),
        Column("n_images", "Images that could be used", "image", "≥ 0", "integer"),
        Column("n_labelled", "Those of them that have a label; the denominator of what follows", "image", "≥ 0",
               "integer"),
        Column("n_wrong", "Labelled images whose prediction is wrong", "image", "≥ 0", "integer"),
        _measure("accuracy", "Share of labelled images whose prediction is right", "1", "0 … 1"),
        _measure("cross_entropy", "Mean cross-entropy of the members' mean", "nat", "0 … 87.3"),
        _measure("member_cross_entropy", "Mean over members of the mean cross-entropy of each", "nat", "0 … 87.3"),
        _measure("brier", "Mean of the squared error summed over classes", "1", "0 … 2"),
        _measure("error_auroc", "Area under the ROC curve of predictive entropy as a detector of wrong predictions; "
                 "empty where none or all are wrong", "1", "0 … 1"),
        _measure("predictive_entropy_mean", "Mean predictive entropy of all usable images", unit, "0 … log C"),
        _measure("mutual_information_mean", "Mean mutual information of all usable images; empty with one member",
                 unit, "0 … PE"),
    )  # fmt: skip


def rejected_image_columns() -> tuple[Column, ...]:
    """List the columns of `images_rejected.csv`."""
    return (
        _IMAGE,
        Column("method", "What made the members; empty if the image could not be read at all"),
        Column("stage", "Stage that rejected the image"),
        Column("code", "Kind of fault, one of a fixed list"),
        Column("message", "Which file, what was found, what was expected"),
        Column("remedy", "What can be done about it"),
    )


def class_count_columns() -> tuple[Column, ...]:
    """List the columns of `image_classes.csv`: one row a class."""
    return (
        Column("class", "Name of the class, of its subfolder"),
        *(Column(f"n_{split}", f"Images of the {split} split", "image", "≥ 0", "integer")
          for split in ("training", "validation", "test")),
        Column("n", "All images of the class that could be read", "image", "≥ 0", "integer"),
    )  # fmt: skip


def pass_columns(classes: tuple[str, ...], unit: str) -> tuple[Column, ...]:
    """List the columns of `<image>_passes.csv`: one row a pass, then their mean and their spread."""
    return (
        Column("pass", "Number of the pass (member), from 0; `mean` and `std` (ddof 0) are over all passes"),
        *(_measure(f"p_{name}", f"Probability of class {name}", "1", "0 … 1") for name in classes),
        Column("predicted", "Class with the highest probability; empty for the spread"),
        _measure("predictive_entropy", "Entropy of the probabilities of the row; empty for the spread", unit,
                 "0 … log C"),
        _LABEL,
    )  # fmt: skip


def labelling_columns() -> tuple[Column, ...]:
    """List the columns of `labelling.csv`: one row a strategy and number of labels."""
    return (
        Column("strategy", "Which images were labelled next", None, "uncertain or random"),
        Column("n_labels", "Labelled images that the network was trained on", "image", "≥ 1", "integer"),
        Column("n_seeds", "Repetitions, each from another first draw", "1", "≥ 1", "integer"),
        _measure("accuracy_mean", "Mean accuracy on the test split", "1", "0 … 1"),
        _measure("accuracy_std", "Standard deviation over the seeds (ddof 1); empty with one seed", "1", "≥ 0"),
        _measure(
            "accuracy_low", "Lower end of the 95 % interval of the mean (Student's t); empty with one seed", "1", "any"
        ),
        _measure("accuracy_high", "Upper end of that interval", "1", "any"),
        _measure("gain_mean", "Mean over seeds of the accuracy less that of random at as many labels", "1", "-1 … 1"),
    )
