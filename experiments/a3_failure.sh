#!/usr/bin/env bash
# A3: an inventory that fails
#
# Shows: With failure_rate 1 every order is answered 502, quickly; with 0.3 three of ten are, and the others are done
#   as if nothing were wrong. Nothing stays reserved for an order that was refused.
# Why: The order service passes a failure on instead of hiding it: no retry in the request, no circuit breaker. A 5xx
#   does not say whether inventory had reserved before it failed, so the order service asks it to release the order in
#   the background, again and again until it has; the order then becomes failed.
# Not shown: Failures here come before the reservation is made. A crash after it is in A4.
# Takes: 30 s; --quick 9 s
# Usage: experiments/a3_failure.sh [--quick]
source "$(dirname "$0")/story.sh" sync-rest "$@"

seconds=$(full_or_quick 10 2)
rate=40

lab predict "With failure_rate 1 every order is answered 502" --measure 'share(all_fail, "502")' --within 1 0 --unit %
lab predict "and a failure takes no longer than a success (p50)" \
  --measure 'took(all_fail, "502", 0.5) / healthy.p50' --at-most 1.5 --unit times
lab predict "With failure_rate 0.3 three of ten are" --measure 'share(some_fail, "502")' --within 0.3 "$(full_or_quick 0.08 0.16)" --unit %
lab predict "and the others are done" --measure 'some_fail.ok' --within "became(some_fail, 'notified')" 0 --unit orders
lab predict "Reservations that hold stock at the end: one for each order that was done" \
  --measure 'held("reserved")' --within 'warm.ok + healthy.ok + some_fail.ok' 0 --unit orders

lab load warm --clients 4 --count 100
lab load healthy --rate "$rate" --seconds "$(full_or_quick 5 1)"
step "inventory fails every request"
lab configure inventory failure_rate=1
lab load all_fail --rate "$rate" --seconds "$seconds"
step "inventory fails three requests of ten"
lab configure inventory failure_rate=0.3 seed=7
lab load some_fail --rate "$rate" --seconds "$seconds"
step "back to normal: what was refused is now released"
lab configure inventory --reset
finish
