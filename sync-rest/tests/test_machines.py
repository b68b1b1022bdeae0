"""A service on machines that refuse it something, or ask for what it cannot be."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testing import Service, wait_until

PART = Path(__file__).resolve().parents[1]
REFUSING = """
import errno, os
def refuse(*_): raise OSError(errno.EINVAL, "Invalid argument")
os.sched_setscheduler = os.sched_setaffinity = refuse
usual = os.access
os.access = lambda path, *mode, **options: path != "/dev/shm" and usual(path, *mode, **options)
"""


@pytest.fixture
def started(tmp_path) -> Iterator[Callable[..., Service]]:
    """A function that starts the inventory service with these variables."""
    made = []

    def start(**env: str) -> Service:
        made.append(Service(PART, "inventory", tmp_path))
        made[-1].start(**env)
        return made[-1]

    yield start
    for service in made:
        service.kill()


def test_what_makes_it_only_quicker_is_left_out_and_said_once(started, tmp_path):
    """gVisor and strict seccomp profiles refuse the scheduler; in some containers /dev/shm is not writable."""
    (tmp_path / "sitecustomize.py").write_text(REFUSING)
    code = os.pathsep.join(map(str, (tmp_path, PART, PART.parent / "common")))
    service = started(PYTHONPATH=code, PIN_CPU="0")
    wait_until(service.ready, alive=service)
    warnings = [line for line in service.log().splitlines() if '"level":"warning"' in line]
    assert len(warnings) == 3, warnings
    assert sum("does not let this process" in line and "Invalid argument" in line for line in warnings) == 2
    assert sum("/dev/shm cannot be written" in line for line in warnings) == 1


@pytest.mark.parametrize("words", ["--workers 4", "-k sync", "--preload"])
def test_it_refuses_to_be_another_process_than_one_of_its_own_server(started, words):
    """Each worker would have its own faults and metrics, and `GET /configure` would show those of any."""
    service = started(GUNICORN_CMD_ARGS=words)
    assert service.process.wait(30) == 2
    assert "GUNICORN_CMD_ARGS asks for" in service.log()
    assert "Traceback" not in service.log()


def test_web_concurrency_makes_no_second_worker(started):
    service = started(WEB_CONCURRENCY="4")
    wait_until(service.ready, alive=service)
    service.configure(delay=1)
    assert [service.call("GET", "/configure").json()["config"]["delay"] for _ in range(8)] == [1] * 8
