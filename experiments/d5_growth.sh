#!/usr/bin/env bash
# D5: what growth costs
#
# Shows: 1,000, then 10,000, then 100,000 orders go through a part, and 1,000,000 through Part C. One order among many
#   costs as much as one among few: in time, in the processor time of each service, in storage. Memory stays where it
#   is. A page of orders, and the question which orders are in some state, are as quick at the end as at the beginning.
# Why: Each query has an index, whose depth grows with the logarithm of the rows. Services keep rows in their databases
#   and nothing in memory. What only helps to recognise repeated messages is pruned.
# Not shown: What a second machine would add, and days of load. The database is SQLite on a local disk. Each size starts
#   when the one before it is done; the first, of 500 orders, warms up.
# Takes: 810 s; --quick 55 s
# Usage: experiments/d5_growth.sh [PART] [--quick]      all three parts unless one is named
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
here=$(dirname "$(realpath "$0")") parts='sync-rest async-rabbitmq streaming-kafka'
. "$here/each_part.sh" "$@"
# shellcheck disable=SC2034 # experiment.sh uses them
place=scale/$part/d5_growth again="experiments/d5_growth.sh $part" portions=yes
. "$here/experiment.sh" "$part" ${words[@]+"${words[@]}"}

sizes=$(full_or_quick "500 1000 10000 100000" "50 100 1000")
[[ $part != streaming-kafka || -n $quick ]] || sizes+=" 1000000"
for size in $sizes; do
  step "$size orders more"
  lab grow "$size"
done
finish
