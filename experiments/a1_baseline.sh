#!/usr/bin/env bash
# A1: the healthy system, measured in two ways
#
# Shows: What synchronous REST costs when nothing is wrong. The classic table (100 orders one at a time, 200 orders at
#   20 at once) stands beside open-loop rates, at which orders come whether or not the last one is done.
# Why: A student waits for three services in a row, and a closed loop waits with the slowest: at 20 at once its
#   latency is the number of clients divided by the throughput (Little's law), so it says nothing about a rate that
#   students would really cause. The open loop asks at a rate and shows how long an order takes at that rate; the
#   closer the rate comes to what the closed loop could finish, the longer orders queue.
# Not shown: Clients, services and load generator share one machine, so the absolute figures are this machine's; there
#   is no network between the services. Nothing fails here: see A2 to A6.
# Takes: 60 s; --quick 11 s
# Usage: experiments/a1_baseline.sh [--quick]
source "$(dirname "$0")/story.sh" sync-rest "$@"

seconds=$(full_or_quick 15 1)

lab load warm --clients 4 --count 100
step "the classic table"
lab load one --clients 1 --count 100
lab load twenty --clients 20 --count 200
step "open loop: orders come at a rate"
lab load open20 --rate 20 --seconds "$seconds"
lab load open100 --rate 100 --seconds "$seconds"
lab load poisson100 --rate 100 --seconds "$seconds" --poisson
finish
