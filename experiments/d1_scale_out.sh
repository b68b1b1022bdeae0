#!/usr/bin/env bash
# D1: more of inventory, and how many orders are done in a second
#
# Shows: Inventory takes a while for each order. With twice as many replicas, twice as many orders are done in a second: in
#   Part B the replicas compete for the messages of one queue, in Part C each has some of the six partitions. In Part C
#   more than six replicas change nothing. Part A has no replicas; it has more threads, with the same effect.
# Why: One consumer handles one order at a time, so it does 1 ÷ (delay + own work) orders a second. A queue gives each
#   message to whichever consumer is free. A partition belongs to one member of the group, so six partitions have work for
#   six members, and the seventh gets none. The events of one order stay in one partition, and so in order. In Part A each
#   order holds a thread of the order service for as long as inventory takes. The delay is 40 ms in Part B, 150 ms in
#   Part C, where each slow order has a transaction of its own, and 200 ms in Part A, which has 32 threads: with less,
#   all together would need more processor than two cores have.
# Not shown: More machines. Here all replicas share the cores and one PostgreSQL, which become the limit when the delay is
#   shorter than an order's own work.
# Takes: 400 s; --quick 150 s (60 s a part)
# Usage: experiments/d1_scale_out.sh [PART] [--quick]
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
here=$(dirname "$(realpath "$0")") parts='sync-rest async-rabbitmq streaming-kafka'
. "$here/each_part.sh" "$@"
# shellcheck disable=SC2034 # experiment.sh uses them
place=scale/$part/d1_scale_out again="experiments/d1_scale_out.sh $part"
most=4
[[ $part != streaming-kafka ]] || most=8
# shellcheck disable=SC2034
if [[ $part == sync-rest ]]; then export A_ORDER_THREADS=8 A_INVENTORY_THREADS=40; else size="--replicas inventory=$most"; fi
. "$here/experiment.sh" "$part" ${words[@]+"${words[@]}"}
seconds=$(full_or_quick 8 4) # of a load in Part A
count=$(full_or_quick 360 60) delay=0.15 # orders that wait, and s; Part B does more of them in a second
if [[ $part == async-rabbitmq ]]; then count=$(full_or_quick 600 120) delay=0.04; fi

threads() { # of the order service, from now on
  step "$1 threads"
  lab stop order
  A_ORDER_THREADS=$1 lab up sync-rest
  lab start order
}

replicas() { # they take nothing while orders come
  step "$2 replicas"
  for n in $(seq "$1" "$2"); do lab start "inventory.$n"; done
  lab configure inventory delay="$delay" >/dev/null # all that run
  lab configure inventory paused=true >/dev/null
}

drain() { # all that waits
  lab configure inventory paused=false >/dev/null
  lab settle --seconds 180
}

how=(--clients 8)
[[ $part != streaming-kafka ]] || how=(--bulk)
if [[ $part == sync-rest ]]; then
  lab load warm --clients 4 --count 100
  lab configure inventory delay=0.2
  lab load eight --clients 48 --seconds "$seconds"
  threads 16
  lab load sixteen --clients 48 --seconds "$seconds"
  threads 32
  lab load many --clients 48 --seconds "$seconds"
else
  for n in $(seq 2 "$most"); do lab stop "inventory.$n"; done
  lab load warm "${how[@]}" --count 100
  replicas 1 1
  lab load one "${how[@]}" --count "$count" --seed 2
  drain
  replicas 2 2
  lab load two "${how[@]}" --count "$count" --seed 3
  drain
  replicas 3 4
  lab load four "${how[@]}" --count "$count" --seed 4
  drain
  if [[ $part == streaming-kafka ]]; then
    replicas 5 6
    lab load six "${how[@]}" --count "$count" --seed 5
    drain
    replicas 7 8
    lab load many "${how[@]}" --count "$count" --seed 6
    drain
  fi
fi
finish
