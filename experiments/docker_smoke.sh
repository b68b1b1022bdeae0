#!/usr/bin/env bash
# Runs a bit of everything with Docker, and prints one table: whether the lab works with this machine's engine.
#
# All 18 experiments, one chaos run for each part, one condition of the comparison for each part, and one broken version
# with the right one beside it; all of them quick, so nothing under results/ is changed. The exit status is the worst
# verdict: 0 all pass, 1 one failed, 2 one is unknown. A run that does not pass does not stop the others. Ctrl-C stops
# everything.
#
# Takes: 8 minutes, and longer when images must be fetched; 38 on a busy machine
# Usage: experiments/docker_smoke.sh
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
case ${1:-} in
  '') ;;
  -h | --help) sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
  *) printf 'docker_smoke.sh: there is no option %s; see --help\n' "$1" >&2; exit 2 ;;
esac

export LAB_RUNTIME=docker
lab() { bash "$root/lab" "$@"; }
lab status >/dev/null # prepares everything on first use, and ends here where Docker cannot be used
trap 'env -u LAB_KEEP_BROKERS LAB_RUNTIME=docker bash "$root/lab" down >/dev/null 2>&1 || true' EXIT
home=$root/.lab/quick
parts=(sync-rest async-rabbitmq streaming-kafka)
broken=no_confirms
folders=()

# run FOLDER COMMAND...: a run that leaves its results in FOLDER below .lab/quick/.
run() {
  local folder=$home/$1
  shift
  status=0
  printf '\n=== %s, after %d s\n' "${*#"$here/"}" "$SECONDS"
  rm -rf "$folder" # an earlier run must not be judged in place of one that did not finish
  bash "$@" --quick || status=$?
  [[ $status -ne 130 && $status -ne 143 ]] || exit "$status"
  folders+=("$folder")
}

part_of() { sed -n 's/^\. .*experiment.sh" \([a-z-]*\) .*/\1/p' "$1"; }

export LAB_KEEP_BROKERS=1
for script in "$here"/[abc][0-9]_*.sh; do run "$(part_of "$script")/$(basename "$script" .sh)" "$script"; done
for part in "${parts[@]}"; do run "chaos/$part/seed-1" "$here/chaos.sh" "$part" --seed 1; done
for part in "${parts[@]}"; do run "comparison/$part/inventory_killed" "$here/comparison/inventory_killed.sh" "$part"; done
unset LAB_KEEP_BROKERS
run "broken/$broken/green" "$here/broken.sh" "$broken"
found=$status
lab down >/dev/null 2>&1 || true

printf '\n=== all with Docker: %d s\n' "$SECONDS"
status=0
lab summary "${folders[@]}" || status=$?
if [[ $found -eq 0 ]]; then
  echo "The broken version $broken is found by its check."
else
  echo "The broken version $broken is not found by its check."
  [[ $status -eq 1 ]] || status=$found
fi
exit "$status"
