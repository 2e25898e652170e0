#!/bin/sh
# Filters examples/sample.ndjson by the fluent-bit.conf of the project: in the
# first Fluent Bit of FLUENT_BIT, or the one on PATH, or else without one.
set -eu
cd "$(dirname "$0")/.."

shown=${LINES_SHOWN:-3,8p}
sample=examples/sample.ndjson
out=$(mktemp)
log=$(mktemp)
trap 'rm -f "$out" "$log"' EXIT

fluent_bit=$(command -v "$(printf '%s' "${FLUENT_BIT:-fluent-bit}" | cut -d: -f1)" || true)

echo "before: $sample, lines ${shown%p}"
sed -n "$shown" "$sample"
echo
if [ -n "$fluent_bit" ]; then
    run="$fluent_bit -e build/flb-filter_wasmtime.so -c fluent-bit.conf"
else
    echo "(no fluent-bit on PATH: the same configuration in build/flb-wasmtime)"
    run="build/flb-wasmtime run --config fluent-bit.conf $sample"
fi
echo "after: $run"
if ! $run >"$out" 2>"$log"; then
    cat "$log" >&2
    exit 1
fi
grep "^{" "$out" | sed -n "$shown"
echo
grep -h 'filter:wasmtime\|records in' "$log" "$out" || true
