"""What the laboratory does with a real Kafka: reading, dead letters, publishing, emptying, sampling."""

import contextlib
import dataclasses
import json
import os
import re
import subprocess
import sys

import pytest
from confluent_kafka import Producer
from conftest import ROOT, free_ports
from kafka import TopicPartition
from kafka_clients import Member, commit, put, put_aborted, put_committed, transaction
from lab import client as http
from lab.brokers import base, dead_letters, kafka, kafka_client, lag, rabbitmq
from lab.brokers.message import BrokerMessage
from lab.errors import LabError
from lab.faults import messages
from lab.history import held, sampler, settling
from lab.history.recorder import RunRecorder
from lab.services import Service, services_of
from testing import wait_until

ORDERS, INVENTORY = kafka.PLACED, kafka.RESERVED
GROUP = "inventory-consumer-group"


def bury(node: Service, body: bytes, origin: str, group: str = GROUP, key: bytes | None = b"o1") -> None:
    told = {"x-reason": "no JSON", "x-history": "[]", "x-origin": origin, "x-group": group}
    headers = [(name, value.encode()) for name, value in told.items()]
    put(node, kafka.DEAD_LETTERS, body, headers=headers, key=key)


def bodies(node: Service, topic: str) -> list[bytes]:
    return [record.value for record in kafka.read_all(node, [topic])]


def test_all_that_is_committed_is_read(log):
    put(log, ORDERS, b"1", b"2")
    put_committed(log, ORDERS, b"3", partition=1)
    put_aborted(log, ORDERS, b"never")
    put_committed(log, INVENTORY, b"4")
    assert sorted(r.value for r in kafka.read_all(log, [ORDERS, INVENTORY])) == [b"1", b"2", b"3", b"4"]
    assert list(kafka.read_all(log, ["no-such-topic"])) == []
    assert bodies(log, kafka.DEAD_LETTERS) == []


def test_an_open_transaction_is_not_waited_for(log):
    put(log, ORDERS, b"1")
    with transaction(log, ORDERS, b"2"):
        assert bodies(log, ORDERS) == [b"1"]


def test_what_two_groups_gave_up_is_one_letter(log):
    bury(log, b"bad", f"{ORDERS}/1/7")
    bury(log, b"bad", f"{ORDERS}/1/7", "order-status-group")
    bury(log, b"worse", f"{INVENTORY}/0/3")
    dead = {"what": "dead", "reason": "no JSON", "history": []}
    assert dead_letters.as_state(log) == [
        dead
        | {
            "queue": ORDERS,
            "message_id": f"{ORDERS}/1/7",
            "body": "bad",
            "groups": ["inventory-consumer-group", "order-status-group"],
        },
        dead | {"queue": INVENTORY, "message_id": f"{INVENTORY}/0/3", "body": "worse", "groups": [GROUP]},
    ]
    [(_, letter)] = kafka.letters(log, (INVENTORY,))
    assert dead_letters.described("order-events.dlq", letter)[:3] == [
        "order-events.dlq  message inventory-events/0/3",
        "  reason   no JSON",
        "  dead-lettered by inventory-consumer-group",
    ]


def test_a_dead_letter_is_sent_back_once_with_its_key(log):
    for origin in (f"{ORDERS}/0/1", f"{ORDERS}/0/2", f"{INVENTORY}/0/1"):
        bury(log, origin.encode(), origin)
    bury(log, f"{ORDERS}/0/1".encode(), f"{ORDERS}/0/1", "order-status-group")
    assert kafka.send_back(log, ORDERS) == 2
    back = [(r.key, r.value, list(r.headers)) for r in kafka.read_all(log, [ORDERS])]
    assert back == [(b"o1", f"{ORDERS}/0/{n}".encode(), [(kafka.SENT_BACK, b"")]) for n in (1, 2)]
    assert kafka.send_back(log, ORDERS) == 0
    assert [topic for topic, _ in kafka.letters(log)] == [INVENTORY]
    bury(log, f"{ORDERS}/0/1".encode(), f"{ORDERS}/0/1", "late-group")  # known, and in its topic again already
    bury(log, b"again", f"{ORDERS}/0/9", key=None)
    assert kafka.send_back(log, ORDERS) == 1
    assert sorted(bodies(log, ORDERS)) == [b"again", *(value for _, value, _ in back)]
    assert {r.value: r.key for r in kafka.read_all(log, [ORDERS])}[b"again"] is None


def test_what_is_kept_of_the_results_is_which_are_there_twice(log):
    put(log, INVENTORY, b"1", b"1", key=b"o1")
    put(log, INVENTORY, b"2", key=b"o2")
    put_aborted(log, INVENTORY, b"never")
    bury(log, b"2", f"{INVENTORY}/0/2", key=b"o2")
    kafka.send_back(log, INVENTORY)  # by us, so it is no second result
    topic = {"what": "log", "topic": INVENTORY, "records": 3}
    places = [f"{INVENTORY}/0/{n}" for n in (0, 1)]
    assert kafka.results(kafka.read_all(log, kafka.RESULTS))[0] == topic | {"repeated": {"o1": places}}


