//! `dependencies.md` names every package of the root manifest, and no other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// What the workspace takes from elsewhere: one line each, those of the house by their path.
fn dependencies(manifest: &str) -> BTreeSet<&str> {
    let lines = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#') && !line.contains("path = "))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect()
}

/// The first cells of the tables.
fn named(page: &str) -> Vec<&str> {
    page.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0)).collect()
}

#[test]
fn every_dependency_is_accounted_for() {
    let (manifest, page) = (read("../Cargo.toml"), read("dependencies.md"));
    let (used, named) = (dependencies(&manifest), named(&page));
    assert!(used.len() > 50, "{used:?}");
    let once: BTreeSet<&str> = named.iter().copied().collect();
    assert_eq!(once.len(), named.len(), "docs/dependencies.md names a package twice");
    let missing: Vec<_> = used.difference(&once).collect();
    assert!(missing.is_empty(), "docs/dependencies.md does not say why there is {missing:?}");
    let gone: Vec<_> = once.difference(&used).collect();
    assert!(gone.is_empty(), "docs/dependencies.md still names {gone:?}");
}
