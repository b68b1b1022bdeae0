#!/usr/bin/env bash
# Inventory answers too late
#
# Shows: Inventory takes half as long again as the order service waits, so every order runs into the time-out, and every
#   reservation is made all the same, a little later. Who gives it back, and who knows which order it belongs to?
# Why: A time-out says that there was no answer, and nothing of whether the work was done. Taken for a failure, it leaves
#   stock reserved for nobody; asked for again as something new, it is done twice.
# Not shown: An answer that was lost on the way back: for the order service it is the same.
# Takes: 15 s
# Usage: experiments/broken.sh [NAME], for each version that is told by this story
: "${place:?this story is told by experiments/broken.sh}"
patience=6
. "$(dirname "$(realpath "$0")")/../experiment.sh" "$@"

lab load warm --clients 4 --count 40
step "inventory takes 0.75 s, and the order service waits for 0.5 s"
lab configure order timeout=0.5
lab configure inventory delay=0.75
lab load late --rate 5 --seconds 3
lab configure inventory --reset
finish
