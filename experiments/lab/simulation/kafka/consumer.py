"""kafka-python's consumer, over the broker in memory: the part of its interface that the services use."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from kafka import TopicPartition
from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaTimeoutError,
    NoOffsetForPartitionError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
from kafka.structs import ConsumerGroupMetadata, MemberState, OffsetAndMetadata

from lab.simulation.kafka.broker import Broker
from lab.simulation.kafka.groups import Member
from lab.simulation.kafka.host import Host, request
from lab.simulation.kafka.logs import Record

BEGINNING = 0  # nothing is ever removed from a log here


class Partitions(frozenset):
    """A set of partitions that is always gone through in the same order."""

    def __init__(self, partitions: Iterable[TopicPartition] = ()) -> None:
        self._sorted = tuple(sorted(partitions))

    def __iter__(self) -> Iterator[TopicPartition]:
        return iter(self._sorted)


NONE = Partitions()


class Consumer:
    """A member of a group that is polled."""

    def __init__(
        self,
        host: Host,
        broker: Broker,
        *,
        group_id: str,
        client_id: str = "client",
        group_instance_id: str | None = None,
        isolation_level: str = "read_uncommitted",
        session_timeout_ms: int = 45_000,
        heartbeat_interval_ms: int = 3000,
        **_: Any,
    ) -> None:
        self.host, self._broker = host, broker
        self._group_id, self._client_id, self._instance = group_id, client_id, group_instance_id
        self._committed_only = isolation_level == "read_committed"
        self._session, self._interval = session_timeout_ms / 1000, heartbeat_interval_ms / 1000
        self._member_id, self._generation, self._state = "", -1, MemberState.UNJOINED
        self._heard = 0.0  # when its last heartbeat was answered
        self._must_join, self._is_closed, self.is_fenced = True, False, False
        self._topics: list[str] = []
        self._positions: dict[TopicPartition, int | None] = {}  # of all that it has; None: not known yet
        self._assignment = NONE
        self._paused: set[TopicPartition] = set()
        self._turns = 0

    # what it reads

    def subscribe(self, topics: Sequence[str]) -> None:
        """Read these topics, as far as the group gives them to this member."""
        self._topics = sorted(topics)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Return the numbers of a topic's partitions, None when there is no such topic."""
        there = self._broker.logs.partitions.get(topic)
        return set(range(len(there))) if there else None

    def assignment(self) -> frozenset[TopicPartition]:
        """Return the partitions that it has."""
        return self._assignment

    def paused(self) -> frozenset[TopicPartition]:
        """Return those of them from which nothing is taken."""
        return Partitions(self._paused) if self._paused else NONE

    def pause(self, *partitions: TopicPartition) -> None:
        """Take nothing from these."""
        self._paused.update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        """Take from these again."""
        self._paused.difference_update(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on at this offset."""
        self._positions[partition] = offset

    def seek_to_beginning(self, *partitions: TopicPartition) -> None:
        """Read these from their beginning."""
        self._positions.update(dict.fromkeys(partitions, BEGINNING))

    def beginning_offsets(
        self, partitions: Sequence[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """Return the first offsets of these."""
        return dict.fromkeys(partitions, BEGINNING)

    def end_offsets(
        self, partitions: Sequence[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """Return where these end, for a reader as this one."""
        return {p: self._broker.logs.end_offset(p, committed=self._committed_only) for p in partitions}

    def position(self, partition: TopicPartition) -> int | None:
        """Return the offset that is read next."""
        return self._positions.get(partition)

    def poll(self, timeout_ms: float = 0, max_records: int = 500) -> dict[TopicPartition, list[Record]]:
        """Return what is there; join the group first, when that must be. Time passes elsewhere, not here."""
        self.host.effect("poll:before")
        if not self.host.reaches():
            return {}
        self._hear()
        if self._must_join and not self._join():
            return {}
        self._find_positions()
        found = self._fetch(max_records)
        if found:
            self.host.effect("poll:after")
        return found

    def _fetch(self, most: int) -> dict[TopicPartition, list[Record]]:
        found: dict[TopicPartition, list[Record]] = {}
        logs = self._broker.logs.partitions
        there = [
            (partition, start)
            for partition, start in self._positions.items()
            if start is not None and len(logs[partition[0]][partition[1]]) > start and partition not in self._paused
        ]
        self._turns += 1  # no partition is always the first
        first = self._turns % len(there) if there else 0
        for partition, start in there[first:] + there[:first]:
            records, after = self._broker.logs.read(partition, start, most, committed=self._committed_only)
            self._positions[partition] = after
            if records:
                found[partition] = records
                most -= len(records)
                for record in records:
                    self.host.record("delivery", record.topic, record.key, down=True)
        return found

    def _find_positions(self) -> None:
        if None not in self._positions.values():
            return
        unknown = [partition for partition, offset in self._positions.items() if offset is None]
        committed = self._broker.group(self._group_id).offsets
        for partition in unknown:
            if partition in committed and not self._broker.is_undecided(self._group_id, partition):
                self._positions[partition] = committed[partition].offset
        if new := [p for p in unknown if p not in committed and not self._broker.is_undecided(self._group_id, p)]:
            raise NoOffsetForPartitionError(new)

    # its group

    def group_metadata(self) -> ConsumerGroupMetadata:
        """Return what it is in its group now."""
        return ConsumerGroupMetadata(self._group_id, self._generation, self._member_id, self._instance, self._state)

    def _hear(self) -> None:
        """Hear what its last heartbeat was answered, if one is due: that it must join anew, or that it is out."""
        if self._must_join or self.host.now() - self._heard < self._interval:
            return
        self._heard, group = self.host.now(), self._broker.group(self._group_id)
        if self._member_id in group.members:
            self._must_join = group.rebalancing
        elif group.of_instance(self._instance):
            self.is_fenced = True  # the client says nothing, and goes on reading
        else:
            self._be_out()

    def _be_out(self, *, keeps_id: bool = False) -> None:
        self._generation, self._must_join, self._state = -1, True, MemberState.UNJOINED
        self._assignment, self._positions, self._paused = NONE, {}, set()
        self._member_id = self._member_id if keeps_id else ""

    def _join(self) -> bool:
        """Join the group, or see whether the others have joined too; return whether it is a member."""
        group = self._broker.group(self._group_id)
        known = group.members.get(self._member_id)
        if self._state != MemberState.REBALANCING or known is None or (group.rebalancing and not known.joined):
            if known is None:
                self._member_id = ""
            member = group.join(
                Member(self._member_id, self._client_id, self._instance, self._topics, self._beats, self._session,
                       self.host.now())
            )  # fmt: skip
            self._member_id, self._state = member.id, MemberState.REBALANCING
            self.host.effect("join:after")
        if group.rebalancing or self._member_id not in group.members:
            return False
        self._generation, self._state, self._must_join = group.generation, MemberState.STABLE, False
        self._assignment = Partitions(group.members[self._member_id].assigned)
        # What it had before, and has again, it reads on where it was; and a pause stays.
        self._positions = {partition: self._positions.get(partition) for partition in self._assignment}
        self._paused, self._heard = self._paused & self._assignment, self.host.now()
        return True

    def _beats(self) -> bool:
        return not self._is_closed and self.host.beats()

    # its offsets

    def committed(
        self, partition: TopicPartition, metadata: bool = False, timeout_ms: float = 30_000
    ) -> OffsetAndMetadata | int | None:
        """Return how far the group has come, None for nowhere. Raises KafkaTimeoutError."""
        if not self.host.reaches() or self._broker.is_undecided(self._group_id, partition):
            self.host.sleep(timeout_ms / 1000)
        if not self.host.reaches() or self._broker.is_undecided(self._group_id, partition):
            raise KafkaTimeoutError("the committed offset is not known in time")
        known = self._broker.group(self._group_id).offsets.get(partition)
        return known if metadata or known is None else known.offset

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], timeout_ms: float = 30_000) -> None:
        """Note how far the group has come. Raises CommitFailedError for one that is not a member of now."""
        member = self.group_metadata()
        if member.state == MemberState.REBALANCING:
            raise RebalanceInProgressError("poll, and then commit again")
        if member.state != MemberState.STABLE:
            raise CommitFailedError("this consumer is not in its group any more")
        try:
            request(self.host, "offsets", timeout_ms / 1000, lambda: self._broker.commit_offsets(member, dict(offsets)))
        except (IllegalGenerationError, UnknownMemberIdError) as error:
            self._be_out(keeps_id=isinstance(error, IllegalGenerationError))
            raise CommitFailedError(error) from None
        self.host.record("ack", "commits its offsets")

    def close(self, *, leaves: bool) -> None:
        """Close it; a member that leaves gives its partitions to the others."""
        self._is_closed = True
        if leaves and self.host.reaches():
            self._broker.group(self._group_id).leave(self._member_id)