def test_a_letter_of_unknown_origin_is_shown(log):
    put(log, kafka.DEAD_LETTERS, b"who?")
    [(topic, letter)] = kafka.letters(log)
    assert (topic, letter.body) == (ORDERS, b"who?")


def test_dead_letters_of_another_program_are_shown_whatever_their_headers(log):
    """A header may have no value, be no text, or hold another shape than ours."""
    other = Producer({"bootstrap.servers": log.url})  # kafka-python sends no header without a value
    odd = [("x-history", b'{"at": 1}'), ("x-origin", b""), ("x-reason", b"\xff")]
    other.produce(kafka.DEAD_LETTERS, value=b"null", headers=[("retries", None), ("x-group", None)])
    other.produce(kafka.DEAD_LETTERS, value=b"odd", headers=odd)
    other.produce(kafka.DEAD_LETTERS, value=None)
    assert other.flush(20) == 0
    found = kafka.letters(log)
    assert sorted(letter.body for _, letter in found) == [b"", b"null", b"odd"]
    assert {topic for topic, _ in found} == {ORDERS}
    said = ["\n".join(dead_letters.described(kafka.DEAD_LETTERS, letter)) for _, letter in found]
    assert all("body" in text for text in said)
    assert [line["what"] for line in dead_letters.as_state(log)] == ["dead"] * 3


def test_published_letters_are_named_by_where_they_are(log):
    with kafka.channel(log) as on:
        names = kafka.publish(on, ORDERS, [BrokerMessage(b"1", None, {}, b"a"), BrokerMessage(b"", None, {})])
    assert sorted(names) == sorted(kafka.identity(record) for record in kafka.read_all(log, [ORDERS]))


def test_poison_is_noted_as_it_will_be_found(log, tmp_path):
    notes = RunRecorder.begin(tmp_path / "run", {"part": "streaming-kafka"})
    count = messages.poison(notes, "bad", ORDERS)
    noted = [line for line in notes.lines() if line["type"] == "published"]
    assert (len(noted), {n["queue"] for n in noted}) == (count, {ORDERS})
    found = {kafka.identity(record): record.value for record in kafka.read_all(log, [ORDERS])}
    assert found.keys() == {n["message_id"] for n in noted}
    assert any(n["kind"] == "empty" and found[n["message_id"]] == b"" for n in noted)


def test_what_waits_is_counted_for_the_groups_of_the_part(log):
    put(log, ORDERS, b"1", b"2", b"3")
    put_committed(log, INVENTORY, b"4")
    assert lag.waiting(log) == 0  # for nobody
    commit(log, GROUP, {(ORDERS, 0): 1})
    commit(log, "a-stranger", {(ORDERS, 0): 0})
    assert lag.waiting(log) == 2
    commit(log, "notification-consumer-group", {(INVENTORY, 0): 1})  # and only the marker is left
    assert lag.waiting(log) == 2


def test_emptied_nothing_is_left(log):
    put(log, ORDERS, b"1", b"2")
    commit(log, "a-stranger", {(ORDERS, 0): 2})
    killed = Member(log, GROUP, ORDERS)
    wait_until(lambda: killed.bodies)
    killed._consumer.close = lambda **_: None  # it never says that it goes
    killed.leave()
    for _ in range(2):
        kafka.empty(log)
    with kafka_client.asking(log) as client:
        assert kafka._topics(client) == []
        assert client.list_groups() == []
        shape = {"num_partitions": 2, "replication_factor": 1, "configs": {}}
        client.create_topics({ORDERS: shape}, wait_for_metadata=True)
        assert client.list_group_offsets([GROUP, "a-stranger"]) == {GROUP: {}, "a-stranger": {}}
    assert bodies(log, ORDERS) == []


def test_a_move_that_is_refused_is_said(log):
    member = Member(log, GROUP, ORDERS)
    wait_until(lambda: member.joined)
    with pytest.raises(LabError, match="UnknownMemberIdError"), kafka_client.asking(log) as client:
        kafka_client.move(client, GROUP, {TopicPartition(ORDERS, 0): 0})
    member.leave()


def test_samples_are_what_has_changed(log):
    put(log, ORDERS, b"1", b"2", b"3")
    commit(log, GROUP, {(ORDERS, 0): 1})
    with contextlib.closing(sampler.Lags(log)) as watched:
        about = {"type": "lag", "group": GROUP, "topic": ORDERS}
        assert list(watched.lines()) == [
            about | {"partition": 0, "lag": 2, "current": 1, "end": 3},
            about | {"partition": 1, "lag": 0, "current": None, "end": 0},
        ]
        assert list(watched.lines()) == []
        commit(log, GROUP, {(ORDERS, 0): 3})
        assert list(watched.lines()) == [about | {"partition": 0, "lag": 0, "current": 3, "end": 3}]
        watched._all_at -= sampler.ALL_SECONDS
        assert len(list(watched.lines())) == 2


