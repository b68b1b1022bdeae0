#!/usr/bin/env bash
# Runs all 18 experiments in order, and prints one table of their verdicts.
#
# A full run writes to results/; with --quick the experiments are shorter, and are written under .lab/quick/.
# The exit status is the worst verdict: 0 all pass, 1 one failed, 2 one is unknown.
# An experiment that does not pass does not stop the others. Without RabbitMQ or Kafka, the experiments of the other parts
# are run. Ctrl-C stops everything.
#
# Takes: 16 minutes (each part about 5); --quick 5 minutes
# Usage: experiments/run_all.sh [--quick]
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
set -euo pipefail

here=$(dirname "$(realpath "$0")")
root=$(dirname "$here")
quick=''
for word in "$@"; do
  case $word in
    -h | --help) sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --quick) quick=--quick ;;
    *) printf 'run_all.sh: there is no option %s; see --help\n' "$word" >&2; exit 2 ;;
  esac
done

# The seconds that a script's header says it takes.
seconds_of() {
  local pattern='s/^# Takes: \([0-9]*\) s.*/\1/p'
  [[ -z $quick ]] || pattern='s/^# Takes: .*--quick \([0-9]*\) s.*/\1/p'
  sed -n "$pattern" "$1"
}

part_of() { sed -n 's/^\. .*experiment.sh" \([a-z-]*\) .*/\1/p' "$1"; }

bash "$root/lab" --version >/dev/null # prepares everything on first use
export LAB_KEEP_BROKERS=1
trap 'env -u LAB_KEEP_BROKERS bash "$root/lab" down >/dev/null 2>&1 || true' EXIT
scripts=("$here"/[abc][0-9]_*.sh)
lacking=' ' # the parts for which this machine has no broker: their experiments are not run
for part in sync-rest async-rabbitmq streaming-kafka; do
  if ! found=$(bash "$root/lab" doctor "$part"); then
    lacking+="$part "
    printf '%s cannot run here, so its experiments are unknown:\n%s\n' "$part" "$(grep -A 1 '^✘' <<<"$found")"
  fi
done
left=0
for script in "${scripts[@]}"; do left=$((left + $(seconds_of "$script"))); done
home=$root/results
[[ -z $quick ]] || home=$root/.lab/quick

folders=()
n=0
began=$SECONDS
for script in "${scripts[@]}"; do
  n=$((n + 1))
  name=$(basename "$script" .sh)
  printf '\n=== %d of %d: %s, about %d s left in all\n' "$n" "${#scripts[@]}" "$name" "$left"
  if [[ $lacking == *" $(part_of "$script") "* ]]; then
    folders+=("$root/.lab/not-run/$name")
    left=$((left - $(seconds_of "$script")))
    continue
  fi
  folder=$home/$(part_of "$script")/$name
  stamp=$(date +%s)
  status=0
  bash "$script" $quick || status=$?
  [[ $status -ne 130 && $status -ne 143 ]] || exit "$status"
  # The folder of an earlier run must not be judged in place of a script that did not reach its verdict.
  if [[ $(date -r "$folder/summary.json" +%s 2>/dev/null || echo 0) -lt $stamp ]]; then folder=$root/.lab/runs/$name; fi
  folders+=("$folder")
  left=$((left - $(seconds_of "$script")))
done

printf '\n=== all: %d s\n' $((SECONDS - began))
[[ -n $quick ]] || bash "$root/lab" readme || true # pages that quote these results
bash "$root/lab" summary "${folders[@]}"
