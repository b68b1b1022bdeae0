"""What kafka-python 3.0.12 does wrong, or not at all, put right over its private parts. Nothing else touches those.

Each has a test in `tests/test_workarounds.py` that fails when the client does not need it any more, and when it does
not work any more. Change the version of kafka-python only with them.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, TypeVar

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.net.selector import NetworkSelector
from kafka.producer.transaction_manager import InitProducerIdHandler, TransactionState
from kafka.structs import ConsumerGroupMetadata, MemberState, OffsetAndMetadata

Client = TypeVar("Client")

WAIT_SECONDS = 5.0  # the longest that any call of a client may wait


class _BoundedLoop(NetworkSelector):
    """Waits for the client's own thread for so long and no longer.

    Without it `partitions_for_topic`, `close` and each call of an admin client wait for an answer without a limit, also
    while that thread waits for a name to be resolved.
    """

    def run(self, coro: Any, *args: Any) -> Any:
        """Run a coroutine in the client's thread and return what it returns. Raises KafkaTimeoutError."""
        if self._io_thread in (None, threading.current_thread()):
            return super().run(coro, *args)
        done = threading.Event()
        future = self.call_soon_with_future(coro, *args)
        future.add_both(lambda _: done.set())
        if not done.wait(WAIT_SECONDS + 1):  # where a call has a limit of its own, that one says more
            raise KafkaTimeoutError(f"Kafka did not answer within {WAIT_SECONDS + 1:.0f} s")
        if future.exception is not None:
            raise future.exception
        return future.value


def build(kind: Callable[..., Client], **options: Any) -> Client:
    """Return a client of this kind, with these options. When it cannot be made nothing of it is left.

    Without it a client whose constructor fails keeps its thread and its sockets.
    """
    made: list[KafkaNetClient] = []

    def connection(**configs: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(net=_BoundedLoop(**configs), **configs))
        return made[-1]

    try:
        return kind(kafka_client=connection, **options)
    except BaseException:
        for half_made in made:
            within(WAIT_SECONDS, half_made.close)
        raise


def close(client: Any, *, leaves: bool = False) -> None:
    """Close a client of any kind, whatever the broker does; with `leaves` a consumer leaves its group.

    Without it a producer that cannot send what it holds keeps its thread; a static member (it has a
    `group_instance_id`) never leaves; and closing waits for the broker without a limit.
    """
    if isinstance(client, KafkaProducer):
        within(WAIT_SECONDS, _close_producer, client)
    elif isinstance(client, KafkaConsumer):
        client._coordinator.is_dynamic_member = lambda: leaves
        within(WAIT_SECONDS, lambda: client.close(autocommit=False, timeout_ms=3000))
    else:
        within(WAIT_SECONDS, client.close)


def _close_producer(producer: KafkaProducer) -> None:
    with contextlib.suppress(Exception):
        producer.close(timeout=1)
    producer._sender.force_close()
    producer._sender.join(WAIT_SECONDS)
    producer._closed = True  # else its destructor tries all this again


def within(seconds: float, call: Callable[..., Any], *args: Any) -> None:
    """Call this and wait at most so long; it goes on by itself when it takes longer. What it raises is left."""

    def run() -> None:
        with contextlib.suppress(Exception):
            call(*args)

    thread = threading.Thread(target=run, name="kafka-closing", daemon=True)
    thread.start()
    thread.join(seconds)


def send_offsets(
    producer: KafkaProducer, offsets: Mapping[TopicPartition, OffsetAndMetadata], member: ConsumerGroupMetadata
) -> None:
    """Put offsets into the transaction. Raises KafkaTimeoutError without an answer.

    Without it `send_offsets_to_transaction` waits for ever, as when the broker of the group is killed.
    """
    transactions: Any = producer._transaction_manager  # None only without a transactional id
    _finish(producer, transactions.send_offsets_to_transaction(offsets, member))


def begin_transaction(producer: KafkaProducer) -> None:
    """Begin a transaction with an epoch of its own. Raises KafkaTimeoutError without an answer.

    Without it all have the same one. When nodes are killed Kafka 4.4.0 may write the end of a transaction once more,
    and that ended the next one, too: its offsets were committed, its results were not. KIP-890 is against it.
    """
    if asked := getattr(producer._transaction_manager, "next_epoch", None):
        _finish(producer, asked)
    producer.begin_transaction()


def commit_transaction(producer: KafkaProducer) -> None:
    """Commit the transaction, and ask for the next epoch. Raises KafkaTimeoutError without an answer to the commit.

    Without it `commit_transaction` waits for ever.
    """
    transactions: Any = producer._transaction_manager
    _finish(producer, transactions.begin_commit())
    with transactions._lock:
        transactions._transition_to(TransactionState.BUMPING_PRODUCER_EPOCH)
        transactions._sequence_numbers.clear()
        transactions._last_acked_offset.clear()
        request = InitProducerIdHandler(transactions, transactions.transaction_timeout_ms, is_epoch_bump=True)
        transactions._enqueue_request(request)
    transactions.next_epoch = request._result  # it is answered while the next batch is worked on
    producer._sender.wakeup()


