#!/usr/bin/env bash
# C1: 10,000 orders in one go
#
# Shows: 10,000 orders are produced by one request. Kafka has them within a second or two; inventory, notification and
#   analytics read on at their own speeds, and the lag says at every moment how far behind each of them is. At the end all
#   students are notified, and analytics has counted every order.
# Why: Producing appends to a log and waits for nobody: the producer sends batches and is answered when they are written.
#   A record stays where it is when it is read; a group only moves its offset, so three groups read the same events
#   without taking them from each other. Lag is the distance between the end of the log and a group's offset.
# Not shown: Clients, broker and services share one machine, so the absolute figures are this machine's. The orders are
#   spread over 6 partitions, but one process reads them all: more processes would share them.
# Takes: 30 s; --quick 20 s
# Usage: experiments/c1_produce_10k.sh [--quick]
source "$(dirname "$0")/story.sh" streaming-kafka "$@"

count=$(full_or_quick 10000 2000)

lab load warm --clients 4 --count 100
lab settle
lab note-report before
lab lag --note before
step "$count orders in one request"
lab load burst --bulk --count "$count"
lab lag --note during
lab settle
lab lag --note after
lab note-report after
finish
