#!/usr/bin/env bash
# C4: inventory is frozen, and continues as a zombie
#
# Shows: Inventory is frozen (SIGSTOP, docker pause) while orders arrive. For 10 s Kafka believes that it is alive; then
#   its session ends, and its consumer group is empty. The lag grows by every order. When inventory continues, it still
#   believes that the partitions are its own: it is a zombie. Kafka refuses its open transaction; inventory joins the
#   group again and drains the lag. Nothing is lost, and nothing is done twice.
# Why: Kafka evicts a member that sends no heartbeat for the length of its session, so that other members can have its
#   partitions. The member cannot know this, so the broker must refuse it. The transaction that holds its results and its
#   offsets names the member and its generation. A generation that is over may not commit (fencing). Inventory's own
#   database knows by order id what inventory did before, and inventory publishes the same result again.
# Not shown: A second inventory that takes over meanwhile: with it the orders would have waited no longer than the session
#   (see the tests: zombie and rebalance).
# Takes: 95 s; --quick 32 s
# Usage: experiments/c4_pause.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" streaming-kafka "$@"

rate=20
before=$(full_or_quick 5 1)
frozen=$(full_or_quick 60 13)
seconds=$((before + frozen + $(full_or_quick 10 2)))

lab load warm --clients 4 --count 100
step "inventory is frozen for $frozen s, while $rate orders/s arrive"
lab load frozen --rate "$rate" --seconds "$seconds" &
lab at frozen "$before"
lab pause inventory
lab at frozen "$((before + 2))"
lab lag inventory-consumer-group --note "3 s after"
lab at frozen "$((before + 11))"
lab lag inventory-consumer-group --note "11 s after"
lab at frozen "$((before + frozen))"
lab unpause inventory
wait_for_loads
lab settle
lab lag inventory-consumer-group --note back
finish
