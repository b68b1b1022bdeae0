#!/usr/bin/env bash
# C1: 10,000 orders in one request
#
# Shows: One request produces 10,000 orders. Kafka has them within a second or two. Inventory, notification and analytics
#   read them at their own speeds, and the consumer lag says at every moment how far behind each of them is. At the end
#   all students are notified, and analytics has counted every order.
# Why: Producing appends to a log and does not wait for consumers: the producer sends batches, and Kafka acknowledges them
#   when they are written. A record stays in the log when it is read; a consumer group only moves its offset. So three
#   groups read the same events without taking them from each other. Lag is the distance between the end of the log and a
#   group's offset.
# Not shown: Clients, broker and services share one machine, so the absolute figures are this machine's. The orders are
#   spread over 6 partitions, but one process reads them all: more processes would share them.
# Takes: 30 s; --quick 20 s
# Usage: experiments/c1_produce_10k.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" streaming-kafka "$@"

count=$(full_or_quick 10000 2000)

lab load warm --clients 4 --count 100
lab settle
lab note-report before
lab lag --note before
step "$count orders in one request"
lab load burst --bulk --count "$count" &
lab lag --note during --when-begins burst
wait_for_loads
lab settle
lab lag --note after
lab note-report after
finish
