"""A consumer group of the classic protocol: members, generations, and who has which partitions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kafka import TopicPartition
from kafka.errors import FencedInstanceIdError, IllegalGenerationError, UnknownMemberIdError
from kafka.structs import OffsetAndMetadata


@dataclass
class Member:
    """A member. A static one has an `instance`, which a later process of the same name takes over."""

    id: str
    client_id: str
    instance: str | None
    topics: Sequence[str]
    beats: Callable[[], bool]  # whether its heartbeats arrive now
    session: float
    beat: float  # when the last heartbeat arrived
    joined: bool = True
    assigned: list[TopicPartition] = field(default_factory=list)


class Group:
    """The members of a group. A generation begins when every member has joined anew, or is out."""

    def __init__(self, partitions_of: Callable[[str], int], now: Callable[[], float]) -> None:
        self._partitions_of, self._now = partitions_of, now
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.rebalancing = False
        self.offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        self._made = 0

    def join(self, member: Member) -> Member:
        """Let a member join, anew when its id is known; return it. A rebalance begins, unless nothing changes."""
        known = self.members.get(member.id)
        if known is None:
            self._made += 1
            member.id = f"{member.instance or member.client_id}-{self._made}"
            before = self.of_instance(member.instance)
            if before is not None:  # a static member comes back, and has its partitions back
                del self.members[before.id]
                member.assigned = before.assigned
            self.members[member.id] = member
            if before is None or before.topics != member.topics:
                self._rebalance()
            known = member
        known.joined, known.beat = True, self._now()
        self._complete()
        return known

    def of_instance(self, instance: str | None) -> Member | None:
        """Return the static member of this name, if there is one."""
        return next((m for m in self.members.values() if instance and m.instance == instance), None)

    def _rebalance(self) -> None:
        if not self.rebalancing:
            self.rebalancing = True
            for member in self.members.values():
                member.joined = False

    def leave(self, member_id: str) -> None:
        """Take a member out; the others share its partitions."""
        if self.members.pop(member_id, None) is None:
            return
        if self.members:
            self._rebalance()
            self._complete()
        else:
            self.generation += 1
            self.rebalancing = False

    def _complete(self) -> None:
        if self.rebalancing and self.members and all(member.joined for member in self.members.values()):
            self.generation += 1
            self.rebalancing = False
            self._assign()

    def _assign(self) -> None:
        """Share the partitions as the range assignor does: of each topic, in the order of the members."""
        members = sorted(self.members.values(), key=lambda m: (m.instance is None, m.instance or m.id))
        for member in members:
            member.assigned = []
        for topic in sorted({topic for member in members for topic in member.topics}):
            readers, count, first = [m for m in members if topic in m.topics], self._partitions_of(topic), 0
            for n, member in enumerate(readers):
                share = count // len(readers) + (n < count % len(readers))
                member.assigned += [TopicPartition(topic, first + i) for i in range(share)]
                first += share

    def check(self, member_id: str, generation: int, instance: str | None = None) -> None:
        """Raise the error with which Kafka refuses offsets of one that is not a member in this generation."""
        if generation < 0 and not member_id:
            return  # from a client that is not in a group: always taken in a transaction
        if member_id not in self.members:
            raise FencedInstanceIdError() if self.of_instance(instance) else UnknownMemberIdError()
        if generation != self.generation:
            raise IllegalGenerationError()

    def tick(self) -> list[str]:
        """Note which heartbeats arrive; return the members whose session has ended: they are out."""
        now, ended = self._now(), []
        for member in self.members.values():
            if member.beats():
                member.beat = now
            elif now - member.beat >= member.session:
                ended.append(member.id)
        for member_id in ended:
            self.leave(member_id)
        return ended

    def begin_sessions(self) -> None:
        """Begin every session anew, as a broker does that was started again."""
        for member in self.members.values():
            member.beat = self._now()
