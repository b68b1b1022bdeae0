#!/usr/bin/env bash
# A5: a service is down
#
# Shows: While inventory is down every order is refused with 503 at once, and nothing is left behind; it works again
#   with the first order after inventory is back. While notification is down orders are still reserved and answered
#   201 with `"notification": "pending"`, and the students are notified by themselves once it is back.
# Why: An order cannot be promised without stock, so it fails; it can be promised without its notification, so the
#   order service writes down that one is owed and goes on trying. A refused connection is certain: the other side never
#   saw the request, so 503 leaves nothing to resolve.
# Not shown: Orders refused during the outage are lost business: here nobody tries again. Parts B and C accept them.
# Takes: 75 s; --quick 12 s
# Usage: experiments/a5_outage.sh [--quick]
source "$(dirname "$0")/story.sh" sync-rest "$@"

rate=20
before=$(full_or_quick 5 1)
down=$(full_or_quick 20 1)
after=$(full_or_quick 5 2)
seconds=$((before + down + after))

lab predict "Orders refused while inventory is down: at least rate × planned outage" \
  --measure 'count(no_inventory, "503")' --at-least "0.95 * $rate * $down" --unit orders
lab predict "and at most rate × the time from the kill until it is ready again" \
  --measure 'count(no_inventory, "503")' --at-most "$rate * lasted('inventory', 'killed') + 1" --unit orders
lab predict "A refusal is quick (p50)" --measure 'took(no_inventory, "503", 0.5)' --at-most 0.02 --unit s
lab predict "Inventory is back: until the first order is done" \
  --measure "first_ok(no_inventory, ended('inventory', 'killed')) - ended('inventory', 'killed')" --at-most 0.5 --unit s
lab predict "Orders not accepted while notification is down" \
  --measure 'no_notification.fail + no_notification.info' --at-most 1 --unit orders
lab predict "Notification is back: until the last owed one is sent" \
  --measure "last_notified(no_notification, ended('notification', 'killed')) - ended('notification', 'killed')" \
  --at-most 5 --unit s
lab predict "Accepted orders whose student was notified in the end" \
  --measure 'became(no_notification, "notified")' --within no_notification.ok 0 --unit orders

lab load warm --clients 4 --count 100
step "inventory is killed for $down s"
lab load no_inventory --rate "$rate" --seconds "$seconds" &
lab at no_inventory "$before"
lab kill inventory
lab at no_inventory "$((before + down))"
lab start inventory
wait_for_loads
step "notification is killed for $down s"
lab load no_notification --rate "$rate" --seconds "$seconds" &
lab at no_notification "$before"
lab kill notification
lab at no_notification "$((before + down))"
lab start notification
wait_for_loads
finish
