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
. "$(dirname "$(realpath "$0")")/frame.sh" "$@"

orders_come
wait_for_loads
finish
