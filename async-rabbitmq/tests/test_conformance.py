"""The RabbitMQ of the simulation against a real one: each scenario must have the same outcome on both."""

from collections.abc import Callable
from typing import Any

import pytest
from conforming import Real, Simulated

# RabbitMQ 4 puts a rejected message in front, and counts it. The simulation does as 3.10 does, and no service rejects.
OTHERWISE_IN_4 = {"reject_with_requeue", "rejected_is_dead_lettered"}

Scenario = Callable[[Any], list[Any]]
SCENARIOS: dict[str, Scenario] = {}
# What an outage and a retry depend on most: these run every time, the others with --all.
FIRST = {"redelivered_on_loss", "ack_multiple", "returned_when_unroutable", "retry_by_ttl", "exclusive_is_locked"}
RETRY = {"message_ttl": 300, "dead_letter_exchange": "", "dead_letter_strategy": "at-least-once"}
RETRY |= {"overflow": "reject-publish"}


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


def filled(node: Any, *bodies: str, **arguments: Any) -> Any:
    """Return a peer that has declared `q` and put these messages in."""
    peer = node.connect()
    peer.declare("q", **arguments)
    for body in bodies:
        peer.publish("q", body)
    return peer


@scenario
def confirmed_by_default_exchange(node):
    peer = filled(node)
    return [peer.publish("q", "a"), peer.consume("q") != "", peer.got()]


@scenario
def waiting_messages_and_consumers_are_counted(node):
    peer, other = filled(node, "a"), node.connect()
    counts = [peer.counts("q")]
    tag = other.consume("q")
    counts.append((other.got(), peer.counts("q")))
    other.ack(0)
    other.cancel(tag)  # one that has messages which it has not acknowledged would count on
    peer.publish("q", "b")
    return [*counts, peer.counts("q")]


@scenario
def returned_when_unroutable(node):
    return [node.connect().publish("nowhere", "a")]


@scenario
def confirmed_when_unroutable_and_not_mandatory(node):
    return [node.connect().publish("nowhere", "a", mandatory=False)]


@scenario
def closed_by_a_missing_exchange(node):
    return [node.connect().publish("q", "a", exchange="no-such-exchange")]


@scenario
def order_is_kept(node):
    peer = filled(node, "a", "b", "c")
    peer.consume("q")
    return peer.got()


@scenario
def prefetch_limits(node):
    peer = filled(node, "a", "b", "c")
    peer.consume("q", prefetch=2)
    first = peer.got()
    peer.ack(0)
    return [first, peer.got()]


@scenario
def ack_multiple(node):
    peer = filled(node, "a", "b", "c")
    peer.consume("q")
    peer.got()
    peer.ack(1, multiple=True)
    peer.leave()
    other = node.connect()
    other.consume("q")
    return other.got()


@scenario
def ack_single_leaves_the_others(node):
    peer = filled(node, "a", "b", "c")
    peer.consume("q")
    peer.got()
    peer.ack(1)
    peer.leave()
    other = node.connect()
    other.consume("q")
    return other.got()


@scenario
def redelivered_on_loss(node):
    peer = filled(node, "a", "b")
    peer.consume("q")
    first = peer.got()
    peer.cut()
    node.wait(0.3)
    other = node.connect()
    other.consume("q")
    return [first, other.got()]


@scenario
def redelivered_again_and_again(node):
    filled(node, "a").leave()
    seen = []
    for _ in range(3):
        peer = node.connect()
        peer.consume("q")
        seen.append(peer.got())
        peer.leave()
    return seen


@scenario
def auto_ack_forgets_at_once(node):
    peer = filled(node, "a", "b")
    peer.consume("q", auto_ack=True)
    first = peer.got()
    peer.cut()
    node.wait(0.3)
    other = node.connect()
    other.consume("q")
    return [first, other.got()]


@scenario
def not_delivered_is_not_counted(node):
    peer = filled(node, "a", "b")
    peer.consume("q", prefetch=1)
    peer.got()
    peer.leave()
    other = node.connect()
    other.consume("q")
    return other.got()


@scenario
def reject_with_requeue(node):
    peer = filled(node, "a", "b")
    peer.consume("q", prefetch=1)
    peer.got()
    peer.reject(0, requeue=True)
    return peer.got()


@scenario
def reject_with_requeue_where_there_is_a_limit(node):
    peer = filled(node, "a", "b", delivery_limit=9)
    peer.consume("q", prefetch=1)
    peer.got()
    peer.reject(0, requeue=True)
    return peer.got()


@scenario
def reject_without_requeue_and_without_dead_letter_exchange(node):
    peer = filled(node, "a")
    peer.consume("q")
    peer.got()
    peer.reject(0, requeue=False)
    peer.leave()
    other = node.connect()
    other.consume("q")
    return other.got()


@scenario
def rejected_is_dead_lettered(node):
    peer = node.connect()
    peer.declare("dead")
    peer.declare("q", dead_letter_exchange="", dead_letter_routing_key="dead")
    peer.publish("q", "a")
    peer.consume("q")
    peer.got()
    peer.reject(0, requeue=False)
    other = node.connect()
    other.consume("dead")
    return other.got()


