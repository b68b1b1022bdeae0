"""What analytics counts, and that a restart, a crash or a reset neither loses a count nor makes one twice."""

import contextlib
import functools
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import analytics_consumer.app
import pytest
import urllib3
from analytics_consumer import analytics_projection
from analytics_consumer.analytics_projection import GROUP
from broker import clients, membership, topics
from campus import logs
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, ORDER_PLACED, Event, new_event
from campus.faults import Faults
from campus.metrics import metrics
from flask import Flask
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove, OffsetSpec
from kafka.errors import KafkaError, NoError
from kafka.structs import OffsetAndMetadata
from testing import Service, loops, wait_until
from testing.fakes import ProcessKilled
from testing.invalid_events import DATA, INVALID_EVENTS

PART = Path(__file__).resolve().parents[1]
PARTITIONS = [TopicPartition(topic, n) for topic in (topics.ORDERS, topics.INVENTORY) for n in range(6)]
NOON, LATER = "2026-01-31T12:00:59.999999Z", "2026-01-31T12:01:00.000000Z"


class Analytics:
    """The service in this process, without its thread: `step` is one round of its loop."""

    def __init__(self, app: Flask) -> None:
        self._life = app.extensions["campus"]
        self._loops = loops(self._life)
        self.http = app.test_client()

    def rounds(self) -> None:
        """Do one round of each loop, as their threads do: what fails is tried again."""
        for loop in self._loops.values():
            loop.round(0.0)

    def step(self) -> None:
        """Do one round of each loop, and raise RuntimeError when counting failed."""
        self.rounds()
        self._loops["analytics"].check()

    def close(self) -> None:
        """Stop it in good order."""
        self._life.stop()

    def ready(self) -> bool:
        return self.http.get("/ready").status_code == 200

    def report(self) -> dict:
        return self.http.get("/report").json

    def counted(self) -> tuple[int, int]:
        report = self.report()
        return report["totalOrdersSeen"], report["totalInventoryEvents"]

    def messages(self, outcome: str) -> float:
        """Return how many messages had this outcome since it started."""
        name = f'messages_total{{group="{GROUP}",outcome="{outcome}"}} '
        return sum(float(line.removeprefix(name)) for line in self.metrics() if line.startswith(name))

    def metrics(self) -> list[str]:
        return self.http.get("/metrics").text.splitlines()

    def configure(self, **faults) -> None:
        assert self.http.post("/configure", json=faults).status_code == 200

    def mend(self) -> None:
        self.http.delete("/configure")


