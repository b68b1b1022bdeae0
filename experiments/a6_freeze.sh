#!/usr/bin/env bash
# A6: a frozen inventory, measured by an open loop and by a closed loop
#
# Shows: Inventory is frozen for F seconds of a load of T seconds. The open loop shows what students feel: a share F ÷ T
#   of all orders waits, for up to F. The closed loop with the same freeze shows one slow order and a perfect p99.
# Why: An open loop counts from the moment when an order was meant to be sent. An order that was meant for the freeze
#   waits for the rest of the freeze. So latencies are spread evenly from 0 to F over a share F ÷ T of all orders: the
#   quantile q is max(0, (q − 1 + F/T)·T). A client of the closed loop sends nothing while it waits. The orders that would
#   have waited are never sent, so its percentiles cannot contain them (coordinated omission).
# Not shown: The time-out of the order service is 60 s here, so that the law can be seen. With the usual 5 s many of these
#   orders would be answered 504.
# Takes: 60 s; --quick 13 s
# Usage: experiments/a6_freeze.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" sync-rest "$@"

total=$(full_or_quick 20 4)
frozen=$(full_or_quick 10 2)
begin=$(full_or_quick 5 1)

lab load warm --clients 4 --count 100
lab configure order timeout=60
step "open loop, frozen for $frozen s of $total s"
lab load open --rate "$(full_or_quick 20 12)" --seconds "$total" &
lab at open "$begin"
lab pause inventory
lab at open "$((begin + frozen))"
lab unpause inventory
wait_for_loads
step "closed loop with one client, the same freeze"
lab load closed --clients 1 --seconds "$total" &
lab at closed "$begin"
lab pause inventory
lab at closed "$((begin + frozen))"
lab unpause inventory
wait_for_loads
finish
