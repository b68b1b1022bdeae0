#!/usr/bin/env bash
# Chaos: faults at random, drawn from a seed
#
# Shows: While orders come at a steady rate, services and brokers are killed, frozen and started again; services are told to
#   be slow, to fail, to hang, to drop connections, to crash between two steps; their databases cannot be written for some
#   seconds, their disks are full; what was done is asked for again; and malformed messages come among the good ones.
#   Some of it at the same time. Then everything is healed. No order that was acknowledged is lost, none is done twice,
#   and none is left open, whatever its client was told. With --cluster Part B or C has three nodes of its broker, of which
#   one at a time is killed or frozen, and two inventories, of which one may be killed; a third is added and taken away.
# Why: Each promise was shown alone, with a fault that was chosen for it. Faults do not come one by one, and not where
#   one looks. A schedule that nobody chose finds what nobody thought of, and a seed brings the same one again.
# Not shown: Speed; and the same seed brings the same faults, not the same moments: which order a kill meets is chance.
# Takes: 75 s, with --cluster 130 s; --quick 30 s and 60 s
# Usage: experiments/chaos.sh PART [--cluster] [--seed N] [--minutes M] [--quick]
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
part='' seed=$RANDOM minutes='' cluster='' words=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --seed) seed=${2-} && shift ;;
    --minutes) minutes=${2-none} && shift ;;
    --cluster) cluster=cluster- ;;
    -*) words+=("$1") ;;
    *) part=$1 ;;
  esac
  shift
done
if [[ ! $seed =~ ^[0-9]+$ || ! ${minutes:-1} =~ ^[0-9.]+$ ]]; then
  echo 'chaos.sh: --seed and --minutes need a number; see --help' >&2
  exit 2
fi
# shellcheck disable=SC2034 # experiment.sh uses them
place=chaos/$part/${cluster}seed-$seed
# shellcheck disable=SC2034
again="experiments/chaos.sh $part${cluster:+ --cluster} --seed $seed${minutes:+ --minutes $minutes}"
# shellcheck disable=SC2034
[[ -z $cluster ]] || size='--nodes 3 --replicas inventory=3'
. "$(dirname "$(realpath "$0")")/experiment.sh" "$part" "${words[@]}"

rate=45 short=0.25
if [[ -n $cluster ]]; then # all of it shares one machine
  rate=20 short=0.4 # long enough for the four kinds of fault with which it begins
  lab stop inventory.3 # until it is added
fi
minutes=${minutes:-$(full_or_quick 0.8 "$short")}

step "seed $seed: faults for $minutes minutes, while $rate orders/s come"
seconds=$(awk "BEGIN { print 60 * $minutes }")
lab load chaos --rate "$rate" --seconds "$seconds" --timeout 10 &
lab chaos --seed "$seed" --minutes "$minutes"
wait_for_loads
finish
