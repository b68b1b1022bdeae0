#!/usr/bin/env bash
# A4: no answer in time
#
# Shows: When inventory takes longer than the order service waits, the client has its 504 after the time-out and no
#   later. The order is then `unknown`, and a background resolver finds out what happened: an order that inventory
#   never reserved is released and fails; one that it reserved after all, too late or just before it crashed, is
#   completed. The same holds for orders that were open when the order service itself was killed. No reservation is left
#   that nobody knows of.
# Why: A time-out says nothing about what the other side did or will still do. The order service wrote down the order
#   before it asked, so it can ask again. If inventory knows nothing, the order service first writes down that the
#   order fails, then has it released: a reservation that arrives after its release takes nothing.
# Not shown: The resolver gives no promise of time; it needs inventory to answer. A client that wants certainty looks at
#   GET /orders/<id>, or sends the same Idempotency-Key again.
# Takes: 40 s; --quick 16 s
# Usage: experiments/a4_timeout.sh [--quick]
source "$(dirname "$0")/story.sh" sync-rest "$@"

slow=$(full_or_quick 8 2)
rate=5
timeout=$(full_or_quick 1 0.5)

lab load warm --clients 4 --count 100
step "inventory takes half as long again as the order service waits: $timeout s"
lab configure order timeout="$timeout"
lab configure inventory delay="$(full_or_quick 1.5 0.75)"
lab load too_slow --rate "$rate" --seconds "$slow"
step "inventory swallows every request"
lab configure inventory delay=0 failure_rate=1 failure_mode=hang
lab load lost --rate "$rate" --seconds "$(full_or_quick 4 1)"
lab configure inventory --reset
lab settle
step "inventory crashes once, after a reservation was committed and before it is answered"
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
