#!/usr/bin/env bash
# The broker dies with what it was sent
#
# Shows: The broker stands still while orders come, and is killed before it has read what it was sent; then it starts
#   again. What the order service wrote to the connection in between is gone. (Part C's order service notices within two
#   seconds, and refuses what comes later.)
# Why: Bytes that were written to a connection, or handed to a client library, have arrived nowhere: they wait in
#   memory, on this side or on the other. Only the broker can say that it has a message, and until it has said so somebody
#   must be able to send it again.
# Not shown: A broker that dies after it has confirmed: its disk survives here (B5, C5).
# Takes: 25 s; 45 s with Kafka
# Usage: experiments/broken.sh [NAME], for each version that is told by this story
: "${place:?this story is told by experiments/broken.sh}"
. "$(dirname "$(realpath "$0")")/../experiment.sh" "$@"

broker=rabbitmq
patience=8 # until everybody is connected again
if [[ $part == streaming-kafka ]]; then
  broker=kafka
  patience=20
fi

lab load warm --clients 4 --count 40
step "$broker stands still while orders come, is killed, and starts again"
lab load frozen --rate 10 --seconds 8 &
sleep 3
lab pause "$broker"
sleep 1
lab kill "$broker"
wait_for_loads
lab start "$broker"
finish
