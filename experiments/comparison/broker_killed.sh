#!/usr/bin/env bash
# Compared: the broker is killed
#
# Shows: RabbitMQ and Kafka themselves are killed. Part B goes on accepting: orders wait in the order service's
#   outbox. Part C refuses with 503, and accepts again when Kafka is back. Neither loses an order that it accepted.
# Why: Part B writes order and event into its own database, and needs the broker later. Part C accepts an order when
#   it is in the log, so without the log there is nothing to accept with. Yes and later, or no and at once: it is a
#   choice, and not a matter of brokers.
# Not shown: REST, which has no broker to lose. More than one node, which is how brokers are run.
# Takes: 58 s; --quick 18 s
# Usage: experiments/comparison/broker_killed.sh PART [--quick]
. "$(dirname "$(realpath "$0")")/frame.sh" "$@"

fault=$(full_or_quick 15 1)
case $part in
  async-rabbitmq) broker=rabbitmq ;;
  streaming-kafka) broker=kafka ;;
esac

orders_come
step "$broker is killed"
lab kill "$broker"
for_its_time
lab start "$broker"
wait_for_loads
finish
