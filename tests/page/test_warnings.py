"""Warnings on the page: one that most samples have stands once, the others with their samples; all of it is text."""

import cohorts
import pytest
from browser import complaints, until
from looked import SCRIPT, Looked
from report_page import write_page
from volume_entropy.errors import WARNINGS

OF_MOST, OF_ONE, OF_SOME = "axes_assumed", "reference_permuted", "nan_outside"


def warning(code):
    return {"code": code, "message": f"What was found, {code}, and {SCRIPT}."}


@pytest.fixture(scope="module")
def warned_page(tmp_path_factory):
    """Forty samples: most of them have one warning, a sample has another, fifteen a third."""
    samples = [cohorts.summary(f"sub-{number:02}") for number in range(40)]
    for sample in samples[:30]:
        sample["warnings"] = [warning(OF_MOST)]
    for sample in samples[20:35]:
        sample["warnings"].append(warning(OF_SOME))
    samples[36]["warnings"] = [warning(OF_ONE)]
    return write_page(tmp_path_factory.mktemp("warned"), samples, {sample["sample"]: {} for sample in samples})


@pytest.fixture
def looked(browser, warned_page) -> Looked:
    return Looked(browser, warned_page).open()


def test_a_warning_of_most_samples_stands_once_and_not_in_the_queue(looked):
    (banner,) = looked.texts(".banner")
    assert banner.startswith(f"30 of 40 samples have the warning {OF_MOST}. {WARNINGS[OF_MOST]}")
    assert not [reason for reason in looked.texts("#sheet .reason") if OF_MOST in reason]
    first = looked.one("#sheet .card")
    assert "sub-36" in first.text
    assert "warning" in first.text
    assert f"What was found, {OF_ONE}, and {SCRIPT}" in looked.texts("#sheet .reason")[0]
    assert looked.driver.title.startswith("Segmentation uncertainty")


def test_every_warning_is_listed_with_its_samples_which_open_by_a_click(looked):
    rows = looked.all("#warnings tbody tr")
    assert [row.find_element("tag name", "th").text for row in rows] == [OF_SOME, OF_MOST, OF_ONE]
    assert [looked.js("return arguments[0].cells[2].textContent", row) for row in rows] == ["15", "30", "1"]
    assert "and 3 more" in rows[0].text
    assert "36" in looked.one(".cards .warn a[href='#warnings']").find_element("xpath", "..").text
    button = rows[2].find_element("css selector", "button")
    looked.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", button)
    button.click()
    until(lambda: looked.one("#detail").is_displayed())
    assert looked.one("#detail-title").text == "sub-36"
    assert looked.texts("#detail-warnings li") == [f"{OF_ONE} {WARNINGS[OF_ONE]}"]
    assert f"What was found, {OF_ONE}" in looked.one("#detail-reason").text
    looked.js("VE.select(0)")
    assert looked.texts("#detail-warnings li") == [f"{OF_MOST} {WARNINGS[OF_MOST]}"]
    looked.js("VE.select(39)")
    assert looked.texts("#detail-warnings li") == []


def test_the_table_shows_warnings_and_the_search_finds_them(looked):
    assert "warnings" in looked.texts(".tabulator-col-title")
    looked.one("#search").send_keys(OF_SOME)
    until(lambda: looked.one("#shown").text == "15 of 40 samples")
    looked.one("#filters button[type=reset]").click()
    until(lambda: looked.one("#shown").text == "40 of 40 samples")
    looked.choose("#filter-column", "warnings")
    looked.choose("#filter-value", f"{OF_MOST};{OF_SOME}")
    until(lambda: looked.one("#shown").text == "10 of 40 samples")


def test_nothing_complains_and_nothing_is_wider_than_the_window(looked):
    assert looked.js("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert not [line for line in complaints(looked.driver) if "ERR_FILE_NOT_FOUND" not in line]
