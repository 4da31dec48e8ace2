#!/usr/bin/env bash
# Gives an export to the real ipfs-cluster-service and compares what it gives back:
# `state import`, then `state export`, with crdt over pebble and with raft.
# With RAFT_DIR, that raft folder is also put in a peer's place and exported.
#
#   service.sh EXPORT.ndjson [RAFT_DIR]
#
# The peer is never started; where the kernel allows, its commands run without a network.
set -euo pipefail

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[[ $# -ge 1 && $# -le 2 ]] || usage
export_file=$(realpath -- "$1")
raft_dir=${2:+$(realpath -- "$2")}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)

# Both binaries are kept in bin/; delete it to build them afresh.
service=$here/bin/ipfs-cluster-service
if [[ ! -x $service ]]; then
    echo "building ipfs-cluster-service, some minutes the first time" >&2
    (cd "$here" && go build -o bin/ github.com/ipfs-cluster/ipfs-cluster/cmd/ipfs-cluster-service)
fi
(cd "$here" && go build -o bin/ ./cmd/interop)
interop=$here/bin/interop

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT

offline=()
if unshare --net true 2>/dev/null; then offline=(unshare --net); fi

# The service with an empty environment: CLUSTER_… variables would override its configuration.
peer() {
    local config=$1; shift
    if ! "${offline[@]}" env -i PATH="$PATH" HOME="$work" TZ=UTC "$service" --config "$config" "$@" >"$work/log" 2>&1; then
        echo "ipfs-cluster-service $* failed:" >&2
        tail -n 20 "$work/log" >&2
        return 1
    fi
}

for consensus in crdt raft; do
    config=$work/$consensus
    peer "$config" init --consensus "$consensus" --datastore pebble
    peer "$config" state import --force "$export_file"
    peer "$config" state export --file "$work/$consensus.ndjson"
    echo -n "$consensus: "
    "$interop" check ndjson "$export_file" "$work/$consensus.ndjson"
done

if [[ -n $raft_dir ]]; then
    config=$work/given
    peer "$config" init --consensus raft
    cp -r -- "$raft_dir" "$config/raft"
    peer "$config" state export --file "$work/given.ndjson"
    echo -n "given raft folder: "
    "$interop" check ndjson "$export_file" "$work/given.ndjson"
fi
