#!/usr/bin/env bash
# A1: the healthy system, measured with closed loops and with open loops
#
# Shows: The cost of synchronous REST when nothing is wrong. First come two closed loops, the classic table: 100 orders
#   one at a time, and 200 orders from 20 clients. Then come open loops: the load generator sends orders at a rate, and
#   does not wait for the replies.
# Why: A client waits for three services, one after the other. In a closed loop each client sends its next order after the
#   last reply. So with 20 clients the latency is the number of clients ÷ throughput (Little's law). It says nothing about
#   a rate that students would really cause. The open loop sends at such a rate and measures the latency at that rate. The
#   closer the rate is to the throughput of the closed loop, the longer orders queue.
# Not shown: Clients, services and load generator share one machine, so the absolute figures are this machine's. There is
#   no network between the services. Nothing fails here: see A2 to A6.
# Takes: 60 s; --quick 11 s
# Usage: experiments/a1_baseline.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" sync-rest "$@"

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
