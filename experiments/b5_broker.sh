#!/usr/bin/env bash
# B5: the broker is down
#
# Shows: RabbitMQ itself is killed while orders arrive, and started again. Every order is accepted meanwhile, and waits in
#   the outbox of the order service. When the broker is back, the relay publishes all of them automatically. Nothing is
#   lost, and nothing is done twice.
# Why: An order and its event are committed in one transaction, in the order service's own database (outbox). So accepting
#   an order needs no broker. The relay publishes the events of the outbox, and removes those that RabbitMQ has confirmed
#   (publisher confirm). Confirmed messages are on the broker's disk, so they survive its crash. Messages without a
#   confirm are still in the outbox. Consumers connect again after at most 1 s; the relay tries again after at most 2 s.
# Not shown: The broker's disk survives here. Against the loss of a disk there must be more nodes: quorum queues are made
#   for three.
# Takes: 50 s; --quick 22 s
# Usage: experiments/b5_broker.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" async-rabbitmq "$@"

rate=20
before=$(full_or_quick 5 1)
down=$(full_or_quick 15 2)
seconds=$((before + down + $(full_or_quick 15 6)))

lab load warm --clients 4 --count 100
step "RabbitMQ is killed for $down s, and then starts again"
lab load outage --rate "$rate" --seconds "$seconds" &
lab at outage "$before"
lab kill rabbitmq
lab at outage "$((before + down))"
lab start rabbitmq
wait_for_loads
finish