@scenario
def delivery_limit_dead_letters(node):
    peer = node.connect()
    peer.declare("dead")
    peer.declare("q", dead_letter_exchange="", dead_letter_routing_key="dead", delivery_limit=1)
    peer.publish("q", "a")
    peer.consume("q")
    seen = [peer.got()]
    for n in range(2):
        peer.reject(n, requeue=True)
        seen.append(peer.got())
    other = node.connect()
    other.consume("dead")
    return [*seen, [(body, reason) for body, _, _, reason in other.got()]]


@scenario
def retry_by_ttl(node):
    peer = filled(node)
    peer.declare("wait", dead_letter_routing_key="q", **RETRY)
    peer.consume("q")
    said = peer.publish("wait", "a")
    early = peer.got()
    node.wait(0.5)
    return [said, early, peer.got()]


@scenario
def ttl_hands_back_in_order(node):
    peer = filled(node)
    peer.declare("wait", dead_letter_routing_key="q", **RETRY)
    for body in ("a", "b"):
        peer.publish("wait", body)
    node.wait(0.5)
    peer.consume("q")
    return peer.got()


@scenario
def full_queue_refuses(node):
    peer = filled(node, max_length=1, overflow="reject-publish")
    first = peer.publish("q", "a")
    node.wait(0.3)
    said = [peer.publish("q", body) for body in "bcd"]
    return [first, said[-1]]


@scenario
def binding_leads_to_two_queues(node):
    peer = node.connect()
    for queue in ("one", "two"):
        peer.declare(queue)
        peer.bind(queue, "key")
    said = peer.publish("key", "a", exchange="conforming")
    peer.consume("one")
    first = peer.got()
    peer.consume("two")
    return [said, first, peer.got()]


@scenario
def without_a_binding_it_is_returned(node):
    peer = node.connect()
    peer.declare("one")
    peer.bind("one", "key")
    return [peer.publish("other", "a", exchange="conforming")]


@scenario
def binding_a_missing_queue_is_refused(node):
    return [node.connect().bind("nowhere", "key")]


@scenario
def consuming_a_missing_queue_is_refused(node):
    return [node.connect().consume("nowhere")]


@scenario
def passive_declare_of_a_missing_queue_is_refused(node):
    return [node.connect().declare("nowhere", passive=True)]


@scenario
def declared_again_with_the_same_arguments(node):
    peer = filled(node, "a", delivery_limit=7)
    said = peer.declare("q", delivery_limit=7)
    peer.consume("q")
    return [said, peer.got()]


@scenario
def declared_again_with_other_arguments_is_refused(node):
    peer = filled(node, delivery_limit=7)
    return [peer.declare("q", delivery_limit=8), peer.closed()]


@scenario
def exclusive_is_locked(node):
    peer, other = node.connect(), node.connect()
    return [peer.declare("own", exclusive=True), other.declare("own", exclusive=True), other.closed()]


@scenario
def exclusive_goes_with_its_connection(node):
    peer, other = node.connect(), node.connect()
    peer.declare("own", exclusive=True)
    peer.cut()
    node.wait(0.3)
    return [other.declare("own", exclusive=True)]


@scenario
def two_consumers_compete(node):
    peer, first, second = filled(node), node.connect(), node.connect()
    first.consume("q", prefetch=1)
    second.consume("q", prefetch=1)
    for body in "abc":
        peer.publish("q", body)
    got = [first.got(), second.got()]
    return sorted(body for deliveries in got for body, *_ in deliveries)


@scenario
def the_other_consumer_gets_what_is_lost(node):
    peer, first, second = filled(node, "a"), node.connect(), node.connect()
    first.consume("q")
    got = first.got()
    second.consume("q")
    first.cut()
    node.wait(0.3)
    peer.leave()
    return [got, second.got()]


@scenario
def cancelled_gets_no_more(node):
    peer = filled(node, "a")
    tag = peer.consume("q", prefetch=1)
    first = peer.got()
    peer.cancel(tag)
    peer.ack(0)
    peer.publish("q", "b")
    return [first, peer.got()]


@scenario
def cancelled_keeps_what_it_has(node):
    peer = filled(node, "a")
    tag = peer.consume("q")
    peer.got()
    peer.cancel(tag)
    other = node.connect()
    other.consume("q")
    before = other.got()
    peer.leave()
    return [before, other.got()]


@scenario
def deleted_loses_its_messages(node):
    peer = filled(node, "a")
    peer.delete("q")
    peer.declare("q")
    peer.consume("q")
    return [peer.got(), peer.publish("q", "b"), peer.got()]


@scenario
def unknown_tag_closes_the_channel(node):
    peer = filled(node)
    peer.ack(0)
    return [peer.closed()]


@scenario
def acknowledged_twice_closes_the_channel(node):
    peer = filled(node, "a")
    peer.consume("q")
    peer.got()
    peer.ack(0)
    peer.ack(0)
    return [peer.closed()]


def marked(name: str) -> Any:
    return pytest.param(name, marks=[] if name in FIRST else pytest.mark.long)


@pytest.mark.parametrize("name", [marked(name) for name in SCENARIOS])
def test_both_have_the_same_outcome(name, node):
    if name in OTHERWISE_IN_4 and not node.ctl("version").startswith("3."):
        pytest.skip("RabbitMQ 4 does it otherwise")
    real = Real(node.url, name)
    try:
        expected = SCENARIOS[name](real)
    finally:
        real.close()
    assert SCENARIOS[name](Simulated()) == expected


def test_there_are_enough_scenarios():
    assert len(SCENARIOS) >= 25
    assert set(SCENARIOS) >= FIRST
