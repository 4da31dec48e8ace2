#!/usr/bin/env bash
# Sends random pins made by ipfs-cluster's code through pinstate and sled, in and
# out in every format, and lets ipfs-cluster's code read what comes back.
#
#   roundtrip.sh PINSTATE_BIN [N] [SEED]
#
# With SERVICE=1 the real ipfs-cluster-service also imports pinstate's export.
set -euo pipefail

usage() { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[[ $# -ge 1 && $# -le 3 ]] || usage
pinstate=$(realpath -- "$1")
count=${2:-20000}
seed=${3:-1}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

(cd "$here" && go build -o bin/ ./cmd/interop)
interop=$here/bin/interop

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
export TZ=UTC

echo "$count pins, seed $seed"
"$interop" gen --n "$count" --seed "$seed" --out "$work/go"
"$interop" check values "$work/go/values.jsonl"

declare -A given=([ndjson]=$work/go/export.ndjson [snapshot]=$work/go/state.snapshot [raft]=$work/go/raft)
for from in ndjson snapshot raft; do
    store=sled:$work/store-$from
    "$pinstate" --store "$store" import "${given[$from]}" --format "$from"
    for to in ndjson snapshot raft; do
        out=$work/$from-to-$to
        "$pinstate" --store "$store" export "$out" --format "$to"
        if [[ $to == raft ]]; then set -- "$out" "${given[$to]}"; else set -- "${given[$to]}" "$out"; fi
        echo -n "$from in, $to out: "
        "$interop" check "$to" "$@"
    done
done

if [[ ${SERVICE:-} == 1 ]]; then
    "$here/service.sh" "$work/snapshot-to-ndjson" "$work/ndjson-to-raft"
fi
echo "round trips: all equal"
