"""A Kafka node in memory: logs, consumer groups, transactional ids, and what it does by itself as time goes by."""

from collections.abc import Callable
from typing import Any

from campus.events import partition_of
from kafka import TopicPartition
from kafka.errors import InvalidProducerEpochError, TopicAlreadyExistsError
from kafka.structs import ConsumerGroupMetadata

from lab.simulation.kafka.groups import Group
from lab.simulation.kafka.logs import ABORTED, COMMITTED, OPEN, Identity, Logs, Offsets, Record, Transaction

TRANSACTION_SECONDS = 10.0  # what the services' producers ask for


class Broker:
    """One node. Its logs, offsets and transactions outlive a restart."""

    def __init__(self, now: Callable[[], float], say: Callable[[str], None] = lambda _: None) -> None:
        self._now, self._say = now, say
        self.is_up = True
        self.logs = Logs()
        self.groups: dict[str, Group] = {}
        self.identities: dict[str, Identity] = {}

    def create(self, topic: str, partitions: int) -> None:
        """Make a topic. Raises TopicAlreadyExistsError."""
        if topic in self.logs.partitions:
            raise TopicAlreadyExistsError(topic)
        self.logs.create(topic, partitions)

    def partition_for(self, topic: str, key: bytes | None) -> TopicPartition:
        """Return the partition of a key, as every producer of the services chooses it."""
        return TopicPartition(topic, partition_of(key or b"", len(self.logs.partitions[topic])))

    def group(self, name: str) -> Group:
        """Return a group, made when it is not there."""
        if name not in self.groups:
            self.groups[name] = Group(lambda topic: len(self.logs.partitions[topic]), self._now)
        return self.groups[name]

    # transactions

    def begin_epoch(self, transactional_id: str) -> int:
        """Begin a producer's next epoch; what its predecessor had begun is aborted."""
        identity = self.identities.setdefault(transactional_id, Identity())
        self._abort(identity, f"what {transactional_id} had begun before")
        identity.epoch += 1
        return identity.epoch

    def transaction(self, transactional_id: str, epoch: int) -> Transaction:
        """Return the open transaction of a producer, begun if none is. Raises InvalidProducerEpochError."""
        identity = self._identity(transactional_id, epoch)
        if identity.transaction is None:
            identity.transaction = Transaction(self._now())
        return identity.transaction

    def _identity(self, transactional_id: str, epoch: int) -> Identity:
        identity = self.identities[transactional_id]
        if identity.epoch != epoch:
            raise InvalidProducerEpochError(f"{transactional_id}: epoch {epoch}, and now it is {identity.epoch}")
        return identity

    def write(self, to: TopicPartition, transaction: Transaction | None = None, **content: Any) -> Record:
        """Append a record to a partition."""
        if transaction is not None and to not in transaction.partitions:
            transaction.partitions.append(to)
        return self.logs.append(to, transaction=transaction, **content)

    def end(self, transactional_id: str, epoch: int, state: str) -> None:
        """Commit or abort the open transaction of a producer. Raises InvalidProducerEpochError."""
        identity = self._identity(transactional_id, epoch)
        transaction, identity.transaction = identity.transaction, None
        if transaction is not None:
            self.logs.end(transaction, state)
            for group, offsets in transaction.offsets.items() if state == COMMITTED else ():
                self.group(group).offsets.update(offsets)

    def _abort(self, identity: Identity, what: str) -> None:
        transaction, identity.transaction = identity.transaction, None
        if transaction is not None:
            self._say(f"aborts {what}")
            self.logs.end(transaction, ABORTED)

    # offsets

    def commit_offsets(self, member: ConsumerGroupMetadata, offsets: Offsets) -> None:
        """Note how far a group has come. Raises the error for one that is not a member any more."""
        group = self.group(member.group_id)
        group.check(member.member_id, member.generation_id, member.group_instance_id)
        group.offsets.update(offsets)

    def add_offsets(self, transaction: Transaction, member: ConsumerGroupMetadata, offsets: Offsets) -> None:
        """Put offsets into a transaction. Raises the error for one that is not a member any more."""
        self.group(member.group_id).check(member.member_id, member.generation_id, member.group_instance_id)
        transaction.offsets.setdefault(member.group_id, {}).update(offsets)

    def is_undecided(self, group: str, partition: TopicPartition) -> bool:
        """Whether an open transaction holds offsets of this partition: the old ones are not told meanwhile."""
        open_ones = (identity.transaction for identity in self.identities.values() if identity.transaction)
        return any(partition in transaction.offsets.get(group, ()) for transaction in open_ones)

    # time

    def start(self) -> None:
        """Be there again, with all that was written."""
        self.is_up = True
        for group in self.groups.values():
            group.begin_sessions()

    def tick(self) -> None:
        """End the transactions that are too old, and the sessions of members that were silent for too long."""
        if not self.is_up:
            return
        for name, identity in self.identities.items():
            transaction = identity.transaction
            if transaction and transaction.state == OPEN and self._now() - transaction.began >= TRANSACTION_SECONDS:
                self._abort(identity, f"a transaction of {name}: it is too old")
                identity.epoch += 1
        for name, group in self.groups.items():
            for member in group.tick():
                self._say(f"evicts {member} from {name}")
