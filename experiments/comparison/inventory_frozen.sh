#!/usr/bin/env bash
# Compared: inventory stands still
#
# Shows: With REST each student waits until the order service gives up (504, after 5 s) and knows nothing then; behind
#   them a queue grows. With RabbitMQ and Kafka the reply is as quick as ever, and the orders are done when inventory
#   goes on.
# Why: A frozen service is worse than a dead one: the connection is there, and nobody answers. No caller can tell it
#   from a slow one, so a time-out leaves open whether the order happened; the order service finds out later. To a
#   broker it is one more consumer that is late. Kafka evicts it after 10 s, and it joins again when it goes on.
# Not shown: With --quick inventory goes on before anybody's time-out. A second inventory, which would take over.
# Takes: 57 s; --quick 12 s
# Usage: experiments/comparison/inventory_frozen.sh PART [--quick]
. "$(dirname "$(realpath "$0")")/frame.sh" "$@"

orders_come
step "inventory stands still for $fault s"
lab pause inventory
for_its_time
lab unpause inventory
wait_for_loads
finish
