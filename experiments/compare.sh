#!/usr/bin/env bash
# Sends the same orders to each model under each condition, and compares the results.
#
# The conditions are the scripts in experiments/comparison/. Each script makes its own run and its own report. Then
# `lab compare` makes results/comparison/ from the runs: the matrix, and a plot for each condition. With --quick the runs
# are shorter, and are written under .lab/quick/comparison/. Name a CONDITION (delay, inventory_killed …) to run only it.
# The exit status is the worst verdict: 0 all pass, 1 one failed, 2 one is unknown. Ctrl-C stops everything.
#
# Takes: 22 minutes; --quick 5 minutes
# Usage: experiments/compare.sh [--quick] [CONDITION]...
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
set -euo pipefail

here=$(dirname "$(realpath "$0")")
root=$(dirname "$here")
all=(healthy delay failures inventory_killed notification_killed broker_killed order_killed inventory_frozen)
quick=''
conditions=()
for word in "$@"; do
  case $word in
    -h | --help) sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --quick) quick=--quick ;;
    *)
      if [[ " ${all[*]} " != *" $word "* ]]; then
        printf 'compare.sh: there is no condition %s; the conditions are: %s\n' "$word" "${all[*]}" >&2
        exit 2
      fi
      conditions+=("$word")
      ;;
  esac
done
[[ ${#conditions[@]} -gt 0 ]] || conditions=("${all[@]}")

bash "$root/lab" --version >/dev/null # prepares everything on first use
export LAB_KEEP_BROKERS=1
trap 'env -u LAB_KEEP_BROKERS bash "$root/lab" down >/dev/null 2>&1 || true' EXIT
for part in sync-rest async-rabbitmq streaming-kafka; do
  for condition in "${conditions[@]}"; do
    [[ $part/$condition != sync-rest/broker_killed ]] || continue # it has none
    printf '\n=== %s: %s, after %d s\n' "$part" "$condition" "$SECONDS"
    status=0
    bash "$here/comparison/$condition.sh" "$part" $quick || status=$?
    [[ $status -ne 130 && $status -ne 143 ]] || exit "$status"
  done
done

printf '\n=== all: %d s\n' "$SECONDS"
bash "$root/lab" compare $quick
