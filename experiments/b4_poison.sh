#!/usr/bin/env bash
# B4: messages that nobody can read
#
# Shows: Among good orders come malformed messages of many kinds: no JSON, no order id, a quantity of 0, an event that
#   belongs elsewhere, a later schema. Each lies in the dead-letter queue at once, with its reason. Every good order is
#   done, as quickly as without them.
# Why: A message that cannot be read today cannot be read tomorrow: trying again would only hold up those behind it, for
#   ever if it is always put back in front (a poison message). So it goes aside at the first look. It is not thrown
#   away: somebody sent it, it may hold an order, and `./lab dlq` shows it and sends it back once the program is mended.
# Not shown: A message that can be read and lies: 2 burgers for 20. That is the sender's bug, and no schema finds it.
#   What can be read and fails is tried again first, after 1, 2, 4 and 8 s.
# Takes: 40 s; --quick 18 s
# Usage: experiments/b4_poison.sh [--quick]
source "$(dirname "$0")/story.sh" async-rabbitmq "$@"

rate=50
seconds=$(full_or_quick 10 3)

lab load warm --clients 4 --count 100
lab load clean --rate "$rate" --seconds "$seconds"
step "the same load, with every kind of poison among it"
lab load mixed --rate "$rate" --seconds "$seconds" &
lab at mixed 0.5
lab poison at_inventory order-placed
lab poison at_notification inventory-reserved
wait_for_loads
lab dlq list
finish
