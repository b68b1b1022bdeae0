"""What the laboratory does with a real RabbitMQ: dead letters, publishing, sampling. One private node for all tests."""

import contextlib
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator

import pika
import pytest
from campus.events import INVENTORY_RESERVED, ORDER_PLACED, InvalidEvent, parse
from conftest import ROOT, free_ports
from lab.brokers import dead_letters, rabbitmq
from lab.brokers.base import emptied
from lab.brokers.message import BrokerMessage
from lab.brokers.probe import answers
from lab.errors import LabError
from lab.faults import messages
from lab.history import sampler
from lab.runtime import data, local, processes
from lab.services import Service
from lab.setup import install
from testing import Process, wait_until

QUEUE, DEAD = "order-placed", "order-placed.dlq"


def service(port: int) -> Service:
    """Return a broker's description."""
    return Service("async-rabbitmq", "rabbitmq", [], {}, "async-rabbitmq", port, {}, is_broker=True)


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[Service]:
    """A private node."""
    if install._rabbitmq_server() is None:
        pytest.skip("RabbitMQ is missing")
    folder = tmp_path_factory.mktemp("rabbitmq")
    node = service(free_ports(1)[0])
    process = Process("RabbitMQ", node.port, folder / "said")
    command = [ROOT / "async-rabbitmq/broker/private_node", folder]
    process.run(command, folder=folder, env={"RABBITMQ_NODE_PORT": str(node.port)})
    try:
        wait_until(lambda: answers("rabbitmq", [node.port], 1.0), 60, what="RabbitMQ answers", alive=process)
        yield node
    finally:
        process.stop()


@pytest.fixture
def queues(broker: Service) -> Service:
    """The node, with all queues there and empty."""
    with rabbitmq.channel(broker) as on:
        for queue in rabbitmq.ALL:
            on.queue_declare(queue, durable=True)
            on.queue_purge(queue)
    return broker


def dead_letter(n: int, reason: str = "no JSON", history: str = "[]") -> BrokerMessage:
    return BrokerMessage(
        f"body {n}".encode(), f"m{n}", {"x-reason": reason, "x-history": history, "x-other": "kept out"}
    )


def fill(broker: Service, count: int) -> None:
    with rabbitmq.channel(broker) as on:
        rabbitmq.publish(on, DEAD, [dead_letter(n) for n in range(count)])


def counts(broker: Service) -> tuple[int, int]:
    with rabbitmq.channel(broker) as on:
        return rabbitmq.ready(on, QUEUE), rabbitmq.ready(on, DEAD)


def test_each_wait_for_the_broker_has_a_limit(monkeypatch):
    given = []
    monkeypatch.setattr("pika.BlockingConnection", given.append)
    rabbitmq.connect(service(5672))
    [[parameters]] = given  # one node, one address
    limits = ("socket_timeout", "stack_timeout", "heartbeat", "blocked_connection_timeout")
    assert {name: getattr(parameters, name) for name in limits} == dict.fromkeys(limits, rabbitmq.BUSY_SECONDS)


def test_looking_leaves_dead_letters_where_they_are(queues):
    fill(queues, 3)
    for _ in range(2):
        found = rabbitmq.letters(queues)
        assert [(queue, letter.message_id, letter.body) for queue, letter in found] == [
            (QUEUE, f"m{n}", f"body {n}".encode()) for n in range(3)
        ]
    wait_until(lambda: counts(queues) == (0, 3))


def test_the_state_of_a_run_holds_the_dead_letters(queues):
    history = [{"at": "12:00", "why": "RuntimeError: no"}]
    with rabbitmq.channel(queues) as on:
        rabbitmq.publish(on, DEAD, [dead_letter(1, "failed 5 times", json.dumps(history))])
    assert dead_letters.as_state(queues) == [
        {
            "what": "dead",
            "queue": QUEUE,
            "message_id": "m1",
            "reason": "failed 5 times",
            "history": history,
            "body": "body 1",
        }
    ]


