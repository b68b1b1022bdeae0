"""The one place for time, waits and ids: what a simulation puts there is what all services get."""

import ast
import queue
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from campus import clock
from campus.faults import ANSWERING, Faults
from campus.ids import new_order_id
from campus.loop import Loop
from campus.orders import utc_now

ROOT = Path(__file__).resolve().parents[2]
# These deal with the operating system itself: sockets, files, threads.
WITH_REAL_TIME = {"clock", "trace", "server", "file_lock", "checkpoints", "bounded", "engines", "clients"}


class Frozen(clock.Clock):
    slept = 0.0

    def now(self):
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self):
        return 7.0 + self.slept

    def sleep(self, seconds):
        self.slept += seconds

    def wait(self, event, seconds):
        self.sleep(seconds)
        return event.is_set()

    def take(self, items, seconds):
        self.sleep(seconds)
        return items.get_nowait()

    def sortable_id(self):
        return "o1"

    def random_id(self):
        return "r1"


@pytest.fixture
def frozen():
    made = Frozen()
    before = clock.use(made)
    yield made
    clock.use(before)


def test_a_clock_that_is_put_in_place_gives_time_waits_and_ids(frozen):
    assert (utc_now(), new_order_id(), clock.random_id()) == ("2026-01-01T00:00:00.000000Z", "o1", "r1")
    clock.sleep(3600)
    assert not clock.wait(threading.Event(), 3600)
    with pytest.raises(queue.Empty):
        clock.take(queue.SimpleQueue(), 3600)
    assert clock.monotonic() == 7.0 + 3 * 3600


def test_what_was_made_with_the_default_clock_follows(frozen):
    faults = Faults(ANSWERING)
    faults.configure({"delay": 60})
    faults.inject()
    loop = Loop("a loop", lambda: False)
    frozen.slept += 11
    assert frozen.slept == 71
    loop._error = None
    with pytest.raises(RuntimeError, match="no round has ended for 11 s"):
        loop.check()


def test_without_another_clock_time_is_real():
    event, items = threading.Event(), queue.SimpleQueue()
    items.put(1)
    assert clock.take(items, 0.0) == 1
    assert not clock.wait(event, 0.0)
    assert clock.now().tzinfo is UTC
    assert clock.sortable_id() < clock.sortable_id()


def imports(path: Path) -> set[str]:
    """Return the modules that a file imports whole."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import)]
    return {alias.name for node in found for alias in node.names}


def test_services_take_time_and_ids_from_nowhere_else():
    folders = ["common/campus", "sync-rest", "async-rabbitmq", "streaming-kafka"]
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py") if "tests" not in path.parts]
    direct = {path.stem for path in files if imports(path) & {"time", "uuid", "uuid_utils"}}
    assert direct - WITH_REAL_TIME == {"ids"}  # the name-based ids of events: the same every time
