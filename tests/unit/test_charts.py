"""Charts are legible: no label is cut off or lies on another, and logarithmic axes have numbers, in plain digits."""

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from qc_sample import texts_of
from volume_entropy.classification import charts
from volume_entropy.figures.charts import chart, name_places, one_axes, plain_numbers, plain_style
from volume_entropy.figures.lettering import shortened
from volume_entropy.figures.scores import draw_scores
from volume_entropy.partials import DROPPED_BITS
from volume_entropy.scoring.blocks import ScoreSums


@pytest.mark.parametrize(
    ("names", "upright"),
    [
        (["benign", "malignant"], False),
        ([str(i) for i in range(10)], False),
        ([f"a_rather_long_class_{i}" for i in range(12)], True),
        ([f"family/of/very/many/long/names/{i:03}" for i in range(150)], True),
    ],
)
def test_names_of_places_are_whole_and_apart(names, upright):
    with plain_style():
        figure = Figure(figsize=(min(max(5.0, 1.5 + 0.5 * len(names)), 14.0), 3.4), dpi=100)
        axes = one_axes(figure, "Title")
        axes.bar(np.arange(len(names)), 1.0)
        name_places(figure, axes, names)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        boxes = [label.get_window_extent(canvas.get_renderer()) for label in axes.get_xticklabels()]
    assert (axes.get_xticklabels()[0].get_rotation() == 90) is upright
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    assert all(a.x1 <= b.x0 for a, b in pairwise(boxes))
    assert len(boxes) >= min(len(names), 70)


def test_names_that_are_shortened_keep_what_tells_them_apart():
    short = shortened("family/of/very/many/long/names/017", 24)
    assert len(short) == 24
    assert short.startswith("family/of/ve")
    assert short.endswith("names/017")
    assert shortened("gm", 24) == "gm"


@pytest.mark.parametrize(("low", "high"), [(0.9, 1.3), (1.14, 1.53), (0.04, 2.3), (0.3, 0.7), (1e-5, 3)])
def test_logarithmic_axes_have_three_numbers_or_more(low, high):
    with plain_style():
        axes = one_axes(Figure(), "Title")
        axes.plot([1, 2], [low, high])
        axes.set_yscale("log")
        plain_numbers(axes.yaxis)
        ticks = [tick for tick in axes.get_yticks() if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
        labels = axes.yaxis.get_major_formatter().format_ticks(ticks)
    assert 3 <= len(ticks) <= 20
    assert [float(label.replace("−", "-")) for label in labels] == pytest.approx(ticks)


def scored(right, wrong):
    """One region whose voxels were all predicted with 0.7 and have one bit."""
    confidence, classwise = np.zeros((15, 3), np.int64), np.zeros((2, 15, 3), np.int64)
    confidence[10] = right + wrong, round(0.7 * (right + wrong) * 2**30), right
    steps = np.zeros((20, 2), np.int64)
    steps[19] = right, wrong
    one_bit = 1 + (int(np.float32(1).view(np.int32)) >> DROPPED_BITS)
    filters = np.zeros((2, 41, 4), np.int64)
    return ScoreSums(0, 0, [2**30, 2**30, 0], confidence, classwise, filters, steps,
                     np.array([one_bit]), np.array([[right, wrong]]))  # fmt: skip


@pytest.mark.parametrize("n", [3, 12])
def test_scores_of_regions_are_named_once_and_numbered_plainly(tmp_path, n):
    names = [f"family/of/long/names/of/regions/{i}" for i in range(n)]
    with chart(tmp_path / "scores.svg", (15, 5.6), "svg") as figure:
        draw_scores(figure, "sub-01", [scored(90, 10)] * n, names, "regions", "bit")
    texts = texts_of((tmp_path / "scores.svg").read_bytes())
    assert not [text for text in texts if "$" in text or "math" in text]
    assert [text for text in texts if text.startswith("family")] == [shortened(name, 24) for name in names[:8]]
    assert (f"8 of {n} regions" in texts) is (n > 8)


def test_accuracies_end_where_there_are_none_and_labels_are_whole_numbers(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(charts, "legend", lambda axes, **options: drawn.append(axes))
    accuracies = {"accuracy_mean": 0.9, "accuracy_low": -0.2, "accuracy_high": 2.0}
    steps = [(strategy, n) for strategy in ("uncertain", "random") for n in (20, 40)]
    rows = [{"n_seeds": 2, "strategy": strategy, "n_labels": n, **accuracies} for strategy, n in steps]
    charts.draw_labelling_curves(rows, tmp_path / "labelling.png")
    assert drawn[0].get_ylim() == (0, 1)
    assert all(tick == round(tick) for tick in drawn[0].get_xticks())
