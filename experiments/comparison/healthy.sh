#!/usr/bin/env bash
# Compared: nothing is wrong
#
# Shows: 20 orders a second, and nobody is disturbed. Every model accepts all of them and loses none. With REST the
#   reply says that the order is done; with RabbitMQ and Kafka it says that the order is safe, and it is done a moment
#   later.
# Why: The same rules and the same orders; only the transport differs. What it costs in messages stands beside it.
# Not shown: How many orders a second each can take: the benchmarks have that.
# Takes: 52 s; --quick 11 s
# Usage: experiments/comparison/healthy.sh PART [--quick]
source "$(dirname "$0")/frame.sh" "$@"

none_refused
case $part in
  sync-rest) lab predict "The reply comes when the order is done: notified ÷ replied (p50)" \
    --measure 'completed(orders, 0.5) / orders.p50' --at-most 1 --unit times ;;
  *) lab predict "The reply comes before the order is done: notified ÷ replied (p50)" \
    --measure 'completed(orders, 0.5) / orders.p50' --at-least 1 --unit times ;;
esac

orders_come
wait_for_loads
finish
