"""Processes by id and start time: only the very process that was started is ever signalled."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from lab.runtime import processes
from lab.runtime.processes import Record
from testing import wait_until

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)
PARENT = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., Record]]:
    """A function that starts a process; whatever is left of them ends with the test."""
    started = []

    def start_one(*command: str) -> Record:
        started.append(processes.start(command, folder=tmp_path, env=os.environ, log=tmp_path / "logs/out.log"))
        return started[-1]

    yield start_one
    for record in started:
        record.signal_group(signal.SIGKILL)


def test_a_process_runs_until_it_is_stopped(start):
    record = start("sleep", "60")
    assert record.state() == "running"
    assert record.stop() is True
    assert record.state() == "exited"
    assert record.stop() is True  # and once more is harmless


def test_what_it_says_is_appended_to_its_log(start, tmp_path):
    start("echo", "one")
    log = tmp_path / "logs/out.log"
    wait_until(lambda: log.read_text() == "one\n")
    start("sh", "-c", "echo two >&2")
    wait_until(lambda: log.read_text() == "one\ntwo\n")


def test_a_process_with_another_start_time_is_never_signalled(start):
    record = start("sleep", "60")
    other = replace(record, born=record.born - 100)
    assert other.state() == "exited"
    other.signal_group(signal.SIGKILL)
    assert other.stop() is True
    time.sleep(0.1)
    assert record.state() == "running"


def test_a_process_that_ignores_the_request_is_killed(start, tmp_path):
    record = start(sys.executable, "-c", STUBBORN)
    wait_until(lambda: (tmp_path / "logs/out.log").read_text() == "ready\n")
    began = time.monotonic()
    assert record.stop(0.5) is False
    assert 0.5 <= time.monotonic() - began < 4
    assert record.state() == "exited"


def test_what_a_stubborn_process_started_is_killed_with_it(start, tmp_path):
    record = start(sys.executable, "-c", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + PARENT)
    wait_until(lambda: (tmp_path / "logs/out.log").read_text())
    child = psutil.Process(int((tmp_path / "logs/out.log").read_text()))
    assert record.stop(0.3) is False
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_pause_and_unpause(start):
    record = start("sleep", "60")
    record.signal_group(signal.SIGSTOP)
    wait_until(lambda: record.state() == "paused")
    record.signal_group(signal.SIGCONT)
    wait_until(lambda: record.state() == "running")


def test_a_paused_process_can_be_stopped(start):
    record = start("sleep", "60")
    record.signal_group(signal.SIGSTOP)
    wait_until(lambda: record.state() == "paused")
    assert record.stop(5) is True


def test_a_killed_process_has_ended(start):
    record = start("sleep", "60")
    record.signal_group(signal.SIGKILL)
    assert record.stop() is True
    assert record.state() == "exited"
    record.signal_group(signal.SIGKILL)  # nobody is there any more


def test_a_process_that_ends_while_we_look_has_ended(start, monkeypatch):
    record = start("sleep", "60")

    class Gone:
        def __getattr__(self, name):
            raise psutil.NoSuchProcess(record.pid)

    with monkeypatch.context() as patch:
        patch.setattr(Record, "process", lambda _: Gone())
        assert record.state() == "exited"
        patch.setattr(Record, "signal_group", lambda *_: None)
        assert record.stop() is True


def test_records_are_kept_in_files(tmp_path):
    record = processes.record_of(os.getpid())
    processes.save(record, tmp_path / "run/x.json")
    assert processes.load(tmp_path / "run/x.json") == record
    assert record.process().pid == os.getpid()


def test_a_process_that_cannot_be_recorded_is_not_left_running(tmp_path, monkeypatch):
    started = []

    def full(record: Record, path: Path) -> None:
        started.append(record)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(processes, "save", full)
    log = tmp_path / "out.log"
    with pytest.raises(OSError, match="No space left"):
        processes.start_recorded(["sleep", "60"], tmp_path / "x.json", folder=tmp_path, env=os.environ, log=log)
    assert [record.state() for record in started] == ["exited"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": 1}', "nonsense"])
def test_a_spoiled_record_is_none(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    assert processes.load(tmp_path / "x.json") is None
    assert processes.load(tmp_path / "missing.json") is None


def test_the_record_of_a_dead_process_says_so():
    child = subprocess.Popen(["true"])
    child.wait()
    assert processes.record_of(child.pid).state() == "exited"


def test_ctrl_c_waits_until_the_block_is_done():
    done = []

    def interrupted() -> None:
        with processes.uninterrupted():
            signal.raise_signal(signal.SIGINT)
            done.append(True)

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert done == [True]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, usual)


def test_who_listens_on_a_port(free_port):
    assert processes.listener(free_port) is None
    with socket.create_server(("127.0.0.1", free_port)):
        assert processes.listener(free_port).startswith(f"process {os.getpid()} (")
