"""What looks wrong with a reference, from the exact counts of predicted classes and its labels: warnings, no numbers.

A reference whose labels are in another order than the classes, or that has labels of its own, gives scores that say
nothing of the network. Whether it is so nobody can know from the counts; they say what to look at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SampleWarning
from .assignment import best_assignment
from .blocks import ScoreSums
from .scores import n_scored

# Of the scored field, and of the foreground.
LEAST_UNLISTED = LEAST_PREDICTED = 0.01
# What another assignment of the labels must add to the mean Dice.
LEAST_GAIN = 0.2
# Overlaps of fewer voxels are chance, as is what one class alone gains by less than this: it keeps its labels.
LEAST_OVERLAP, LEAST_MOVE = 50, 0.1
# Labels, and classes, that a message names.
MOST_NAMED = 5
MOST_LISTED = 12

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Overlaps:
    """How many voxels of each predicted class or region have which label of the reference.

    Attributes
    ----------
    voxels
        (class, column). The first columns are the classes, or regions, as the reference has them; under `softmax`
        those of labels of no class follow.
    predicted
        (class,) voxels, whatever their label; None under `softmax`, where they are the sums of those columns that
        count: a voxel has one label only.
    true
        (column,) voxels.
    n_field, n_foreground
        Domain voxels whose label is not ignored, and those of them with a predicted class other than the background.
    """

    voxels: NDArray[np.int64]
    predicted: NDArray[np.int64] | None
    true: NDArray[np.int64]
    n_field: int
    n_foreground: int

    def of_classes(self, columns: Sequence[int]) -> tuple[NDArray[np.int64], int]:
        """Voxels of each predicted class, and of the field, where labels of these columns are scored."""
        if self.predicted is not None:
            return self.predicted, self.n_field
        voxels = self.voxels[:, list(columns)]
        return voxels.sum(axis=1), int(voxels.sum())


def reference_warnings(
    tasks: Sequence[ScoreSums], settings: Mapping[str, Any], codes: Sequence[Sequence[int]], unlisted: Sequence[int]
) -> list[SampleWarning]:
    """Say what looks wrong with the reference of a sample.

    Parameters
    ----------
    tasks
        Of the whole sample.
    settings
        Of its recipe: `kind`, `classes`, `background_class` and `reference`.
    codes, unlisted
        As in `stores.probabilities.ProbabilityStore`: what is of each code, and the labels of the codes that follow.
    """
    if not tasks[0].confusion.size:
        return [*_of_many_classes(tasks[0])]
    if settings["kind"] == "regions":
        overlaps = _of_regions(tasks, codes)
        return [*_absent(overlaps, settings), *_permuted(overlaps, settings, ())]
    overlaps, labels = _of_classes(tasks[0].confusion, settings, unlisted)
    return [
        *_unlisted(overlaps, settings["classes"], labels),
        *_absent(overlaps, settings),
        *_permuted(overlaps, settings, labels),
    ]


def _of_classes(
    confusion: NDArray[np.int64], settings: Mapping[str, Any], unlisted: Sequence[int]
) -> tuple[Overlaps, list[int]]:
    """Take the counts with the labels of no class in ascending order: how they were met depends on the chunks."""
    n, order = len(settings["classes"]), np.argsort(np.array(unlisted, np.int64))
    confusion = confusion[:, [*range(n), *(n + order), -1]]
    by_class, names = confusion.sum(axis=1), settings["classes"]
    background = names.index(settings["background_class"]) if settings["background_class"] in names else None
    n_background = 0 if background is None else int(by_class[background])
    n_field = int(by_class.sum())
    overlaps = Overlaps(confusion, None, confusion.sum(axis=0), n_field, n_field - n_background)
    return overlaps, [unlisted[place] for place in order]


def _of_regions(tasks: Sequence[ScoreSums], codes: Sequence[Sequence[int]]) -> Overlaps:
    """Take from the tasks of each region (in no region, in this, in others only) by code what regions share."""
    inside = np.stack([task.confusion[1] for task in tasks])
    of_code = tasks[0].confusion.sum(axis=0)
    # The last column is of no code.
    belongs = np.zeros((inside.shape[1], len(tasks)), np.int64)
    for code, members in enumerate(codes):
        belongs[code, list(members)] = 1
    in_any = int(tasks[0].confusion[1:].sum())
    return Overlaps(inside @ belongs, inside.sum(axis=1), of_code @ belongs, int(of_code.sum()), in_any)


def _of_many_classes(task: ScoreSums) -> Iterator[SampleWarning]:
    """Of more classes than are counted against each other it is known how many voxels have labels of none."""
    n_field = n_scored(task) + task.n_unlisted
    if task.n_unlisted > LEAST_UNLISTED * n_field:
        yield _unlisted_warning(task.n_unlisted, n_field, "")


def _unlisted(overlaps: Overlaps, classes: Sequence[str], unlisted: Sequence[int]) -> Iterator[SampleWarning]:
    n_unlisted = int(overlaps.true[len(classes) :].sum())
    if n_unlisted <= LEAST_UNLISTED * overlaps.n_field:
        return
    counts = overlaps.true[len(classes) : len(classes) + len(unlisted)].tolist()
    largest = sorted(zip(unlisted, range(len(unlisted)), counts, strict=True), key=lambda entry: (-entry[2], entry[0]))
    named = []
    for label, place, n in largest[:MOST_NAMED]:
        if n:
            met = int(np.argmax(overlaps.voxels[:, len(classes) + place]))
            named.append(f"{label} ({n} voxels, most of them predicted as {classes[met]})")
    more = sum(n > 0 for _, _, n in largest[MOST_NAMED:])
    yield _unlisted_warning(
        n_unlisted, overlaps.n_field, f": {', '.join(named)}{f' and {more} more' if more else ''}" if named else ""
    )


def _unlisted_warning(n: int, n_field: int, which: str) -> SampleWarning:
    return SampleWarning(
        "reference_unlisted_labels",
        f"{_share(n, n_field)} of the field has labels of the reference that belong to no class, and is not scored"
        f"{which}. Give these labels to their classes in `reference.labels`; those that are not to be scored belong in "
        "`reference.ignore_labels`.",
    )


def _absent(overlaps: Overlaps, settings: Mapping[str, Any]) -> Iterator[SampleWarning]:
    classes, several = settings["classes"], "regions" if settings["kind"] == "regions" else "classes"
    predicted = overlaps.of_classes(range(len(overlaps.true)))[0].tolist()
    found = [
        (name, n)
        for name, n, n_true in zip(classes, predicted, overlaps.true.tolist(), strict=False)
        if not n_true and n > LEAST_PREDICTED * overlaps.n_foreground and name != settings["background_class"]
    ]
    if found:
        named = ", ".join(f"{name} ({_share(n, overlaps.n_foreground)} of the foreground)" for name, n in found)
        yield SampleWarning(
            "reference_class_absent",
            f"The reference has no voxel of {several} that are predicted: {named}. If it should have, look which "
            "labels stand in the file, and correct `reference.labels`; if nobody drew them in this sample, its scores "
            f"say nothing of these {several}.",
        )


def _permuted(overlaps: Overlaps, settings: Mapping[str, Any], unlisted: Sequence[int]) -> Iterator[SampleWarning]:
    classes = settings["classes"]
    # Without the last column, of labels that are not told apart; of regions there is none.
    n_columns = len(classes) if overlaps.predicted is not None else len(classes) + len(unlisted)
    own, every = list(range(len(classes))), list(range(n_columns))
    found = best_assignment(_worth(overlaps, own, every))
    scored = sorted({*own, *found})
    counted = [c for c in own if overlaps.voxels[c, every].any() or overlaps.true[[c, found[c]]].any()]
    if found == own or not counted:
        return
    old, old_above = _mean_dice(overlaps, own, own, counted)
    new, new_above = _mean_dice(overlaps, found, scored, counted)
    if min(new - old, new_above - old_above) < LEAST_GAIN:
        return
    ignored = settings["reference"]["ignore_labels"]
    listed = [[label for label in labels if label not in ignored] for labels in settings["reference"]["labels"]]
    labels = [*listed, *([label] for label in unlisted)]
    moved = {name: labels[found[c]] for c, name in enumerate(classes) if found[c] != c}
    kept = {name: labels[c] for c, name in enumerate(classes) if found[c] == c}
    given = {name: (moved | kept)[name] for name in classes} if len(classes) <= MOST_LISTED else moved
    rest = "" if len(given) == len(classes) else ", the other classes as they are"
    yield SampleWarning(
        "reference_permuted",
        f"The labels of {_listed(moved)} look permuted: the mean Dice is {old:.3f}, and would be {new:.3f} with "
        f"`reference.labels: {_yaml(given)}`{rest}. If all samples say so, either set that, or correct the order of "
        "`probabilities.classes`, whichever is wrong; if this one alone does, correct its file.",
    )


def _worth(overlaps: Overlaps, own: Sequence[int], every: Sequence[int]) -> Matrix:
    """(class, column) Dice, where the overlap is more than chance; labels stay where they are if nothing is gained."""
    predicted, _ = overlaps.of_classes(every)
    voxels = overlaps.voxels[:, list(every)]
    sizes = predicted[:, None] + overlaps.true[list(every)]
    worth = np.where(voxels >= LEAST_OVERLAP, 2 * voxels / np.maximum(sizes, 1), 0.0)
    # A class without an overlap takes labels of another one rather than those of none.
    worth[:, : len(own)] += 1e-9
    worth[own, own] = 2 * voxels[own, own] / np.maximum(sizes[own, own], 1) + LEAST_MOVE
    return worth


def _mean_dice(
    overlaps: Overlaps, columns: Sequence[int], scored: Sequence[int], counted: Sequence[int]
) -> tuple[float, float]:
    """Mean Dice over the classes `counted` if class c has the labels of `columns[c]`; and above that of chance.

    The voxels of the columns `scored` count. The second number is (Dice - chance) / (1 - chance), where chance is the
    Dice of a prediction of the same size that knows nothing of the reference: a network that says the same class
    everywhere fits whichever label is the most frequent one.
    """
    predicted, n_field = overlaps.of_classes(scored)
    plain, above = [], []
    for c in counted:
        n, true = int(predicted[c]), int(overlaps.true[columns[c]])
        dice = 2 * int(overlaps.voxels[c, columns[c]]) / (n + true) if n + true else 0.0
        chance = 2 * n * true / (n_field * (n + true)) if n + true else 0.0
        plain.append(dice)
        above.append((dice - chance) / (1 - chance) if chance < 1 else 0.0)
    return sum(plain) / len(counted), sum(above) / len(counted)


def _share(n: int, total: int) -> str:
    return f"{100 * n / total:.3g} %"


def _listed(names: Mapping[str, Any]) -> str:
    first, more = list(names)[:MOST_NAMED], len(names) - MOST_NAMED
    *others, last = [*first, f"{more} more"] if more > 0 else first
    return f"{', '.join(others)} and {last}" if others else last


def _yaml(labels: Mapping[str, Sequence[int]]) -> str:
    """Write labels as the config has them."""
    import yaml

    values = {name: given[0] if len(given) == 1 else list(given) for name, given in labels.items()}
    text: str = yaml.safe_dump(values, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.strip()
