"""Logs of local processes are bounded, while the processes write them."""

import sys

import pytest
from conftest import Copy
from lab.runtime import log_keeper, processes
from testing import Process, free_port, wait_until


@pytest.mark.parametrize(("most", "kept"), [(100, None), (5, "one\ntwo\n")])
def test_a_log_that_is_too_large_begins_anew(tmp_path, most, kept):
    log = tmp_path / "part/order.log"
    log.parent.mkdir()
    log.write_text("one\ntwo\n")
    log_keeper.rotate(tmp_path, most)
    before = log.with_name("order.log.1")
    assert (before.read_text() if before.exists() else None) == kept
    assert (log.read_text() == "") == (kept is not None)


def test_a_process_goes_on_writing_at_the_beginning(tmp_path):
    process = Process("writer", free_port(), tmp_path / "writer.log")
    says = "import time\nfor n in range(10**6): print('line', n, flush=True); time.sleep(0.001)"
    process.run([sys.executable, "-c", says], folder=tmp_path, env={})
    try:
        wait_until(lambda: "line 9" in process.log(), alive=process)
        log_keeper.rotate(tmp_path, 10)
        wait_until(lambda: process.log(), what="more lines", alive=process)
        assert process.log().startswith("line ")  # and not with a hole where the old ones were
        assert (tmp_path / "writer.log.1").read_text().startswith("line 0\n")
    finally:
        process.kill()


def test_the_keeper_lives_as_long_as_what_it_looks_after(copy: Copy):
    copy.lab("up", "sync-rest")
    record = processes.load(copy.root / ".lab/run/log_keeper.json")
    assert record.state() == "running"
    copy.lab("kill", "order")
    copy.lab("start", "order")
    assert processes.load(copy.root / ".lab/run/log_keeper.json") == record
    log = copy.root / ".lab/logs/sync-rest/order.log"
    with log.open("ab") as file:
        file.truncate(log_keeper.MOST + 1)
    wait_until(lambda: log.with_name("order.log.1").exists() and log.stat().st_size < log_keeper.MOST)
    copy.lab("down")
    wait_until(lambda: record.state() == "exited", what="the keeper has ended")
