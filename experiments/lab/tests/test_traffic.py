"""Counting messages and connections: at the receivers' own counters, and by the system."""

import os
import shlex
import socket
import sys
import time
from types import SimpleNamespace

import pytest
from lab import client
from lab.cli import main as cli
from lab.history import sampler, traffic
from lab.history.recorder import RunRecorder
from lab.runtime import connections, lifecycle
from lab.runtime.connections import ContainerConnections, LocalConnections
from lab.services import Service
from testing import wait_until

METRICS = """\
http_requests_total{method="POST",endpoint="reserve",status="200"} 7.0
http_requests_total{method="POST",endpoint="reserve",status="500"} 2.0
http_requests_total{method="GET",endpoint="metrics",status="200"} 40.0
messages_total{queue="order-placed",outcome="done"} 5.0
messages_total{queue="order-placed",outcome="retried"} 1.0
messages_total{group="analytics-consumer-group",outcome="done"} 3.0
http_request_seconds_count{endpoint="reserve"} 9.0
"""
RECEIVED = {"reserve": 9, "order-placed": 6, "analytics-consumer-group": 3}
INVENTORY = Service("sync-rest", "inventory", [], {}, "sync-rest", 8001, {})


def recorder(folder, **head) -> RunRecorder:
    return RunRecorder.begin(folder / "run", {"part": "sync-rest", **head})


def noted(of: RunRecorder) -> list[dict]:
    return [line for line in of.lines() if line["type"] == "messages"]


@pytest.fixture
def answers(monkeypatch):
    """Every service answers with these metrics."""
    answer = SimpleNamespace(status_code=200, text=METRICS)
    monkeypatch.setattr(client, "try_get", lambda url, timeout: answer if url.endswith("/metrics") else None)


def test_messages_between_services_are_counted_by_their_receiver(answers, tmp_path):
    of = recorder(tmp_path, traffic=True)
    traffic.note_received(of, INVENTORY)
    assert [(line["service"], line["received"]) for line in noted(of)] == [("inventory", RECEIVED)]


def test_a_run_that_does_not_ask_for_it_counts_nothing(answers, tmp_path):
    of = recorder(tmp_path)
    traffic.note_received(of, INVENTORY)
    assert noted(of) == []


def test_a_service_that_does_not_answer_leaves_no_note(monkeypatch, tmp_path):
    monkeypatch.setattr(client, "try_get", lambda url, timeout: None)
    of = recorder(tmp_path, traffic=True)
    traffic.note_received(of, INVENTORY)
    assert noted(of) == []


def test_what_a_process_counted_is_noted_before_it_is_killed(answers, tmp_path, monkeypatch):
    of = recorder(tmp_path, traffic=True)
    monkeypatch.setenv("LAB_RUN", str(of.folder))
    killed = []
    chosen = SimpleNamespace(signal=lambda service, verb: killed.append((verb, len(noted(of)))))
    monkeypatch.setattr(lifecycle, "choose", lambda: chosen)
    monkeypatch.setattr(lifecycle, "find", lambda _, name: INVENTORY)
    cli.main(["kill", "inventory"], standalone_mode=False)
    assert killed == [("kill", 1)]
    assert [line["type"] for line in of.lines()] == ["messages", "fault"]


def test_each_connection_between_services_is_seen_once(monkeypatch):
    pids = LocalConnections(lambda service: os.getpid() if service.name == "order" else None)
    chosen = SimpleNamespace(connections=lambda: pids)
    monkeypatch.setattr(lifecycle, "choose", lambda: chosen)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        inventory = Service("sync-rest", "inventory", [], {"PORT": str(port)}, "sync-rest", port, {})
        order = Service("sync-rest", "order", [], {"PORT": "1"}, "sync-rest", 1, {})
        connections = traffic.Connections({"inventory": inventory, "order": order})
        assert list(connections.lines()) == []
        line = {"type": "connection", "service": "order", "to": "inventory"}
        with socket.create_connection(("127.0.0.1", port)):
            assert list(connections.lines()) == [line]
            assert list(connections.lines()) == []
            with socket.create_connection(("127.0.0.1", port)):
                assert list(connections.lines()) == [line]


def test_in_a_container_a_program_sees_each_connection_once(monkeypatch, tmp_path):
    """The program runs here and not in a container: `docker` is a script that leaves out its words and `python`."""
    (tmp_path / "docker").write_text(f'#!/bin/sh\nshift 4\nexec {shlex.quote(sys.executable)} "$@"\n')
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(connections, "AGAIN_SECONDS", 3600.0)
    watched = ContainerConnections(lambda service: service.name)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        seen: list = []

        def found() -> bool:
            seen.extend(other for _, other in watched.of(INVENTORY) if other[1] == port)
            return bool(seen)

        assert not found()
        with socket.create_connection(("127.0.0.1", port)):
            wait_until(found, what="the connection is seen")
            time.sleep(0.5)
            found()
    assert len(seen) == 1
    watcher, _ = watched._watchers["inventory"]
    watcher.stdin.close()
    watcher.wait(10)  # it ends with its input, as it must when whoever started it is killed
    found()
    assert len(seen) == 1
    assert watched._watchers["inventory"][0] is watcher  # a container that does not run is not asked again at once
    monkeypatch.setattr(connections, "AGAIN_SECONDS", 0.0)
    found()
    again, _ = watched._watchers["inventory"]
    assert again is not watcher
    again.stdin.close()
    again.wait(10)


def test_what_is_sampled_is_what_the_run_asks_for(tmp_path, monkeypatch):
    monkeypatch.setattr(lifecycle, "choose", lambda: SimpleNamespace(connections=lambda: None))
    assert list(sampler._looks(recorder(tmp_path / "a"), {})) == []
    assert len(list(sampler._looks(recorder(tmp_path / "b", traffic=True), {}))) == 1
