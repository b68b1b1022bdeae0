#!/usr/bin/env bash
# C5: the broker is down
#
# Shows: Kafka itself is killed while orders arrive, and started again. While it is down, orders are refused quickly with
#   503, and leave nothing behind. Orders in flight at the moment of the kill end as *unknown* (504) for their clients;
#   the order service publishes them again until Kafka has them. Kafka still has every acknowledged record when it is
#   back: no order is lost, and none is done twice.
# Why: In Part C the log is the only place where an order is kept: accepted means that Kafka has written it. Without Kafka
#   no order can be accepted. Compare B5, where the order service keeps the orders in its own outbox and continues to
#   accept. Which is better is a choice: refuse at once, or accept and take longer. A request without an answer may have
#   been written all the same. The event keeps its id when it is published again, so publishing it again is safe
#   (deduplication).
# Not shown: Three brokers: with copies of each partition on other brokers, the crash of one would cost a second or so,
#   and no order. Acknowledged here means in the broker's memory, on its way to the disk: on a single node a power cut
#   could lose it.
# Takes: 60 s; --quick 30 s
# Usage: experiments/c5_broker.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" streaming-kafka "$@"

rate=20
before=$(full_or_quick 5 1)
down=$(full_or_quick 15 2)
seconds=$((before + down + $(full_or_quick 20 9)))

lab load warm --clients 4 --count 100
step "Kafka is killed for $down s, and then starts again"
lab load outage --rate "$rate" --seconds "$seconds" &
lab at outage "$before"
lab kill kafka
lab at outage "$((before + down))"
lab start kafka
wait_for_loads
finish
