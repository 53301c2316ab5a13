#!/usr/bin/env bash
# The example as the README has it, from a build of its own, with what it must show.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go build -o "$dir/sync" ./examples/sync

fail() { echo "examples/sync: $*" >&2; exit 1; }
expect() { grep -Eq -- "$2" "$dir/$1" || { cat "$dir/$1"; fail "$1: no line matches: $2"; }; }
# ledger FILE PARTNER: the partner's ledger has requests, and no violation and no 429.
ledger() { awk -v p="$2" '/^ledger of/ { on = 1 } on && $1 == p { found = $2 > 0 && $3 == 0 && $4 == 0 } END { exit !found }' "$dir/$1" ||
	{ cat "$dir/$1"; fail "$1: the ledger of $2 is not clean"; }; }

# What each simulated account has: partner, kind, records.
accounts="guesty resource 2000
guesty transaction 6000
guesty media 10000
cloudbeds resource 1200
cloudbeds transaction 2400
cloudbeds media 6000
airbnb resource 1000
airbnb transaction 6000
airbnb media 5000
bookingcom resource 160
bookingcom transaction 240
bookingcom media 200"
partners="guesty cloudbeds airbnb bookingcom"

echo "-- a first import"
began=$SECONDS
(cd "$dir" && ./sync) >"$dir/first" 2>&1 || { cat "$dir/first"; fail "exit code $?"; }
took=$((SECONDS - began))
cat "$dir/first"
[ "$took" -lt 90 ] || fail "it took $took s"
while read -r partner kind n; do expect first "^$partner +$kind +$n +$n +0 +0 "; done <<<"$accounts"
for p in $partners total; do ledger first "$p"; done
expect first '^total +[0-9]+ +0 +0 +0 +3 ' # no retries, no 429s, no failures, three tokens
# A machine that does other things too leaves the limits unused: then there is nothing to judge.
[ "$took" -gt 22 ] ||
	awk '/^ledger of/ { on = 1 } on && $1 == "guesty" { for (i = 2; i <= NF; i++) if ($i == "%") share = $(i - 1) } END { exit !(share >= 80) }' "$dir/first" ||
	fail "Guesty's binding limit is used by less than 80 %"
awk '/^memory/ { for (i = 1; i <= NF; i++) if ($i == "resident") { if ($(i + 1) >= 120) exit 1; found = 1 } } END { exit !found }' "$dir/first" ||
	fail "more than 120 MB were resident"

echo "-- a second finds nothing changed"
(cd "$dir" && ./sync --plain) >"$dir/second" 2>&1 || { cat "$dir/second"; fail "exit code $?"; }
while read -r partner kind n; do expect second "^$partner +$kind +$n +0 +0 +$n "; done <<<"$accounts"
for p in guesty cloudbeds airbnb; do expect second "^$p +[0-9]+ +0 +0 +0 +0 "; done # no token either

echo "-- one partner is down, and no other notices"
(cd "$dir" && ./sync --db down.db --plain --faults airbnb=outage) >"$dir/down" 2>&1 && fail "nobody was told that a partner is down"
expect down '^sync: airbnb: '
while read -r partner kind n; do [ "$partner" = airbnb ] || expect down "^$partner +$kind +$n +$n +0 +0 "; done <<<"$accounts"
for p in guesty cloudbeds bookingcom; do ledger down "$p"; expect down "^$p +[0-9]+ +0 +0 +0 "; done

echo "-- stopped by Ctrl-C, it goes on"
(cd "$dir" && exec timeout --foreground --preserve-status -s INT 5 ./sync --db stop.db --plain) >"$dir/stopped" 2>&1 && fail "it was not stopped"
expect stopped '^stopped\. '
(cd "$dir" && ./sync --db stop.db --plain) >"$dir/resumed" 2>&1 || { cat "$dir/resumed"; fail "exit code $?"; }
expect resumed 'resumed'
for p in $partners; do ledger resumed "$p"; done

echo "-- changes"
(cd "$dir" && ./sync --plain --change 5%) >"$dir/changed" 2>&1 || { cat "$dir/changed"; fail "exit code $?"; }
expect changed '^guesty +resource +2000 +3[34] +3[34] +19[0-9][0-9] +0 +3[34] '
for p in $partners; do expect changed "^$p +transaction +[0-9]+ +[1-9][0-9]* +[1-9]"; done
echo "examples/sync: as it should be"
