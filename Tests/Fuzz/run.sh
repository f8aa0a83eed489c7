#!/usr/bin/env bash
# Builds the fuzz targets with libFuzzer and AddressSanitizer and runs each. Usage: run.sh [SECONDS]. A finding is kept in .build-fuzz/findings and
# fails the run. TARGETS="FuzzFiles" runs some targets, RENGA_FUZZ_READERS="images,labels" some readers of FuzzFiles. Not here: what is fuzzed (Sources/).
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
build=$(cd ../.. && pwd)/.build-fuzz
# The crash handler of Swift's dynamic runtime would wait on a pipe.
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 RENGA_NUM_THREADS=2

swift build --scratch-path "$build" -Xswiftc -sanitize=address -Xswiftc -sanitize-coverage=edge,inline-8bit-counters,pc-table \
  -Xcc -fsanitize=address -Xswiftc -use-ld=lld 2>&1 | grep -E 'error|warning: unre|Compiling|Build complete' | tail -n 3
bin=$build/debug
mkdir -p "$build/corpus/"{FuzzFiles,FuzzONNX,FuzzInterface} "$build/findings"
cp corpus/onnx/* "$build/corpus/FuzzONNX"
# What OpenMP keeps for its threads is no leak.
echo 'leak:libomp' >"$build/leaks"
export LSAN_OPTIONS=suppressions=$build/leaks:print_suppressions=0
"$bin/FuzzFiles" --seeds "$build/corpus/FuzzFiles" corpus
for target in ${TARGETS:-FuzzFiles FuzzONNX FuzzInterface}; do
  echo "$target: $seconds s"
  if ! "$bin/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -malloc_limit_mb=4096 -max_len=8192 -print_final_stats=1 \
    -artifact_prefix="$build/findings/$target-" "$build/corpus/$target" >"$build/$target.log" 2>&1; then
    grep -E 'ERROR|SUMMARY|Test unit written|Fatal error|#[0-9]+ 0x' "$build/$target.log" | head -n 20 >&2
    echo "fuzz: $target found something; the input is in $build/findings" >&2
    exit 1
  fi
  grep -E 'stat::number_of_executed_units|stat::peak_rss_mb' "$build/$target.log"
done