class Harness:
    """A log that is empty at first, and what is done to it and to the group."""

    def __init__(self, node, folder: Path) -> None:
        self.node, self.folder = node, folder
        self.slept: list[float] = []
        self._running: list[Analytics] = []
        self._admin = KafkaAdminClient(bootstrap_servers=node.bootstrap)

    def start(self, database: str = "analytics.db") -> Analytics:
        """Start analytics on this database until it has its partitions."""
        made = self.make(database)
        wait_until(lambda: made.step() or made.ready())
        return made

    def make(self, database: str) -> Analytics:
        """Make an analytics on this database, with death and sleeping made harmless."""
        url = f"sqlite:///{self.folder / database}"
        env = {"DATABASE_URL": url, "KAFKA_BOOTSTRAP": self.node.bootstrap, "METRICS_FILE": str(self.metrics_file)}
        made = Analytics(analytics_consumer.app.create_app(env))
        self._running.append(made)
        return made

    @property
    def metrics_file(self) -> Path:
        return self.folder / "metrics.json"

    def written(self) -> dict:
        """Return what metrics.json says, if it is there."""
        return json.loads(self.metrics_file.read_text()) if self.metrics_file.exists() else {}

    def stop(self) -> None:
        """Stop every analytics that runs in this process."""
        while self._running:
            self._running.pop().close()

    def kill(self) -> None:
        raise ProcessKilled

    def publish(self, *events: Event, at_once: bool = False) -> None:
        """Write events into their topics under their orders' keys; `at_once`: in one transaction."""
        options = {"partitioner": topics.ByKey(), "transactional_id": "test" if at_once else None}
        with contextlib.closing(KafkaProducer(bootstrap_servers=self.node.bootstrap, **options)) as producer:
            if at_once:
                producer.init_transactions()
                producer.begin_transaction()
            for e in events:
                producer.send(topics.TOPIC_OF[e.event_type], key=e.order_id.encode(), value=e.encode())
            producer.flush(10)
            if at_once:
                producer.commit_transaction()

    def lag(self) -> int:
        """Return how many offsets the group has not passed yet."""
        at = self._admin.list_group_offsets({GROUP: PARTITIONS})[GROUP]
        end = self._admin.list_partition_offsets(dict.fromkeys(PARTITIONS, OffsetSpec.LATEST))
        return sum(end[p].offset - at[p].offset for p in PARTITIONS)

    def catch_up(self, analytics: Analytics) -> dict:
        """Let analytics work until it has read everything, and return its report."""
        wait_until(lambda: analytics.step() or self.lag() == 0)
        return analytics.report()

    def members(self) -> list[str]:
        return [member["member_id"] for member in self._admin.describe_groups([GROUP])[GROUP]["members"]]

    def reset(self, to, partitions=PARTITIONS) -> None:
        """Reset the group's offsets, as an operator does."""
        results = self._admin.reset_group_offsets(GROUP, dict.fromkeys(partitions, to))
        assert {result["error"] for result in results.values()} == {NoError}

    def forget(self) -> None:
        """Let Kafka forget the group's offsets, as it does after a week without a member."""
        self._admin.delete_groups([GROUP])

    def add_partitions(self, topic: str, count: int) -> None:
        """Raise the number of a topic's partitions."""
        self._admin.create_partitions({topic: count})

    def set_where_it_is(self) -> None:
        """Reset the group to the offsets at which it is: they are the same, and bear no mark."""
        at = self._admin.list_group_offsets({GROUP: PARTITIONS})[GROUP]
        with self.other() as other:
            other.assign(PARTITIONS)
            other.commit({p: OffsetAndMetadata(place.offset, "", -1) for p, place in at.items()})

    def other(self, *topics: str, **options: Any) -> contextlib.closing[KafkaConsumer]:
        """Return another member of the group, for a `with` statement.

        It must be polled as long as it is in the group: a rebalance waits for it, and analytics for the rebalance.
        """
        options |= {"group_id": GROUP, "bootstrap_servers": self.node.bootstrap, "heartbeat_interval_ms": 500}
        member = KafkaConsumer(*topics, **options)
        for topic in topics:  # a member that learns of them while it joins may wait for ever, see clients.reader
            member.partitions_for_topic(topic)
        return contextlib.closing(member)

    def evict(self) -> None:
        """Remove every member from the group: what happens to one that slept longer than its session."""
        self._admin.remove_group_members(GROUP, [MemberToRemove(member) for member in self.members()])

    def empty(self) -> None:
        """Stop what runs, and forget the log and the group."""
        self.stop()
        wait_until(self._is_left)
        self._admin.delete_groups([GROUP])
        self._admin.delete_topics([*topics.PARTITIONS.keys() & set(self._admin.list_topics())])
        wait_until(lambda: not topics.PARTITIONS.keys() & set(self._admin.list_topics()))
        topics.ensure(self._admin)

    def close(self) -> None:
        self.empty()
        self._admin.close()

    def _is_left(self) -> bool:
        with contextlib.suppress(KafkaError):  # a broker that has just started knows no groups yet
            return not self.members()
        return False


@pytest.fixture
def harness(node, tmp_path, monkeypatch, caplog) -> Iterator[Harness]:
    monkeypatch.setattr(logs, "set_up", lambda name: None)
    caplog.set_level("INFO", "campus")
    node.start()
    made = Harness(node, tmp_path)
    harmless = functools.partial(Faults, sleep=made.slept.append, kill=made.kill)
    monkeypatch.setattr(analytics_consumer.app, "Faults", harmless)
    made.empty()
    yield made
    made.close()


def placed(*orders: str, at: str = NOON) -> list[Event]:
    return [new_event(ORDER_PLACED, order, DATA, at=at) for order in orders]


def reserved(*orders: str) -> list[Event]:
    return [new_event(INVENTORY_RESERVED, order, DATA) for order in orders]


def failed(*orders: str) -> list[Event]:
    return [new_event(INVENTORY_FAILED, order, {"reason": "unknown_sku"}) for order in orders]


