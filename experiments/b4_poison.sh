#!/usr/bin/env bash
# B4: invalid messages among good orders
#
# Shows: Malformed messages of many kinds arrive among good orders: no JSON, no order id, a quantity of 0, an event that
#   belongs to another queue, a later schema. Each of them is in the dead-letter queue at once, with its reason. Every
#   good order is done, as quickly as without them.
# Why: A message that is invalid today is invalid tomorrow: a retry would only delay the messages behind it. A message
#   that is always requeued in front blocks its queue for ever (a poison message). So an invalid message is dead-lettered
#   without a retry. It is not deleted, because it may hold an order. `./lab dlq` shows it, and sends it back when the
#   program is corrected.
# Not shown: A valid message with wrong content: 2 burgers where the student ordered 20. That is a bug of the sender, and
#   no schema finds it. A valid message whose processing fails is retried first, after 1, 2, 4 and 8 s.
# Takes: 40 s; --quick 18 s
# Usage: experiments/b4_poison.sh [--quick]
. "$(dirname "$(realpath "$0")")/experiment.sh" async-rabbitmq "$@"

rate=50
seconds=$(full_or_quick 10 3)

lab load warm --clients 4 --count 100
lab load clean --rate "$rate" --seconds "$seconds"
step "the same load, with every kind of invalid message in it"
lab load mixed --rate "$rate" --seconds "$seconds" &
lab at mixed 0.5
lab poison at_inventory order-placed
lab poison at_notification inventory-reserved
wait_for_loads
lab dlq list
finish
