#!/usr/bin/env bash
# C3: replay: the same events, the same numbers
#
# Shows: The offsets of analytics are put back to the beginning. It forgets what it knew, reads the whole log again, and
#   arrives at the very same report, digest by digest. Then the contrast: a program that counts by the clock on the wall,
#   and one that loses events at random, each run twice over the same log, give other numbers each time.
# Why: The log keeps what happened; a report is only a way of looking at it. It can be rebuilt if it depends on nothing
#   but the events: the minute of an order is the minute in which it was placed, and not that in which somebody read it;
#   an order that was told twice counts once; chance has a seed. Analytics keeps its offsets in its own database, in
#   the transaction that counts, so what it counted and where it stands never differ, also after a crash.
# Not shown: A log that is no longer whole. Kafka forgets after a week unless told otherwise; a topic that is to be
#   replayed must be kept.
# Takes: 50 s; --quick 26 s
# Usage: experiments/c3_replay.sh [--quick]
source "$(dirname "$0")/story.sh" streaming-kafka "$@"

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
