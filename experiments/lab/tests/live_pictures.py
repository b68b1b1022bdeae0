"""Makes the pictures of the live page in docs/pictures/: each at most 150 KB.

Needs all three parts up, `./lab live`, and Chromium:

    PYTHONPATH=experiments:common .lab/venv/bin/python experiments/lab/tests/live_pictures.py
"""

import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ADDRESS = "http://127.0.0.1:8030/"
FOLDER = Path(__file__).resolve().parents[3] / "docs" / "pictures"
MAX_BYTES = 150_000
FRESH = "document.querySelector('#say').hidden && !document.querySelector('#fresh').matches('.stale')"


def lanes(page: Page) -> None:
    """Orders under way, and inventory of Part B killed."""
    page.fill("#rate", "10")
    page.wait_for_timeout(6000)
    page.click('[data-s="B-inventory"]')
    page.click("#pb [data-v=kill]")
    page.wait_for_timeout(12_000)


def time(page: Page) -> None:
    """The same, over time, with inventory started again."""
    page.click("#pb [data-v=start]")
    page.wait_for_timeout(8000)
    page.click("#cx")
    page.click("#t-time")
    page.wait_for_timeout(1000)


def order(page: Page) -> None:
    """One order of Part A."""
    page.click("#t-lanes")
    page.locator("#pipeA .dots g").first.wait_for(state="attached")
    page.evaluate("document.querySelector('#pipeA .dots g').onclick()")
    page.wait_for_selector("#seq svg")
    page.wait_for_timeout(1000)


def runs(page: Page) -> None:
    """A committed run, in the middle of its play-back."""
    page.click("#t-lanes")
    page.click("#stop")
    page.click("#t-runs")
    page.click('[data-run="async-rabbitmq/b2_outage"] button')
    page.wait_for_selector("#scrub")
    page.evaluate("(() => { const s = document.querySelector('#scrub'); s.value = 520; s.oninput({target: s}) })()")


def main() -> None:
    """Make all pictures, one after the other, on one page."""
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light", bypass_csp=True)
        page.goto(ADDRESS)
        page.wait_for_timeout(3000)
        for scene in (lanes, time, order, runs):
            scene(page)
            page.wait_for_function(FRESH, timeout=60_000)
            path = FOLDER / f"live-{scene.__name__}.png"
            page.screenshot(path=path)
            Image.open(path).convert("RGB").quantize(64).save(path, optimize=True)
            assert path.stat().st_size <= MAX_BYTES, path
            print(path.name, path.stat().st_size)
        browser.close()


if __name__ == "__main__":
    main()
