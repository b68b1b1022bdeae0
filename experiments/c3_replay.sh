#!/usr/bin/env bash
# C3: replay: the same events, the same numbers
#
# Shows: The offsets of analytics are reset to the beginning of the log. Analytics deletes its projection, reads the whole
#   log again, and arrives at the same report, with the same digests. Then the contrast: a program that counts by
#   wall-clock time, and one that loses events at random. Each runs twice over the same log, and gives other numbers each
#   time.
# Why: The log keeps what happened; a report is a projection of it (a read model). A projection can be rebuilt if it
#   depends on nothing but the events. The minute of an order is the minute in which it was placed, not the minute in
#   which it was read. A duplicate event counts once. Random choices have a seed. Analytics keeps its offsets in its own
#   database, in the transaction that counts. So its counts and its offsets always agree, also after a crash.
# Not shown: A log that is no longer complete. Kafka deletes records after a week unless it is configured otherwise. A
#   topic that is to be replayed must be kept.
# Takes: 50 s; --quick 26 s
# Usage: experiments/c3_replay.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" streaming-kafka "$@"

rate=50
seconds=$(full_or_quick 20 3)

lab load warm --clients 4 --count 100
step "orders, of which inventory refuses about one in five"
lab configure inventory failure_rate=0.2 failure_mode=reject seed=7
lab load mixed --rate "$rate" --seconds "$seconds"
lab configure inventory --reset
lab settle
step "analytics reads the log again from the beginning"
lab replay analytics-consumer-group --to earliest
lab tally "counted apart"
step "the contrast"
for nth in first second; do
  lab tally "wall clock, $nth" --by wall-clock
  lab tally "unseeded, $nth" --fail 0.3
  lab tally "seeded, $nth" --fail 0.3 --seed 7
done
finish
