# shellcheck shell=bash
# The frame of every experiment: sourced first, as in `source "$(dirname "$0")/experiment.sh" sync-rest "$@"`.
#
# It answers --help with the script's first comment, starts the part with empty databases, keeps what is printed in
# run.log, and stops everything at the end, however the script ends. Then the script tells its story with `lab`
# commands and closes with `finish`, whose exit status is the verdict: 0 pass, 1 fail, 2 unknown.
# What the script expects is in the file of the same name beside it, as a1_baseline.py: it is tried before anything starts.
# A script that makes many runs sets `place`, where one goes below results/, and `again`, the command for it, before; and
# `traffic` to have messages and connections counted.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
script=$0
part=$1
shift

lab() { "$root/lab" "$@"; }

# full_or_quick A B: A in a full run, B with --quick.
full_or_quick() { if [[ -n $quick ]]; then echo "$2"; else echo "$1"; fi; }

# step TEXT: say what comes now.
step() { printf '%s\n' "— $*"; }

# Wait for the loads in the background; a load that failed ends the script.
wait_for_loads() {
  local load
  for load in $(jobs -p); do wait "$load"; done
}

# One that expects orders that never end sets `patience`, the seconds to wait for them.
finish() {
  step "waiting until every order is in a final state"
  lab settle ${patience:+--seconds "$patience"}
  lab finish
  stopped=yes
}

stop_everything() {
  local status=$?
  trap - EXIT INT TERM
  [[ $status -ne 130 && $status -ne 143 ]] || printf 'interrupted: stopping %s\n' "$part"
  local load
  for load in $(jobs -p); do kill "$load" 2>/dev/null || true; done
  [[ -n $stopped ]] || LAB_RUN='' lab down "$part" >/dev/null 2>&1 || true
  exit "$status"
}

quick=''
stopped=''
for word in "$@"; do
  case $word in
    -h | --help) sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$script"; exit 0 ;;
    --quick) quick=--quick ;;
    *) printf '%s: there is no option %s; see --help\n' "$(basename "$script")" "$word" >&2; exit 2 ;;
  esac
done

trap stop_everything EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# A script that may not begin (2) has nothing to stop: what runs is another experiment's.
LAB_RUN=$(lab begin "$script" "$part" --owner $$ ${place:+--place "$place"} ${again:+--again "$again"} ${traffic:+--traffic} $quick) || {
  status=$?
  [[ $status -ne 2 ]] || trap - EXIT
  exit "$status"
}
export LAB_RUN
exec > >(trap '' INT TERM; exec tee "$LAB_RUN/run.log") 2>&1
step "$(basename "$script" .sh)${quick:+ (quick)}"
