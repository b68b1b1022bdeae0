#!/usr/bin/env bash
# Compared: inventory takes 2 s for each order
#
# Shows: With REST every student waits for 2 s and for all who are before him in the queue for a thread. With RabbitMQ
#   and Kafka the reply is as quick as ever, and the student is notified much later: the one consumer does an order in
#   2 s.
# Why: A synchronous chain works on 16 orders at once, one for each thread of the order service, and holds a client
#   for each. A consumer works on one at a time, and its queue or log holds the rest; so here its backlog is the larger
#   one.
# Not shown: More consumers, which is what a queue and partitions are for.
# Takes: 54 s; --quick 13 s
# Usage: experiments/comparison/delay.sh PART [--quick]
. "$(dirname "$(realpath "$0")")/frame.sh" "$@"

orders_come
step "inventory takes 2 s for each order"
lab configure inventory delay=2
for_its_time
lab configure inventory --reset
wait_for_loads
finish
