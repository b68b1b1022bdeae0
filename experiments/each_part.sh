# shellcheck shell=bash
# For scripts that show the same in several parts. A script sets `parts` and sources this with its own words: `. each_part.sh "$@"`.
#
# With the name of a part among the words it sets `part`, and `words` to the others. Without one it runs the script for each of
# `parts`, and exits with the worst status: 0 pass, 1 fail, 2 unknown.
: "${parts:?}"
part='' words=()
for word in "$@"; do
  case $word in -*) words+=("$word") ;; *) part=$word ;; esac
done
if [[ -z $part && " ${words[*]-} " =~ \ (-h|--help)\  ]]; then part=${parts%% *}; fi
if [[ -z $part ]]; then
  worst=0
  for part in $parts; do
    status=0
    bash "$0" "$part" ${words[@]+"${words[@]}"} || status=$?
    [[ $status -lt 130 ]] || exit "$status"
    [[ $status -le $worst || $worst -eq 1 ]] || worst=$status
    [[ $status -ne 1 ]] || worst=1
  done
  exit "$worst"
fi
