#!/usr/bin/env bash
# The example as the README has it, from a build of its own, with what it must show.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/sync" ./examples/sync

fail() { echo "examples/sync: $*" >&2; exit 1; }
expect() { grep -Eq -- "$2" "$dir/$1" || { cat "$dir/$1"; fail "$1: no line matches: $2"; }; }

echo "-- a first import"
began=$SECONDS
(cd "$dir" && ./sync) >"$dir/first" 2>&1 || { cat "$dir/first"; fail "exit code $?"; }
took=$((SECONDS - began))
cat "$dir/first"
[ "$took" -lt 90 ] || fail "it took $took s"
expect first '^resource +2000 +2000 +0 +0 '
expect first '^transaction +6000 +6000 +0 +0 '
expect first '^media +10000 +10000 +0 +0 '
expect first ' 0 violations and 0 429s$'
expect first ' retries 0, 429s 0, '
awk '/^use/ { if ($2 < 90) exit 1; found = 1 } END { exit !found }' "$dir/first" || fail "the binding limit is used by less than 90 %"
awk '/^memory/ { for (i = 1; i <= NF; i++) if ($i == "resident") { if ($(i + 1) >= 100) exit 1; found = 1 } } END { exit !found }' "$dir/first" ||
	fail "more than 100 MB were resident"

echo "-- a second finds nothing changed"
(cd "$dir" && ./sync --plain) >"$dir/second" 2>&1 || { cat "$dir/second"; fail "exit code $?"; }
expect second '^resource +2000 +0 +0 +2000 '
expect second '^media +10000 +0 +0 +10000 '
expect second ' tokens asked for 0$'

echo "-- stopped by Ctrl-C, it goes on"
(cd "$dir" && exec timeout --foreground --preserve-status -s INT 5 ./sync --db stop.db --plain) >"$dir/stopped" 2>&1 && fail "it was not stopped"
expect stopped '^stopped\. '
(cd "$dir" && ./sync --db stop.db --plain) >"$dir/resumed" 2>&1 || { cat "$dir/resumed"; fail "exit code $?"; }
expect resumed 'resumed'
expect resumed ' 0 violations and 0 429s$'

echo "-- changes"
(cd "$dir" && ./sync --plain --change 5%) >"$dir/changed" 2>&1 || { cat "$dir/changed"; fail "exit code $?"; }
expect changed '^resource +2000 +3[34] +3[34] +19[0-9][0-9] +0 +3[34] '
echo "examples/sync: as it should be"
