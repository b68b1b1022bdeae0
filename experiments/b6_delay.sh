#!/usr/bin/env bash
# B6: a slow inventory, and where the queue goes
#
# Shows: Inventory takes 2 s for each order. The reply is as quick as before, while the backlog grows by what comes minus
#   what is done: rate − 1 ÷ 2 s. The queue hides the delay from whoever orders, and from nobody else. After the reset
#   the backlog is worked off in no time.
# Why: In A2 the delay held a thread of the order service for each order, and so it reached the student. Here only the
#   consumer is slow, and it is one consumer that works on one order at a time: it does 1 ÷ delay orders a second,
#   whatever the rate. The rest waits; an order that finds N before it is done N × 2 s later. A queue takes up bursts. It
#   does not take up a rate that is too high for ever.
# Not shown: More consumers would help here, and are not started. Nor is the queue bounded: who accepts without limit
#   while nothing is done makes promises that he cannot keep.
# Takes: 60 s; --quick 18 s
# Usage: experiments/b6_delay.sh [--quick]
source "$(dirname "$0")/story.sh" async-rabbitmq "$@"

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
