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
