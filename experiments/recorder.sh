# shellcheck shell=bash
# The words of story.sh for `./lab grade`, which wants to know what a script would do without doing it: each `lab` command
# is written down, and none is run.
#
# It is put in front of a script's text, in a restricted bash without programs (PATH leads nowhere): the script may come
# from somebody else's repository.
set -euo pipefail
ulimit -t 5
enable -n kill enable

quick=''

# shellcheck disable=SC2034 # scripts may use it
source() {
  part=$2
  record part "$part"
  [[ ${3:-} != --quick ]] || quick=--quick
}

dirname() { echo .; }

# record WORD...: how many words, and the words, in a form that nothing else on standard output looks like.
record() { printf '\0recorded\0%d\0' $#; printf '%s\0' "$@"; }

# A load in the background is written down before what comes after it.
lab() {
  wait
  record "$@"
}

full_or_quick() { if [[ -n $quick ]]; then echo "$2"; else echo "$1"; fi; }
step() { :; }
wait_for_loads() { wait; }

finish() {
  lab settle
  lab finish
}
