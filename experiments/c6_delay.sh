#!/usr/bin/env bash
# C6: a slow inventory, and where the lag goes
#
# Shows: Inventory takes 2 s for each order. The reply is as quick as before, while the lag grows by rate − 1 ÷ 2 s, and
#   with it the time until the student hears of it: an order is done when those before it are. After the reset the lag
#   is worked off in no time, 500 orders a batch.
# Why: The producer waits for the log and for nobody who reads it, so a slow consumer costs no reply anything. Six
#   partitions do not help: they bound how many consumers may share the work, and here is one, which reads all six and
#   works on one order at a time. So it does 1 ÷ delay orders a second; with six of them it would be six times as many,
#   and a seventh would have nothing to do. While it is slow it takes its records one by one, so a batch holds one.
# Not shown: More consumers, and an alarm: `./lab lag` calls this WARN for as long as it grows.
# Takes: 60 s; --quick 22 s
# Usage: experiments/c6_delay.sh [--quick]
source "$(dirname "$0")/story.sh" streaming-kafka "$@"

rate=20
delay=2
seconds=$(full_or_quick 20 5)
since="began('inventory', 'delay=$delay')"
first="resumed('inventory', $since + 1)"
many=$(full_or_quick 8 2)
until="ended('inventory', 'delay=$delay')"

lab predict "The reply does not feel it: p50, delayed ÷ healthy, at the same rate" \
  --measure 'delayed.p50 / healthy.p50' --within 1 "$(full_or_quick 15% 30%)" --unit times
lab predict "Orders that were not accepted" --measure 'delayed.fail + delayed.info' --within 0 0 --unit orders
lab predict "Orders done by one consumer that takes $delay s for each, whatever the partitions" \
  --measure "done_rate('inventory', $first - $delay / 2, $first + $delay * ($many - 0.5))" --within "1 / $delay" 10% --unit orders/s
lab predict "The lag grows by rate − 1 ÷ delay" \
  --measure "lag_slope('inventory', $since + 1, delayed.began + $seconds - 0.5)" --within "$rate - 1 / $delay" 5% --unit records/s
lab predict "Completion of the orders that wait for the reset: p50 is half the load, and one last delay" \
  --measure 'completed(delayed, 0.5)' --within "$until - delayed.began - 0.5 * $seconds + 0.5 * $delay" "$(full_or_quick 10% 30%)" --unit s
lab predict "After the reset: until no order waits, one last delay and the backlog" \
  --measure "drained('inventory', $until) - $until" --at-most "$delay + 2" --unit s
lab predict "Accepted orders whose student was notified in the end" \
  --measure 'became(delayed, "notified")' --within delayed.ok 0 --unit orders

lab load warm --clients 4 --count 100
lab load healthy --rate "$rate" --seconds "$(full_or_quick "$seconds" 3)"
step "inventory now takes $delay s for each order"
lab configure inventory delay="$delay"
lab load delayed --rate "$rate" --seconds "$seconds"
lab lag inventory-consumer-group --note delayed
step "back to normal"
lab configure inventory --reset
finish
