"""A real Chromium without a window, told to fetch nothing of its own, that reports whatever a page fetched."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from programs import BROWSER, find
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-extensions",
    "--force-device-scale-factor=1",
    # Not the page of a new tab, which asks for things of its own.
    "about:blank",
)


@contextmanager
def chromium(folder: Path, width: int = 1440, height: int = 900) -> Iterator[WebDriver]:
    """A browser whose profile and downloads lie below `folder`."""
    BROWSER.check()
    options = webdriver.ChromeOptions()
    options.binary_location = find("chromium")
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(find("chromedriver")))
    try:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        downloads = folder / "downloads"
        downloads.mkdir(exist_ok=True)
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        yield driver
    finally:
        driver.quit()


def requests(driver: WebDriver) -> list[str]:
    """Every address asked for since the last call, less what needs no network (data:, the browser's own)."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in asked if not url.startswith(("data:", "blob:", "chrome:", "about:"))]


def complaints(driver: WebDriver) -> list[str]:
    """What the page wrote to the console as warning or error since the last call."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Wait for something to become true, and give it."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not true after {seconds} s")
        time.sleep(0.05)
