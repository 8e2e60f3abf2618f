"""Two thousand samples: sorted, searched, filtered, exported, and one found from its mark; quickly."""

import csv

import pytest
from browser import complaints, requests, until
from looked import MANY, REJECTED, SITES, Looked
from selenium.webdriver.common.action_chains import ActionChains

N = MANY - REJECTED
TOTAL = "predictive_entropy_total"


@pytest.fixture
def looked(browser, large_page) -> Looked:
    return Looked(browser, large_page).open()


@pytest.fixture(scope="module")
def subjects(large_page):
    with (large_page.parent / "subjects.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def search(looked, text):
    looked.one("#search").clear()
    looked.one("#search").send_keys(text)


def test_it_opens_in_three_seconds_of_work_and_keeps_little_in_the_document(browser, large_page):
    """Processor seconds of the page's own thread, since other tests run beside this one."""
    looked = Looked(browser, large_page)
    browser.get("about:blank")
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    looked.open().drawn()
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    (seconds,) = (metric["value"] for metric in metrics if metric["name"] == "TaskDuration")
    assert seconds < 3
    assert len(looked.all("#sheet li")) < 200
    assert len(looked.all(".tabulator-row")) < 100
    # Pictures below the fold wait until they are scrolled to.
    assert sum("_thumb.png" in url for url in requests(browser)) < 60
    assert complaints(browser) == []


def test_all_samples_are_there(looked):
    assert looked.shown() == f"{N} of {N} samples"
    assert f"{MANY} segmentations" in looked.one("h1").text
    assert len(looked.all("#rejected tbody tr")) == REJECTED


def test_a_heading_sorts(looked, subjects):
    column = looked.js(f"return VE.data.columns.findIndex((c) => c.name === '{TOTAL}')")
    looked.scroll_to("#table")
    looked.one(f".tabulator-col[tabulator-field=c{column}]").click()
    ascending = [row["sample"] for row in sorted(subjects, key=lambda row: float(row[TOTAL]))]
    until(lambda: looked.ids()[:10] == ascending[:10])
    looked.one(f".tabulator-col[tabulator-field=c{column}]").click()
    until(lambda: looked.ids()[:10] == ascending[::-1][:10])
    assert looked.ids()[0] == "sub-1234"


def test_a_search_leaves_what_matches_in_all_views(looked):
    search(looked, "sub-012")
    until(lambda: looked.shown() == f"10 of {N} samples")
    wanted = {f"sub-012{i}" for i in range(10)}
    until(lambda: set(looked.ids()) == wanted)
    assert set(looked.texts("#sheet strong")) == wanted
    looked.scroll_to("#plots")
    until(lambda: len(looked.all("#plots figure:first-child .point")) == 10)
    search(looked, "nothing of this name")
    until(lambda: looked.shown() == f"0 of {N} samples")
    assert looked.ids() == []


def test_a_site_can_be_chosen_and_exported(looked, subjects, large_page):
    looked.choose("#filter-column", "site")
    looked.choose("#filter-value", "C")
    wanted = [row for row in subjects if row["site"] == "C"]
    assert looked.shown() == f"{len(wanted)} of {N} samples"
    downloads = large_page.parent / "downloads"
    downloads.mkdir(exist_ok=True)
    behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
    looked.driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    looked.one("#export").click()
    file = downloads / "samples.csv"
    until(file.exists)
    header, *lines = (large_page.parent / "subjects.csv").read_text(encoding="utf-8").splitlines()
    kept = [line for line, row in zip(lines, subjects, strict=True) if row["site"] == "C"]
    assert until(lambda: file.read_text(encoding="utf-8")).splitlines() == [header, *kept]
    looked.one("#filters [type=reset]").click()
    until(lambda: looked.shown() == f"{N} of {N} samples")


def test_groups_are_sites_at_first_and_can_be_changed(looked, subjects):
    assert looked.one("#group").get_attribute("value") == "site"
    looked.scroll_to("#plots")
    looked.drawn()
    labels = looked.texts("#plots figure:first-child .xtick text")
    assert [label[0] for label in labels] == list(SITES)
    assert labels[0] == f"An = {sum(row['site'] == 'A' for row in subjects)}"
    looked.choose("#group", "age")
    until(lambda: looked.texts("#plots figure:first-child .xtitle") == ["age"])


def test_a_click_on_the_highest_mark_opens_that_sample(looked):
    looked.choose("#group", "")
    looked.scroll_to("#plots")
    looked.drawn()
    highest = looked.js(
        "return [...document.querySelectorAll('#plots figure:first-child .point')]"
        ".reduce((a, b) => (a.getBoundingClientRect().y < b.getBoundingClientRect().y ? a : b))"
    )
    ActionChains(looked.driver).move_to_element(highest).perform()
    until(lambda: "sub-1234" in "".join(looked.texts("#plots .hovertext")))
    ActionChains(looked.driver).click().perform()
    until(lambda: looked.one("#detail-title").text == "sub-1234")
    until(lambda: looked.texts(".tabulator-row.open .tabulator-cell[tabulator-field=c0]") == ["sub-1234"])
    looked.js("VE.select(null)")


def test_more_pictures_come_as_one_scrolls(looked):
    n = len(looked.all("#sheet li"))
    looked.scroll_to("#sheet-end")
    until(lambda: len(looked.all("#sheet li")) > n)
    assert complaints(looked.driver) == []
