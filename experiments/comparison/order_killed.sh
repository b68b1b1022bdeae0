#!/usr/bin/env bash
# Compared: the order service is killed and started again
#
# Shows: Nobody can order while it is away, in any model: connections are broken, then refused. What was accepted
#   before is done, in Parts B and C also while it is away.
# Why: The order service is the door. It takes no queue behind it to lose an order in front of it; only a second order
#   service helps. Each model writes an order down before it does anything else, so what it had in hand is found again
#   after the start.
# Not shown: A client that tries again with its Idempotency-Key.
# Takes: 53 s; --quick 12 s
# Usage: experiments/comparison/order_killed.sh PART [--quick]
. "$(dirname "$(realpath "$0")")/frame.sh" "$@"

fault=$(full_or_quick 10 1)

orders_come
step "the order service is killed"
lab kill order
for_its_time
lab start order
wait_for_loads
finish