EVENTS = [*placed("o1", "o2", "o3"), *placed("o4", "o5", at=LATER), *reserved("o1", "o2", "o4"), *failed("o3")]
COUNTED = metrics({"2026-01-31T12:00": 3, "2026-01-31T12:01": 2}, 4, 1, now=0)["digest"]
NOTHING = metrics({}, 0, 0, now=0)["digest"]


@pytest.fixture
def analytics(harness) -> Analytics:
    """Analytics that has counted EVENTS."""
    made = harness.start()
    harness.publish(*EVENTS)
    assert harness.catch_up(made)["digest"] == COUNTED
    return made


def test_an_empty_log_gives_an_empty_report(harness):
    assert harness.start().report()["digest"] == NOTHING


def test_it_counts_each_order_in_the_minute_in_which_it_was_placed(analytics):
    report = analytics.report()
    assert report["ordersPerMinuteBucket"] == {"2026-01-31T12:00": 3, "2026-01-31T12:01": 2}
    assert (report["totalInventoryEvents"], report["inventoryFailed"], report["failureRate"]) == (4, 1, 0.25)


def test_what_is_told_again_changes_nothing(harness, analytics):
    harness.publish(*EVENTS, *placed("o1", at=LATER), *reserved("o3"), *placed("o6"), *placed("o6"))
    assert harness.catch_up(analytics)["ordersPerMinuteBucket"] == {"2026-01-31T12:00": 4, "2026-01-31T12:01": 2}
    assert analytics.counted() == (6, 4)


def test_a_file_says_the_same_as_the_report(harness, analytics):
    wait_until(lambda: analytics.step() or harness.written().get("digest") == COUNTED)
    now = {"generatedAtUnix": 0}
    assert harness.written() | now == analytics.report() | now
    harness.publish(*placed("o6"))
    wait_until(lambda: analytics.step() or harness.written()["totalOrdersSeen"] == 6)


def test_after_a_restart_it_goes_on(harness, analytics, caplog):
    analytics.close()
    caplog.clear()
    again = harness.start()
    assert again.report()["digest"] == COUNTED
    harness.publish(*EVENTS, *placed("o6"))
    harness.catch_up(again)
    assert again.counted() == (6, 4)
    assert again.messages("done") == len(EVENTS) + 1
    assert "rebuilding" not in caplog.text


@pytest.mark.promise("INV-8")
@pytest.mark.parametrize("point", ["before_commit", "after_commit", "after_publish"])
def test_after_a_crash_it_has_counted_everything_once(harness, analytics, point, caplog):
    analytics.configure(crash_point=point)
    harness.publish(*placed("o6", "o7"), *reserved("o6"))
    with pytest.raises(ProcessKilled):
        harness.catch_up(analytics)
    known = analytics.counted()
    analytics.close()
    caplog.clear()
    again = harness.start()
    assert again.counted() == known
    harness.catch_up(again)
    assert again.counted() == (7, 5)
    assert "rebuilding" not in caplog.text


@pytest.mark.promise("INV-8")
def test_after_a_reset_to_the_beginning_it_rebuilds_the_same(harness, analytics, caplog):
    analytics.close()
    harness.reset(OffsetSpec.EARLIEST)
    again = harness.start()
    assert again.report()["digest"] == NOTHING
    assert harness.catch_up(again)["digest"] == COUNTED
    assert "rebuilding from the offsets that were set" in caplog.text


def test_a_crash_in_a_rebuild_begins_it_anew(harness, analytics, monkeypatch):
    analytics.close()
    harness.reset(OffsetSpec.EARLIEST)
    with monkeypatch.context() as patch:
        patch.setattr(KafkaConsumer, "commit", lambda *_, **__: harness.kill())
        with pytest.raises(ProcessKilled):
            harness.start()
    harness.stop()
    again = harness.start()
    assert harness.catch_up(again)["digest"] == COUNTED


def test_after_a_reset_to_the_end_it_counts_from_there(harness, analytics):
    harness.publish(*reserved(*(f"p{n}" for n in range(20))), at_once=True)  # its end is a mark that nobody reads
    wait_until(lambda: analytics.step() or analytics.counted() == (5, 24))
    analytics.close()
    harness.reset(OffsetSpec.LATEST)
    again = harness.start()
    assert harness.catch_up(again)["digest"] == NOTHING
    harness.publish(*placed("o6"))
    harness.catch_up(again)
    assert again.counted() == (1, 0)


