#!/usr/bin/env bash
# Shows that the suite finds what is wrong with this store when something is: seeds one bug at
# a time into a copy of it and runs the suite there. Each patch in bugs/ names the clauses of
# which at least one must fail.
set -euo pipefail
cd "$(dirname "$0")"

here=$PWD
root=$(cd ../.. && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

missed=0
for patch in bugs/*.patch; do
    name=$(basename "$patch" .patch)
    read -r -a clauses <<<"$(sed -n 's/^Clauses: //p' "$patch")"
    rm -rf "${copy:?}/logstore"
    mkdir "$copy/logstore"
    cp -R Cargo.toml Cargo.lock src tests "$copy/logstore/"
    sed -i "s#path = \"../../#path = \"$root/#" "$copy/logstore/Cargo.toml"
    # Of another version: cargo takes two packages of one name for the same, wherever they are,
    # and would test what was built here where the store itself is to be tested next.
    sed -i 's/^version = .*/version = "0.0.0-seeded"/' "$copy/logstore/Cargo.toml"
    sed -i '/^name = "logstore"/{n;s/"[^"]*"/"0.0.0-seeded"/}' "$copy/logstore/Cargo.lock"
    patch --quiet --strip=1 --fuzz=0 --directory="$copy/logstore" <"$here/$patch"
    cd "$copy/logstore"
    cargo test --quiet --locked --no-run
    # Of the clauses that are there for the bug: a trial each, on the store as it is.
    filters=()
    for clause in "${clauses[@]}"; do filters+=("raw::$clause::"); done
    found=() ran=0
    for filter in "${filters[@]}"; do
        log="$copy/$name.log"
        if cargo test --quiet --locked --test conformance -- "$filter" >"$log" 2>&1; then
            grep -q ' 0 passed' "$log" || ran=1
        elif grep -q '^test result: FAILED' "$log"; then
            ran=1
            found+=("${filter:5:-2}")
        else
            cat "$log" >&2
            exit 1
        fi
    done
    cd "$here"
    if [ ${#found[@]} -gt 0 ]; then
        echo "$name: found by ${found[*]}"
    elif [ "$ran" = 0 ]; then
        echo "$name: not judged, for none of ${clauses[*]} was run"
        missed=1
    else
        echo "$name: NOT FOUND by ${clauses[*]}"
        missed=1
    fi
done
exit "$missed"
