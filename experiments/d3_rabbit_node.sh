#!/usr/bin/env bash
# D3: a node of three is down, then two (RabbitMQ)
#
# Shows: Three RabbitMQ nodes, and quorum queues with a member on each of them. One node is killed while orders arrive: every
#   order is accepted, and the orders go on to their notification after a moment. Then a second node is killed: orders
#   are still accepted, and wait in the outbox. When both are back, all of them are completed.
# Why: A quorum queue confirms a message when two of its three members have written it (Raft). So the crash of one node loses
#   nothing: another member becomes the leader, and the clients connect to another node. One member of three is no
#   majority, so the last node stops (pause_minority). The order service needs no broker to accept an order: the order
#   and its event are in one transaction (outbox). Compare D2, where orders are refused then.
# Not shown: The loss of a disk, and a network that is split: all three nodes run on one machine, and share its disk.
# Takes: 170 s; --quick 55 s
# Usage: experiments/d3_rabbit_node.sh [--quick]
export place=scale/async-rabbitmq/d3_rabbit_node size="--nodes 3"
. "$(dirname "$(realpath "$0")")/experiment.sh" async-rabbitmq "$@"

rate=10 # three nodes, the services and the load share two cores
before=$(full_or_quick 5 1)
one=$(full_or_quick 55 8)
two=$(full_or_quick 15 5)
back=$(full_or_quick 45 12)

lab load warm --clients 4 --count "$(full_or_quick 400 100)"
step "rabbitmq.1 is killed"
lab load one --rate "$rate" --seconds "$((before + one))" &
lab at one "$before"
lab kill rabbitmq.1
wait_for_loads
step "rabbitmq.2 is killed, too: one node is left for $two s; then both start again"
lab load two --rate "$rate" --seconds "$((before + two + back))" &
lab at two "$before"
lab kill rabbitmq.2
lab at two "$((before + two))"
lab start rabbitmq.2 &
starting=$!
lab start rabbitmq.1
wait "$starting"
wait_for_loads
finish
