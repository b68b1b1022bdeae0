#!/usr/bin/env bash
# A2: a slow inventory, and the capacity of a synchronous chain
#
# Shows: A delay of 2 s in inventory makes every order 2 s slower. It also limits the throughput of the whole chain: 16
#   threads ÷ 2 s = 8 orders/s. At a higher rate the queue grows for as long as the load lasts.
# Why: Synchronous calls couple the services in time: each waiting order holds a thread of the order service. With 16
#   threads and 2 s an order, 8 orders can start in a second. The other orders wait for a thread in the order service.
#   Neither the client nor inventory sees this queue. A load of T seconds at rate r takes r·T ÷ 8 s, and the 15 ÷ r s that
#   pass until all threads are busy. So its last order, meant for the second T − 1 ÷ r, waits r·T ÷ 8 − T + 16 ÷ r s: at
#   12 orders/s for 20 s that is 30 − 20 + 1.33 = 11.33 s.
# Not shown: The clients here wait for as long as it takes. Real clients give up and try again, which makes the queue
#   longer.
# Takes: 60 s; --quick 16 s
# Usage: experiments/a2_delay.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" sync-rest "$@"

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
