#!/usr/bin/env bash
# Compared: notification is killed
#
# Shows: Every model accepts every order, and the students are notified once notification is back.
# Why: With REST, too: an order can be promised without its notification, so the order service writes down that one is
#   owed and tries again. It has to bring its own patience; with RabbitMQ and Kafka it is the queue's and the log's.
# Not shown: The second that the REST resolver waits between two rounds is a choice; so is that it takes 100 orders a
#   round.
# Takes: 54 s; --quick 12 s
# Usage: experiments/comparison/notification_killed.sh PART [--quick]
. "$(dirname "$(realpath "$0")")/frame.sh" "$@"

orders_come
step "notification is killed for $fault s"
lab kill notification
for_its_time
lab start notification
wait_for_loads
finish
