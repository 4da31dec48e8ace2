//! Levels: what a run shows a backend to be fit for, in one word each.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Report, Status};

/// A level, and how the backend stands to it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Level {
    /// Its name.
    pub name: String,
    /// What a backend of this level can be used for.
    pub title: String,
    /// How the backend stands to it.
    #[serde(flatten)]
    pub standing: Standing,
}

/// How a backend stands to a level.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Standing {
    /// Every clause of it ran and holds, on every leg.
    Reached,
    /// Clauses of it are broken.
    Missed {
        /// Their ids.
        clauses: Vec<String>,
    },
    /// The backend does not claim it.
    NotDeclared {
        /// The capability that it lacks.
        capability: String,
    },
    /// Clauses of it did not run, or were waived.
    NotShown {
        /// Their ids.
        clauses: Vec<String>,
    },
}

/// A level as it is defined.
pub(super) struct Definition {
    name: &'static str,
    title: &'static str,
    /// The capability that it takes, with the values that do.
    capability: Option<(&'static str, &'static str)>,
    pub(super) clauses: &'static [&'static str],
}

pub(super) const LEVELS: &[Definition] = &[
    Definition {
        name: "Core",
        title: "keeps a pinset: reads, writes, deletes, lists and counts as a pinset must",
        capability: None,
        clauses: &[
            "C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8", "C9", "C10", "C11", "R1", "R2", "R3",
            "R5", "R6", "I1", "I2", "I3", "I4", "N1", "N2", "N3", "L1", "L8", "L12", "L13", "L14",
            "L15", "K1", "K2", "B1", "B3", "B5", "B6", "B8", "B9", "B10", "S1", "S2", "S3", "S4",
            "S5", "U1", "U2", "U3", "U4", "F1", "F2", "F3", "F4", "F5",
        ],
    },
    Definition {
        name: "Streaming",
        title: "lists a pinset that does not fit into memory, while others write",
        capability: None,
        clauses: &["L2", "L3", "L4", "L5", "L6", "L7"],
    },
    Definition {
        name: "Atomic batch",
        title: "applies a batch whole or not at all, for writers and readers",
        capability: Some(("atomic_batch", "true")),
        clauses: &["B2", "B3", "B4", "B7"],
    },
    Definition {
        name: "Conditional",
        title: "lets two writers of one pin tell which of them won",
        capability: Some(("if_absent", "true")),
        clauses: &["R4"],
    },
    Definition {
        name: "Migratable",
        title: "can be copied range by range, and a copy goes on where it was cut off",
        capability: None,
        clauses: &["L7", "L9", "L10", "R6"],
    },
    Definition {
        name: "Persistent",
        title: "has everything when it is opened again, and says when it cannot tell",
        capability: Some(("persistent", "true")),
        clauses: &["D1", "D12", "I5", "K1", "L9", "N4", "N5", "Z1", "Z2", "Z3"],
    },
    Definition {
        name: "Durable (process)",
        title: "keeps what it promised when its process is killed, at any moment",
        capability: Some(("persistent", "true")),
        clauses: &["D2", "D3", "D5", "D6", "D11", "D13"],
    },
    Definition {
        name: "Durable (power)",
        title: "keeps what it promised when the power goes, and on disks that fail",
        capability: Some(("sync_durability", "\"power\"")),
        clauses: &["D7", "D8", "D9", "D10"],
    },
];

/// How the backend of a report stands to every level.
pub(super) fn levels(report: &Report) -> Vec<Level> {
    let level = |definition: &Definition| Level {
        name: definition.name.to_owned(),
        title: definition.title.to_owned(),
        standing: standing(report, definition),
    };
    LEVELS.iter().map(level).collect()
}

fn standing(report: &Report, definition: &Definition) -> Standing {
    if let Some((capability, wanted)) = definition.capability {
        let declared = report.backend.capabilities.get(capability).map(Value::to_string);
        // A store that was never opened has declared nothing: its cases say why.
        if declared.is_some_and(|declared| declared != wanted) {
            return Standing::NotDeclared { capability: capability.to_owned() };
        }
    }
    let (mut missed, mut not_shown) = (Vec::new(), Vec::new());
    for id in definition.clauses {
        let clause = report.clauses.iter().find(|clause| clause.id == *id);
        let mut shown = clause.is_some() && !report.legs.is_empty();
        for leg in &report.legs {
            let Some(clause) = clause else { break };
            // What is skipped for a capability that the backend does not claim belongs to
            // another level.
            let lacking = |case: &super::CaseReport| match &case.status {
                Status::Skipped { lacks } => lacks.is_none(),
                status => matches!(status, Status::Waived { .. }),
            };
            match clause.status(leg) {
                Some(Status::Pass) => shown &= !clause.on(leg).any(lacking),
                Some(status) if status.is_failure() => {
                    missed.push((*id).to_owned());
                    break;
                }
                _ => shown = false,
            }
        }
        if !shown {
            not_shown.push((*id).to_owned());
        }
    }
    not_shown.retain(|id| !missed.contains(id));
    if !missed.is_empty() {
        Standing::Missed { clauses: missed }
    } else if !not_shown.is_empty() {
        Standing::NotShown { clauses: not_shown }
    } else {
        Standing::Reached
    }
}

#[cfg(test)]
mod tests {
    use super::LEVELS;

    #[test]
    fn levels_are_made_of_clauses_that_there_are() {
        let known: Vec<&str> = crate::clauses().iter().map(|clause| clause.id).collect();
        for level in LEVELS {
            for clause in level.clauses {
                assert!(known.contains(clause), "{} needs {clause}", level.name);
            }
        }
    }
}
