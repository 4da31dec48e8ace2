//! What the conformance suite has shown of a backend, beside how fast it is.

use std::path::PathBuf;

use pinstate_bench::outcome::Report;
use pinstate_conformance::report::{Report as Conformance, Standing};
use pinstate_core::Operation;

use crate::exit::{Failure, Outcome};

/// The name under which reports show it.
const DETAIL: &str = "conformance";

/// Reads results of the suite.
pub(super) fn read(files: &[PathBuf]) -> Outcome<Vec<Conformance>> {
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file);
        text.and_then(|text| Conformance::from_json(&text)).map_err(|error| {
            let what = format!("{} cannot be read as a result of the suite", file.display());
            Failure::file(Operation::Bench, what, error)
        })
    };
    files.iter().map(read).collect()
}

/// Says what they show beside the stores of the same backend.
pub(super) fn add(results: &[Conformance], report: &mut Report) {
    for setup in &mut report.subjects {
        if let Some(result) = results.iter().find(|one| one.backend.name == setup.backend) {
            setup.details.insert(DETAIL.to_owned(), shown(result));
        }
    }
}

fn shown(result: &Conformance) -> String {
    let broken = result.summary.fail + result.summary.hang;
    let reached = result.levels.iter().filter(|level| level.standing == Standing::Reached);
    let reached: Vec<&str> = reached.map(|level| level.name.as_str()).collect();
    match (broken, reached.is_empty()) {
        (0, true) => format!("no level shown ({})", result.profile),
        (0, false) => format!("{} ({})", reached.join(", "), result.profile),
        (broken, _) => format!("{broken} cases broken ({})", result.profile),
    }
}
