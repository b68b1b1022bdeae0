#!/usr/bin/env bash
# Compared: inventory fails 30 % of what it is asked
#
# Shows: With REST three of ten students are told that it failed (502), and order again or not. With RabbitMQ and
#   Kafka everybody is told that the order is accepted, and what failed is tried again by itself; the student only
#   waits longer.
# Why: The failure is an error (500, an exception), and no refusal as a matter of business: of a refusal every model
#   tells the same, of an error each makes what its transport is able to. RabbitMQ lets a failed message wait beside
#   its queue, so it holds up nobody; Kafka's log has an order, so those behind it in its partition wait, too, and a
#   backlog grows. After five failures in 15 s a message is put aside, and sent back here once inventory is mended.
# Not shown: A REST client that tries again by itself; with an Idempotency-Key that is safe.
# Takes: 56 s; --quick 12 s
# Usage: experiments/comparison/failures.sh PART [--quick]
. "$(dirname "$(realpath "$0")")/frame.sh" "$@"

orders_come
step "inventory fails 30 % of what it is asked"
lab configure inventory failure_rate=0.3 seed=7
for_its_time
lab configure inventory --reset
wait_for_loads
[[ $part == sync-rest ]] || lab dlq replay
finish
