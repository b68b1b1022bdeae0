#!/usr/bin/env bash
# A6: a frozen inventory, seen by an honest load generator and by one that waits with it
#
# Shows: Inventory stands still for F seconds of a load of T seconds. The open loop shows what students feel: a share of
#   F ÷ T of all orders wait, up to F. The closed loop beside it shows one slow order and a perfect p99.
# Why: An open loop counts from the moment when an order was meant to be sent. Orders that were meant to be sent during
#   the freeze wait for what is left of it, so latencies are spread evenly from 0 to F over a share F ÷ T of all orders:
#   the quantile q is max(0, (q − 1 + F/T)·T). A client of the closed loop sends nothing while it waits: the orders that
#   would have suffered are never sent, and cannot be in its table (coordinated omission).
# Not shown: The order service waits for inventory without giving up (time-out 60 s), so that the law can be seen. With
#   the usual 5 s many of these orders would be answered 504.
# Takes: 60 s; --quick 13 s
# Usage: experiments/a6_freeze.sh [--quick]
source "$(dirname "$0")/story.sh" sync-rest "$@"

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
