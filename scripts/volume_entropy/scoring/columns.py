"""The columns of what is held against a reference, and of tables of parts: names, descriptions, units, ranges."""

from ..columns import Column

_ERRORS = {
    "expected": "mean over the voxels of a bin's |mean probability - share of hits|, weighted by its voxels",
    "average": "unweighted mean over the non-empty bins of |mean probability - share of hits|",
    "maximum": "largest |mean probability - share of hits| of a bin",
}
_BINS = "15 bins (lo, hi]"
_REGIONS = {"": "", "mean": "; mean over the regions, each against the rest", "sum": "; added up over the regions"}


def _count(name: str, description: str) -> Column:
    return Column(name, description, "voxel", "≥ 0", "integer")


def _share(name: str, description: str, limits: str = "0 … 1") -> Column:
    return Column(name, description, "1", limits, "number")


def score_columns(kind: str) -> tuple[Column, ...]:
    """List the columns of `scores.csv`: one row a sample that has a reference; the first is the id."""
    return (
        Column("sample", "Id of the sample, as in the samples table"),
        _count("n_scored_voxels", "Domain voxels whose reference label belongs to a class and is not ignored"),
        _count("n_unlisted_voxels", "Domain voxels whose reference label belongs to no class; 0 under kind regions"),
        _count("n_ignored_voxels", "Domain voxels whose reference label is ignored"),
        *_of_task(kind, *(("mean", "sum") if kind == "regions" else ("", ""))),
    )


def _of_task(kind: str, mean: str, added: str) -> tuple[Column, ...]:
    """Scores of all classes against each other, or of a region against the rest."""
    mean, added = _REGIONS[mean], _REGIONS[added]
    brier = "square of the probability's distance to 0 or 1" if kind == "regions" else (
        "sum over classes of the squared distance to the one-hot reference"
    )  # fmt: skip
    return (
        _count("n_wrong_voxels", f"Scored voxels whose predicted class is not that of the reference{added}"),
        Column("cross_entropy", f"Mean of -ln of the mean probability of the true class, floored at 1.18e-38{mean}",
               "nat", "0 … 87.34", "number"),
        _count("n_floored_voxels", f"Voxels whose probability of the true class is below that floor{added}"),
        _share("brier", f"Mean of the {brier}{mean}", "0 … 1" if kind == "regions" else "0 … 2"),
        *(_share(f"{name}_calibration_error", f"Of the predicted class' probability, {_BINS}: {what}{mean}")
          for name, what in _ERRORS.items()),
        *(_share(f"classwise_{name}_calibration_error",
                 f"Of each class' probability over all scored voxels, {_BINS}: {what}; mean over the classes")
          for name, what in _ERRORS.items()),
        _share("error_auroc", "Area under the ROC curve of predictive entropy as a detector of wrong voxels; empty "
               f"without right or without wrong voxels{mean}"),
        _share("error_auprc", f"Average precision of the same; empty without wrong voxels{mean}"),
        _share("aurc", "Mean risk (share of wrong voxels) over all coverages, the most certain voxels first, ties in "
               f"random order{mean}"),
        _share("eaurc", f"aurc less that of an order with all wrong voxels last{mean}"),
        _share("ue_dice", "Highest Dice of (normalised entropy > t) with the wrong voxels over t = 0.05, 0.10 … 0.95; "
               f"empty without wrong voxels{mean}"),
        _share("ue_threshold", f"The lowest t that gives ue_dice{mean}", "0.05 … 0.95"),
    )  # fmt: skip


def class_score_columns(kind: str) -> tuple[Column, ...]:
    """List what a reference adds to `classes.csv`; the cells of samples without one are empty."""
    one_class = (
        _count("n_reference_voxels", "Scored voxels of this class in the reference"),
        _share("dice", "Dice coefficient with the reference over the scored voxels; empty where both lack the class"),
        *(_share(f"classwise_{name}_calibration_error", f"Of the class' probability over all scored voxels, {_BINS}: "
                 f"{what}") for name, what in _ERRORS.items()),
        _share("qu_brats", "QU-BraTS score of the class against the rest: (area of Dice + 1 - area of filtered true "
               "positives + 1 - area of filtered true negatives) / 3 over uncertainty thresholds 0, 2.5 … 100"),
    )  # fmt: skip
    named = {column.name for column in one_class}
    more = _of_task(kind, "", "") if kind == "regions" else ()
    return one_class + tuple(column for column in more if column.name not in named)


def cohort_columns() -> tuple[Column, ...]:
    """List the columns of `scores_cohort.csv`: one row a score, then one a class and score."""
    return (
        Column("score", "Name of the score, as in scores.csv, or in classes.csv where a class is given"),
        Column("class", "Class or region; empty for the scores of whole samples"),
        Column("n_samples", "Samples of which the score exists", "1", "≥ 0", "integer"),
        Column("pooled", "The score of the voxels of all samples together", "as score", None, "number"),
        Column("mean", "Mean over samples", "as score", None, "number"),
        Column("std", "Standard deviation (ddof 1) over samples; empty with one", "as score", "≥ 0", "number"),
        Column("ci_low", "Lower end of the 95 % interval of the mean: percentiles of 2000 bootstrap samples, seed 0",
               "as score", None, "number"),
        Column("ci_high", "Upper end of that interval", "as score", None, "number"),
    )  # fmt: skip


def region_columns(unit: str, members: bool) -> tuple[Column, ...]:
    """List the columns of `regions.csv`: one row a sample and label of its atlas."""
    means = ("predictive_entropy", "mutual_information") if members else ("predictive_entropy",)
    return (
        Column("sample", "Id of the sample, as in the samples table"),
        Column("label", "Label of the atlas; 0 is no region", "1", "≠ 0", "integer"),
        _count("n_voxels", "Domain voxels of the label"),
        Column("volume_mm3", "n_voxels times the volume of a voxel", "mm^3", "≥ 0", "number"),
        *(Column(f"{name}_mean", f"Mean of {name.replace('_', ' ')} over these voxels", unit, "≥ 0", "number")
          for name in means),
    )  # fmt: skip


def lesion_columns(unit: str, members: bool) -> tuple[Column, ...]:
    """List the columns of `lesions.csv`: one row a sample and connected component of a class."""
    columns = (
        Column("sample", "Id of the sample, as in the samples table"),
        Column("class", "Class or region of which it is a connected component"),
        Column("lesion", "Number of the component within sample and class, by its first voxel in z, y, x order", "1",
               "≥ 1", "integer"),
        _count("n_voxels", "Domain voxels of the component"),
        Column("volume_mm3", "n_voxels times the volume of a voxel", "mm^3", "> 0", "number"),
        *(Column(f"centre_{axis}_mm", f"Mean {axis} of its voxels in the space of the affine", "mm", "any", "number")
          for axis in "xyz"),
        Column("predictive_entropy_mean", "Mean of predictive entropy inside", unit, "≥ 0", "number"),
    )  # fmt: skip
    of_members = (
        Column("mutual_information_mean", "Mean of mutual information inside", unit, "≥ 0", "number"),
        Column("structural_uncertainty", "1 less the mean over members of the highest intersection over union with a "
               "component of the member", "1", "0 … 1", "number"),
    )  # fmt: skip
    return columns + of_members if members else columns
