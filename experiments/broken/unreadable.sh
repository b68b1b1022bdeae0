#!/usr/bin/env bash
# Messages that nobody can read, among good orders
#
# Shows: While orders come, every kind of malformed message is published into inventory's queue.
# Why: What cannot be read today cannot be read tomorrow. A consumer that puts it back has it again at once, and again: it
#   works for ever on what it cannot do, and nobody ever sees the message.
# Not shown: How it slows down the good orders: with a handful of bad messages and a fast consumer, hardly.
# Takes: 15 s
# Usage: experiments/broken.sh [NAME], for each version that is told by this story
: "${place:?this story is told by experiments/broken.sh}"
patience=5
. "$(dirname "$(realpath "$0")")/../experiment.sh" "$@"

lab load warm --clients 4 --count 40
step "good orders, and every kind of poison among them"
lab load mixed --rate 40 --seconds 3 &
lab at mixed 0.5
lab poison bad order-placed
wait_for_loads
finish
