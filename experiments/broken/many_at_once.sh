#!/usr/bin/env bash
# Many students order at the same moment, and there is not enough for all
#
# Shows: One student after the other is served well. Then 16 order as fast as they can, 400 times in all, and of each item
#   there are 100. Threads of one service meet at the same stock, and at the same connection.
# Why: Between two statements of one thread any other may run. What must not be seen half done needs a guard: one
#   statement, a transaction, a lock; or each thread has its own.
# Not shown: Two processes of the same service, which a lock in memory would not keep apart.
# Takes: 15 s
# Usage: experiments/broken.sh [NAME], for each version that is told by this story
: "${place:?this story is told by experiments/broken.sh}"
export INITIAL_STOCK=100
patience=6
. "$(dirname "$(realpath "$0")")/../experiment.sh" "$@"

step "one student after the other"
lab load warm --clients 1 --count 40
step "16 students at once"
lab load crowd --clients 16 --count 400 --timeout 5
finish
