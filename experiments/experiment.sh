# shellcheck shell=bash
# The prelude of every experiment script. A script sources it first: `. "$(dirname "$(realpath "$0")")/experiment.sh" sync-rest "$@"`.
#
# With --help it prints the script's first comment. It starts the part with empty databases, keeps the output in run.log, and
# stops everything at the end, however the script ends. The script then runs `lab` commands and ends with `finish`. The exit
# status of `finish` is the verdict: 0 pass, 1 fail, 2 unknown.
# The predictions are in the Python file of the same name, as a1_baseline.py. They are tried before anything starts.
# A script that makes many runs first sets `place`, the folder of this run below results/, and `again`, the command that
# makes it again. It sets `traffic` to count messages and connections, `portions` when its orders are too many for one file,
# and `size` for more than one of something, as `--nodes 3 --replicas inventory=4`.
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
set -euo pipefail

set +o posix # `sh` is bash on a Mac, without `> >(…)`
root=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
script=$(realpath "$0")
part=$1
shift

lab() { bash "$root/lab" "$@"; } # a copy may have lost its run bits

# full_or_quick A B: A in a full run, B with --quick.
full_or_quick() { if [[ -n $quick ]]; then echo "$2"; else echo "$1"; fi; }

# step TEXT: print what the script does next.
step() { printf '%s\n' "— $*"; }

# Wait for the loads in the background; a load that failed ends the script.
wait_for_loads() {
  local load
  for load in $(jobs -p); do wait "$load"; done
}

# A script that expects orders that never end sets `patience`, the seconds to wait for them.
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
export TRACE_ORDERS=${TRACE_ORDERS:-20} # the services record the messages of so many orders of each load
# Status 2: this script may not begin, because another experiment runs; so there is nothing to stop.
# shellcheck disable=SC2086 # `size` is several words
LAB_RUN=$(lab begin "$script" "$part" --owner $$ ${place:+--place "$place"} ${again:+--again "$again"} ${traffic:+--traffic} ${portions:+--portions} ${size:-} $quick) || {
  status=$?
  [[ $status -ne 2 ]] || trap - EXIT
  exit "$status"
}
export LAB_RUN
# -i: a trap does not keep SIGINT from it in bash 5.3, and without it the script would end before it has stopped anything.
exec > >(trap '' TERM; exec tee -i "$LAB_RUN/run.log") 2>&1
step "$(basename "$script" .sh)${quick:+ (quick)}"
