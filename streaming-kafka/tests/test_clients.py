"""Whether a broker is there: it is really asked, and whatever it does, the answer comes within a second or so."""

import signal
import socket
import time

import pytest
from broker import clients
from kafka import KafkaAdminClient
from testing import MARGIN, free_port


def test_a_broker_answers(node):
    node.start()
    assert clients.trouble(node.bootstrap) is None


def test_a_list_of_brokers_is_there_when_one_of_them_is(node):
    node.start()
    gone = f"127.0.0.1:{free_port()}"
    assert clients.trouble(f"{gone}, {node.bootstrap}") is None
    assert clients.trouble(f"{node.bootstrap},{gone}") is None
    client = clients.connect(KafkaAdminClient, f"{gone}, {node.bootstrap}")
    assert client.config["bootstrap_servers"] == [node.bootstrap]  # else it may draw the other one again and again
    clients.close(client)


def test_an_address_of_six_parts_stays_one(monkeypatch):
    monkeypatch.setattr(clients, "_ask", lambda *_: None)
    monkeypatch.setattr(clients.kafka_workarounds, "build", lambda _kind, bootstrap_servers, **_: bootstrap_servers)
    assert clients.connect(KafkaAdminClient, "[::1]:9093") == ["[::1]:9093"]


@pytest.mark.parametrize(("silent", "works"), [("", True), ("1", True), ("3", True), ("12", False), ("123", False)])
def test_of_three_nodes_two_must_answer(silent, works, monkeypatch):
    def ask(host: str, *_) -> None:
        if host[-1] in silent:
            raise ConnectionRefusedError("refused")

    monkeypatch.setattr(clients, "_ask", ask)
    why = clients.trouble("kafka1:1, kafka2:2, kafka3:3")
    assert (why is None) == works
    assert works or [node for node in "123" if f"kafka{node}:{node}: refused" in why] != []


def test_a_node_that_is_silent_does_not_hold_up_the_others(node, monkeypatch):
    node.start()
    monkeypatch.setattr(clients, "ANSWER_SECONDS", 60)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert clients.trouble(f"127.0.0.1:{silent.getsockname()[1]},{node.bootstrap}") is None


@pytest.mark.parametrize("nobody", ["127.0.0.1:{}", "[::1]:{}", "localhost:{}", "127.0.0.1:{0}, [::1]:{0}"])
def test_who_is_not_there_is_named(nobody):
    port = free_port()
    why = clients.trouble(nobody.format(port))
    assert why.startswith("Kafka cannot be reached at ")
    assert str(port) in why
    with pytest.raises(ConnectionError, match="Kafka cannot be reached"):
        clients.connect(KafkaAdminClient, nobody.format(port))


@pytest.mark.parametrize(("address", "port"), [("localhost", 9092), ("::1", 9092), ("127.0.0.1", 9092)])
def test_an_address_without_a_port_means_kafkas(address, port, monkeypatch):
    asked = []
    monkeypatch.setattr(clients, "_ask", lambda *where: asked.append(where))
    assert clients.trouble(address) is None
    assert asked == [(address, port, clients.ANSWER_SECONDS)]


def test_who_listens_and_says_nothing_is_not_there():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert "timed out" in clients.trouble(f"127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - began < clients.ANSWER_SECONDS + MARGIN


def test_a_frozen_broker_is_not_there(node):
    node.start()
    node.signal(signal.SIGSTOP)
    try:
        assert "timed out" in clients.trouble(node.bootstrap)
    finally:
        node.start()
    assert clients.trouble(node.bootstrap) is None
