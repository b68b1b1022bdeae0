"""Puts the clients in memory in the place of kafka-python's: in `broker/kafka_workarounds.py`, and where it is used."""

import contextlib
import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from lab.simulation.kafka.admin import Admin
from lab.simulation.kafka.broker import Broker
from lab.simulation.kafka.consumer import Consumer
from lab.simulation.kafka.host import Host
from lab.simulation.kafka.producer import Producer

_KINDS: dict[Any, Any] = {KafkaProducer: Producer, KafkaConsumer: Consumer, KafkaAdminClient: Admin}


def patch(where: Callable[[], tuple[Host, Broker]], made: Callable[[Any], None] = lambda client: None) -> None:
    """Let every client be made in memory, in the process and for the broker that `where` returns then."""
    workarounds, clients = import_module("broker.kafka_workarounds"), import_module("broker.clients")

    def build(kind: Any, **options: Any) -> Any:
        client = _KINDS[kind](*where(), **options)
        made(client)
        return client

    def ask(name: str, port: int, seconds: float) -> None:
        if not where()[0].reaches():
            raise ConnectionRefusedError("Connection refused")

    workarounds.__dict__.update(
        build=build,
        close=close,
        send_offsets=Producer.send_offsets,
        begin_transaction=Producer.begin_transaction,
        commit_transaction=Producer.commit,
        take_up_again=lambda consumer: None,
        is_fenced=lambda consumer: consumer.is_fenced,
        read_on=lambda consumer: None,
        take_late_answers=lambda consumer: None,
    )
    hosts = functools.cache(clients.__dict__["collect_hosts"])
    clients.__dict__.update(close=close, _ask=ask, collect_hosts=hosts)


def close(client: Any, *, leaves: bool = False) -> None:
    """Close a client of any kind; with `leaves` a consumer leaves its group."""
    with contextlib.suppress(Exception):
        if isinstance(client, Consumer):
            client.close(leaves=leaves)
        else:
            client.close()
