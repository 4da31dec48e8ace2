//! Who may depend on whom: the rules of the house, checked on the manifests themselves.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The contract, the one package that every other one may depend on.
const CORE: &str = "pinstate-core";
const CONFORMANCE: &str = "pinstate-conformance";
const MIGRATE: &str = "pinstate-migrate";
const BENCH: &str = "pinstate-bench";
const METRICS: &str = "pinstate-metrics";
const TRACES: &str = "pinstate-traces";
/// What backends share whose engine runs in the process.
const EMBEDDED: &str = "pinstate-embedded";
/// The binary, the one package that names backends.
const BINARY: &str = "pinstate";

/// Real clusters for tests: never part of what is shipped.
const TESTBED: &str = "testbed";

/// A file system that loses power, for tests: never part of what is shipped.
const LOSSYFS: &str = "lossyfs";

/// Engines and drivers that the contract must not know.
const ENGINES: [&str; 12] = [
    "cassandra-cpp",
    "cdrs-tokio",
    "fjall",
    "heed",
    "imbl",
    "leveldb",
    "lmdb",
    "redb",
    "rocksdb",
    "rusqlite",
    "scylla",
    "sled",
];

/// Libraries that count: the contract tells an observer, and does not know what that one does.
const COUNTERS: [&str; 4] = ["metrics", "opentelemetry", "prometheus", "prometheus-client"];

struct Package {
    folder: PathBuf,
    dependencies: BTreeSet<String>,
    manifest: String,
    /// All that cargo says of it.
    metadata: Value,
}

impl Package {
    fn is_backend(&self) -> bool {
        self.folder.file_name().unwrap().to_str().unwrap().starts_with("backend-")
    }
}

/// The packages of the workspace by name, with what they need to be built.
fn packages() -> BTreeMap<String, Package> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages: BTreeMap<_, _> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let path = Path::new(package["manifest_path"].as_str().unwrap());
            // Dev-dependencies are free: they are not built into anything.
            let dependencies = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
                .collect();
            let name = package["name"].as_str().unwrap().to_owned();
            let manifest = std::fs::read_to_string(path).unwrap();
            let folder = path.parent().unwrap().to_path_buf();
            (name, Package { folder, dependencies, manifest, metadata: package.clone() })
        })
        .collect();
    for name in [CORE, EMBEDDED, CONFORMANCE, MIGRATE, BENCH, METRICS, TRACES, BINARY, TESTBED] {
        assert!(packages.contains_key(name), "the package {name} is gone");
    }
    assert!(packages.values().filter(|package| package.is_backend()).count() >= 2);
    packages
}

/// What a package depends on within the workspace.
fn inner(packages: &BTreeMap<String, Package>, name: &str) -> Vec<String> {
    let dependencies = packages[name].dependencies.iter();
    dependencies.filter(|name| packages.contains_key(*name)).cloned().collect()
}

#[test]
fn the_contract_knows_nobody_and_no_engine() {
    let packages = packages();
    assert_eq!(inner(&packages, CORE), [""; 0]);
    let unknown = ENGINES.iter().chain(&COUNTERS);
    let engines = unknown.filter(|name| packages[CORE].dependencies.contains(**name));
    assert_eq!(engines.collect::<Vec<_>>(), [&""; 0]);
}

#[test]
fn backends_and_what_works_on_them_know_the_contract_alone() {
    let packages = packages();
    for (name, package) in &packages {
        let works_on_them = [CONFORMANCE, MIGRATE, BENCH, METRICS, TRACES];
        if package.is_backend() || works_on_them.contains(&name.as_str()) {
            let mut inner = inner(&packages, name);
            // Threads, which know neither the contract nor an engine.
            inner.retain(|name| !package.is_backend() || name != EMBEDDED);
            assert_eq!(inner, [CORE], "{name}");
        }
    }
    assert_eq!(inner(&packages, EMBEDDED), [""; 0]);
    let engines = ENGINES.iter().filter(|name| packages[EMBEDDED].dependencies.contains(**name));
    assert_eq!(engines.collect::<Vec<_>>(), [&""; 0]);
}

