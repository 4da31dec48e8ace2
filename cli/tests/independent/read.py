"""Reads pinsets off a cluster with a client that shares no code with pinstate, and compares
them with what ipfs-cluster's own code has written.

    read.py HOST PORT KEYSPACE SNAPSHOT NAMESPACE...

SNAPSHOT is a file of ipfs-cluster's raft snapshots: msgpack maps of a key (the CID in base32)
and a value (the pin in protobuf). One line of JSON is printed for each namespace.
"""

import base64
import json
import sys

import msgpack
from cassandra import ConsistencyLevel
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy


def written_by_go(path):
    """CID bytes to protobuf bytes."""
    pins = {}
    with open(path, "rb") as file:
        for entry in msgpack.Unpacker(file, raw=True):
            text = entry[b"k"].lstrip(b"/")
            cid = base64.b32decode(text + b"=" * (-len(text) % 8))
            assert cid not in pins, f"{text} is twice in {path}"
            pins[cid] = entry[b"v"]
    return pins


def compare(rows, expected):
    """What is the same, and what is not, in words."""
    seen, differences = {}, []
    for cid, value, written, marker in rows:
        name = cid.hex()
        if cid in seen:
            differences.append(f"{name} came twice")
        seen[cid] = written
        if marker is not None or written is None:
            differences.append(f"{name} is marked as deleted")
        if cid not in expected:
            differences.append(f"{name} was not written by Go")
        elif value != expected[cid]:
            differences.append(f"{name}: {value.hex()} instead of {expected[cid].hex()}")
    differences += [f"{cid.hex()} is missing" for cid in expected if cid not in seen]
    if len(set(seen.values())) != len(seen):
        differences.append("two records have one version")
    return seen, differences


def main(host, port, keyspace, snapshot, namespaces):
    expected = written_by_go(snapshot)
    profile = ExecutionProfile(
        load_balancing_policy=RoundRobinPolicy(),
        consistency_level=ConsistencyLevel.ALL,
        request_timeout=60,
    )
    cluster = Cluster(
        [host],
        port=int(port),
        protocol_version=4,
        connect_timeout=60,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
    )
    try:
        session = cluster.connect()
        for namespace in namespaces:
            # Which table a namespace is.
            record = session.execute(
                f'SELECT value FROM "{keyspace}_control".control WHERE space = %s AND key = %s',
                ("namespace", namespace),
            ).one()
            table = json.loads(record.value)["table"]
            statement = f'SELECT cid, v, writetime(v), writetime(d) FROM "{keyspace}"."{table}"'
            seen, differences = compare(session.execute(statement), expected)
            report = {
                "namespace": namespace,
                "expected": len(expected),
                "rows": len(seen),
                "differences": differences,
                "oldest": min(seen.values(), default=None),
                "newest": max(seen.values(), default=None),
            }
            print(json.dumps(report))
    finally:
        cluster.shutdown()


main(*sys.argv[1:5], sys.argv[5:])
