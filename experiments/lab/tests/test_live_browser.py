"""`./lab live` as a person uses it: in Debian's Chromium, with Part A up in a copy of the repository."""

import os
import re
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from lab.history import model
from lab.live import runs
from lab.setup import install
from playwright.sync_api import Browser, Page, expect, sync_playwright
from testing import free_port, wait_until
from testing.needs import skip_without

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[3]
CHROMIUM = install.chromium()
RUN, KILLED = "sync-rest/a5_outage", "async-rabbitmq/b3_redelivery"
SCREENS = ("lanes", "time", "order", "runs")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    skip_without("Chromium")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(running) -> Iterator[str]:
    """The address of the page, for all tests of this module."""
    for run in (RUN, KILLED):
        shutil.copytree(ROOT / "results" / run, running.root / "results" / run)
    port = free_port()
    process = running.popen("lab", "live", "--port", str(port))
    url = f"http://127.0.0.1:{port}/"

    def answers() -> bool:
        assert process.poll() is None, process.stdout.read()
        try:
            return requests.get(url, timeout=1).ok
        except OSError:
            return False

    wait_until(answers, 60, what="./lab live answers")
    yield url
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


@dataclass
class Seen:
    """A page, and what went wrong on it."""

    page: Page
    wrong: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def open(self, screen: str) -> None:
        self.page.click(f"#t-{screen}")


