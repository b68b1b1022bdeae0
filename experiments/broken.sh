#!/usr/bin/env bash
# Runs broken versions of the services, and shows that the checker finds the mistake in each of them.
#
# Each file of experiments/broken/ puts a common mistake into one piece of one service. Its experiment runs twice. The
# broken version (red) must fail for the reason that the file names, and for no other reason. The right version (green)
# must pass. Both runs are kept below results/broken/NAME/; with --quick below .lab/quick/.
# The exit status is 0 if every mistake is found, 1 if one is not, 2 if one is unknown.
#
# Takes: 8 minutes for all, about 40 s for one
# Usage: experiments/broken.sh [NAME] [--quick]      for the names see experiments/broken/README.md
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
set -euo pipefail

here=$(dirname "$(realpath "$0")")
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

# tell NAME SIDE PART STORY [BROKEN]: run a version's experiment; continue, whatever its verdict is.
tell() {
  local status=0
  printf '\n=== %s, %s\n' "$1" "$2"
  rm -rf "${home:?}/$1/$2" # an earlier run must not be judged in place of one that did not finish
  place=broken/$1/$2 again="experiments/broken.sh $1" LAB_BROKEN=${5:-} bash "$here/broken/$4.sh" "$3" $quick || status=$?
  [[ $status -ne 130 && $status -ne 143 ]] || exit "$status"
}

home=$root/results/broken
[[ -z $quick ]] || home=$root/.lab/quick/broken
versions=$(bash "$root/lab" list-broken ${names[@]+"${names[@]}"}) # and prepares everything on first use
export LAB_KEEP_BROKERS=1
trap 'env -u LAB_KEEP_BROKERS bash "$root/lab" down >/dev/null 2>&1 || true' EXIT
began=$SECONDS
while read -r name part story <&3; do
  tell "$name" red "$part" "$story" "$name"
  tell "$name" green "$part" "$story"
done 3<<<"$versions"

printf '\n=== all: %d s\n' $((SECONDS - began))
bash "$root/lab" broken-report "$home" ${names[@]+"${names[@]}"}
