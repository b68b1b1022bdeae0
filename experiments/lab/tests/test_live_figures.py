"""A figure on the page and in the report of the same run agree: an experiment runs while the page is open."""

import contextlib
import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Copy
from lab.live import cost
from testing import free_port, wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(400)]

PART = "sync-rest"


class Reader:
    """Reads the events of a page, as a browser does, and keeps what it showed of Part A."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.seconds: dict[int, dict[str, Any]] = {}
        self.last: dict[str, Any] = {}
        self.connected = threading.Event()

    def follow(self) -> None:
        """Read until the page ends."""
        for shown in cost.figures(self._port):
            self.connected.set()
            self.seconds |= {row["at"]: row for row in shown["seconds"][PART]}
            part = next(each for each in shown["parts"] if each["part"] == PART)
            if part["up"]:
                self.last = part

    def total(self, figure: str) -> float:
        """Return a figure of all seconds together."""
        return sum(row[figure] or 0 for row in self.seconds.values())


@pytest.fixture
def reader(copy: Copy) -> Iterator[Reader]:
    """The page of a copy of the repository, and one who reads it."""
    port = free_port()
    process = copy.popen("lab", "live", "--port", str(port))
    made = Reader(port)

    def answers() -> bool:
        assert process.poll() is None, process.stdout.read()
        with contextlib.suppress(OSError):
            http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
            return True
        return False

    try:
        wait_until(answers, 60, what="./lab live answers")
        threading.Thread(target=made.follow, daemon=True).start()
        assert made.connected.wait(20)
        yield made
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def run_until_decided(copy: Copy, reader: Reader) -> tuple[int, str]:
    """Run A5, which stops its part only when the page has decided about its last orders, 2 s after they ended."""
    script, decided = copy.root / "experiments/experiment.sh", copy.root / "decided"
    ends = "  lab finish\n"
    text = script.read_text()
    assert text.count(ends) == 1
    script.write_text(text.replace(ends, f"  echo settled\n  until [[ -e '{decided}' ]]; do sleep 0.1; done\n{ends}"))
    running = copy.popen("experiments/a5_outage.sh", "--quick")
    said = ""
    for line in running.stdout:
        said += line
        if line == "settled\n":
            wait_until(lambda: reader.last["promises"]["so_far"] == [], what="the page decides about all orders")
            decided.touch()
    return running.wait(60), said


def test_the_page_and_the_report_of_the_same_run_say_the_same(copy: Copy, reader: Reader):
    status, said = run_until_decided(copy, reader)
    folder = copy.root / ".lab/quick/sync-rest/a5_outage"
    assert (folder / "summary.json").exists(), (status, said)
    summary = json.loads((folder / "summary.json").read_text())
    by_status, last = summary["orders"]["by_status"], reader.last
    assert reader.total("completed") == by_status["notified"]
    assert reader.total("replies") == sum(phase["sent"] for phase in summary["phases"].values())
    held = [each for each in summary["invariants"] if each["verdict"] == "pass"]
    promises = last["promises"]
    assert (promises["orders"], promises["hold"]) == (sum(by_status.values()), len(held))
    assert promises["broken"] is None
    ended = [fault for fault in last["faults"] if fault["until"] is not None]  # the others: the script stops the part
    shown = [(fault["service"], fault["what"]) for fault in ended]
    assert shown == [(window["service"], window["what"]) for window in summary["windows"]]
    for fault, window in zip(ended, summary["windows"], strict=True):
        duration = window["until"] - window["since"]
        assert fault["until"] - fault["since"] == pytest.approx(duration, abs=3)
