#!/usr/bin/env bash
# The order service dies with what it has not told yet
#
# Shows: RabbitMQ stands still, and 40 orders are accepted all the same. The order service is killed, RabbitMQ goes on, and
#   the order service starts again. Does it still know what it had to tell?
# Why: An order and the event that tells of it are two things in two places, and a process may die in between. They are
#   safe together only if one transaction writes down both: the event waits in a table beside the order (an outbox).
# Not shown: An event that is told before its order is committed: then stock is reserved for an order that never was.
# Takes: 15 s
# Usage: experiments/broken.sh [NAME], for each version that is told by this story
: "${place:?this story is told by experiments/broken.sh}"
patience=6
. "$(dirname "$(realpath "$0")")/../experiment.sh" "$@"

lab load warm --clients 4 --count 40
step "RabbitMQ stands still; the order service is killed, and starts again when RabbitMQ goes on"
lab pause rabbitmq
lab load untold --clients 4 --count 40
lab kill order
lab unpause rabbitmq
lab start order
finish
