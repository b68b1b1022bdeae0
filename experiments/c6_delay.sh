#!/usr/bin/env bash
# C6: a slow inventory, and where the lag goes
#
# Shows: Inventory takes 2 s for each order. The reply is as quick as before, while the lag grows by rate − 1 ÷ 2 s, and
#   with it the time until the student hears of it: an order is done when those before it are. After the reset the lag
#   is worked off in no time, 500 orders a batch.
# Why: The producer waits for the log and for nobody who reads it, so a slow consumer costs no reply anything. Six
#   partitions do not help: they bound how many consumers may share the work, and here is one, which reads all six and
#   works on one order at a time. So it does 1 ÷ delay orders a second; with six of them it would be six times as many,
#   and a seventh would have nothing to do. While it is slow it takes its records one by one, so a batch holds one.
# Not shown: More consumers, and an alarm: `./lab lag` calls this WARN for as long as it grows.
# Takes: 60 s; --quick 22 s
# Usage: experiments/c6_delay.sh [--quick]
source "$(dirname "$0")/story.sh" streaming-kafka "$@"

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