def test_on_another_database_it_counts_everything(harness, analytics, caplog):
    analytics.close()
    caplog.clear()
    other = harness.start("other.db")
    assert harness.catch_up(other)["digest"] == COUNTED
    assert "rebuilding from the beginning" in caplog.text
    other.close()
    assert harness.catch_up(harness.start())["digest"] == COUNTED


def test_a_second_one_refuses_to_start(harness, analytics, monkeypatch):
    refused = []
    monkeypatch.setattr(analytics_projection, "end_service", refused.append)
    second = harness.make("other.db")
    with pytest.raises(RuntimeError, match=f"{GROUP} has another member, analytics-consumer, and the counts are those"):
        second.step()
    assert refused == []
    monkeypatch.setattr(membership, "WAIT_SECONDS", -clients.SESSION_MS / 1000)  # the session of a dead one has passed
    with pytest.raises(RuntimeError):
        second.step()
    assert refused[0].endswith("of one process, on any database: stop one")
    assert analytics.ready()


def test_after_a_reset_in_its_sleep_it_rebuilds(harness, analytics):
    harness.evict()
    harness.reset(OffsetSpec.EARLIEST)
    wait_until(lambda: analytics.step() or analytics.report()["digest"] == NOTHING)
    assert harness.catch_up(analytics)["digest"] == COUNTED


def test_it_keeps_its_counts_while_another_member_comes_and_goes(harness, analytics):
    with harness.other(topics.ORDERS, topics.INVENTORY, enable_auto_commit=False) as other:
        # A rebalance that does not end within a session and 5 s is begun anew, by a new client.
        wait_until(lambda: analytics.rounds() or other.poll(50) or (other.assignment() and analytics.ready()), 60)
    harness.publish(*placed("o6", "o7", "o8"))
    harness.catch_up(analytics)
    assert analytics.counted() == (8, 4)


def test_it_keeps_its_counts_when_a_guest_in_its_group_commits_offsets(harness, analytics, caplog):
    """A console consumer that names the group, say. Kafka refuses a reset while the group has a member."""
    caplog.clear()
    with harness.other(topics.ORDERS) as guest:
        wait_until(lambda: analytics.rounds() or guest.poll(50) or guest.assignment(), 60)
        harness.publish(*placed(*(f"g{n}" for n in range(20))))
        wait_until(lambda: analytics.step() or guest.poll(50))
        guest.commit()
    wait_until(lambda: analytics.step() or analytics.ready())
    harness.publish(*placed("o6"))
    wait_until(lambda: analytics.step() or analytics.counted() == (26, 4))
    assert "thrown away" not in caplog.text


@pytest.mark.parametrize("what", ["forget", "set_where_it_is"])
def test_it_keeps_its_counts_when_offsets_are_forgotten_or_set_to_where_they_are(harness, analytics, what, caplog):
    analytics.close()
    caplog.clear()
    getattr(harness, what)()
    again = harness.start()
    assert again.report()["digest"] == COUNTED
    harness.publish(*placed("o6"))
    harness.catch_up(again)
    assert again.counted() == (6, 4)
    assert "thrown away" not in caplog.text


def test_it_keeps_its_counts_when_a_topic_gets_more_partitions(harness, analytics, caplog):
    analytics.close()
    caplog.clear()
    harness.add_partitions(topics.ORDERS, 12)
    again = harness.start()
    harness.publish(*placed(*(f"n{n}" for n in range(40))))
    wait_until(lambda: again.step() or again.counted() == (45, 4))
    assert "thrown away" not in caplog.text


def test_a_log_that_is_shorter_than_what_was_counted_is_counted_anew_and_it_is_said(harness, analytics, caplog):
    analytics.close()
    harness.empty()
    harness.publish(*placed("o6"))
    again = harness.start()
    wait_until(lambda: again.step() or again.counted() == (1, 0))
    assert "all counts are thrown away: rebuilding from the beginning, as the log is shorter" in caplog.text


def test_what_cannot_be_read_is_skipped_and_left_to_inventory(harness, analytics):
    harness.node.put(topics.ORDERS, *INVALID_EVENTS)
    harness.node.put(topics.INVENTORY, *INVALID_EVENTS[:3], placed("o9")[0].encode())
    harness.publish(*placed("o6"))
    harness.catch_up(analytics)
    assert analytics.counted() == (6, 4)
    assert analytics.messages("unreadable") == len(INVALID_EVENTS) + 4
    assert harness.node.read(topics.DEAD_LETTERS) == []


