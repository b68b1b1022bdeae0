#!/usr/bin/env bash
# A5: a service is down
#
# Shows: While inventory is down, every order is refused with 503 at once, and leaves nothing behind. The first order
#   after inventory is back is done. While notification is down, orders are still reserved, and are answered 201 with
#   `"notification": "pending"`. The students are notified automatically when notification is back.
# Why: Without stock an order cannot be promised, so it fails. Without its notification it can be promised. The order
#   service commits that the notification is pending, and retries until it is sent. A refused connection is certain:
#   inventory never received the request. So after a 503 there is nothing to reconcile.
# Not shown: Orders refused during the outage are lost business: no client tries again here. Parts B and C accept them.
# Takes: 75 s; --quick 12 s
# Usage: experiments/a5_outage.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" sync-rest "$@"

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
