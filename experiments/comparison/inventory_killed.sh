#!/usr/bin/env bash
# Compared: inventory is killed
#
# Shows: With REST every order is refused with 503 until inventory is back, and those are lost business. With RabbitMQ
#   and Kafka every order is accepted, waits, and is done as soon as inventory is back.
# Why: A synchronous chain needs everybody at the same time. A queue and a log stand between the services, so that
#   they need not be up together.
# Not shown: What a student does who was told 202 and hears nothing for as long as it lasts.
# Takes: 54 s; --quick 12 s
# Usage: experiments/comparison/inventory_killed.sh PART [--quick]
. "$(dirname "$(realpath "$0")")/frame.sh" "$@"

orders_come
step "inventory is killed for $fault s"
lab kill inventory
for_its_time
lab start inventory
wait_for_loads
finish
