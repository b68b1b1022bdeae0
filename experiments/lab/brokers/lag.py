"""How far Kafka's groups have read: for each group and partition the offset, the log's end and what is between them.

The log's end is the last stable offset: up to there a reader of committed records gets; what is behind it is in an open
transaction. A transaction's marker takes an offset, too, and no consumer reads it: where only markers are left to read,
the lag is 0. What retention has deleted cannot be read either, and is counted apart.
"""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lab.brokers import kafka_client
from lab.errors import LabError
from lab.services import Service

if TYPE_CHECKING:
    from kafka import TopicPartition

LOOK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a group is in a partition.

    `current` is None where nothing was committed yet, and `start` is where it will go on reading in any case. `oldest`
    is when the first record that it has not read was written, in seconds since 1970: None where it is not known.
    `gone` is how many offsets the log lost before this group read them, `open` how many an open transaction holds back.
    """

    group: str
    topic: str
    partition: int
    current: int | None
    start: int
    end: int
    lag: int
    oldest: float | None = None
    member: Mapping[str, Any] | None = None
    gone: int = 0
    open: int = 0

    @property
    def key(self) -> tuple[str, str, int]:
        """Whose place it is, and where."""
        return self.group, self.topic, self.partition

    @property
    def left_off(self) -> tuple["TopicPartition", int]:
        """The partition and the offset at which it goes on."""
        from kafka import TopicPartition

        return TopicPartition(self.topic, self.partition), self.start


class Groups:
    """Looks at the groups of one broker, again and again, over connections that it keeps. Raises LabError."""

    def __init__(self, service: Service) -> None:
        self._service = service
        with kafka_client.in_plain_words(service):
            self._admin, self._reader = kafka_client.admin(service), kafka_client.reader(service, max_poll_records=1)
        self._partitions: dict[str, list[TopicPartition]] = {}
        self._before: list[Place] = []
        # What was found where a group left off: up to which end the log was read, and how old the first record is.
        self._found: dict[tuple[TopicPartition, int], tuple[int, float | None]] = {}

    def close(self) -> None:
        """Close the connections."""
        for client in (self._admin, self._reader):
            with contextlib.suppress(Exception):  # they may be lost already
                client.close()

    def names(self) -> list[str]:
        """Return the names of all groups but the laboratory's own."""
        with kafka_client.in_plain_words(self._service):
            names = [group["group_id"] for group in self._admin.list_groups()]
        return sorted(name for name in names if not name.startswith(kafka_client.OURS))

    def members(self, group: str) -> list[str]:
        """Return the members of a group, as a person would name them."""
        with kafka_client.in_plain_words(self._service):
            found = self._admin.describe_groups([group])[group]["members"]
        return [f"{member['client_id']} at {member['client_host'].lstrip('/')}" for member in found]

    def reset(self, group: str, to: dict["TopicPartition", Any]) -> dict["TopicPartition", int]:
        """Set where a group goes on, and return the offsets. Raises LabError when one partition is refused."""
        from kafka.errors import NoError

        with kafka_client.in_plain_words(self._service):
            answers = self._admin.reset_group_offsets(group, to)
            refused = {p: answer["error"] for p, answer in answers.items() if answer["error"] is not NoError}
            if refused:
                which = ", ".join(f"{p.topic}/{p.partition} ({error.__name__})" for p, error in sorted(refused.items()))
                raise LabError(f"Kafka refused to reset {which}", "a group with a member cannot be reset")
            offsets = {partition: answer["offset"] for partition, answer in answers.items()}
            kafka_client.move(self._admin, group, offsets)  # Kafka's own tool takes the old note on an offset away, too
        return offsets

    def places(self, names: Iterable[str], *, only_at_rest: bool = False) -> list[Place]:
        """Return where these groups are in each partition that they read.

        Whether only markers are left is looked up in the log; with `only_at_rest`, which is cheaper, only where neither
        the group nor the log's end has moved since the last call; and transactions are not looked at.
        """
        if not only_at_rest:
            self._partitions.clear()  # some may have been added
        with kafka_client.in_plain_words(self._service):
            found = kafka_client.patiently(lambda: self._measured(sorted(names), transactions=not only_at_rest))
            before = {place.key: (place.start, place.end) for place in self._before}
            rest = {place.key for place in found if before.get(place.key) == (place.start, place.end)}
            behind = [place for place in found if place.lag and (not only_at_rest or place.key in rest)]
            self._look_up({place.left_off: place.end for place in behind})
        self._before = found
        known = [(place, *self._found.get(place.left_off, (None, None))) for place in found]
        return [replace(place, lag=0) if oldest is None and end == place.end else replace(place, oldest=oldest)
                for place, end, oldest in known]  # fmt: skip

    def _measured(self, names: Sequence[str], *, transactions: bool) -> list[Place]:
        """Return the places by offsets alone; without `transactions` none is known to be open."""
        from kafka.admin import OffsetSpec

        if not names:
            return []
        described = self._admin.describe_groups(names)
        committed = self._admin.list_group_offsets(dict.fromkeys(names))
        read = {name: self._read_by(described[name]["members"], committed[name]) for name in names}
        every = {partition for partitions in read.values() for partition in partitions}
        offsets = self._admin.list_partition_offsets
        ends = offsets(dict.fromkeys(every, OffsetSpec.LATEST), "read_committed") if every else {}
        firsts = offsets(dict.fromkeys(every, OffsetSpec.EARLIEST)) if every else {}
        written = offsets(dict.fromkeys(every, OffsetSpec.LATEST)) if every and transactions else ends

        def place(name: str, partition: "TopicPartition") -> Place:
            committed_at = committed[name].get(partition)
            current = committed_at.offset if committed_at else None
            first, end = firsts[partition].offset, ends[partition].offset
            start = max(first, current or 0)
            where = (name, partition.topic, partition.partition)
            return Place(
                *where,
                current,
                start,
                end,
                lag=max(0, end - start),
                member=_assigned(described[name]["members"], partition),
                gone=start - (current or 0),
                open=max(0, written[partition].offset - end),
            )

        return [place(name, partition) for name in names for partition in sorted(read[name])]

    def _read_by(
        self, members: Sequence[Mapping[str, Any]], committed: Mapping["TopicPartition", Any]
    ) -> set["TopicPartition"]:
        """Return the partitions of all topics that a group reads, or has read."""
        topics = {partition.topic for partition in committed}
        for member in members:
            topics |= set((member["member_metadata"] or {}).get("topics", ()))  # none while it rebalances
        return {partition for topic in topics for partition in self._partitions_of(topic)}

    def _partitions_of(self, topic: str) -> list["TopicPartition"]:
        from kafka import TopicPartition

        if topic not in self._partitions:
            [shape] = self._admin.describe_topics([topic])
            self._partitions[topic] = [TopicPartition(topic, p["partition_index"]) for p in shape["partitions"]]
        return self._partitions[topic]

    def _look_up(self, wanted: dict[tuple["TopicPartition", int], int]) -> None:
        """Find out what is there to read from these offsets on, if it is not known; forget all others."""
        self._found = {
            at: (end, oldest)
            for at, (end, oldest) in self._found.items()
            if at in wanted and (oldest is not None or end == wanted[at])
        }
        unknown = {at: end for at, end in wanted.items() if at not in self._found}
        while unknown:
            starts = dict(unknown.keys())  # one of two groups at two offsets of a partition: the other comes next
            ends = {partition: unknown.pop((partition, start)) for partition, start in starts.items()}
            for partition, oldest in self._first_records(starts, ends).items():
                self._found[partition, starts[partition]] = (ends[partition], oldest)

    def _first_records(
        self, starts: dict["TopicPartition", int], ends: dict["TopicPartition", int]
    ) -> dict["TopicPartition", float | None]:
        """Return when the first record from an offset on was written, None where there is none up to the end."""
        found: dict[TopicPartition, float | None] = {}
        self._reader.assign(list(starts))
        for partition, start in starts.items():
            self._reader.seek(partition, start)
        deadline = time.monotonic() + LOOK_SECONDS
        while (waiting := starts.keys() - found.keys()) and time.monotonic() < deadline:
            self._reader.assign(list(waiting))  # not pause: kafka-python 3.0.12 may never read on after a pause
            for partition, records in self._reader.poll(timeout_ms=20).items():
                found[partition] = records[0].timestamp / 1000
            for partition in waiting - found.keys():
                if (self._reader.position(partition, timeout_ms=kafka_client.BUSY_MS) or 0) >= ends[partition]:
                    found[partition] = None
        return found


def waiting(service: Service) -> int:
    """Return how many messages the groups of this part have still to read. Raises LabError."""
    with contextlib.closing(Groups(service)) as groups:
        return sum(place.lag for place in groups.places(kafka_client.GROUPS))


def _assigned(members: Sequence[Mapping[str, Any]], partition: "TopicPartition") -> Mapping[str, Any] | None:
    for member in members:
        for topic in (member["member_assignment"] or {}).get("assigned_partitions", ()):
            if topic["topic"] == partition.topic and partition.partition in topic["partitions"]:
                return member
    return None
