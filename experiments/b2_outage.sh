#!/usr/bin/env bash
# B2: inventory is down, and clients do not notice
#
# Shows: Inventory is killed while orders arrive at a steady rate. Every order is accepted, as quickly as before. The
#   orders wait in the queue: as many as arrived during the outage. When inventory is back, it drains the backlog at its
#   own speed, far faster than orders arrive. Nothing is lost, and nothing is done twice.
# Why: The services are not coupled in time: the order service does not call inventory. It publishes an event, and
#   RabbitMQ keeps the event until a consumer acknowledges it. So an outage costs the students time, not orders. The
#   backlog is rate × outage, and the time to drain it is backlog ÷ (drain rate − rate). RabbitMQ redelivers the messages
#   that inventory had received and not acknowledged when it was killed. The inbox of inventory knows which events it
#   processed before.
# Not shown: The queue has room for this outage; an outage of days fills the broker's disk. The students got 202 and heard
#   nothing more during the outage. Compare A5, where they are told at once.
# Takes: 95 s; --quick 16 s
# Usage: experiments/b2_outage.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" async-rabbitmq "$@"

rate=20
before=$(full_or_quick 5 1)
down=$(full_or_quick 60 3)
seconds=$((before + down + $(full_or_quick 10 2)))

lab load warm --clients 4 --count 100
step "inventory is killed for $down s, while $rate orders/s arrive"
lab load outage --rate "$rate" --seconds "$seconds" &
lab at outage "$before"
lab kill inventory
lab at outage "$((before + down))"
lab start inventory
wait_for_loads
finish
