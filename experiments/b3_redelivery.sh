#!/usr/bin/env bash
# B3: the same event is delivered again
#
# Shows: Every OrderPlaced is delivered a second time: at once, behind the first in the same batch; later; after a restart
#   of inventory; and 100 of them in a random order. All are processed and acknowledged. No row of the reservations, the
#   stock or the notifications changes; the rows are compared one by one.
# Why: RabbitMQ delivers at least once, so a consumer must expect every message twice. A relay that dies after the
#   publisher confirm publishes again. A consumer that dies before the acknowledgement gets its messages again. The inbox
#   row is committed with the reservation, under the event's id (deduplication). A known event changes nothing, and its
#   result event is published again, in case the first one was lost. The row is on disk, so a restart forgets nothing.
# Not shown: The cost of the inbox: one row for each event, for ever. A real system deletes the rows that are older than
#   any redelivery can be.
# Takes: 40 s; --quick 22 s
# Usage: experiments/b3_redelivery.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" async-rabbitmq "$@"

orders=$(full_or_quick 400 60)
twins=$(full_or_quick 50 10)

# again NAME LOAD [OPTION]...: deliver the events of a load again; record all rows before and after.
again() {
  lab snapshot "before $1"
  lab redeliver "$@"
  lab snapshot "after $1"
}

lab load placed --clients 4 --count "$orders"
step "every event a second time, later"
again later placed
step "and after a restart of inventory"
lab kill inventory
lab start inventory
again restarted placed
step "100 of them, shuffled"
again shuffled placed --count 100 --shuffle
step "at once: inventory is paused, and then finds each event twice"
lab snapshot "before twins"
lab configure inventory paused=true
lab load twins --clients 4 --count "$twins"
lab redeliver at_once twins
lab configure inventory --reset
lab snapshot "after twins"
finish