#[test]
fn the_test_bed_is_for_tests_alone() {
    let packages = packages();
    assert_eq!(inner(&packages, TESTBED), [""; 0]);
    for name in packages.keys() {
        assert!(!inner(&packages, name).contains(&TESTBED.to_owned()), "{name} is built with it");
    }
    assert!(packages[TESTBED].manifest.contains("publish = false"));
}

#[test]
fn the_lossy_file_system_is_for_tests_alone() {
    let packages = packages();
    assert_eq!(inner(&packages, LOSSYFS), [CONFORMANCE]);
    for name in packages.keys() {
        assert!(!inner(&packages, name).contains(&LOSSYFS.to_owned()), "{name} is built with it");
    }
    assert!(packages[LOSSYFS].manifest.contains("publish = false"));
}

#[test]
fn the_binary_alone_names_backends() {
    let packages = packages();
    for name in packages.keys().filter(|name| *name != BINARY) {
        for other in inner(&packages, name) {
            assert!(!packages[&other].is_backend(), "{name} depends on {other}");
        }
    }
    // Even there it is one file.
    let mut naming = Vec::new();
    let mut folders = vec![packages[BINARY].folder.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if names_a_backend(&std::fs::read_to_string(&path).unwrap(), &packages) {
                naming.push(path.file_name().unwrap().to_owned());
            }
        }
    }
    assert_eq!(naming, ["backends.rs"]);
}

fn names_a_backend(source: &str, packages: &BTreeMap<String, Package>) -> bool {
    let backends = packages.iter().filter(|(_, package)| package.is_backend());
    backends.map(|(name, _)| name.replace('-', "_")).any(|krate| source.contains(&krate))
}

#[test]
fn every_backend_has_the_same_rooms() {
    for (name, package) in packages() {
        if package.is_backend() {
            for room in ["lib.rs", "config.rs", "store.rs"] {
                let path = package.folder.join("src").join(room);
                assert!(path.is_file(), "{name} has no {}", path.display());
            }
        }
    }
}

#[test]
fn versions_stand_in_the_workspace_alone() {
    for (name, package) in packages() {
        let mut within = false;
        for line in package.manifest.lines().map(str::trim) {
            if line.starts_with('[') {
                within = line.contains("dependencies");
                // A table of its own for one dependency would escape the lines below.
                let own = line.contains("dependencies.");
                assert!(!own, "{name}: write {line} as one line, with workspace = true");
            } else if within && !line.is_empty() && !line.starts_with('#') {
                // A package that depends on this one: it has no version until it is published.
                let within = line.contains("workspace = true") || line.contains("path = \"../");
                assert!(within, "{name}: {line}");
                assert!(!line.contains("version"), "{name}: {line}");
            }
        }
    }
}

/// The pages of a registry are made from it, and the texts of the licences go with every copy.
#[test]
fn what_is_published_says_what_it_is() {
    let packages = packages();
    let published: Vec<_> =
        packages.iter().filter(|(_, package)| package.metadata["publish"].is_null()).collect();
    assert!(published.len() > 10);
    for (name, package) in published {
        for key in ["description", "license", "readme", "rust_version"] {
            assert!(package.metadata[key].is_string(), "{name} has no {key}");
        }
        for key in ["authors", "categories", "keywords"] {
            assert!(!package.metadata[key].as_array().unwrap().is_empty(), "{name} has no {key}");
        }
        for text in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let path = package.folder.join(text);
            assert!(path.is_file(), "{name} has no {text}: make it a link to ../{text}");
        }
        // Nobody could build it otherwise.
        for other in inner(&packages, name) {
            let publish = &packages[&other].metadata["publish"];
            assert!(publish.is_null(), "{name} depends on {other}, which is not published");
        }
    }
}
