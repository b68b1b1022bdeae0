#!/usr/bin/env bash
# Runs services that are broken on purpose, and shows that the checker catches each mistake.
#
# Each file of experiments/broken/ replaces one piece of one service by the mistake that is usually made. Its story is
# told twice: by the broken version (red), which must turn red for the reason that the file names and for no other, and by
# the right one (green), which must pass. Both runs are kept below results/broken/NAME/; with --quick below .lab/quick/.
# The exit status is 0 if all are caught, 1 if one is not, 2 if one could not be decided.
#
# Takes: 8 minutes for all, about 40 s for one
# Usage: experiments/broken.sh [NAME] [--quick]      for the names see experiments/broken/README.md
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
quick=''
names=()
for word in "$@"; do
  case $word in
    -h | --help) sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
    --quick) quick=--quick ;;
    -*) printf 'broken.sh: there is no option %s; see --help\n' "$word" >&2; exit 2 ;;
    *) names+=("$word") ;;
  esac
done

# tell NAME SIDE PART STORY [BROKEN]: tell a version's story; whatever its verdict is, go on.
tell() {
  local status=0
  printf '\n=== %s, %s\n' "$1" "$2"
  rm -rf "${home:?}/$1/$2" # a run that does not come to its end must not be judged by an earlier one
  place=broken/$1/$2 again="experiments/broken.sh $1" LAB_BROKEN=${5:-} "$here/broken/$4.sh" "$3" $quick || status=$?
  [[ $status -ne 130 && $status -ne 143 ]] || exit "$status"
}

home=$root/results/broken
[[ -z $quick ]] || home=$root/.lab/quick/broken
versions=$("$root/lab" versions ${names[@]+"${names[@]}"}) # and prepares everything on first use
export LAB_KEEP_BROKERS=1
trap 'env -u LAB_KEEP_BROKERS "$root/lab" down >/dev/null 2>&1 || true' EXIT
began=$SECONDS
while read -r name part story <&3; do
  tell "$name" red "$part" "$story" "$name"
  tell "$name" green "$part" "$story"
done 3<<<"$versions"

printf '\n=== all: %d s\n' $((SECONDS - began))
"$root/lab" caught "$home" ${names[@]+"${names[@]}"}
