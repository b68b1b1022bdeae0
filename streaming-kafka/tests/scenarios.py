"""What Kafka does, as small scenarios: each is played by the real node and by the simulation, and must end equally."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from broker import clients, kafka_workarounds
from kafka import KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import KafkaError, NoOffsetForPartitionError
from kafka.structs import ConsumerGroupMetadata, MemberState, OffsetAndMetadata

SESSION_MS = 3000


class Setting:
    """A Kafka, its clients, and the time that passes there. Each scenario has topics and groups of its own."""

    bootstrap = ""

    def __init__(self, name: str) -> None:
        self._name, self._made, self._clients = name, 0, []

    def name(self) -> str:
        """Return a name that no other scenario has."""
        self._made += 1
        return f"{self._name}-{self._made}"

    def topic(self, partitions: int = 1) -> str:
        """Make a topic."""
        name = self.name()
        with clients.admin(self.bootstrap) as admin:
            admin.create_topics({name: {"num_partitions": partitions, "replication_factor": 1, "configs": {}}})
        return name

    def reader(self, group: str, topic: str, *, name: str | None = None) -> Any:
        """Return a consumer that will join a group."""
        return self._keep(clients.reader(self.bootstrap, group, [topic], name=name))

    def writer(self, name: str) -> Any:
        """Return a producer for transactions."""
        return self._keep(clients.writer(self.bootstrap, name))

    def producer(self, seconds: float = 5.0) -> Any:
        """Return a producer without transactions."""
        limits = {"delivery_timeout_ms": int(1000 * seconds), "request_timeout_ms": 2000, "max_block_ms": 1000}
        return self._keep(clients.connect(KafkaProducer, self.bootstrap, **limits, **clients.PRODUCER_OPTIONS))

    def _keep(self, client: Any) -> Any:
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            clients.close(client, leaves=True)

    def wait(self, seconds: float) -> None:
        """Let time pass."""

    def until(self, true: Callable[[], Any]) -> Any:
        """Repeat this until it is true."""

    def stop_broker(self) -> None:
        """Kill the node."""

    def start_broker(self) -> None:
        """Start it again."""

    # in terms of these

    def put(self, topic: str, *values: bytes, partition: int = 0) -> None:
        """Write records."""
        producer = self.producer()
        self.until(lambda: error_of(producer.partitions_for, topic) is None)  # a node that has just started needs time
        for value in values:
            producer.send(topic, value=value, key=b"k", partition=partition).get(10)

    def read(self, consumer: Any, count: int) -> list[bytes]:
        """Poll until so many records have come, and return their values."""
        found: list[bytes] = []

        def enough() -> bool:
            found.extend(record.value for records in clients.poll(consumer, 500).values() for record in records)
            return len(found) >= count

        self.until(enough)
        return found

    def nothing_comes(self, consumer: Any, seconds: float = 1.5) -> bool:
        """Poll for a while; return whether nothing came."""
        found = []
        for _ in range(5):
            self.wait(seconds / 5)
            found += clients.poll(consumer, 500).values()
        return not found

    def joined(self, *consumers: Any) -> list[int]:
        """Poll these until all have places in one generation; return how many partitions each has."""

        def settled() -> bool:
            for consumer in consumers:
                clients.poll(consumer, 500)
            members = [consumer.group_metadata() for consumer in consumers]
            stable = all(member.state == MemberState.STABLE for member in members)
            return stable and len({member.generation_id for member in members}) == 1

        self.until(lambda: settled() and settled())
        return [len(consumer.assignment()) for consumer in consumers]

    def remove(self, group: str, consumer: Any) -> None:
        """Take a member out of its group, as when its session has ended."""
        with clients.admin(self.bootstrap) as admin:
            admin.remove_group_members(group, [MemberToRemove(member_id=consumer.group_metadata().member_id)])


def at(offset: int, metadata: str = "") -> OffsetAndMetadata:
    return OffsetAndMetadata(offset, metadata, -1)


def error_of(call: Callable[..., Any], *args: Any, **options: Any) -> str | None:
    """Return the name of the error that a call raises, None without one."""
    try:
        call(*args, **options)
    except KafkaError as error:
        return type(error).__name__
    return None


Scenario = Callable[[Setting], Any]
SCENARIOS: dict[
    str, tuple[Scenario, Any, bool]
] = {}  # name → it, its outcome, whether the real one is in the plain run


def ends_in(outcome: Any, *, plain: bool = False) -> Callable[[Scenario], Scenario]:
    def register(scenario: Scenario) -> Scenario:
        SCENARIOS[scenario.__name__] = scenario, outcome, plain
        return scenario

    return register


# records


@ends_in([b"1", b"2", b"3"])
def a_new_group_reads_from_the_beginning(setting: Setting) -> Any:
    topic = setting.topic()
    setting.put(topic, b"1", b"2", b"3")
    return setting.read(setting.reader(setting.name(), topic), 3)


@ends_in("one partition")
def the_records_of_one_key_are_in_one_partition(setting: Setting) -> Any:
    topic, producer = setting.topic(6), setting.producer()
    for n in range(4):
        producer.send(topic, value=b"%d" % n, key=b"order-1").get(10)
    found: dict = {}
    consumer = setting.reader(setting.name(), topic)

    def enough() -> bool:
        for partition, records in clients.poll(consumer, 500).items():
            found.setdefault(partition, []).extend(record.value for record in records)
        return sum(map(len, found.values())) >= 4

    setting.until(enough)
    return "one partition" if list(found.values()) == [[b"0", b"1", b"2", b"3"]] else found


@ends_in([("why", b"x"), ("where", b"y")])
def headers_come_as_they_were_sent(setting: Setting) -> Any:
    topic = setting.topic()
    setting.producer().send(topic, value=b"1", headers=[("why", b"x"), ("where", b"y")], partition=0).get(10)
    consumer = setting.reader(setting.name(), topic)
    return setting.until(lambda: [r.headers for rs in clients.poll(consumer, 9).values() for r in rs])[0]


@ends_in([1, 1, 1])
def a_poll_gives_no_more_than_was_asked_for(setting: Setting) -> Any:
    topic = setting.topic()
    setting.put(topic, b"1", b"2", b"3")
    consumer = setting.reader(setting.name(), topic)
    return [len(setting.until(lambda: [r for rs in clients.poll(consumer, 1).values() for r in rs])) for _ in range(3)]


@ends_in("TopicAlreadyExistsError")
def a_topic_is_made_once(setting: Setting) -> Any:
    topic = setting.topic()
    with clients.admin(setting.bootstrap) as admin:
        return error_of(admin.create_topics, {topic: {"num_partitions": 1, "replication_factor": 1, "configs": {}}})


# offsets


@ends_in([b"3"])
def a_group_goes_on_after_what_it_has_committed(setting: Setting) -> Any:
    topic, group = setting.topic(), setting.name()
    setting.put(topic, b"1", b"2")
    first = setting.reader(group, topic)
    setting.read(first, 2)
    first.commit({TopicPartition(topic, 0): at(2)}, timeout_ms=5000)
    clients.close(first, leaves=True)
    setting.put(topic, b"3")
    return setting.read(setting.reader(group, topic), 1)


@ends_in([b"1", b"2"])
def what_was_not_committed_comes_again(setting: Setting) -> Any:
    topic, group = setting.topic(), setting.name()
    setting.put(topic, b"1", b"2")
    first = setting.reader(group, topic)
    setting.read(first, 2)
    clients.close(first, leaves=True)
    return setting.read(setting.reader(group, topic), 2)


@ends_in((1, "mark"))
def an_offset_keeps_its_mark(setting: Setting) -> Any:
    topic = setting.topic()
    setting.put(topic, b"1")
    consumer = setting.reader(setting.name(), topic)
    setting.read(consumer, 1)
    consumer.commit({TopicPartition(topic, 0): at(1, "mark")}, timeout_ms=5000)
    known = consumer.committed(TopicPartition(topic, 0), metadata=True, timeout_ms=5000)
    return known.offset, known.metadata


@ends_in(["NoOffsetForPartitionError", "None"])
def a_group_without_offsets_says_so(setting: Setting) -> Any:
    topic = setting.topic()
    consumer = setting.reader(setting.name(), topic)

    def says_so() -> bool:
        try:
            consumer.poll(timeout_ms=200)
        except NoOffsetForPartitionError as error:
            return list(error.args[0]) == [TopicPartition(topic, 0)]
        return False

    setting.until(says_so)
    return ["NoOffsetForPartitionError", str(consumer.committed(TopicPartition(topic, 0), timeout_ms=5000))]


@ends_in([b"1", b"2", b"2"])
def a_consumer_reads_again_where_it_is_sent(setting: Setting) -> Any:
    topic = setting.topic()
    setting.put(topic, b"1", b"2")
    consumer = setting.reader(setting.name(), topic)
    first = setting.read(consumer, 2)
    consumer.seek(TopicPartition(topic, 0), 1)
    return first + setting.read(consumer, 1)


@ends_in([[b"other"], True, [b"paused"]])
def a_paused_partition_waits_and_the_other_goes_on(setting: Setting) -> Any:
    topic = setting.topic(2)
    consumer = setting.reader(setting.name(), topic)
    setting.joined(consumer)
    consumer.pause(TopicPartition(topic, 0))
    setting.put(topic, b"paused", partition=0)
    setting.put(topic, b"other", partition=1)
    other, waits = setting.read(consumer, 1), setting.nothing_comes(consumer)
    consumer.resume(TopicPartition(topic, 0))
    return [other, waits, setting.read(consumer, 1)]


# groups


@ends_in([3, 3], plain=True)
def two_members_share_the_partitions(setting: Setting) -> Any:
    topic, group = setting.topic(6), setting.name()
    return setting.joined(setting.reader(group, topic), setting.reader(group, topic))


@ends_in([1, 2])
def the_first_of_two_members_has_the_odd_partition(setting: Setting) -> Any:
    topic, group = setting.topic(3), setting.name()
    return sorted(setting.joined(setting.reader(group, topic), setting.reader(group, topic)))


@ends_in([[3, 3], [6]])
def who_leaves_gives_its_partitions_to_the_other(setting: Setting) -> Any:
    topic, group = setting.topic(6), setting.name()
    first, second = setting.reader(group, topic), setting.reader(group, topic)
    before = setting.joined(first, second)
    clients.close(second, leaves=True)
    setting.until(lambda: clients.poll(first, 9) or len(first.assignment()) == 6)
    return [before, setting.joined(first)]


@ends_in(["the same generation", 6], plain=True)
def a_static_member_that_comes_back_has_its_partitions_at_once(setting: Setting) -> Any:
    topic, group = setting.topic(6), setting.name()
    first = setting.reader(group, topic, name="worker")
    setting.joined(first)
    before = first.group_metadata().generation_id
    clients.close(first)
    second = setting.reader(group, topic, name="worker")
    has = setting.joined(second)[0]
    same = second.group_metadata().generation_id == before
    return ["the same generation" if same else "another generation", has]


@ends_in([3, 6])
def a_static_member_that_stays_away_is_out_after_its_session(setting: Setting) -> Any:
    topic, group = setting.topic(6), setting.name()
    first, second = setting.reader(group, topic, name="a"), setting.reader(group, topic, name="b")
    before = setting.joined(first, second)[1]
    clients.close(first)
    setting.wait(SESSION_MS / 2000)
    clients.poll(second, 9)
    assert len(second.assignment()) == before
    setting.until(lambda: clients.poll(second, 9) or len(second.assignment()) == 6)
    return [before, setting.joined(second)[0]]


@ends_in([True, "FencedInstanceIdError"])
def a_static_member_whose_name_is_taken_is_fenced(setting: Setting) -> Any:
    topic, group = setting.topic(), setting.name()
    setting.put(topic, b"1")
    first = setting.reader(group, topic, name="worker")
    setting.read(first, 1)
    setting.joined(first)
    second = setting.reader(group, topic, name="worker")
    setting.joined(second)
    error = error_of(first.commit, {TopicPartition(topic, 0): at(1)}, timeout_ms=5000)
    setting.until(lambda: clients.poll(first, 9) or kafka_workarounds.is_fenced(first))
    return [True, error]


@ends_in("CommitFailedError", plain=True)
def offsets_of_an_evicted_member_are_refused(setting: Setting) -> Any:
    topic, group = setting.topic(), setting.name()
    setting.put(topic, b"1")
    consumer = setting.reader(group, topic)
    setting.read(consumer, 1)
    setting.remove(group, consumer)
    return error_of(consumer.commit, {TopicPartition(topic, 0): at(1)}, timeout_ms=5000)


@ends_in([b"1", b"1"])
def an_evicted_member_joins_again_and_reads_again(setting: Setting) -> Any:
    topic, group = setting.topic(), setting.name()
    setting.put(topic, b"1")
    consumer = setting.reader(group, topic)
    first = setting.read(consumer, 1)
    setting.remove(group, consumer)
    return first + setting.read(consumer, 1)


@ends_in([2, [0]])
def a_rebalance_keeps_the_pause_of_a_partition_that_stays(setting: Setting) -> Any:
    topic, group = setting.topic(2), setting.name()
    setting.put(topic, b"1")
    first = setting.reader(group, topic, name="a")
    setting.read(first, 1)
    first.commit({TopicPartition(topic, n): at(0) for n in range(2)}, timeout_ms=5000)
    first.pause(TopicPartition(topic, 0))
    before = len(first.assignment())
    setting.joined(first, setting.reader(group, topic, name="b"))
    return [before, [partition.partition for partition in first.paused()]]


@ends_in([("a", 3), ("b", 3)])
def the_members_of_a_group_are_described(setting: Setting) -> Any:
    topic, group = setting.topic(6), setting.name()
    setting.joined(setting.reader(group, topic, name="a"), setting.reader(group, topic, name="b"))
    with clients.admin(setting.bootstrap) as admin:
        members = admin.describe_groups([group])[group]["members"]
    return sorted((m["group_instance_id"], _count(m["member_assignment"])) for m in members)


@ends_in([])
def a_static_member_is_removed_by_its_name(setting: Setting) -> Any:
    topic, group = setting.topic(), setting.name()
    consumer = setting.reader(group, topic, name="a")
    setting.joined(consumer)
    clients.close(consumer)
    with clients.admin(setting.bootstrap) as admin:
        admin.remove_group_members(group, [MemberToRemove(group_instance_id="a")])
        return admin.describe_groups([group])[group]["members"]


def _count(assignment: Any) -> int:
    return sum(len(topic["partitions"]) for topic in (assignment or {}).get("assigned_partitions", ()))


# transactions


@contextlib.contextmanager
def begun(setting: Setting, topic: str, *values: bytes, name: str | None = None) -> Iterator[Any]:
    """Lend a producer with a transaction in which these values were written."""
    writer = setting.writer(name or setting.name())
    writer.begin_transaction()
    for value in values:
        writer.send(topic, value=value, partition=0).get(10)
    yield writer


@ends_in([True, [b"1", b"2"]])
def a_transaction_is_seen_when_it_is_committed(setting: Setting) -> Any:
    topic = setting.topic()
    consumer = setting.reader(setting.name(), topic)
    with begun(setting, topic, b"1", b"2") as writer:
        hidden = setting.nothing_comes(consumer)
        kafka_workarounds.commit_transaction(writer)
    return [hidden, setting.read(consumer, 2)]


@ends_in([b"after"])
def an_aborted_transaction_is_never_seen(setting: Setting) -> Any:
    topic = setting.topic()
    with begun(setting, topic, b"1") as writer:
        writer.abort_transaction()
    setting.put(topic, b"after")
    return setting.read(setting.reader(setting.name(), topic), 1)


@ends_in([True, [b"1", b"behind"]])
def what_is_behind_an_open_transaction_waits(setting: Setting) -> Any:
    topic = setting.topic()
    consumer = setting.reader(setting.name(), topic)
    with begun(setting, topic, b"1") as writer:
        setting.put(topic, b"behind")
        waits = setting.nothing_comes(consumer)
        kafka_workarounds.commit_transaction(writer)
    return [waits, setting.read(consumer, 2)]


@ends_in([[b"2"], True], plain=True)
def a_second_producer_of_a_name_ends_what_the_first_has_begun(setting: Setting) -> Any:
    topic, name = setting.topic(), setting.name()
    with begun(setting, topic, b"1", name=name) as first, begun(setting, topic, b"2", name=name) as second:
        kafka_workarounds.commit_transaction(second)
        fenced = error_of(kafka_workarounds.commit_transaction, first) is not None
    return [setting.read(setting.reader(setting.name(), topic), 1), fenced]


@ends_in(True)
def the_first_producer_of_a_name_is_fenced(setting: Setting) -> Any:
    topic, name = setting.topic(), setting.name()
    first = setting.writer(name)
    setting.writer(name)
    first.begin_transaction()

    def write() -> None:
        first.send(topic, value=b"1", partition=0).get(10)
        kafka_workarounds.commit_transaction(first)

    return error_of(write) is not None and setting.nothing_comes(setting.reader(setting.name(), topic))


@ends_in([[b"result"], 1], plain=True)
def results_and_offsets_are_committed_together(setting: Setting) -> Any:
    topic, results, group = setting.topic(), setting.topic(), setting.name()
    setting.put(topic, b"1")
    consumer = setting.reader(group, topic)
    setting.read(consumer, 1)
    with begun(setting, results, b"result") as writer:
        kafka_workarounds.send_offsets(writer, {TopicPartition(topic, 0): at(1)}, consumer.group_metadata())
        kafka_workarounds.commit_transaction(writer)
    seen = setting.read(setting.reader(setting.name(), results), 1)
    return [seen, setting.until(lambda: consumer.committed(TopicPartition(topic, 0), timeout_ms=5000))]


@ends_in("None")
def offsets_of_an_aborted_transaction_are_none(setting: Setting) -> Any:
    topic, group = setting.topic(), setting.name()
    setting.put(topic, b"1")
    consumer = setting.reader(group, topic)
    setting.read(consumer, 1)
    with begun(setting, topic, b"result") as writer:
        kafka_workarounds.send_offsets(writer, {TopicPartition(topic, 0): at(1)}, consumer.group_metadata())
        writer.abort_transaction()
    return str(consumer.committed(TopicPartition(topic, 0), timeout_ms=5000))


@ends_in("KafkaTimeoutError")
def offsets_of_an_open_transaction_are_not_told(setting: Setting) -> Any:
    topic, group = setting.topic(), setting.name()
    setting.put(topic, b"1")
    consumer = setting.reader(group, topic)
    setting.read(consumer, 1)
    with begun(setting, topic, b"result") as writer:
        kafka_workarounds.send_offsets(writer, {TopicPartition(topic, 0): at(1)}, consumer.group_metadata())
        return error_of(consumer.committed, TopicPartition(topic, 0), timeout_ms=2000)


@ends_in(["CommitFailedError", True])
def the_transaction_of_an_evicted_member_is_refused(setting: Setting) -> Any:
    topic, results, group = setting.topic(), setting.topic(), setting.name()
    setting.put(topic, b"1")
    consumer = setting.reader(group, topic)
    setting.read(consumer, 1)
    member = consumer.group_metadata()
    setting.remove(group, consumer)
    with begun(setting, results, b"result") as writer:
        error = error_of(kafka_workarounds.send_offsets, writer, {TopicPartition(topic, 0): at(1)}, member)
        refused = error_of(kafka_workarounds.commit_transaction, writer) is not None
    return [error, refused]


@ends_in([None, 1])
def without_its_generation_the_transaction_of_an_evicted_member_is_taken(setting: Setting) -> Any:
    topic, group = setting.topic(), setting.name()
    setting.put(topic, b"1")
    consumer = setting.reader(group, topic)
    setting.read(consumer, 1)
    setting.remove(group, consumer)
    with begun(setting, topic, b"result") as writer:
        offsets = {TopicPartition(topic, 0): at(1)}
        error = error_of(kafka_workarounds.send_offsets, writer, offsets, ConsumerGroupMetadata(group))
        kafka_workarounds.commit_transaction(writer)
    return [error, setting.until(lambda: consumer.committed(TopicPartition(topic, 0), timeout_ms=5000))]


@ends_in([b"behind"])
def a_transaction_that_is_never_ended_is_aborted_by_kafka(setting: Setting) -> Any:
    topic = setting.topic()
    consumer = setting.reader(setting.name(), topic)
    with begun(setting, topic, b"1"):
        setting.put(topic, b"behind")
        return setting.read(consumer, 1)


# Kafka away


@ends_in(["KafkaTimeoutError", True])
def a_record_for_a_dead_broker_fails_in_time(setting: Setting) -> Any:
    topic, producer = setting.topic(), setting.producer(2.0)
    producer.send(topic, value=b"1", partition=0).get(10)
    setting.stop_broker()
    error = error_of(lambda: producer.send(topic, value=b"2", partition=0).get(10))
    away = clients.trouble(setting.bootstrap) is not None
    setting.start_broker()
    return [error, away]


@ends_in([[b"1", b"2"], 1])
def a_broker_that_comes_back_has_its_records_and_offsets(setting: Setting) -> Any:
    topic, group = setting.topic(), setting.name()
    setting.put(topic, b"1")
    consumer = setting.reader(group, topic)
    found = setting.read(consumer, 1)
    consumer.commit({TopicPartition(topic, 0): at(1)}, timeout_ms=5000)
    setting.stop_broker()
    setting.start_broker()
    setting.put(topic, b"2")
    found += setting.read(consumer, 1)
    return [found, setting.until(lambda: consumer.committed(TopicPartition(topic, 0), timeout_ms=5000))]
