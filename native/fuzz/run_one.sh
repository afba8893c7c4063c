#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One fuzzer for so many seconds: run_one.sh NAME SECONDS, from the root, once build/fuzz is built. It starts from
# native/fuzz/corpus/NAME; what it found useful stays in build/corpus/NAME, what it found wrong in build/corpus/NAME-*.
set -euo pipefail
name=$1
seconds=$2
corpus=build/corpus/$name
log=build/corpus/$name.log

mkdir -p "$corpus"
if ! "build/fuzz/native/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len=2048 -detect_leaks=0 -print_final_stats=1 \
	-artifact_prefix="build/corpus/$name-" "$corpus" "native/fuzz/corpus/$name" >"$log" 2>&1; then
	if grep -q 'libFuzzer: run interrupted' "$log"; then
		echo "fuzz_$name: interrupted before its $seconds s were over"
		exit 1
	fi
	tail -n 80 "$log"
	echo "fuzz_$name: FAILED; the input is the newest of build/corpus/$name-*, all it said is in $log"
	exit 1
fi
runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
echo "fuzz_$name: $runs runs in $seconds s, nothing found"
