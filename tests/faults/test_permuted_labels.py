"""A sample whose classes come in another order than everyone else's has right numbers of wrong names: it is flagged."""

import csv

import numpy as np
import pytest
from sample_store import SampleStore
from volume_entropy.tables import write_tables

NAMES = ("background", "csf", "gm", "wm")
SHAPE = (14, 15, 16)
ODD = "sub-06"


def brain(seed: int) -> np.ndarray:
    """(1, class, z, y, x): shells of background, CSF, grey and white matter, whose volumes differ by subject."""
    rng = np.random.default_rng(seed)
    axes = [np.linspace(-1, 1, size) for size in SHAPE]
    radius = np.sqrt(sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))) * (1 + 0.01 * (seed - 4.5))
    centres = np.array([1.1, 0.85, 0.7, 0.3])[:, None, None, None]
    logits = -(((radius - centres) / 0.1) ** 2) + 0.3 * rng.normal(size=(4, *SHAPE))
    shares = np.exp(logits - logits.max(axis=0))
    return (shares / shares.sum(axis=0)).astype(np.float32)[None]


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The review queue of ten samples, of which one has grey and white matter exchanged."""
    folder = tmp_path_factory.mktemp("cohort")
    paths = []
    for seed in range(10):
        name = f"sub-{seed:02}"
        p = brain(seed)
        p = p[:, [0, 1, 3, 2]] if name == ODD else p
        store = SampleStore(p, settings={"members": None})
        summary = store.compute(folder / name)
        assert [row["class"] for row in summary["structures"]] == list(NAMES)
        path = folder / name / "summary.json"
        path.write_text(path.read_text().replace('"sub-01"', f'"{name}"'))
        paths.append(path)
    counts = write_tables(paths, {path.parent.name: {} for path in paths}, folder / "tables")
    with (folder / "tables/review_queue.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert (counts.ok, counts.flagged) == (10, 1)
    return rows


def test_exchanged_classes_are_first_in_the_queue(queue: list[dict[str, str]]) -> None:
    assert queue[0]["sample"] == ODD
    assert "class_order" in queue[0]["flags"].split(";")


def test_the_reason_names_both_classes_and_asks_for_the_order(queue: list[dict[str, str]]) -> None:
    reason = queue[0]["reason"]
    assert "predicted volume of gm" in reason
    assert "as is usual for wm" in reason
    assert "predicted volume of wm" in reason
    assert "as is usual for gm" in reason
    assert "another order" in reason


def test_the_others_are_not_flagged(queue: list[dict[str, str]]) -> None:
    assert {row["sample"]: row["flags"] for row in queue[1:] if row["flags"]} == {}


def test_the_entropy_alone_would_not_have_shown_it(queue: list[dict[str, str]]) -> None:
    assert "entropy" not in queue[0]["flags"]
