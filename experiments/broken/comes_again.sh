#!/usr/bin/env bash
# Every event comes a second time, after a restart
#
# Shows: 60 orders are done. Inventory is stopped and started, and then every OrderPlaced is published once more, the very
#   same bytes. Who still knows them?
# Why: Brokers deliver at least once, so every consumer is told everything twice some day, and most likely after a
#   restart. What it remembers must be as durable as what it did: in the same database, in the same transaction.
# Not shown: What comes twice while the process lives; a set in memory is enough for that.
# Takes: 20 s
# Usage: experiments/broken.sh [NAME], for each version that is told by this story
: "${place:?this story is told by experiments/broken.sh}"
patience=6
. "$(dirname "$(realpath "$0")")/../experiment.sh" "$@"

lab load placed --clients 4 --count 60
step "inventory is stopped and started; then every event comes again"
lab settle
lab stop inventory
lab start inventory
lab redeliver again placed
finish
