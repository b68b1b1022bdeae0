#!/usr/bin/env bash
# A3: an inventory that fails
#
# Shows: With failure_rate 1 every order is answered 502, quickly. With 0.3 three of ten orders are answered 502, and the
#   others are completed as usual. No stock stays reserved for an order that was refused.
# Why: The order service passes a failure on to the client: it has no retry inside the request and no circuit breaker. A
#   5xx does not say whether inventory made the reservation before it failed. So the order service sends `POST /release`
#   in the background until inventory confirms it. This is the compensation of the saga. Then the order becomes failed.
# Not shown: Here the failures come before the reservation is made. A crash after the reservation is in A4.
# Takes: 30 s; --quick 9 s
# Usage: experiments/a3_failure.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" sync-rest "$@"

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
step "back to normal: the refused orders are now released"
lab configure inventory --reset
finish
