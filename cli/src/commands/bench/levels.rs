//! What the conformance suite has shown of a backend, beside how fast it is.

use pinstate_bench::outcome::Report;
#[cfg(feature = "conformance")]
use pinstate_conformance::report::{Report as Conformance, Standing};

use super::load::WorkArgs;
#[cfg(feature = "conformance")]
use crate::commands::conformance;
use crate::exit::Outcome;

/// Results of the suite; none in a program without it.
pub(super) struct Levels {
    #[cfg(feature = "conformance")]
    results: Vec<Conformance>,
}

#[cfg(feature = "conformance")]
impl Levels {
    /// Reads those that the command line names.
    pub(super) fn read(args: &WorkArgs) -> Outcome<Self> {
        let results = args.conformance.iter().map(|file| conformance::result(file));
        Ok(Self { results: results.collect::<Outcome<_>>()? })
    }

    /// Says what they show beside the stores of the same backend.
    pub(super) fn add(&self, mut report: Report) -> Report {
        for setup in &mut report.subjects {
            if let Some(result) = self.results.iter().find(|one| one.backend.name == setup.backend)
            {
                setup.details.insert("conformance".to_owned(), shown(result));
            }
        }
        report
    }
}

#[cfg(not(feature = "conformance"))]
impl Levels {
    pub(super) fn read(_: &WorkArgs) -> Outcome<Self> {
        Ok(Self {})
    }

    #[expect(clippy::unused_self, reason = "as with the suite")]
    pub(super) fn add(&self, report: Report) -> Report {
        report
    }
}

#[cfg(feature = "conformance")]
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
