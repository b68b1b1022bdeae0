#!/usr/bin/env bash
# A2: a slow inventory, and the capacity law
#
# Shows: A delay of 2 s in inventory makes every order 2 s longer, and limits how many orders the chain can take:
#   16 threads ÷ 2 s = 8 orders/s. Beyond that the queue grows for as long as the load lasts.
# Why: In a synchronous chain each waiting order holds a thread of the order service. With 16 threads and 2 s an order,
#   8 orders a second can start; what comes on top waits for a thread, in the order service, where nobody sees it. The
#   last order of a load of T seconds at rate r finds (r − 8)·T orders before it, which take (r − 8)·T ÷ 8 seconds.
# Not shown: Clients here wait for as long as it takes. Real ones give up and try again, which makes the queue longer.
# Takes: 60 s; --quick 16 s
# Usage: experiments/a2_delay.sh [--quick]
source "$(dirname "$0")/story.sh" sync-rest "$@"

seconds=$(full_or_quick 20 2)
delay=$(full_or_quick 2 1)
can=$((16 / delay)) # orders/s: the order service has 16 threads
over=$((can * 3 / 2))

lab load warm --clients 4 --count 100
lab load healthy --rate 6 --seconds "$(full_or_quick 8 1)"
step "inventory now waits $delay s before each reservation"
lab configure inventory delay="$delay"
lab load delayed --rate 6 --seconds "$(full_or_quick 8 1)"
step "more orders than 16 threads ÷ $delay s can take"
lab load overload --rate "$over" --seconds "$seconds"
step "back to normal"
lab configure inventory --reset
lab load after --rate 6 --seconds "$(full_or_quick 5 1)"
finish
