//! What is different between two runs.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{ClauseReport, Report, Status};

/// A clause that came to something else on one leg.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// The clause.
    pub clause: String,
    /// What it promises.
    pub title: String,
    /// The leg.
    pub leg: String,
    /// What it came to in the first run: the name of a status, or `not-run`.
    pub before: &'static str,
    /// What it came to in the second.
    pub after: &'static str,
    /// Whether that is worse: it failed and did not before, or it held and was not run.
    pub worse: bool,
    /// What the second run says of it.
    pub message: Option<String>,
}

/// Every clause that came to something else in the second run than in the first, leg by
/// leg; only legs that both have are compared.
#[must_use]
pub fn compare(before: &Report, after: &Report) -> Vec<Change> {
    let find = |report: &'_ Report, id: &str| -> Option<ClauseReport> {
        report.clauses.iter().find(|clause| clause.id == id).cloned()
    };
    let mut seen = BTreeSet::new();
    let all = before.clauses.iter().chain(&after.clauses);
    let mut changes = Vec::new();
    for clause in all.filter(|clause| seen.insert(clause.id.clone())) {
        let (old, new) = (find(before, &clause.id), find(after, &clause.id));
        for leg in before.legs.iter().filter(|leg| after.legs.contains(leg)) {
            let status = |report: &Option<ClauseReport>| {
                report.as_ref().and_then(|clause| clause.status(leg).cloned())
            };
            let (was, is) = (status(&old), status(&new));
            let name = |status: &Option<Status>| status.as_ref().map_or("not-run", Status::name);
            if name(&was) == name(&is) {
                continue;
            }
            let fails = |status: &Option<Status>| status.as_ref().is_some_and(Status::is_failure);
            let worst = new.as_ref().and_then(|clause| {
                clause.on(leg).find(|case| Some(&case.status) == is.as_ref()).cloned()
            });
            changes.push(Change {
                clause: clause.id.clone(),
                title: clause.title.clone(),
                leg: leg.clone(),
                before: name(&was),
                after: name(&is),
                worse: fails(&is) && !fails(&was)
                    || was == Some(Status::Pass) && is != Some(Status::Pass),
                message: worst.and_then(|case| case.message),
            });
        }
    }
    changes
}
