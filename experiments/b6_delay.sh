#!/usr/bin/env bash
# B6: a slow inventory, and where the backlog grows
#
# Shows: Inventory takes 2 s for each order. The reply is as quick as before, and the backlog grows by the arrival rate
#   minus the completion rate: rate − 1 ÷ 2 s. The queue hides the delay in the reply, and in nothing else: each student
#   waits longer for the notification. After the reset the backlog is drained quickly.
# Why: In A2 each order held a thread of the order service, so the delay reached the client. Here only the consumer is
#   slow. One consumer handles one order at a time, so it completes 1 ÷ delay orders a second, whatever the rate. The rest
#   waits: an order with N orders before it is done N × 2 s later. A queue absorbs a burst. It does not absorb a rate that
#   is too high for ever.
# Not shown: Competing consumers would help here, and are not started. The queue has no limit: without backpressure or
#   load shedding, the order service accepts orders that the system cannot complete in time.
# Takes: 60 s; --quick 18 s
# Usage: experiments/b6_delay.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" async-rabbitmq "$@"

rate=20
delay=2
seconds=$(full_or_quick 20 5)

lab load warm --clients 4 --count 100
lab load healthy --rate "$rate" --seconds "$(full_or_quick "$seconds" 3)"
step "inventory now takes $delay s for each order"
lab configure inventory delay="$delay"
lab load delayed --rate "$rate" --seconds "$seconds"
step "back to normal"
lab configure inventory --reset
finish
