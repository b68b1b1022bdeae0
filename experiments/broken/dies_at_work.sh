#!/usr/bin/env bash
# A consumer dies at its work
#
# Shows: 60 orders wait for inventory. It takes them all, and is killed before its work on them is committed; a new
#   process takes its place at once. Who has the messages now?
# Why: A message belongs to the broker until its consumer says that it is done. Said too early, by an acknowledgement or
#   by an offset, it is a promise that a dead process cannot keep, and nobody else knows of the message any more.
# Not shown: A consumer that dies between its commit and its acknowledgement: the message comes again (comes_again.sh).
# Takes: 20 s; 40 s with Kafka
# Usage: experiments/broken.sh [NAME], for each version that is told by this story
: "${place:?this story is told by experiments/broken.sh}"
. "$(dirname "$(realpath "$0")")/../experiment.sh" "$@"

patience=6
if [[ $part == streaming-kafka ]]; then patience=20; fi # a dead member keeps its partitions until its session ends, 10 s

lab load warm --clients 4 --count 40
step "inventory takes nothing while orders come; then it takes all of them, and dies"
lab configure inventory paused=true
lab load waiting --clients 4 --count 60
lab configure inventory crash_point=before_commit paused=false
finish
