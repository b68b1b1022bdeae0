"""A consumer's place in its group: its clients, made when they are needed, and made anew after any trouble."""

import logging
import os
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from campus import clock
from campus.lifecycle import STOP_SECONDS, Part
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import MemberToRemove
from kafka.errors import (
    FencedInstanceIdError,
    InvalidProducerEpochError,
    KafkaError,
    KafkaTimeoutError,
    ProducerFencedError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import MemberState

from broker import clients, kafka_workarounds, topics
from broker.kafka_workarounds import WAIT_SECONDS

log = logging.getLogger("campus")

STAND_BY_SECONDS = 1.0
_FENCED = (FencedInstanceIdError, ProducerFencedError, InvalidProducerEpochError)


class Membership(Part):
    """The membership of one service in one group. With a `name` it is a static member, and can write in transactions.

    A static member that was killed has its partitions back as soon as it starts again: it need not wait until the
    session of the one that died has ended. One without a name that lost the broker takes its old place out of the group
    before it joins again. With `alone` it stands by while the group has another member; one that may
    not stand by calls `refuse` with the reason when the other has outlasted the session of a member that died:
    `why_alone` is what it must not share, and what to do.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        reads: Sequence[str],
        *,
        name: str | None = None,
        alone: bool = False,
        refuse: Callable[[str], None] | None = None,
        why_alone: str = "each has a database of its own: stop one, or give both the same PostgreSQL as DATABASE_URL",
        batch_fetches: bool = False,
        fetch_bytes: int = clients.FETCH_BYTES,
    ) -> None:
        self._bootstrap, self._group, self._reads = bootstrap, group, reads
        self._name, self._alone, self._refuse, self._why_alone = name, alone, refuse, why_alone
        self._reading: dict[str, Any] = {"batch_fetches": batch_fetches, "fetch_bytes": fetch_bytes, "name": name}
        self.consumer: KafkaConsumer | None = None
        self.producer: KafkaProducer | None = None
        self._seen: float | None = None  # when it was last seen to be in its group
        self._rests_until = 0.0  # when it may join again, after another process took its place
        self._stands_by_since: float | None = None
        self._was = ""  # its id in the group when it let go, if it has no name: the broker may not know that it left

    def join(self) -> KafkaConsumer | None:
        """Return the consumer, None while it stands by. Raises ConnectionError or KafkaError when there is none."""
        if self.consumer is None:
            if (seconds := self._rests_until - clock.monotonic()) > 0:
                raise ConnectionError(f"another process works as {self._name}; this one tries again in {seconds:.0f} s")
            if not self._may_join():
                return None
            if self._name:
                self.producer = clients.writer(self._bootstrap, self._name)
            self.consumer = clients.reader(self._bootstrap, self._group, self._reads, **self._reading)
            self._seen = None
            log.info("%s: connected to Kafka", self._group)
        return self.consumer

    def see(self) -> None:
        """Note that nothing came. Raises KafkaError when it is no wonder: nothing ever will.

        When topics change while it joins, kafka-python 3.0.12 may wait for ever for an answer that it has had; so a
        rebalance may take as long as the session of a member that died, and 5 s more.
        """
        consumer = self.consumer
        if consumer is None:
            raise ConnectionError("not connected to Kafka")
        if kafka_workarounds.is_fenced(consumer):
            raise FencedInstanceIdError(f"another process has joined {self._group} as {self._name}")
        if self._seen is None or consumer.group_metadata().state == MemberState.STABLE:
            self._seen = clock.monotonic()
        if clock.monotonic() - self._seen > clients.SESSION_MS / 1000 + WAIT_SECONDS:
            raise KafkaTimeoutError(f"not a member of {self._group} for long")
        if gone := [topic for topic in self._reads if not consumer.partitions_for_topic(topic)]:
            raise UnknownTopicOrPartitionError(f"{' and '.join(gone)} is gone")  # it is made when this one joins again

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """Whether it can work as a member of its group."""
        return {"kafka": self.check}

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Leave the group and close the clients; the member that takes over gets the rest of the work."""
        self.let_go(leaves=True)

    def let_go(self, *, leaves: bool = False) -> None:
        """Close the clients. Unless it leaves, a static member's place is kept for when it joins again."""
        consumer, producer = self.consumer, self.producer
        self.consumer = self.producer = None
        if consumer is not None and self._name is None:
            self._was = consumer.group_metadata().member_id
        for client in (consumer, producer):
            if client is not None:
                clients.close(client, leaves=leaves or self._name is None)

    def lose(self, error: Exception) -> Exception:
        """Let go of everything after this error, and return it as a caller should see it."""
        self.let_go()
        if _is_fenced(error):  # or the two would take it from each other all the time
            self._rests_until = clock.monotonic() + clients.SESSION_MS / 1000
        return ConnectionError(f"Kafka: {type(error).__name__}: {error}") if isinstance(error, KafkaError) else error

    def check(self) -> None:
        """Raise ConnectionError when it cannot work: no connection, no broker that answers, no place in its group."""
        consumer = self.consumer
        if consumer is None and (self._stands_by_since is None or self._refuse):
            raise ConnectionError("not connected to Kafka")
        if why := clients.trouble(self._bootstrap):
            raise ConnectionError(why)
        if consumer and consumer.group_metadata().state != MemberState.STABLE:
            raise ConnectionError("connected to Kafka, and joining the group")

    def _may_join(self) -> bool:
        """Make the topics and look who is in the group; return whether this one may join now."""
        with clients.admin(self._bootstrap) as admin:
            topics.ensure(admin)
            members = admin.describe_groups([self._group])[self._group]["members"]
            others = [member for member in members if not self._is_own(member)]
            if self._alone and others:
                self._stand_by([member["group_instance_id"] or member["client_id"] for member in others])
                return False
            if self._name and len(others) < len(members) and not self._covers(members):
                admin.remove_group_members(self._group, [MemberToRemove(group_instance_id=self._name)])
            if self._was and self._was in {member["member_id"] for member in members}:
                admin.remove_group_members(self._group, [MemberToRemove(member_id=self._was)])
        self._stands_by_since = None
        return True

    def _is_own(self, member: dict[str, Any]) -> bool:
        """Whether this is the place of this process, from before."""
        return member["group_instance_id"] == self._name if self._name else member["member_id"] == self._was

    def _covers(self, members: list[dict[str, Any]]) -> bool:
        """Whether all partitions have an owner.

        A static member that comes back gets what it had: also after a topic was gone, and made anew, when that is not
        all of it. If it leaves, all partitions are assigned again.
        """
        assigned = [topic for m in members for topic in (m["member_assignment"] or {}).get("assigned_partitions", ())]
        owned = {(topic["topic"], number) for topic in assigned for number in topic["partitions"]}
        return all((topic, n) in owned for topic in self._reads for n in range(topics.PARTITIONS[topic]))

    def _stand_by(self, others: list[str]) -> None:
        """Wait a while for the others to leave. Raises ConnectionError when it may not stand by."""
        now = clock.monotonic()
        self._stands_by_since = since = self._stands_by_since or now
        if self._refuse:
            why = f"{self._group} has another member, {', '.join(others)}, and {self._why_alone}"
            if now - since > clients.SESSION_MS / 1000 + WAIT_SECONDS:
                self._refuse(why)
            raise ConnectionError(f"{why} (waiting for it to leave)")
        clock.sleep(STAND_BY_SECONDS)


def _is_fenced(error: Exception) -> bool:
    """Whether another process has this one's name; the producer tells it of its later calls by text only."""
    return isinstance(error, _FENCED) or any(kind.__name__ in str(error) for kind in _FENCED)


def instance(group: str) -> str:
    """Return a name in this group that no other replica has and a restart keeps: by INSTANCE, where that is given.

    Under it Kafka aborts, at the next start, what a killed process had begun; else readers would wait for the
    transaction's time-out. Under it, too, a member has its partitions back.
    """
    machine = f"{socket.gethostname()}-{os.environ.get('PORT', os.getpid())}"
    name = f"{group}-{os.environ.get('INSTANCE') or machine}"
    return re.sub("[^A-Za-z0-9._-]", "_", name)[-249:]
