# shellcheck shell=bash
# The frame of the comparison's scripts, as in `. "$(dirname "$(realpath "$0")")/frame.sh" "$@"`; the first word is the part.
#
# Each sends the same orders at the same times to one part, and disturbs it from second `start` on, for `fault` seconds.
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
set -euo pipefail

condition=$(basename "$(realpath "$0")" .sh)
case ${1:-} in
  sync-rest | async-rabbitmq | streaming-kafka) ;;
  -h | --help) set -- sync-rest --help ;;
  *)
    printf '%s.sh: name a part first: sync-rest, async-rabbitmq or streaming-kafka; see --help\n' "$condition" >&2
    exit 2
    ;;
esac
# shellcheck disable=SC2034 # experiment.sh uses them
place=comparison/$1/$condition again="experiments/comparison/$condition.sh $1" traffic=yes
# shellcheck source=../experiment.sh
. "$(dirname "$(realpath "$0")")/../experiment.sh" "$@"

rate=20
seconds=$(full_or_quick 42 3)
start=$(full_or_quick 6 1)
fault=$(full_or_quick 30 1)

# orders_come: start the load, and wait until it is to be disturbed.
orders_come() {
  [[ -n $quick ]] || lab load warm --clients 4 --count 100
  lab load orders --rate "$rate" --seconds "$seconds" --poisson --seed 6 &
  lab at orders "$start"
}

# for_its_time: let the disturbance last.
for_its_time() { lab at orders "$((start + fault))"; }