def _finish(producer: KafkaProducer, result: Any) -> None:
    producer._sender.wakeup()
    if not result.wait(timeout_ms=1000 * WAIT_SECONDS):
        raise KafkaTimeoutError(f"the transaction got no answer within {WAIT_SECONDS:.0f} s")


def take_up_again(consumer: KafkaConsumer) -> None:
    """Let a consumer read on in a partition that is not paused any more; call it before each poll.

    What was fetched of a paused partition is put aside. It is taken up again only when the client holds None, not when
    it holds the used-up rest of another partition: without this it would wait for ever.
    """
    fetcher = consumer._fetcher
    fetcher._next_partition_records = fetcher._next_partition_records or None


def take_late_answers(consumer: KafkaConsumer) -> None:
    """Let a consumer join its group with an answer that came between two polls.

    Without it the client throws such an answer away, and asks to join once more: all members must join again each time,
    and where most of the time passes between polls it may go on for ever.
    """
    coordinator = consumer._coordinator
    join = coordinator.join_group_async

    async def join_or_take(timeout_ms: float | None = None) -> bool:
        if (late := coordinator._join_task) is not None and late.is_done:  # these call at once what is given to them:
            calls = {"add_callback": late.add_callback, "add_errback": late.add_errback}
            coordinator._join_task = SimpleNamespace(is_done=False, **calls)
        return await join(timeout_ms)

    coordinator.join_group_async = join_or_take


def is_fenced(consumer: KafkaConsumer) -> bool:
    """Whether another process has taken this static member's place.

    The client stops its heartbeats then, and says nothing: without this an idle member would not know.
    """
    coordinator = consumer._coordinator
    with coordinator._lock:
        stable = coordinator.state == MemberState.STABLE
        return bool(coordinator.group_instance_id) and stable and not coordinator._heartbeat_enabled


class Unreadable(bytes):
    """The value of a record that stands for a batch that cannot be read: the batch's first bytes. `why` says more."""

    why = ""


def read_on(consumer: KafkaConsumer) -> None:
    """Let a consumer return one record, with an `Unreadable` value, for each batch that it cannot read.

    Without it a batch in a compression that is not installed (lz4, snappy, zstd), or with a wrong checksum, ends every
    poll with an exception, for good: nothing after it is read.
    """
    fetcher: Any = consumer._fetcher  # a class is replaced, of one fetcher only
    fetcher.PartitionRecords = _PartitionRecords


class _PartitionRecords(Fetcher.PartitionRecords):
    def _unpack_records(self, tp: TopicPartition, records: Any, key_deserializer: Any, value_deserializer: Any) -> Any:
        return super()._unpack_records(tp, _Batches(records, self.fetch_offset), key_deserializer, value_deserializer)


class _Batches:
    def __init__(self, records: Any, fetch_offset: int) -> None:
        self._records, self._fetch_offset = records, fetch_offset

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        return _Batch(batch, self._fetch_offset) if batch is not None and batch.magic >= 2 else batch


class _Batch:
    """A batch that is read as a whole, or stands for itself as one record. Of itself it says what the real one says."""

    def __init__(self, batch: Any, fetch_offset: int) -> None:
        self._batch = batch
        self._sound = batch.validate_crc()
        # It may be a part of what is wrong.
        last = batch.base_offset + min(batch.last_offset_delta, batch.size_in_bytes)
        self.last_offset = max(last, fetch_offset)
        self.next_offset = self.last_offset + 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        return True  # a wrong one is told by the record

    def __next__(self) -> Any:
        return next(self._batch)  # the marker that ends a transaction is looked at so

    def __iter__(self) -> Iterator[Any]:
        first_bytes = bytes(self._batch._buffer[:1000])
        try:
            if not self._sound:
                raise CorruptRecordError("the checksum is wrong")
            return iter(list(self._batch))
        except Exception as error:  # whatever is wrong with it, it will be wrong the next time
            value = Unreadable(first_bytes)
            value.why = f"a batch of {self._batch.records_count} records cannot be read: {error}"
            return iter([self._record(value)])

    def _record(self, value: Unreadable) -> SimpleNamespace:
        """Return what a fetcher asks of a record."""
        time = {"timestamp": self._batch.max_timestamp, "timestamp_type": self._batch.timestamp_type}
        none = {"key": None, "checksum": None, "size_in_bytes": 0, "headers": [], "validate_crc": lambda: True}
        return SimpleNamespace(offset=self.last_offset, value=value, **time, **none)
