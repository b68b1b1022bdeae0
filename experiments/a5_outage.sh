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
