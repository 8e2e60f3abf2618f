"""Errors that a user can act on.

`DataError` is a fault of one sample's files: the sample is rejected, the run goes on. `ConfigError` is a fault of the
config or the samples table: nothing starts. Every other exception is a bug or a full disk, and ends the job.
"""

from collections.abc import Iterable
from dataclasses import dataclass

CODES: dict[str, str] = {
    "file_missing": "A source file does not exist, or is no file: a dangling link, a directory, a pipe, a device.",
    "file_unreadable": "A source file exists, but its permissions or the file system do not let it be read.",
    "not_this_format": "The content is not what the file's name promises (not gzip, not NIfTI, empty, plain text).",
    "file_truncated": "The file ends before its header says it does.",
    "file_corrupt": "The checksum, the compressed stream or the structure of the file is damaged.",
    "file_oversized": "The file holds more data than its header says.",
    "header_invalid": "The header contradicts itself, the file size or the format (dimensions, data type, scaling).",
    "type_unsupported": "The voxels are RGB, complex or another type that cannot hold probabilities.",
    "shape_mismatch": "Files of one sample differ in their number of voxels.",
    "affine_mismatch": "Files of one sample lie in different places (a corner by more than 0.1 voxel).",
    "class_mismatch": "The number or order of classes is not what the config says.",
    "axes_unclear": "Which axes are space, class and member cannot be told, or is not what the config says.",
    "not_probabilities": "The values are no probabilities: logits, percentages, grey values or unnormalised scores.",
    "too_many_invalid": "More voxels than `max_invalid_fraction` are NaN, infinite, out of range or badly summed.",
    "no_valid_voxels": "Not one voxel holds usable probabilities.",
    "single_class": "One class under kind `softmax` is a foreground probability without its background.",
    "member_mismatch": "An image has not one row for each member of its table.",
    "mask_invalid": "The mask is no mask: it holds fractions or infinity.",
    "mask_empty": "The mask covers no voxel.",
    "labels_invalid": "The reference or the atlas is no label image: it holds NaN, fractions, or too large numbers.",
    "refused_by_preset": "The file is one that a producer writes, but not one that may be read as probabilities.",
}

# What is said of a sample that was measured, and whose numbers are right, but may not mean what they seem to: the codes
# of the column `warnings`, in the order in which they stand there.
WARNINGS: dict[str, str] = {
    "labels_not_probabilities": "Every value is 0 or 1: these are labels, of which the entropy is 0 everywhere.",
    "winner_only": "No value of a class lies between 0 and 0.5: it was kept only where it wins.",
    "softmax_twice": "No value is above e / (e + C - 1): the softmax was taken twice.",
    "sigmoid_twice": "All values of a region lie in [0.5, 0.731]: the sigmoid was taken twice.",
    "members_identical": "All members are the same: dropout was off, or one file was written several times.",
    "rounded_to_integers": "Every value is 0 or 1, and voxels inside the field are empty: probabilities were rounded.",
    "mask_everywhere": "The mask covers the whole field, so that it leaves nothing out.",
    "nan_outside": "NaN in every class outside the field that the producer computed counts as empty.",
    "unit_missing": "The OME-Zarr image does not say the unit of its axes: millimetres are assumed.",
    "axes_assumed": "The order of a plain array's axes is the default one, since the config does not say it.",
    "reference_unlisted_labels": "Over 1 % of the scored field has reference labels that belong to no class.",
    "reference_class_absent": "A predicted class of over 1 % of the foreground does not occur in the reference.",
    "reference_permuted": "Another assignment of the reference's labels to the classes fits far better.",
}


@dataclass(frozen=True)
class SampleWarning:
    """What a user should know of a sample that was measured: a key of `WARNINGS`, and what was found, in a sentence."""

    code: str
    message: str

    def __post_init__(self) -> None:
        if self.code not in WARNINGS:
            raise KeyError(f"{self.code!r} is not in errors.WARNINGS")


def in_order(warnings: Iterable[SampleWarning]) -> list[SampleWarning]:
    """Sort warnings as `WARNINGS` does, and drop those that say the same."""
    codes = list(WARNINGS)
    return sorted(set(warnings), key=lambda warning: (codes.index(warning.code), warning.message))


@dataclass(frozen=True)
class Rejection:
    """Why a sample is not used, in words for `rejected.csv`."""

    stage: str
    code: str
    message: str
    remedy: str


class DataError(ValueError):
    """A sample's data cannot be used.

    Parameters
    ----------
    code
        A key of `CODES`.
    message
        One sentence: which file, what was found, what was expected.
    remedy
        One sentence: what the user can do about it.
    """

    def __init__(self, code: str, message: str, remedy: str) -> None:
        if code not in CODES:
            raise KeyError(f"{code!r} is not in errors.CODES")
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy

    def rejection(self, stage: str) -> Rejection:
        """This error as the record that flows through the later stages."""
        return Rejection(stage, self.code, self.message, self.remedy)

    def __reduce__(self) -> tuple[type["DataError"], tuple[str, str, str]]:
        # An exception raised in a Dask worker is pickled on its way back.
        return DataError, (self.code, self.message, self.remedy)


class ConfigError(ValueError):
    """The config or the samples table is wrong; the message names every offender."""


class ModelError(ValueError):
    """A trained model cannot be used as it was configured; the message says which, and what it would need."""
