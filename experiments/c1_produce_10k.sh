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
drained="drained('inventory', burst.began)"

lab predict "Orders that Kafka acknowledged" --measure 'burst.ok' --within "$count" 0 --unit orders
lab predict "Students that were notified in the end" --measure 'became(burst, "notified")' --within burst.ok 0 --unit orders
lab predict "Producing is faster than inventory can follow: produced a second ÷ reserved a second" \
  --measure "(burst.ok / burst.seconds) / done_rate('inventory', burst.began, $drained)" --at-least 1 --unit times
lab predict "Inventory's lag at its largest: at most what was produced" \
  --measure "lag_peak('inventory')" --at-most "$count" --unit records
lab predict "and it is seen to lag" --measure "lag_peak('inventory')" --at-least "0.1 * $count" --unit records
lab predict "At the end nobody lags: records not read by the three groups" \
  --measure "lag('inventory', 1e9) + lag('notification', 1e9) + lag('analytics', 1e9)" --within 0 0 --unit records
lab predict "Orders that analytics saw" \
  --measure "figure('after', 'totalOrdersSeen') - figure('before', 'totalOrdersSeen')" --within burst.ok 0 --unit orders
lab predict "Verdicts that analytics saw" \
  --measure "figure('after', 'totalInventoryEvents') - figure('before', 'totalInventoryEvents')" --within burst.ok 0 --unit orders

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
