//! Which stores, broken on purpose, each clause is known to find out.
//!
//! `kills.json` is written by the suite's own test of mutants and `kills_durable.json` by
//! that of stores in files, and each is held against it.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Clauses that no mutant shows to be able to fail, with the reason.
const UNPROVEN: &[(&str, &str)] =
    &[("B5", "the batch of pins is the library's own, over every backend: none can break it")];

/// Why no mutant shows that a clause can fail, where that is known.
#[must_use]
pub fn unproven(clause: &str) -> Option<&'static str> {
    UNPROVEN.iter().find(|(id, _)| *id == clause).map(|(_, why)| *why)
}

/// A mutant that a clause kills.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kill {
    /// The mutant's name.
    pub mutant: String,
    /// What is wrong with it.
    pub does: String,
}

/// The mutants that each clause was seen to kill, by the clause's id. What a clause kills
/// beside those that are there for it is not looked at.
#[must_use]
pub fn kills() -> &'static BTreeMap<String, Vec<Kill>> {
    static KILLS: OnceLock<BTreeMap<String, Vec<Kill>>> = OnceLock::new();
    KILLS.get_or_init(|| {
        let mut all: BTreeMap<String, Vec<Kill>> = BTreeMap::new();
        for text in [include_str!("kills.json"), include_str!("kills_durable.json")] {
            let kills: BTreeMap<String, Vec<Kill>> = serde_json::from_str(text).unwrap_or_default();
            for (clause, kills) in kills {
                all.entry(clause).or_default().extend(kills);
            }
        }
        all
    })
}
