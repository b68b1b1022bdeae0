#!/usr/bin/env bash
# C6: a slow inventory, and where the lag grows
#
# Shows: Inventory takes 2 s for each order. The reply is as quick as before. The lag grows by rate − 1 ÷ 2 s, and so does
#   the time until the student is notified: an order is done after the orders before it. After the reset the lag is
#   drained quickly, 500 orders a batch.
# Why: The producer waits for the log and not for its consumers, so a slow consumer does not delay the reply. Six
#   partitions do not help: they limit how many consumers can share the work. Here one consumer reads all six, and handles
#   one order at a time. So it completes 1 ÷ delay orders a second. Six consumers would complete six times as many, and a
#   seventh would have nothing to do. While inventory is slow, it takes its records one by one, so a batch holds one.
# Not shown: More consumers, and an alarm: `./lab lag` says WARN for as long as the lag grows.
# Takes: 60 s; --quick 22 s
# Usage: experiments/c6_delay.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" streaming-kafka "$@"

rate=20
delay=2
seconds=$(full_or_quick 20 5)

lab load warm --clients 4 --count 100
lab load healthy --rate "$rate" --seconds "$(full_or_quick "$seconds" 3)"
step "inventory now takes $delay s for each order"
lab configure inventory delay="$delay"
lab load delayed --rate "$rate" --seconds "$seconds"
lab lag inventory-consumer-group --note delayed
step "back to normal"
lab configure inventory --reset
finish