def test_paused_it_takes_nothing_and_stays_in_the_group(harness, analytics):
    members = harness.members()
    analytics.configure(paused=True)
    harness.publish(*placed("o6"))
    for _ in range(5):
        analytics.step()
    assert (analytics.counted(), harness.members()) == ((5, 4), members)
    analytics.mend()
    harness.catch_up(analytics)
    assert (analytics.counted(), harness.members()) == ((6, 4), members)


@pytest.mark.parametrize("mode", ["error", "reject"])
def test_what_fails_is_counted_when_the_fault_is_gone(harness, analytics, mode):
    analytics.configure(failure_rate=1.0, failure_mode=mode)
    harness.publish(*placed("o6"))
    for _ in range(3):
        with pytest.raises(RuntimeError, match="injected"):
            wait_until(analytics.step)
    assert analytics.counted() == (5, 4)
    analytics.mend()
    harness.catch_up(analytics)
    assert analytics.counted() == (6, 4)


def test_a_share_of_failures_only_slows_it_down(harness, analytics):
    analytics.configure(failure_rate=0.5, seed=7)
    harness.publish(*placed(*(f"p{n}" for n in range(20))))

    def step() -> None:
        with contextlib.suppress(RuntimeError):
            analytics.step()

    wait_until(lambda: step() or analytics.counted() == (25, 4))


def test_a_held_message_is_counted_when_the_fault_is_gone(harness, analytics):
    members = harness.members()
    analytics.configure(failure_rate=1.0, failure_mode="hang")
    harness.publish(*placed("o6"))
    for _ in range(5):
        analytics.step()
    assert (analytics.counted(), harness.members()) == ((5, 4), members)
    analytics.mend()
    harness.catch_up(analytics)
    assert analytics.counted() == (6, 4)


def test_drop_closes_the_connection_and_it_comes_back(harness, analytics):
    members = harness.members()
    analytics.configure(failure_rate=1.0, failure_mode="drop")
    harness.publish(*placed("o6"))
    wait_until(lambda: analytics.step() or not harness.members())
    analytics.mend()
    harness.catch_up(analytics)
    assert analytics.counted() == (6, 4)
    assert harness.members() != members


@pytest.mark.parametrize("fault", ["delay", "throttle"])
def test_a_slow_one_waits_for_each_message(harness, analytics, fault):
    analytics.configure(**{fault: 2.0})
    harness.publish(*placed("o6", "o7"), *reserved("o6"))
    harness.catch_up(analytics)
    assert (analytics.counted(), harness.slept) == ((7, 5), [2.0] * 3)


@pytest.fixture
def service(harness) -> Iterator[Service]:
    """Analytics as a real process."""
    metrics_file = str(harness.metrics_file)
    env = {"KAFKA_BOOTSTRAP": harness.node.bootstrap, "METRICS_FILE": metrics_file}
    made = Service(PART, "analytics", harness.folder, package="analytics_consumer", **env)
    yield made
    made.kill()


def counts(service, digest: str) -> bool:
    return service.call("GET", "/report").json()["digest"] == digest


def test_the_process_waits_for_kafka_and_then_counts(harness, service):
    harness.publish(*EVENTS)
    harness.node.kill()
    service.start()

    def waits() -> bool:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            answer = service.call("GET", "/ready")
            return answer.status == 503 and "Kafka" in answer.json()["checks"]["kafka"]
        return False

    wait_until(waits)
    harness.node.start()
    wait_until(service.ready, 60)
    wait_until(lambda: counts(service, COUNTED))
    wait_until(lambda: harness.written().get("digest") == COUNTED)


def test_the_process_is_killed_after_a_commit_and_counts_nothing_twice(harness, service):
    harness.publish(*EVENTS)
    service.start()
    wait_until(service.ready, 60)
    wait_until(lambda: counts(service, COUNTED))
    service.configure(crash_point="after_commit")
    harness.publish(*placed("o6"))
    wait_until(lambda: service.log().count("analytics started") == 2)
    harness.publish(*EVENTS, *placed("o7", at=LATER))
    expected = metrics({"2026-01-31T12:00": 4, "2026-01-31T12:01": 3}, 4, 1, now=0)["digest"]
    wait_until(lambda: counts(service, expected))
    os.kill(service.process.pid, signal.SIGTERM)
    assert service.process.wait(10) == 0
