"""The private node: it needs no port but its own, its memory is bounded, and its death is noticed."""

import contextlib
import socket

import pytest
from node import Node


@pytest.fixture
def fresh(tmp_path, node) -> Node:
    """Another node than the one of the other tests."""
    return Node(tmp_path)


def test_a_node_starts_whatever_other_ports_are_taken_and_ends_in_good_order(fresh):
    with contextlib.ExitStack() as stack:
        for above in (20_000, 21_003, 1, 4369):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", fresh.port + above)))
        fresh.start()
        try:
            assert "Ping succeeded" in fresh.ctl("ping")
        finally:
            fresh.stop()
        assert fresh.process.returncode == 0


def test_a_node_that_cannot_start_is_noticed_and_quoted(fresh):
    with (
        socket.create_server(("127.0.0.1", fresh.port)),
        pytest.raises(AssertionError, match=r"RabbitMQ ended; its last lines:(.|\n)*eaddrinuse"),
    ):
        fresh.start()
    assert fresh.process.returncode != 0


def test_the_log_of_quorum_queues_is_bounded_as_it_is_kept_in_memory(node):
    node.start()
    assert "64000000" in node.ctl("eval", "application:get_env(ra, wal_max_size_bytes).")