def test_replay_sends_back_with_the_same_id_and_without_a_past(queues):
    fill(queues, 3)
    assert rabbitmq.send_back(queues, QUEUE) == 3
    assert counts(queues) == (3, 0)
    with rabbitmq.channel(queues) as on:
        back = [letter for _, letter in rabbitmq.take(on, QUEUE)]
    assert [(letter.message_id, letter.body) for letter in back] == [(f"m{n}", f"body {n}".encode()) for n in range(3)]
    assert not any(name in letter.headers for letter in back for name in ("x-reason", "x-history", "x-other"))


def test_replay_keeps_what_has_no_queue_to_go_to(queues):
    fill(queues, 1)
    with rabbitmq.channel(queues) as on:
        on.queue_delete(QUEUE)
    with pytest.raises(LabError, match="RabbitMQ did not take a message"):
        rabbitmq.send_back(queues, QUEUE)
    with rabbitmq.channel(queues) as on:
        wait_until(lambda: rabbitmq.ready(on, DEAD) == 1)


def test_what_waits_is_counted(queues):
    assert rabbitmq.waiting(queues) == 0
    with rabbitmq.channel(queues) as on:
        rabbitmq.publish(on, QUEUE, [BrokerMessage(b"1", "m1", {}), BrokerMessage(b"2", "m2", {})])
    wait_until(lambda: rabbitmq.waiting(queues) == 2)


def test_depths_come_again_after_an_outage(queues):
    fill(queues, 2)
    watched = sampler.Queues(queues)
    assert dict(watched.depths())[DEAD] == 2
    watched._channel.connection.close()
    assert watched.depths() == []
    assert dict(watched.depths())[DEAD] == 2


@pytest.mark.parametrize("act", [rabbitmq.letters, dead_letters.as_state])
def test_a_broker_that_is_down_is_said_plainly(free_port, act):
    with pytest.raises(LabError, match="RabbitMQ does not answer"):
        act(service(free_port))
    assert sampler.Queues(service(free_port)).depths() == []


def test_a_dead_letter_is_described():
    history = json.dumps([{"at": "12:00", "why": "RuntimeError: no"}])
    lines = dead_letters.described(DEAD, dead_letter(1, "failed 5 times", history))
    assert lines == [
        "order-placed.dlq  message m1",
        "  reason   failed 5 times",
        "  failed   12:00  RuntimeError: no",
        "  body     body 1",
    ]
    assert dead_letters.history(dead_letter(1, history="nonsense")) == []
    assert dead_letters.history(BrokerMessage(b"", None, {})) == []


@pytest.mark.parametrize(
    ("expected", "wrong"), [(ORDER_PLACED, INVENTORY_RESERVED), (INVENTORY_RESERVED, ORDER_PLACED)]
)
def test_all_poison_is_poison(expected, wrong):
    kinds = messages.poisons(expected, wrong)
    assert len(kinds) >= 12
    for body in kinds.values():
        with pytest.raises(InvalidEvent):
            parse(body, expected)


def test_an_event_published_again_is_the_same_event():
    order = {"order_id": "o1", "user_id": "u1", "items": [{"sku": "soda", "qty": 1}], "request_id": "r1"}
    order["timeline"] = [{"status": "placed", "at": "2026-01-31T12:00:00.000001Z"}]
    letter = messages._placed(order)
    message = parse(letter.body, ORDER_PLACED)
    assert (message.event_id, message.request_id) == (letter.message_id, "r1")
    assert message.occurred_at == order["timeline"][0]["at"]
    assert message.data == {"user_id": "u1", "items": order["items"]}


def test_the_laboratory_names_the_queues_as_the_part_does():
    code = (
        "import json; from broker import topology as t; "
        "rooms = [t.retry_queue('a', s) for s in t.RETRY_SECONDS]; "
        "print(json.dumps([list(t.QUEUES), t.dead_letters('a'), rooms, t.EXCHANGE]))"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("common", "async-rabbitmq"))}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    names = [list(rabbitmq.WORK), rabbitmq.dead_letters("a"), rabbitmq.waiting_rooms("a"), rabbitmq.EXCHANGE]
    assert json.loads(said) == names


