"""The figure of a cohort: every sample a mark in its place, on the scale of the ticks; a caption for every table."""

import re
import statistics
from pathlib import Path
from xml.etree import ElementTree

import cohorts
import pytest
from volume_entropy.classification.stages import DESCRIPTIONS as OF_IMAGES
from volume_entropy.report.cohort_figure import ROW, draw_cohort
from volume_entropy.report.data import read_table
from volume_entropy.scoring.tables import DESCRIPTIONS as OF_SCORES
from volume_entropy.tables import DESCRIPTIONS, write_tables

SVG = "{http://www.w3.org/2000/svg}"
CAPTIONS = Path(__file__).parents[2] / "workflow/report"


def drawn(folder, summaries, site=lambda sample: "", group=None):
    """The panels of the figure, as elements, and the table they were drawn from."""
    metadata = {summary["sample"]: {"site": site(summary["sample"])} for summary in summaries}
    write_tables(cohorts.write(folder / "results", summaries), metadata, folder, group=group)
    draw_cohort(folder, folder / "cohort.svg", group)
    root = ElementTree.fromstring((folder / "cohort.svg").read_text(encoding="utf-8"))
    panels = [part for part in root.findall(f"{SVG}g") if part.find(f"{SVG}g") is not None]
    return panels, read_table(folder, "subjects")


def title_of(panel):
    return panel.find(f"{SVG}text").text


def positions(panel):
    """(x, y) of every mark of a panel, a list a row; a diamond's first point is its upper corner."""
    rows = []
    for row in panel.findall(f"{SVG}g"):
        usual, flagged = (path.get("d") for path in row.findall(f"{SVG}path"))
        marks = [(float(x), float(y)) for x, y in re.findall(r"M([-\d.]+),([-\d.]+)", usual)]
        marks += [(float(x), float(y) + 3.5) for x, y in re.findall(r"M([-\d.]+),([-\d.]+)", flagged)]
        rows.append(marks)
    return rows


def scale_of(panel):
    """Value of an x, by two ticks of the axis."""
    ticks = [(float(t.get("x")), float(t.text)) for t in panel.findall(f"{SVG}text")[1:]]
    assert 3 <= len(ticks) <= 12
    (x0, v0), *_, (x1, v1) = ticks
    return lambda x: v0 + (x - x0) * (v1 - v0) / (x1 - x0)


def test_every_sample_is_a_mark_at_its_value_and_the_line_is_the_median(tmp_path):
    panels, subjects = drawn(tmp_path, [cohorts.summary(f"s{i}", n_members=3) for i in range(40)])
    assert [title_of(panel) for panel in panels] == [
        f"{measure} {statistic} [bit]"
        for measure in ("predictive entropy", "mutual information")
        for statistic in ("total", "foreground mean", "interior mean")
    ]
    for panel in panels:
        (marks,) = positions(panel)
        values = subjects.numbers(title_of(panel).removesuffix(" [bit]").replace(" ", "_"))
        value_of, spread = scale_of(panel), max(values) - min(values)
        found = sorted(value_of(x) for x, _ in marks)
        assert found == pytest.approx(sorted(values), abs=1e-3 * spread)
        line = panel.find(f"{SVG}g/{SVG}line")
        assert value_of(float(line.get("x1"))) == pytest.approx(statistics.median(values), abs=1e-3 * spread)


def test_groups_have_rows_of_their_own_and_flagged_samples_are_diamonds(tmp_path):
    samples = [cohorts.summary(f"s{i:02d}", predictive_entropy_foreground_mean=0.3 + i / 1000) for i in range(30)]
    samples[4]["predictive_entropy_foreground_mean"] = 0.9
    panels, _ = drawn(tmp_path, samples, site=lambda sample: "<A&B>" if sample < "s10" else "C", group="site")
    panel = panels[1]
    assert [len(row) for row in positions(panel)] == [10, 20]
    assert [row.find(f"{SVG}text").text for row in panel.findall(f"{SVG}g")] == ["<A&B> (10)", "C (20)"]
    first, second = (row.findall(f"{SVG}path")[1].get("d") for row in panel.findall(f"{SVG}g"))
    assert first.count("M") == 1
    assert second == ""


def test_marks_do_not_leave_their_row_however_many_there_are(tmp_path):
    samples = [cohorts.summary(f"s{i}", predictive_entropy_total=5.0) for i in range(300)]
    panels, _ = drawn(tmp_path, samples)
    (marks,) = positions(panels[0])
    assert len(set(marks)) == 300
    assert max(abs(y) for _, y in marks) <= ROW / 2


def test_further_groups_share_a_row(tmp_path):
    panels, _ = drawn(tmp_path, [cohorts.summary(f"s{i}") for i in range(40)], site=lambda s: f"x{s}", group="site")
    rows = panels[0].findall(f"{SVG}g")
    assert len(rows) == 12
    assert rows[-1].find(f"{SVG}text").text == "29 further gro… (29)"


def test_a_cohort_without_a_usable_sample_has_a_figure_too(tmp_path):
    panels, _ = drawn(tmp_path, [cohorts.rejected("a")])
    assert panels == []


def test_every_table_has_a_caption_that_says_what_a_row_is():
    for name, description in {**DESCRIPTIONS, **OF_SCORES, **OF_IMAGES}.items():
        if name != "image_classes":
            caption = " ".join((CAPTIONS / f"{name}.rst").read_text(encoding="utf-8").replace("``", "`").split())
            assert caption.startswith(description.rstrip(".")), name
    assert len(list(CAPTIONS.glob("*_figure.rst"))) == 3
