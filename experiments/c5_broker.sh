#!/usr/bin/env bash
# C5: the broker is down
#
# Shows: Kafka itself is killed while orders come, and started again. While it is away orders are refused, quickly and
#   with a clear word (503), and nothing of them is left behind. Those under way when it died end as *unknown* (504) for
#   their clients; they are told again until Kafka has them. What Kafka acknowledged is there when it is back: no order
#   is lost, and none is done twice.
# Why: Here the log is the one place where an order is kept: accepted means that Kafka has written it. Without Kafka there is
#   nothing to accept with. Compare B5, where the order service keeps the orders in an outbox of its own and accepts
#   on. Which is better is a choice: to say no at once, or to say yes and take longer. A request that got no answer may
#   have been written all the same; as the event has the same id whenever it is told, telling it again is safe.
# Not shown: Three brokers: with copies of each partition on others, the death of one would cost a second or so, and no
#   order. And acknowledged here means in the broker's memory on its way to the disk: a power cut could lose it on a single node.
# Takes: 60 s; --quick 30 s
# Usage: experiments/c5_broker.sh [--quick]
source "$(dirname "$0")/story.sh" streaming-kafka "$@"

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