def test_an_emptied_broker_holds_nothing(queues: Service):
    room = rabbitmq.waiting_rooms(QUEUE)[0]
    with rabbitmq.channel(queues) as on:
        on.exchange_declare(rabbitmq.EXCHANGE, "topic")
        on.queue_declare(room)
        rabbitmq.publish(on, QUEUE, [dead_letter(1)])
        rabbitmq.publish(on, room, [dead_letter(2)])
    assert emptied(queues)
    for queue in (QUEUE, room):
        with pytest.raises(LabError), rabbitmq.channel(queues) as on:
            rabbitmq.ready(on, queue)


def test_a_dead_letter_whose_headers_cannot_be_read_is_shown(queues: Service, monkeypatch):
    """AMQP's time in milliseconds, as some programs send it, is a time in the year 58121 to pika."""
    usual = pika.data.encode_value

    def encode(out, value):
        if value != "raw":
            return usual(out, value)
        out.append(b"T" + struct.pack(">Q", 1_772_000_000_000))
        return 9

    monkeypatch.setattr(pika.data, "encode_value", encode)
    with rabbitmq.channel(queues) as on:
        rabbitmq.publish(on, rabbitmq.dead_letters(QUEUE), [BrokerMessage(b"odd", "m1", {"sent": "raw"})])
    [(queue, letter)] = rabbitmq.letters(queues, [QUEUE])
    assert (queue, letter.body, letter.headers) == (QUEUE, b"odd", {})


def test_a_broker_says_which_release_it_is(queues: Service):
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", rabbitmq.version(queues))
    with pytest.raises(LabError, match="RabbitMQ does not answer"):
        rabbitmq.version(service(free_ports(1)[0]))


@pytest.mark.parametrize(("said", "old"), [("3.9.13", True), ("3.10.0", False), ("4.3.1", False), ("unknown", False)])
def test_a_release_that_is_too_old_is_named(monkeypatch, said, old):
    monkeypatch.setattr(rabbitmq, "version", lambda _: said)
    with pytest.raises(LabError, match=r"RabbitMQ 3\.9\.13 is too old") if old else contextlib.nullcontext():
        rabbitmq.check_release(rabbitmq.version(service(1)))


def test_a_broker_that_does_not_answer_is_not_emptied():
    assert not emptied(service(free_ports(1)[0]))


def test_a_kept_broker_stays_and_is_emptied_and_the_services_start_anew(queues: Service, monkeypatch, tmp_path):
    for module in (local, data):
        monkeypatch.setattr(module, "STATE_DIR", tmp_path)
    monkeypatch.setattr(local, "services_of", lambda part: {"order": order, "rabbitmq": queues})
    order = Service("async-rabbitmq", "order", ["sleep", "60"], {}, "async-rabbitmq", free_ports(1)[0], {"d": "/d"})
    kept, there = local.LocalRuntime(), tmp_path / "data" / "async-rabbitmq" / "d"
    stands_in = processes.start(["sleep", "60"], folder=tmp_path, env=os.environ, log=tmp_path / "log")
    processes.save(stands_in, local._record_file(queues))
    with rabbitmq.channel(queues) as on:
        rabbitmq.publish(on, QUEUE, [dead_letter(1)])
    try:
        kept.start(order)
        assert there.exists()
        kept.remove("async-rabbitmq", keep_brokers=True)
        kept.create("async-rabbitmq", fresh=True)
        assert (kept.state(order), kept.state(queues), there.exists()) == ("exited", "running", False)
        with pytest.raises(LabError), rabbitmq.channel(queues) as on:
            rabbitmq.ready(on, QUEUE)
        kept.remove("async-rabbitmq")
        assert kept.state(queues) == "exited"
    finally:
        kept.stop(order)
        stands_in.stop()
