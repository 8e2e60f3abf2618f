"""Which images to label next: the most uncertain ones or any; the accuracy that each choice leads to.

Pool-based active learning with predictive entropy (Settles 2009, section 3.1; with MC Dropout Gal et al. 2017). Both
choices start from the same labels and are judged on the same test split; training stops early on the labelled images
themselves, so that no other label is used.
"""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import read_json, write_json
from ..joblog import logger
from .folder import ImageSet, read_images

PathLike = str | os.PathLike[str]
STRATEGIES = ("uncertain", "random")
# Two-sided 97.5 % quantiles of Student's t by degrees of freedom; scipy is no need of this workflow.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045)  # fmt: skip


def label_images(recipe: Mapping[str, Any], images: PathLike, output: PathLike, *, threads: int) -> None:
    """Repeat the comparison once; write a JSON file with an accuracy a strategy and number of labels.

    Parameters
    ----------
    recipe
        `recipes.labelling`: `labelling` (`first`, `step`, `last`), `passes`, `training`, `seed`, `repetition`.
    images
        What `collect_images` wrote.
    """
    from ..predict.devices import choose_device

    choose_device(threads)
    found = read_images(images)
    repetition = recipe["repetition"]
    draws = np.random.default_rng((recipe["seed"], repetition))
    pool = draws.permutation(found.where("training"))
    first = _balanced(pool, found.labels, recipe["labelling"]["first"])
    points = [
        {"strategy": strategy, **point}
        for strategy in STRATEGIES
        for point in _grow(strategy, found, pool, first, recipe)
    ]
    write_json(output, {"repetition": repetition, "points": points})


def _balanced(pool: NDArray[np.intp], labels: NDArray[np.int64], count: int) -> list[int]:
    """The first `count` of the pool, class by class in turn: without every class there is nothing to learn."""
    queues = [list(pool[labels[pool] == label]) for label in np.unique(labels[pool])]
    chosen: list[int] = []
    while len(chosen) < count and any(queues):
        chosen += [int(queue.pop(0)) for queue in queues if queue]
    return chosen[:count]


def _grow(
    strategy: str, images: ImageSet, pool: NDArray[np.intp], first: list[int], recipe: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Label, train, judge, and label again, until `last` images are labelled."""
    from ..predict.samplers import make_sampler
    from .learning import fit, probabilities

    plan, seeds = recipe["labelling"], (recipe["seed"], recipe["repetition"])
    test, labelled, points = images.where("test"), list(first), []
    training = {**recipe["training"], "epochs": plan["epochs"]}
    while True:
        network, _, _ = fit(images, labelled, labelled, training, seeds=seeds)
        p = probabilities(make_sampler("softmax", [network]), images.pixels[test])
        accuracy = float((p[0].argmax(axis=1) == images.labels[test]).mean())
        points.append({"n_labels": len(labelled), "accuracy": accuracy})
        logger.info("%s: %d labels, accuracy %.4f", strategy, len(labelled), accuracy)
        rest = np.setdiff1d(pool, labelled, assume_unique=True)
        count = min(plan["step"], plan["last"] - len(labelled), len(rest))
        if count < 1:
            return points
        if strategy == "random":
            # In the order of the first permutation.
            labelled += [int(place) for place in pool if place in set(rest.tolist())][:count]
        else:
            sampler = make_sampler("mc_dropout", [network], passes=recipe["passes"], seed=recipe["repetition"])
            labelled += [
                int(place) for place in rest[_most_uncertain(probabilities(sampler, images.pixels[rest]), count)]
            ]


def _most_uncertain(p: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Places of the highest predictive entropy of (member, image, class), the earlier of equal ones."""
    from ..api import uncertainty

    maps = uncertainty(p, 0, 2, measures=("predictive_entropy",))
    return np.argsort(-maps["predictive_entropy"], kind="stable")[:count]


def labelling_rows(curves: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of `labelling.csv` from what the repetitions wrote."""
    table: dict[tuple[str, int], list[float]] = {}
    for curve in curves:
        for point in curve["points"]:
            table.setdefault((point["strategy"], point["n_labels"]), []).append(point["accuracy"])
    rows = []
    for (strategy, n_labels), found in table.items():
        values, n = np.array(found), len(found)
        mean, half, std = float(values.mean()), None, None
        if n > 1:
            std = float(values.std(ddof=1))
            half = (_T[n - 2] if n - 2 < len(_T) else 1.96) * std / n**0.5
        gain = values - np.array(table[("random", n_labels)])
        rows.append(
            {
                "strategy": strategy,
                "n_labels": n_labels,
                "n_seeds": n,
                "accuracy_mean": mean,
                "accuracy_std": std,
                "accuracy_low": None if half is None else mean - half,
                "accuracy_high": None if half is None else mean + half,
                "gain_mean": float(gain.mean()),
            }
        )
    return rows


def draw_labelling(curves: list[PathLike], table: PathLike, figure: PathLike) -> None:
    """Write the table of all repetitions, with its data dictionary, and the figure of their curves."""
    from pathlib import Path

    from ..tables import write_table
    from .charts import draw_labelling_curves
    from .columns import labelling_columns

    rows = labelling_rows([read_json(path) for path in curves])
    draw_labelling_curves(rows, figure)
    description = "One row a strategy and number of labels: the accuracy that labelling the most uncertain first gives."
    write_table(Path(table).parent, Path(table).stem, description, labelling_columns(), rows, {})
