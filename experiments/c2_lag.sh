#!/usr/bin/env bash
# C2: consumer lag, and how to read it
#
# Shows: Orders arrive at a steady rate, in three phases. Normal: the lag stays near 0. Throttled: inventory pauses after
#   each order, and its lag grows as fast as predicted, in every partition. Released: inventory reads at full speed, and
#   the lag is gone within a second or two. `./lab lag` says OK; then WARN for the partition that is being read and STALL
#   for the partitions that wait; and OK again.
# Why: Lag grows by the arrival rate minus the completion rate: rate − 1 ÷ (throttle + the time for one order). One number
#   does not say whether a lag is a problem; the trend does. After the release inventory takes batches of up to 500, one
#   transaction each, so it drains the lag at many times the arrival rate.
# Not shown: A lag in one partition only, from one key with too many events (a hot partition). The keys here are order
#   ids, which spread evenly.
# Takes: 55 s; --quick 24 s
# Usage: experiments/c2_lag.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" streaming-kafka "$@"

rate=50
throttle=0.1
seconds=$(full_or_quick 10 2)
slow=$(full_or_quick 20 5)

lab load warm --clients 4 --count 100
step "normal: $rate orders/s"
lab load normal --rate "$rate" --seconds "$seconds" &
lab at normal "$(full_or_quick 7 0.5)"
lab lag inventory-consumer-group --note normal
wait_for_loads
step "throttled: inventory pauses $throttle s after each order"
lab configure inventory throttle="$throttle"
lab load throttled --rate "$rate" --seconds "$slow" &
lab at throttled "$(full_or_quick 15 3)"
lab lag inventory-consumer-group --note throttled
wait_for_loads
step "released"
lab configure inventory --reset
lab load released --rate "$rate" --seconds "$seconds"
lab lag inventory-consumer-group --note released
finish
