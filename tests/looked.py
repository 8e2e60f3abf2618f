"""A report page in a browser, and the ways in which tests use it; the cohorts that they look at have these sizes."""

from dataclasses import dataclass
from pathlib import Path

from browser import complaints, requests, until
from selenium.webdriver.common.by import By

MANY = 2000
REJECTED = 20
SITES = "ABCDE"
SCRIPT, FORMULA = "<script>document.title='run'</script><img src=x onerror=document.title='run'>", "=cmd()"


@dataclass
class Looked:
    """A page in a browser, and the ways in which the tests use it."""

    driver: object
    page: Path

    def open(self):
        self.driver.get("about:blank")
        requests(self.driver), complaints(self.driver)
        self.driver.get(self.page.as_uri())
        until(lambda: self.js("return window.VE && VE.table && document.querySelector('.tabulator-row') !== null"))
        return self

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return self.js("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def choose(self, selector, value):
        self.js(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event('change', {bubbles: true}))",
            selector,
            value,
        )

    def scroll_to(self, selector):
        self.js("document.querySelector(arguments[0]).scrollIntoView({block: 'center', behavior: 'instant'})", selector)

    def ids(self):
        """Ids of the rows of the table that are in the document, from the top."""
        return self.texts(".tabulator-row .tabulator-cell[tabulator-field=c0]")

    def shown(self):
        return self.one("#shown").text

    def drawn(self):
        """Wait until every plot in view is drawn."""
        until(lambda: self.js(
            "const seen = (box) => box.top < innerHeight && box.bottom > 0;"
            "return [...document.querySelectorAll('#plots .chart')].filter((e) => seen(e.getBoundingClientRect()))"
            ".every((e) => e.querySelector('.point'))"
        ))  # fmt: skip
