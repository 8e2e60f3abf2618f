"""The page's text follows from the tables; whatever they hold is inert in it."""

import hashlib
import json
import re
from html.parser import HTMLParser

import cohorts
import pytest
from report_page import SETTINGS, write_page
from study import ROOT
from volume_entropy.errors import WARNINGS
from volume_entropy.measures import MEASURES
from volume_entropy.report.page import Plot, Section

VENDOR = ROOT / "scripts/volume_entropy/report/templates/vendor"
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


class Elements(HTMLParser):
    """Names and attributes of all elements, and the text outside scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.data = [], [], ""
        self._script = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "script":
            self._script = dict(attributes).get("id")

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    def handle_data(self, data):
        if self._script == "data":
            self.data += data
        else:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def cohort(n=12, **metadata):
    summaries = [cohorts.summary(f"sub-{i:02}") for i in range(n)]
    return summaries, {summary["sample"]: dict(metadata) for summary in summaries}


def test_the_data_of_the_page_are_the_cells_of_the_table(tmp_path):
    summaries, metadata = cohort(site="A")
    page = write_page(tmp_path, summaries, metadata)
    data = json.loads(Elements(page.read_text()).data)
    lines = (page.parent / "subjects.csv").read_text().splitlines()
    columns = [[column["name"], *column["cells"]] for column in data["columns"]]
    assert [",".join(cells) for cells in zip(*columns, strict=True)] == lines
    assert data["metadata"] == ["site"]


def test_no_text_of_a_user_becomes_an_element(tmp_path):
    plain, metadata = cohort(note="")
    clean = Elements(write_page(tmp_path / "clean", plain, metadata).read_text())
    evil, _ = cohort()
    evil.append(cohorts.rejected("sub-98", message=EVIL, remedy=EVIL))
    plain.append(cohorts.rejected("sub-98"))
    clean = Elements(write_page(tmp_path / "clean", plain, {**metadata, "sub-98": {"note": ""}}).read_text())
    settings = {**SETTINGS, "classes": [*SETTINGS["classes"], EVIL]}
    names = {**{sample: {EVIL: EVIL} for sample in metadata}, "sub-98": {EVIL: EVIL}}
    sections = [Section("Scores", "scores", text=[EVIL], html=EVIL, plots=[Plot(EVIL, [], {}, EVIL)])]
    page = Elements(write_page(tmp_path / "evil", evil, names, settings=settings, sections=sections).read_text())
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert scripts == [attributes for tag, attributes in clean.tags if tag == "script"]
    assert "img" not in {tag for tag, attributes in page.tags if attributes.get("src") == "x"}
    assert page.text.count("alert(1)") >= 4


def test_the_page_asks_for_nothing_outside_its_folder(tmp_path):
    page = write_page(tmp_path, *cohort())
    named = [value for _, attributes in Elements(page.read_text()).tags for key, value in attributes.items()
             if key in ("src", "href")]  # fmt: skip
    assert {name for name in named if not name.startswith(("#", "data:"))} == {
        f"report/{path.name}" for path in (page.parent / "report").iterdir()
    }
    assert all((page.parent / name).is_file() for name in named if name.startswith("report/"))


def test_the_same_tables_give_the_same_bytes(tmp_path):
    first, second = (write_page(tmp_path / name, *cohort(site="A")) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_the_methods_name_every_measure_with_its_definition_and_its_sources(tmp_path):
    measures = ["predictive_entropy", "variance", "expected_pairwise_kl", "variation_ratio"]
    settings = {**SETTINGS, "measures": measures, "members": ["0", "1"]}
    summaries = [
        cohorts.summary(f"sub-{i}", n_members=2, recipe_settings={"measures": measures}) for i in range(3)
    ]  # fmt: skip
    page = write_page(tmp_path, summaries, {s["sample"]: {} for s in summaries}, settings=settings)
    text = Elements(page.read_text()).text
    for name in (*measures, "expected_entropy", "mutual_information"):
        assert MEASURES[name].softmax.definition in text
    for author in ("Shannon CE", "Gal Y", "Depeweg S", "Houlsby N", "Malinin A", "Freeman LC", "Iglewicz B"):
        assert author in text
    assert "The volume-entropy authors" in text
    assert "Up to 2 probability volumes" in text


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"unit": "nat"}, "Entropies are in nat: the logarithm is natural"),
        ({"content": "partial_volume"}, "no uncertainty of a model"),
        ({"sum_tolerance": None}, "values that are no probabilities were counted"),
        ({"scale": 255.0}, "The values of the files were divided by 255."),
        ({"background_class": None}, "the foreground is all of the domain"),
        ({"kind": "regions"}, "4 overlapping regions (independent sigmoids)"),
        ({"background": "complement"}, "1 − Σp"),
    ],
)
def test_the_methods_say_what_the_settings_were(tmp_path, changed, sentence):
    page = write_page(tmp_path, *cohort(2), settings={**SETTINGS, **changed})
    assert sentence in Elements(page.read_text()).text


def test_a_cohort_without_warnings_has_no_word_of_them(tmp_path):
    elements = Elements(write_page(tmp_path, *cohort()).read_text())
    assert "id" not in {key for _, of in elements.tags for key, value in of.items() if value == "warnings"}
    assert "banner" not in {of.get("class") for _, of in elements.tags}
    assert "warnings" not in json.loads(elements.data)["shown"]


def test_warnings_are_counted_listed_and_shown_and_their_texts_are_inert(tmp_path):
    summaries, metadata = cohort()
    for summary in summaries[:7]:
        summary["warnings"] = [{"code": "axes_assumed", "message": EVIL}]
    summaries[2]["warnings"].append({"code": "members_identical", "message": EVIL})
    elements = Elements(write_page(tmp_path, summaries, metadata).read_text())
    assert f"7 of 12 samples have the warning axes_assumed . {WARNINGS['axes_assumed']}" in elements.text
    assert "members_identical . " not in elements.text
    assert f"members_identical {WARNINGS['members_identical']} 1 sub-02" in elements.text
    assert "7 with a warning" in elements.text
    data = json.loads(elements.data)
    assert "warnings" in data["shown"] and data["warnings"] == WARNINGS
    assert not [of for tag, of in elements.tags if tag == "img" and of.get("src") == "x"]


def test_rejected_samples_stand_with_code_and_remedy(tmp_path):
    page = write_page(tmp_path, [cohorts.rejected("sub-09")], {"sub-09": {}})
    elements = Elements(page.read_text())
    assert "file_truncated" in elements.text
    assert "Copy the file again." in elements.text
    assert ("a", {"href": "sub-09/sub-09_qc.png"}) in elements.tags


def test_a_section_stands_before_the_methods_and_in_the_navigation(tmp_path):
    plot = Plot("Reliability", [{"type": "scatter", "x": [0], "y": [1]}], {"title": "t"}, "A diagonal.")
    section = Section("Scores", "scores", text=["Against a reference."], plots=[plot])
    page = write_page(tmp_path, *cohort(2), sections=[section]).read_text()
    assert page.index('id="rejected"') < page.index('id="scores"') < page.index('id="methods"')
    elements = Elements(page)
    assert ("a", {"href": "#scores"}) in elements.tags
    assert json.loads(elements.data)["sections"] == {
        "scores": [{"data": [dict(plot.data[0])], "layout": {"title": "t"}}]
    }
    with pytest.raises(ValueError, match="anchor"):
        write_page(tmp_path / "twice", *cohort(2), sections=[section, section])


def test_a_table_of_another_run_is_refused(tmp_path):
    page = write_page(tmp_path, *cohort(2))
    table = page.parent / "subjects.csv"
    table.write_text(table.read_text().replace("n_members", "members", 1))
    with pytest.raises(ValueError, match="of different runs"):
        from volume_entropy.report.data import read_table

        read_table(page.parent, "subjects")


def test_what_others_made_is_as_they_made_it():
    listed = re.findall(r"^\| ([\w.-]+) \|.*`([0-9a-f]{64})`", (VENDOR / "VENDORED.md").read_text(), flags=re.M)
    assert {name for name, _ in listed} == {path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")}
    for name, digest in listed:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