@pytest.fixture
def seen(browser, address) -> Iterator[Seen]:
    """The page, freshly opened; afterwards it must have had no error, and asked no other machine."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(20_000)
    found = Seen(page)
    page.on("pageerror", lambda error: found.wrong.append(str(error)))
    page.on("console", lambda said: found.wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: found.asked.add(request.url))
    page.goto(address)
    expect(page.locator("#rows .pA .how").first).to_have_text("ready", timeout=20_000)
    yield found
    page.close()
    assert found.wrong == []
    assert {url for url in found.asked if not url.startswith((address, "data:"))} == set()


def config(running, name: str = "inventory") -> dict:
    return requests.get(f"http://127.0.0.1:{running.ports[name]}/configure", timeout=5).json()["config"]


def order_one(page: Page) -> str:
    """Place an order by click, and return its id."""
    with page.expect_response("**/api/load") as answer:
        page.click("#one")
    return answer.value.json()["order_id"]


@pytest.mark.parametrize(("theme", "width"), [("light", 800), ("dark", 800), ("dark", 1280), ("light", 2560)])
def test_every_screen_can_be_read_aloud_and_fits(browser, address, theme, width):
    page = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 800}, bypass_csp=True).new_page()
    page.goto(address)
    expect(page.locator("#rows .pA .how").first).to_have_text("ready", timeout=20_000)
    page.click('[data-s="A-inventory"]')
    for screen in SCREENS:
        page.click(f"#t-{screen}")
        if screen == "runs":
            page.click(f'[data-run="{RUN}"] button')
            page.wait_for_selector("#scrub")
        found = Axe().run(page).response["violations"]
        assert [(v["id"], v["nodes"][0]["html"]) for v in found] == [], screen
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), screen
    page.context.close()


def test_a_fault_by_click_is_in_the_service_and_in_the_chart(seen, running):
    page = seen.page
    page.click('[data-s="A-inventory"]')
    page.fill("#f-delay", "2")
    expect(page.locator("#card [data-key=delay] code")).to_have_text("./lab configure inventory delay=2")
    wait_until(lambda: config(running)["delay"] == 2, what="the delay is in the service")
    expect(page.locator('[data-s="A-inventory"]')).to_contain_text("delay")
    seen.open("time")
    expect(page.locator("#ch-f")).to_contain_text("inventory delay=2")
    seen.open("lanes")
    page.select_option("#f-crash_point", "after_commit")
    wait_until(lambda: config(running)["crash_point"] == "after_commit", what="the crash point is in the service")
    page.select_option("#f-crash_point", "none")
    wait_until(lambda: config(running)["crash_point"] is None, what="only the crash point is gone")
    assert config(running)["delay"] == 2
    page.click("#creset")
    wait_until(lambda: config(running)["delay"] == 0, what="no fault is left")
    assert page.locator("[data-key=paused], [data-key=throttle]").count() == 0  # services of A know neither


def test_kill_and_start_by_click(seen, running):
    page = seen.page
    page.click('[data-s="A-notification"]')
    page.click("#pb [data-v=kill]")
    expect(page.locator('[data-s="A-notification"]')).to_contain_text("killed")
    assert "exited" in running.lab("status")
    page.click("#pb [data-v=start]")
    expect(page.locator('[data-s="A-notification"] .how')).to_have_text("ready", timeout=40_000)
    assert "exited" not in running.lab("status")


def test_an_order_is_shown_with_its_sequence_and_the_promises_hold(seen):
    page = seen.page
    order_id = order_one(page)
    expect(page.locator(".pA .promise")).to_contain_text("7 of 7 hold", timeout=20_000)
    seen.open("order")
    page.fill("#oid", order_id)
    page.click("#oshow")
    expect(page.locator("#osum")).to_contain_text("notified")
    expect(page.locator("#orec")).to_have_text("as its services recorded it")
    for text in ("POST /order", "POST /reserve", "commit reserved", "POST /send", "201"):
        expect(page.locator("#seq")).to_contain_text(text)
    expect(page.locator("#oside")).to_contain_text("POST /reserve 200")


def test_a_mark_of_an_order_opens_it(seen):
    page = seen.page
    page.fill("#rate", "5")
    page.locator("#pipeA .dots g").first.wait_for(state="attached")
    order_id = page.evaluate(
        "(() => { const g = document.querySelector('#pipeA .dots g'); g.onclick(); return g.dataset.order })()"
    )
    expect(page.locator("#oid")).to_have_value(order_id)
    expect(page.locator("#osum")).to_contain_text("after")
    seen.open("lanes")
    page.click("#stop")


def test_a_finished_run_plays_in_the_lanes_and_charts(seen):
    page = seen.page
    seen.open("runs")
    page.click(f'[data-run="{RUN}"] button')
    page.wait_for_selector("#scrub")
    page.evaluate("(() => { const s = document.querySelector('#scrub'); s.value = s.max; s.oninput({target: s}) })()")
    total = page.locator(f'[data-run="{RUN}"] td').nth(3).inner_text()
    expect(page.locator("#pa")).to_have_text(total)
    page.evaluate("(() => { const s = document.querySelector('#scrub'); s.value = 0; s.oninput({target: s}) })()")
    page.click("#plin")
    expect(page.locator("#playing")).to_contain_text(RUN)
    expect(page.locator("#rows .promise")).to_contain_text("7 of 7 hold")
    seen.open("time")
    expect(page.locator("#ch-f")).to_contain_text("inventory killed")
    page.click("#pstop")
    expect(page.locator("#playing")).to_be_hidden()


def test_a_killed_service_is_a_cross_and_a_hatch_in_the_lifeline_of_its_order(seen):
    folder, page = ROOT / "results" / KILLED, seen.page
    ids = {line["order_id"] for line in model.read(folder).trace}
    order_id = next(i for i in sorted(ids) if any(s.get("crash") for s in runs.one_order(folder, i)["steps"]))
    seen.open("runs")
    page.click(f'[data-run="{KILLED}"] button')
    page.click("#plin")
    seen.open("order")
    page.fill("#oid", order_id)
    page.click("#oshow")
    expect(page.locator("#osum")).to_contain_text("inventory killed once")
    expect(page.locator('#seq rect[fill="url(#hx)"]')).to_have_count(1)


def test_the_keyboard_reaches_every_screen(seen):
    page = seen.page
    for number, screen in enumerate(SCREENS, 1):
        page.keyboard.press(str(number))
        expect(page.locator(f"#s-{screen}")).to_be_visible()
    page.focus("#t-runs")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#s-lanes")).to_be_visible()


def test_predict_first_compares_what_was_written_down(seen):
    page = seen.page
    page.fill("#psec", "2")
    page.fill("#rate", "5")
    page.fill("#pre", "0")
    page.click("#prun")
    expect(page.locator("#pres")).to_contain_text("→", timeout=60_000)


def test_a_second_page_is_refused_and_says_where_the_first_is(running, address):
    status, said = running.run("lab", "live", "--port", str(free_port()))
    assert status == 2
    assert address in said


def test_a_lost_connection_is_said(browser, running, address, seen):
    record = re.search(r'"pid": (\d+)', (running.root / ".lab/run/live.json").read_text())
    os.kill(int(record[1]), signal.SIGSTOP)
    try:
        expect(seen.page.locator("#fresh")).to_contain_text("connection lost", timeout=15_000)
    finally:
        os.kill(int(record[1]), signal.SIGCONT)
    expect(seen.page.locator("#fresh")).to_contain_text("figures", timeout=15_000)


def test_the_report_is_one_file_that_any_browser_opens(browser, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(ROOT / "results/async-rabbitmq/b2_outage", folder)
    from lab.live import html

    page, wrong, asked = browser.new_page(), [], []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(html.write(folder).as_uri())
    expect(page.locator("#player")).to_contain_text("B2: inventory is down")
    for screen in ("lanes", "time", "order", "runs"):
        page.click(f"#t-{screen}")
        expect(page.locator(f"#s-{screen}")).to_be_visible()
    page.click("#t-time")
    expect(page.locator("#ch-f")).to_contain_text("inventory killed")
    assert wrong == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
