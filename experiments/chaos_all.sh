#!/usr/bin/env bash
# Runs chaos.sh with five seeds for each part, one after the other, and ends with a table of their verdicts.
#
# A full run writes to results/chaos/ and makes the page over all of them; with --quick the same seeds are run
# shortened, and written under .lab/quick/. The exit status is the worst verdict: 0 all pass, 1 one failed, 2 one could
# not be decided. A run that does not pass does not stop the others. Ctrl-C stops everything.
# With --cluster, Parts B and C are clusters: three nodes, and two or three inventories.
#
# Takes: 19 minutes; --quick 8 minutes; with --cluster 22 and 10 minutes
# Usage: experiments/chaos_all.sh [--cluster] [--quick]
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
set -euo pipefail

here=$(dirname "$(realpath "$0")")
root=$(dirname "$here")
quick='' home=$root/results/chaos cluster='' parts='sync-rest async-rabbitmq streaming-kafka'
for word in "$@"; do
  case $word in
    -h | --help) sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --quick) quick=--quick home=$root/.lab/quick/chaos ;;
    --cluster) cluster=--cluster parts='async-rabbitmq streaming-kafka' ;;
    *) printf 'chaos_all.sh: there is no option %s; see --help\n' "$word" >&2; exit 2 ;;
  esac
done

bash "$root/lab" --version >/dev/null # prepares everything on first use
export LAB_KEEP_BROKERS=1
trap 'env -u LAB_KEEP_BROKERS bash "$root/lab" down >/dev/null 2>&1 || true' EXIT

folders=()
for part in $parts; do
  for seed in 1 2 3 4 5; do
    folder=$home/$part/${cluster:+cluster-}seed-$seed
    printf '\n=== %s, seed %d\n' "$part" "$seed"
    rm -rf "$folder" # a run that does not come to its verdict must not be judged by an earlier one
    status=0
    bash "$here/chaos.sh" "$part" $cluster --seed "$seed" $quick || status=$?
    [[ $status -ne 130 && $status -ne 143 ]] || exit "$status"
    folders+=("$folder")
  done
done

printf '\n=== all: %d s\n' "$SECONDS"
bash "$root/lab" chaos-report "$home"
bash "$root/lab" summary "${folders[@]}"
