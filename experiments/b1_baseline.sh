#!/usr/bin/env bash
# B1: the healthy system, measured at the reply and at the notification
#
# Shows: The cost of an order when nothing is wrong, at the loads of A1. *Accepted* is the reply to the client;
#   *completed* is the notification. Both count from the moment when the order was meant to be sent.
# Why: The reply waits for one commit: the order and its event, in one transaction (outbox). The rest is asynchronous:
#   relay, broker, inventory, broker, notification. So the client waits for one service instead of three, and the reply
#   says less. 202 says that the order is stored, not that there is a burger: the result is eventually consistent. While
#   no queue builds up, orders are completed at the rate at which they arrive.
# Not shown: Clients, services, broker and load generator share one machine, so the absolute figures are this machine's.
#   The closed loops send as fast as orders are accepted, which is faster than a real rush. Nothing fails here: see B2 to
#   B6.
# Takes: 65 s; --quick 22 s
# Usage: experiments/b1_baseline.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" async-rabbitmq "$@"

seconds=$(full_or_quick 15 1)

lab load warm --clients 4 --count 100
step "the classic table"
lab load one --clients 1 --count 100
lab load twenty --clients 20 --count 200
step "open loop: orders arrive at a rate"
lab load open20 --rate 20 --seconds "$seconds"
lab load open100 --rate 100 --seconds "$seconds"
lab load poisson100 --rate 100 --seconds "$seconds" --poisson
finish
