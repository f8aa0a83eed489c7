#!/usr/bin/env bash
# The Swift package as another package's dependency: a copy of examples/swift, away from the checkout, builds against it and runs.
# Usage: test_swift.sh. In debug: the example asks what its package asks. Not here: the engine's behaviour (the tests of each room).
set -euo pipefail
cd "$(dirname "$0")/../.."
checkout=$PWD
fail() { echo "test_swift: $*" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cp -r examples/swift "$work/example"
rm -rf "$work/example/.build"
sed -i "s|path: \"../..\"|path: \"$checkout\"|" "$work/example/Package.swift"
# A stranger's folders are not writable for us, nor ours for him: nothing may be built inside the checkout.
touch "$work/before"
swift build --package-path "$work/example" >"$work/log" 2>&1 || fail "$(grep -m 5 error "$work/log" || tail -5 "$work/log")"
! grep -q 'warning:' "$work/log" || fail "$(grep -m 3 warning: "$work/log")"
written=$(find . -path ./.git -prune -o -type f -newer "$work/before" -path '*/examples/swift/*' -print)
[ -z "$written" ] || fail "building wrote $written"
"$work/example/.build/debug/Quadrants" "$work/net.safetensors" >"$work/out" || fail "the example fails: $(cat "$work/out")"
[ "$(grep -cE '^epoch [123]: loss [0-9.e-]+$' "$work/out")" = 3 ] || fail "the example says: $(cat "$work/out")"
right=$(sed -n 's/^\([0-9]*\) of 128 right$/\1/p' "$work/out")
[ "${right:-0}" -ge 110 ] || fail "only ${right:-none} of 128 right"
[ -s "$work/net.safetensors" ] || fail "nothing was saved"
grep -qE '^label 0, scores \[' "$work/out" || fail "the example says: $(cat "$work/out")"
echo "test_swift: a package that depends on Renga builds and trains ($right of 128 right)"
