#!/usr/bin/env bash
# D4: one of two inventories is killed, frozen, or replaced
#
# Shows: Two replicas of inventory share the orders. One is killed, then one is frozen and continues as a zombie, then each
#   is stopped and started in turn (a rolling restart), always under load. Every order is accepted, and none is lost or
#   done twice. What differs is how long the orders wait that the lost replica had.
# Why: In Part B RabbitMQ redelivers what a killed replica held as soon as its connection is lost; a frozen one holds
#   what it had taken until it continues, or until its heartbeats are missed (up to a minute). In Part C the partitions of a killed or frozen
#   replica are given to the other when its session of 10 s has ended. The zombie may not commit (fencing). A replica that
#   stops in good order leaves at once. The shared PostgreSQL knows by order id what was done before.
# Not shown: A replica of the order service, and of PostgreSQL.
# Takes: 300 s; --quick 110 s (55 s a part)
# Usage: experiments/d4_replica.sh [PART] [--quick]
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
here=$(dirname "$(realpath "$0")") parts='async-rabbitmq streaming-kafka'
. "$here/each_part.sh" "$@"
# shellcheck disable=SC2034 # experiment.sh uses them
place=scale/$part/d4_replica again="experiments/d4_replica.sh $part" size='--replicas inventory=2'
. "$here/experiment.sh" "$part" ${words[@]+"${words[@]}"}

rate=10
away=$(full_or_quick 30 4) # s: in a full run longer than a session of Kafka
seconds=$((3 + away + $(full_or_quick 10 5)))

lab load warm --clients 4 --count "$(full_or_quick 400 100)"
step "inventory.1 is killed for $away s"
lab load killed --rate "$rate" --seconds "$seconds" &
lab at killed 3
lab kill inventory.1
lab at killed "$((3 + away))"
lab start inventory.1
wait_for_loads
lab settle
step "inventory.1 is frozen for $away s, and continues as a zombie"
lab load frozen --rate "$rate" --seconds "$seconds" &
lab at frozen 3
lab pause inventory.1
lab at frozen "$((3 + away))"
lab unpause inventory.1
wait_for_loads
lab settle
step "both are restarted, one after the other"
lab load rolling --rate "$rate" --seconds "$(full_or_quick 30 12)" &
lab at rolling 2
for replica in inventory.1 inventory.2; do
  lab stop "$replica"
  lab start "$replica"
done
wait_for_loads
finish
