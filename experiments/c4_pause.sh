#!/usr/bin/env bash
# C4: inventory stands still, and comes back as a zombie
#
# Shows: Inventory is frozen (SIGSTOP, docker pause) while orders come. For 10 s Kafka believes it alive; then its session
#   ends, and its group is empty. The lag grows by every order. When it goes on, it still believes that the partitions are
#   its own: what it had in hand is refused, it joins anew and works off the lag. Nothing is lost, nothing is done twice.
# Why: A member that sends no heartbeat for its session's length is evicted, so that others may have its partitions. It
#   cannot know that. So it is the broker that refuses: the transaction that holds its results and its offsets names the
#   member and its generation, and a generation that is over may not commit (a fence against zombies). What it did in
#   its own database before is known there by order, and told again with the same answer.
# Not shown: A second inventory that takes over meanwhile: with one the orders would not have waited for longer than the
#   session (see the tests: zombie and rebalance).
# Takes: 95 s; --quick 32 s
# Usage: experiments/c4_pause.sh [--quick]
source "$(dirname "$0")/story.sh" streaming-kafka "$@"

rate=20
before=$(full_or_quick 5 1)
frozen=$(full_or_quick 60 13)
seconds=$((before + frozen + $(full_or_quick 10 2)))

lab load warm --clients 4 --count 100
step "inventory stands still for $frozen s, while $rate orders/s go on coming"
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
