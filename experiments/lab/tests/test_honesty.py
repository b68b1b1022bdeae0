"""The load generator is honest: a server that is frozen F seconds of T shows what its clients really wait.

Orders that were meant to be sent during the freeze wait for what is left of it, so the quantile q of all latencies is
max(0, (q − 1 + F/T)·T). A closed loop sends nothing meanwhile, and shows one slow order.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from lab.analysis import latency
from lab.history import model as history
from lab.load import generator
from lab.load.generator import Plan

SERVER = """
import asyncio

class Answer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.read = transport, b""
    def data_received(self, data):
        self.read += data
        if self.read.endswith(b"]}"):
            self.read = b""
            self.transport.write(b"HTTP/1.1 201 Created\\r\\nContent-Length: 2\\r\\n\\r\\n{}")

async def main():
    server = await asyncio.get_running_loop().create_server(Answer, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


@pytest.fixture
def server() -> Iterator[subprocess.Popen]:
    child = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    child.url = f"http://127.0.0.1:{child.stdout.readline().strip()}"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def drive_with_freeze(server: subprocess.Popen, plan: Plan, begin: float, frozen: float) -> tuple[history.Run, float]:
    """Run a load, freeze the server meanwhile, and return the run and how long the freeze really was."""
    times = []

    def freeze() -> None:
        time.sleep(begin)
        server.send_signal(signal.SIGSTOP)
        times.append(time.monotonic())
        time.sleep(frozen)
        server.send_signal(signal.SIGCONT)
        times.append(time.monotonic())

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        lines, began, until = generator.run(plan, server.url, generator.monotonic_since(time.monotonic()))
    finally:
        thread.join()
    phase = {"at": began, "type": "phase", "phase": plan.phase, "params": plan.params(), "until": until}
    return history.Run({}, [phase, *lines]), times[1] - times[0]


def test_an_open_loop_shows_a_freeze_as_long_as_it_was(server):
    total = 5.0
    run, frozen = drive_with_freeze(server, Plan("open", rate=60, seconds=total), begin=1.5, frozen=2.0)
    assert [op.result for op in run.operations] == ["ok"] * 300
    latencies = [latency.latency(op) for op in run.operations]
    for q in (0.75, 0.9, 0.99):
        assert latency.quantile(latencies, q) == pytest.approx((q - 1 + frozen / total) * total, abs=0.3)
    assert latency.quantile(latencies, 0.5) < 0.3  # 1 − F/T is 0.6: the median student noticed nothing


def test_a_closed_loop_hides_it(server):
    run, frozen = drive_with_freeze(server, Plan("closed", clients=1, seconds=3.0), begin=1.0, frozen=1.2)
    of = latency.of_phases(run)["closed"]
    assert of["p99"] < frozen / 2
    assert of["max"] == pytest.approx(frozen, abs=0.3)
    assert sum(latency.latency(op) > 0.5 for op in run.operations) == 1
