"""The page of a small cohort, as it comes out of the real stages, used in a real browser from disk."""

import csv
import io
from itertools import pairwise

import pytest
from browser import complaints, requests, until
from looked import FORMULA, SCRIPT, Looked
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys


@pytest.fixture
def looked(browser, small_page) -> Looked:
    return Looked(browser, small_page).open()


def test_it_opens_from_disk_without_a_complaint_and_asks_for_nothing_elsewhere(looked):
    looked.scroll_to("#sheet")
    until(lambda: looked.js("return [...document.querySelectorAll('#sheet img')].every((i) => i.naturalWidth > 0)"))
    folder = looked.page.parent.as_uri()
    asked = requests(looked.driver)
    assert asked
    assert [url for url in asked if not url.startswith(folder)] == []
    assert complaints(looked.driver) == []


def test_every_sample_has_its_picture_in_the_order_of_the_queue(looked):
    with (looked.page.parent / "review_queue.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert looked.texts("#sheet strong") == [row["sample"] for row in rows]
    assert looked.texts("#sheet .reason") == [row["reason"].replace("mm^3", "mm³") for row in rows]
    sources = looked.js("return [...document.querySelectorAll('#sheet img')].map((i) => i.getAttribute('src'))")
    assert sources == [f"{row['sample']}/{row['sample']}_thumb.png" for row in rows]
    assert rows[0]["sample"] == "sub-03"
    assert rows[0]["flags"]


def test_rejected_samples_stand_there_with_code_and_remedy(looked):
    row = looked.one("#rejected tbody tr").text
    assert "sub-09" in row
    assert "not_this_format" in row
    assert looked.texts("#rejected tbody td:last-child")[0]


def test_hostile_metadata_are_text(looked):
    looked.choose("#group", "'<b>note</b>" if "'<b>note</b>" in looked.texts("#group option") else "<b>note</b>")
    looked.scroll_to("#distributions")
    looked.drawn()
    assert looked.driver.title.startswith("Segmentation uncertainty")
    assert looked.js("return document.querySelectorAll('main script, main img[src=x], #table b').length") == 0
    cells = looked.texts(".tabulator-cell")
    assert SCRIPT in cells
    # As in the CSV: with the apostrophe that keeps a spreadsheet from running it.
    assert f"'{FORMULA}" in cells
    assert FORMULA not in cells
    assert any("<b>note</b>" in text for text in looked.texts(".tabulator-col-title"))
    assert complaints(looked.driver) == []


def test_the_export_is_inert_and_as_in_the_table(looked):
    exported = looked.js("return VE.csv()")
    assert exported == (looked.page.parent / "subjects.csv").read_text(encoding="utf-8")
    rows = list(csv.reader(io.StringIO(exported)))
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
    assert any(f"'{FORMULA}" in row for row in rows)


def test_a_click_on_a_mark_opens_its_figure_and_lights_up_row_and_marks(looked):
    looked.scroll_to("#plots")
    looked.drawn()
    # A click goes to what is under the pointer: Plotly finds the nearest mark.
    mark = looked.all("#plots .chart:first-child .point")[0]
    ActionChains(looked.driver).move_to_element(mark).click().perform()
    until(lambda: looked.one("#detail").is_displayed())
    sample = looked.one("#detail-title").text
    assert sample in looked.texts("#sheet strong")
    until(lambda: looked.js("return document.getElementById('detail-figure').naturalWidth") > 500)
    assert looked.one("#detail-figure").get_attribute("src").endswith(f"/{sample}/{sample}_qc.png")
    assert looked.texts("#plots .ring:not([hidden]) span") == [sample] * looked.js(
        "return [...document.querySelectorAll('#plots .chart')].filter((e) => e.querySelector('.point')).length"
    )
    until(lambda: looked.texts(".tabulator-row.open .tabulator-cell[tabulator-field=c0]") == [sample])
    assert looked.texts("#sheet .open strong") == [sample]


def test_the_ring_lies_on_the_mark(looked):
    looked.scroll_to("#plots")
    looked.drawn()
    looked.js("VE.select(4)")
    near = looked.js(
        "const chart = document.querySelector('#plots .chart'); const ring = document.querySelector('#plots .ring');"
        "const at = ring.getBoundingClientRect();"
        "return [...chart.querySelectorAll('.point')].map((p) => { const b = p.getBoundingClientRect();"
        "return [Math.hypot(b.x + b.width / 2 - at.x, b.y + b.height / 2 - at.y), VE.ids[p.__data__.data ?? chart.data["
        "[...chart.querySelectorAll('.trace')].indexOf(p.closest('.trace'))].customdata[p.__data__.i]]]; })"
        ".sort((a, b) => a[0] - b[0])[0]"
    )
    assert near[0] < 1.5
    assert near[1] == "sub-04"
    # What is drawn is its ::before: as far to the left of that place, and above it, as to the right and below.
    drawn = looked.js(
        "const s = getComputedStyle(document.querySelector('#plots .ring'), '::before');"
        "const edge = s.boxSizing === 'border-box' ? 0 : parseFloat(s.borderLeftWidth);"
        "return [s.left, s.top].map((v) => parseFloat(v) + parseFloat(s.width) / 2 + edge)"
    )
    assert drawn == [0, 0]


def test_everything_can_be_reached_by_keyboard(looked):
    looked.scroll_to("#table")
    row = looked.all(".tabulator-row")[1]
    looked.js("arguments[0].focus()", row)
    ActionChains(looked.driver).send_keys(Keys.ENTER).perform()
    opened = looked.one("#detail-title").text
    assert opened == looked.ids()[1]
    assert looked.js("return document.activeElement.id") == "detail-title"
    looked.one("#next").click()
    assert looked.one("#detail-title").text != opened
    ActionChains(looked.driver).send_keys(Keys.ESCAPE).perform()
    assert not looked.one("#detail").is_displayed()
    heading = looked.one(".tabulator-col[tabulator-field=c0]")
    looked.js("arguments[0].focus()", heading)
    ActionChains(looked.driver).send_keys(Keys.ENTER).perform()
    until(lambda: looked.ids() == sorted(looked.ids()))


def test_names_and_descriptions_are_there_for_those_who_do_not_see_it(looked):
    looked.scroll_to("#plots")
    looked.drawn()
    nameless = looked.js(
        "return [...document.querySelectorAll('img, [role=img], input, select, button, [role=region]')]"
        ".filter((e) => e.checkVisibility() && !(e.alt || e.ariaLabel || e.labels?.length || e.textContent.trim()))"
        ".map((e) => e.outerHTML.slice(0, 200))"
    )
    assert nameless == []
    assert looked.js("return document.documentElement.lang") == "en"
    levels = [int(tag[1]) for tag in looked.js(
        "return [...document.querySelectorAll('main h1, main h2, main h3')].map((e) => e.tagName)")]  # fmt: skip
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_text_stands_out_from_what_is_behind_it(looked):
    """WCAG 2 asks for a contrast of 4.5 : 1."""
    looked.js("VE.select(3)")
    poor = looked.js("""
        const channel = (c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
        const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
        const parse = (t) => t.match(/[\\d.]+/g).map(Number);
        const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
          if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
        return [...document.querySelectorAll('body *')].filter((e) => e.checkVisibility()
          && !e.closest('svg, :disabled') && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
          .map((e) => {
          const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
          return [(a + 0.05) / (b + 0.05), e.outerHTML.slice(0, 120)]; }).filter(([ratio]) => ratio < 4.5);
    """)
    assert poor == []


def test_names_of_rows_are_not_broken_by_the_numbers_beside_them(looked):
    heights = looked.js("""
        const box = document.createElement('div');
        box.className = 'scroll';
        box.innerHTML = '<table class="plain"><tr><th scope="row">ensemble</th>'
          + '<td class="n">0.123456789 … 0.234567890</td>'.repeat(9) + '</tr></table>';
        document.querySelector('#summary').append(box);
        const found = ['th', 'td'].map((name) => box.querySelector(name).clientHeight);
        box.remove();
        return found;
    """)
    assert heights[0] == heights[1] < 40


@pytest.mark.parametrize("width", [1440, 1280, 800])
def test_nothing_is_wider_than_the_window(looked, width):
    size = {"width": width, "height": 720, "deviceScaleFactor": 1, "mobile": False}
    looked.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert looked.js("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    finally:
        size.update(width=1440, height=900)
        looked.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
