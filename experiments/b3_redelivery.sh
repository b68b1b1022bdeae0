#!/usr/bin/env bash
# B3: the same event again, and again
#
# Shows: Every OrderPlaced is delivered a second time: at once, behind the first in the same batch; later; after a
#   restart of inventory; and 100 of them in a random order. All are worked on and acknowledged, and no row of the
#   reservations, the stock or the notifications changes, compared one by one.
# Why: RabbitMQ promises to deliver at least once, so a consumer must expect everything twice: a relay that dies after the
#   confirmation publishes again, a consumer that dies before the acknowledgement is given its messages again. The
#   inbox row is committed with the reservation, under the event's id. An event that is known changes nothing, and
#   the same answer is told again, in case it was lost the first time. The row is on disk, so a restart forgets nothing.
# Not shown: What the inbox costs: a row for each event, for ever. A real one is cleared of what is older than any
#   redelivery can be.
# Takes: 40 s; --quick 22 s
# Usage: experiments/b3_redelivery.sh [--quick]
source "$(dirname "$0")/story.sh" async-rabbitmq "$@"

orders=$(full_or_quick 400 60)
twins=$(full_or_quick 50 10)

for again in later restarted shuffled; do
  lab predict "Rows that changed: $again" --measure "changed('before $again', 'after $again')" --within 0 0 --unit rows
done
# three FORMULA: its sum over the three, each in the place of HERE.
three() { printf '%s + %s + %s' "${1//HERE/later}" "${1//HERE/restarted}" "${1//HERE/shuffled}"; }
lab predict "All that came again was worked on" --measure "$(three "handled('order-placed', 'before HERE', 'after HERE')")" \
  --within "$(three "published('HERE')")" 0 --unit messages
lab predict "and told of again, to notification" \
  --measure "$(three "handled('inventory-reserved', 'before HERE', 'after HERE')")" \
  --within "$(three "published('HERE')")" 0 --unit messages
lab predict "At once: two deliveries of each are worked on" \
  --measure "handled('order-placed', 'before twins', 'after twins')" --within "2 * twins.ok" 0 --unit messages
lab predict "and each order has one reservation" \
  --measure 'held("reserved")' --within 'twins.ok + placed.ok' 0 --unit reservations
lab predict "Messages that were given up" --measure "dead_lettered('order-placed') + dead_lettered('inventory-reserved')" \
  --within 0 0 --unit messages

# again NAME LOAD [OPTION]...: deliver the events of a load once more; note what is held before and after.
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
step "at once: inventory pauses, and finds each event twice"
lab snapshot "before twins"
lab configure inventory paused=true
lab load twins --clients 4 --count "$twins"
lab redeliver at_once twins
lab configure inventory --reset
lab snapshot "after twins"
finish
