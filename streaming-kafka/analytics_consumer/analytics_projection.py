"""Follows the topics and counts. Where it is in them is written down with the counts, in the same transaction.

Kafka gets the same offsets afterwards, so that the lag can be seen and an operator can reset them. Each goes there with
a mark: the id of the database's state, and the offset itself, since a reset may change the offset alone. When this
process gets partitions, the database says where to go on, unless its group was reset: then Kafka's offsets are
others than the database's and bear no mark, and all counts are thrown away. Kafka allows no reset of a group that has a
member, so what appears while this process stays a member are the commits of a guest in the group, and do not count.
Offsets that Kafka has forgotten, as it does after a week without a member, and partitions that are new, change nothing.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from broker import clients, topics
from broker.membership import Membership
from campus import clock
from campus.database import Database
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, ORDER_PLACED, Event, InvalidEvent
from campus.faults import Drop, Faults, Hang
from campus.lifecycle import PartGroup
from campus.loop import Loop, end_service
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, RebalanceInProgressError
from kafka.structs import MemberState, OffsetAndMetadata
from prometheus_client import CollectorRegistry, Counter

from analytics_consumer import counts

log = logging.getLogger("campus")

GROUP = "analytics-consumer-group"
EXPECTED = {topics.ORDERS: (ORDER_PLACED,), topics.INVENTORY: (INVENTORY_RESERVED, INVENTORY_FAILED)}
BATCH = 2000
FETCH_BYTES = 2**20  # of one partition at a time: who reads a whole log again should not ask for it in small pieces
KAFKA_MS = 3000
SHOW_SECONDS = 1.0

Offsets = dict[TopicPartition, int]
Found = dict[TopicPartition, list[Any]]


class AnalyticsProjection(PartGroup):
    """Counts as the only member of its group: a second one refuses to start. `step` is one round of its loop.

    `show` is called after work was done: when there is no more of it, and about once a second while there is.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        database: Database,
        faults: Faults,
        registry: CollectorRegistry,
        show: Callable[[], None],
    ) -> None:
        self._database, self._faults, self._show = database, faults, show
        # A dynamic member: joining must be seen, as each time the positions are checked.
        self._membership = Membership(
            bootstrap,
            GROUP,
            list(EXPECTED),
            alone=True,
            refuse=end_service,
            why_alone="the counts are those of one process, on any database: stop one",
            batch_fetches=True,
            fetch_bytes=FETCH_BYTES,
        )
        self._loop = Loop("analytics", self.step, idle=0.0, waits_until=faults.waits_until)
        super().__init__(self._membership, self._loop)
        self._checked: tuple | None = None  # the membership whose positions were checked
        self._member = ""  # as which it was when they were
        self._state_id = ""
        self._held = False
        self._news, self._shown_at = True, 0.0
        outcomes = Counter("messages", "Messages by outcome", ["group", "outcome"], registry=registry)
        self._count = lambda outcome, n: outcomes.labels(GROUP, outcome).inc(n)

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """Whether it can count, and whether its last round did."""
        return {"kafka": self.check, "analytics": self._loop.check}

    def check(self) -> None:
        """Raise ConnectionError when it is not connected to Kafka, or has no partitions yet."""
        self._membership.check()
        if self._checked is None:
            raise ConnectionError("looking for the offsets at which to continue")

    def step(self) -> bool:
        """Count one batch, if there is one; return whether there was. Raises, to be called again, on any trouble."""
        try:
            consumer = self._membership.join()
            return consumer is not None and self._round(consumer)
        except Drop:
            self._checked = None
            self._membership.let_go(leaves=True)
            return True
        except Hang:
            self._held, self._checked = True, None  # nothing more is taken, for as long as that fault stands
            return True
        except RebalanceInProgressError:  # another member comes or goes: this one stays, and looks again where it is
            self._checked = None
            return True
        except KafkaError as error:
            self._checked = None
            raise self._membership.lose(error) from error
        except Exception:
            self._checked = None  # what was polled and not counted is polled again
            raise

    def _round(self, consumer: KafkaConsumer) -> bool:
        self._pause_or_resume(consumer)
        found = clients.poll(consumer, 1 if self._one_by_one() else BATCH, self._count)
        if not found:
            self._membership.see()
        if self._checked is None or self._checked != _generation(consumer):
            self._check_positions(consumer)
            return False  # what was polled is left: it may be from before a reset
        if found:
            self._work(consumer, found)
        if self._news and (not found or clock.monotonic() - self._shown_at >= SHOW_SECONDS):
            self._show()
            self._news, self._shown_at = False, clock.monotonic()
        return bool(found)

    def _pause_or_resume(self, consumer: KafkaConsumer) -> None:
        """Stop or go on taking messages, without leaving the group."""
        self._held = self._held and self._faults.hangs
        if self._faults.paused or self._held:
            consumer.pause(*consumer.assignment())
        else:
            consumer.resume(*consumer.paused())

    def _one_by_one(self) -> bool:
        """Whether each message has a fate of its own: in a batch, one that fails would hold up all the others."""
        return self._faults.slow or self._faults.show()["failure_rate"] > 0

    def _check_positions(self, consumer: KafkaConsumer) -> None:
        """Go to where the database is; or begin anew, where the group was reset, or the log is another one."""
        membership, self._checked = _generation(consumer), None
        if membership is None:
            return
        _, member, mine = membership
        committed = {p: consumer.committed(p, metadata=True, timeout_ms=KAFKA_MS) for p in mine}
        known = {p: offset for p, offset in committed.items() if offset}
        first, end = (
            ask(list(mine), timeout_ms=KAFKA_MS) for ask in (consumer.beginning_offsets, consumer.end_offsets)
        )
        with self._database.transaction() as tx:
            self._state_id, offsets = counts.where(tx)
        was_reset = member != self._member and any(_set_by_hand(offset, offsets.get(p)) for p, offset in known.items())
        if was_reset or not self._state_id:
            marked = not any(_set_by_hand(offset, None) for offset in known.values())
            offsets = self._rebuild(first if marked else first | {p: offset.offset for p, offset in known.items()},
                                    "the beginning" if marked else "the offsets that were set")  # fmt: skip
        elif any(offsets.get(p, 0) > end[p] for p in mine):
            offsets = self._rebuild(first, "the beginning, as the log is shorter than what was counted")
        elif new := {p: first[p] for p in mine if p not in offsets}:
            with self._database.transaction() as tx:
                counts.begin_with(tx, new, self._state_id)
            offsets = {**offsets, **new}
        consumer.commit(self._marked({p: offsets[p] for p in mine}), timeout_ms=KAFKA_MS)
        for partition in mine:
            consumer.seek(partition, offsets[partition])
        self._checked, self._member = membership, member

    def _rebuild(self, offsets: Offsets, origin: str) -> Offsets:
        """Throw the counts away, and return where to begin."""
        fields = {f"{p.topic}/{p.partition}": offset for p, offset in sorted(offsets.items())}
        level, before = (
            (logging.WARNING, "all counts are thrown away") if self._state_id else (logging.INFO, "no counts yet")
        )
        log.log(level, "%s: rebuilding from %s", before, origin, extra={"fields": fields})
        with self._database.transaction() as tx:
            self._state_id = counts.begin_anew(tx, offsets)
        self._news = True
        return offsets

    def _work(self, consumer: KafkaConsumer, found: Found) -> None:
        """Count a batch in the database, then commit to Kafka how far it went."""
        events = self._read(found)
        offsets = {partition: records[-1].offset + 1 for partition, records in found.items()}
        with self._database.transaction() as tx:
            counts.count(tx, events)
            counts.move(tx, offsets)
            self._faults.crash_at("before_commit")
        self._faults.crash_at("after_commit")
        self._news = True
        self._count("done", len(events))
        self._count("unreadable", sum(map(len, found.values())) - len(events))
        consumer.commit(self._marked(offsets), timeout_ms=KAFKA_MS)
        self._faults.crash_at("after_publish")
        self._faults.rest()

    def _read(self, found: Found) -> list[Event]:
        """Return what can be read; the rest is skipped: it is the inventory service that dead-letters it."""
        events = []
        for partition, records in found.items():
            for record in records:
                try:
                    events.append(clients.parse(record))
                except InvalidEvent as why:
                    origin = f"{partition.topic}/{partition.partition}/{record.offset}"
                    log.warning("skipped", extra={"fields": {"why": str(why), "origin": origin}})
                    continue
                if self._faults.inject():
                    raise RuntimeError("a failure was injected")
        return events

    def _marked(self, offsets: Mapping[TopicPartition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
        return {p: OffsetAndMetadata(offset, f"{self._state_id}@{offset}", -1) for p, offset in offsets.items()}


def _set_by_hand(committed: OffsetAndMetadata, counted: int | None) -> bool:
    """Whether an offset is none of analytics' own, which bears its mark, and not where the counts are anyway."""
    return committed.offset != counted and not committed.metadata.endswith(f"@{committed.offset}")


def _generation(consumer: KafkaConsumer) -> tuple | None:
    """Return what is another whenever the group was joined anew, also with the same partitions.

    None while it is being joined: until then Kafka answers nothing else that is asked on the same connection.
    """
    member, mine = consumer.group_metadata(), consumer.assignment()
    return (member.generation_id, member.member_id, mine) if mine and member.state == MemberState.STABLE else None
