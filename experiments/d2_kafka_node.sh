#!/usr/bin/env bash
# D2: a node of three is down, then two (Kafka)
#
# Shows: Three Kafka nodes, each partition with a copy on each of them. One node is killed while orders arrive: orders wait
#   for some seconds until other nodes lead its partitions, and then go on. Then a second node is killed: orders are
#   refused with 503, and leave nothing behind. When both are back, orders are accepted again, and every acknowledged
#   order is completed.
# Why: A record is acknowledged when two of its three copies are written (acks=all, min.insync.replicas=2). So the crash of
#   one node loses nothing, and the other two can still acknowledge. The controllers need a majority, too. They notice a
#   dead node after 2 s (broker.session.timeout.ms), and elect other leaders. With one node left there is no majority and
#   no second copy, so nothing can be acknowledged. Compare C5, where the only node is down.
# Not shown: The loss of a disk, and a slow network between the nodes: all three run on one machine, and share its disk.
#   kafka.1 leads about a third of the partitions, as leaders are spread over the nodes.
# Takes: 170 s; --quick 55 s
# Usage: experiments/d2_kafka_node.sh [--quick]
export place=scale/streaming-kafka/d2_kafka_node size="--nodes 3"
. "$(dirname "$(realpath "$0")")/experiment.sh" streaming-kafka "$@"

rate=10 # three nodes, the services and the load share two cores
before=$(full_or_quick 5 1)
one=$(full_or_quick 55 8)
two=$(full_or_quick 15 5)
back=$(full_or_quick 45 12)

lab load warm --clients 4 --count "$(full_or_quick 400 100)"
step "kafka.1 is killed"
lab load one --rate "$rate" --seconds "$((before + one))" &
lab at one "$before"
lab kill kafka.1
wait_for_loads
step "kafka.2 is killed, too: one node is left for $two s; then both start again"
lab load two --rate "$rate" --seconds "$((before + two + back))" &
lab at two "$before"
lab kill kafka.2
lab at two "$((before + two))"
lab start kafka.2
lab start kafka.1
wait_for_loads
finish
