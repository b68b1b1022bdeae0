#!/usr/bin/env bash
# B2: inventory is down, and nobody who orders notices
#
# Shows: Inventory is killed while orders come at a steady rate. Every order is accepted, as quickly as before. The
#   orders wait in the queue: as many as came during the outage. When inventory is back it works them off at its own
#   speed, far faster than they came, and nothing is lost or done twice.
# Why: The order service does not call inventory; it writes an event, and RabbitMQ keeps it until somebody takes it and
#   acknowledges it. So an outage costs the students time, not orders: the backlog is rate × outage, and the time to work
#   it off is backlog ÷ (drain rate − rate). What inventory had taken and not acknowledged when it was killed is
#   delivered again, and its inbox knows what was done before.
# Not shown: The queue has room for this outage; one that lasts for days fills the broker's disk. And the students were
#   told 202 and heard nothing more for as long as it lasted: compare A5, where they were told at once.
# Takes: 95 s; --quick 16 s
# Usage: experiments/b2_outage.sh [--quick]
source "$(dirname "$0")/story.sh" async-rabbitmq "$@"

rate=20
before=$(full_or_quick 5 1)
down=$(full_or_quick 60 3)
seconds=$((before + down + $(full_or_quick 10 2)))

lab load warm --clients 4 --count 100
step "inventory is killed for $down s, while $rate orders/s go on coming"
lab load outage --rate "$rate" --seconds "$seconds" &
lab at outage "$before"
lab kill inventory
lab at outage "$((before + down))"
lab start inventory
wait_for_loads
finish
