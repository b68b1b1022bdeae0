#!/usr/bin/env bash
# A4: a time-out, and an unknown outcome
#
# Shows: When inventory takes longer than the order service waits, the client gets 504 after the time-out and no later.
#   The order is then `unknown`, and the order service reconciles it in the background. If inventory never made the
#   reservation, the order is released and fails. If inventory made the reservation after all, too late or just before it
#   crashed, the order is completed. The same holds for orders that were open when the order service itself was killed. No
#   reservation is left that the order service does not know of.
# Why: A time-out does not say what inventory did, or what it will still do. The order service committed the order before
#   it called inventory, so it can ask again. If inventory does not know the order, the order service first commits that
#   the order fails, and then releases it. A reservation that arrives after its release takes nothing.
# Not shown: Reconciliation promises no time: it needs an answer from inventory. A client that wants certainty reads GET
#   /orders/<id>, or sends the same Idempotency-Key again.
# Takes: 40 s; --quick 16 s
# Usage: experiments/a4_timeout.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" sync-rest "$@"

slow=$(full_or_quick 8 2)
rate=5
timeout=$(full_or_quick 1 0.5)

lab load warm --clients 4 --count 100
step "inventory takes 1.5 × the time-out of the order service, which is $timeout s"
lab configure order timeout="$timeout"
lab configure inventory delay="$(full_or_quick 1.5 0.75)"
lab load too_slow --rate "$rate" --seconds "$slow"
step "inventory hangs: it answers no request"
lab configure inventory delay=0 failure_rate=1 failure_mode=hang
lab load lost --rate "$rate" --seconds "$(full_or_quick 4 1)"
lab configure inventory --reset
lab settle
step "inventory crashes once, after a reservation was committed and before the answer is sent"
lab configure inventory crash_point=after_commit
lab load crash --clients 1 --count 5
step "the order service is killed while it waits for inventory"
lab configure inventory delay=0.5
lab load killed --rate "$rate" --seconds "$(full_or_quick 6 3)" &
lab at killed "$(full_or_quick 3 1)"
lab kill order
lab start order
wait_for_loads
lab configure inventory --reset
finish