def test_samples_find_out_at_rest_that_only_a_marker_is_left(log):
    put_committed(log, INVENTORY, b"1")
    commit(log, GROUP, {(INVENTORY, 0): 1})
    with contextlib.closing(sampler.Lags(log)) as watched:
        assert [line["lag"] for line in watched.lines()] == [1, 0]
        assert [line["lag"] for line in watched.lines()] == [0]


def test_samples_come_again_after_an_outage(log, kafka_node):
    put(log, ORDERS, b"1", b"2")
    commit(log, GROUP, {(ORDERS, 0): 1})
    with contextlib.closing(sampler.Lags(log)) as watched:
        before = list(watched.lines())
        assert [line["lag"] for line in before] == [1, 0]
        kafka_node.kill()
        assert list(watched.lines()) == []
        kafka_node.start()
        wait_until(lambda: list(watched.lines()) == before, 30)


@pytest.mark.parametrize(
    "act",
    [kafka.letters, dead_letters.as_state, lag.waiting, kafka.empty, lambda s: kafka.send_back(s, ORDERS)],
)
def test_a_broker_that_is_down_is_said_plainly(free_port, act):
    down = Service("streaming-kafka", "kafka", [], {}, "streaming-kafka", free_port, {}, is_broker=True)
    with pytest.raises(LabError, match="Kafka does not answer at 127"):
        act(down)
    assert list(sampler.Lags(down).lines()) == []


def test_of_a_cluster_a_node_that_answers_is_asked(log, free_port):
    some = dataclasses.replace(log, port=free_port, other_ports=(log.port,))
    assert kafka_client.connection(some)["bootstrap_servers"] == f"127.0.0.1:{log.port}"
    assert [record.value for record in kafka.read_all(some, [ORDERS])] == []


def test_a_run_settles_when_every_group_has_read_all(log, monkeypatch):
    monkeypatch.setattr(http, "metric", lambda *_, **__: 0.0)
    services = services_of("streaming-kafka")
    put(log, ORDERS, b"1")
    commit(log, GROUP, {(ORDERS, 0): 0})
    assert not settling._quiet(services)
    commit(log, GROUP, {(ORDERS, 0): 1})
    assert settling._quiet(services)


def test_nobody_knows_whether_a_run_has_settled_without_the_broker(free_port, monkeypatch):
    monkeypatch.setattr(http, "metric", lambda *_, **__: 0.0)
    monkeypatch.setenv("C_KAFKA_PORT", str(free_port))
    assert not settling._quiet(services_of("streaming-kafka"))


def test_the_state_of_a_run_holds_dead_letters_and_what_is_missing(log, monkeypatch):
    bury(log, b"bad", f"{ORDERS}/1/7")
    services = [name for name in services_of("streaming-kafka") if name != "kafka"]
    for name, port in zip(services, free_ports(len(services)), strict=True):
        monkeypatch.setenv(f"C_{name.upper()}_PORT", str(port))
    lines = [(line["what"], line.get("service")) for line in held.state({"part": "streaming-kafka"})]
    of_kafka = [(what, None) for what in ("dead", "log", "log")]
    assert lines == [*of_kafka, *(("missing", name) for name in services)]


def test_the_state_of_a_run_holds_the_report_of_analytics(monkeypatch):
    class Answer:
        json = staticmethod(lambda: {"totalOrdersSeen": 3})

    monkeypatch.setattr(http, "call", lambda method, url: {"GET http://127.0.0.1:1/report": Answer}[f"{method} {url}"])
    analytics = Service("streaming-kafka", "analytics", [], {}, "streaming-kafka", 1, {})
    assert held._held(analytics, rows=True) == [{"what": "report", "totalOrdersSeen": 3}]


def test_messages_are_counted_by_queue_or_by_group(monkeypatch):
    labels = []
    monkeypatch.setattr(http, "metric", lambda url, name, **which: labels.append(which) or 2.0)
    handled = held.handled(services_of("streaming-kafka"))
    assert handled.keys() == kafka_client.GROUPS.keys()
    assert {"group": GROUP, "outcome": "done"} in labels
    assert held.handled(services_of("async-rabbitmq")).keys() == {*rabbitmq.WORK}
    assert held.handled(services_of("sync-rest")) == {}


def test_each_part_has_its_broker():
    assert base.broker_of(services_of("sync-rest")) is None
    for part, name in (("async-rabbitmq", "rabbitmq"), ("streaming-kafka", "kafka")):
        broker = base.broker_of(services_of(part))
        assert name == base.client_for(broker).NAME


def test_the_laboratory_names_topics_and_groups_as_the_part_does():
    code = "import json; from broker import dead_letters as d, topics as t; "
    code += "print(json.dumps([[*t.PARTITIONS], t.DEAD_LETTERS, d.ORIGIN, d.GROUP]))"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("common", "streaming-kafka"))}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == [[*kafka.WORK, kafka.DEAD_LETTERS], kafka.DEAD_LETTERS, kafka.ORIGIN, kafka.GROUP]
    sources = "".join(path.read_text() for path in ROOT.glob("streaming-kafka/*_*/*.py"))
    groups = set(re.findall(r'"([a-z-]+-group)"', sources))
    assert len(groups) >= 3
    assert groups <= kafka_client.GROUPS.keys()
