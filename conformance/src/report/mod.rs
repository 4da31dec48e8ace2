//! What a run came to, as one value: JSON for programs, JUnit XML for build servers, one
//! HTML page for people.

mod compare;
mod html;
mod junit;
mod kills;
mod level;
mod measured;
mod setup;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use compare::{Change, compare};
pub use html::html;
pub use kills::{Kill, kills, unproven};
pub use level::{Level, Standing};
pub use measured::Measured;
pub(crate) use setup::{Facts, Setup};

use crate::clause::Clause;
use crate::gate::undeclared;
use crate::history::{Saved, Timeline};
pub use crate::marks::Missed;
use crate::verdict::{Outcome, Verdict};
use crate::{clauses, safety};

/// The form of `result.json`. The number changes when a field goes or changes its meaning;
/// fields may be added under the same number.
pub const SCHEMA: &str = "pinstate-conformance/1";

/// A whole run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The version of the suite.
    pub suite: String,
    /// When the run began, RFC 3339, in UTC.
    pub begun: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The seed of the first round; the next ones have seeds one higher each.
    pub seed: u64,
    /// How much was done: `quick`, `full` or `soak`.
    #[serde(default)]
    pub profile: String,
    /// How many rounds there were to be at least.
    pub repeat: u32,
    /// The clauses that were asked for, by id or by the letter of their group; empty for all.
    pub only: Vec<String>,
    /// The ways in which every case was run: `raw`, and under layers.
    pub legs: Vec<String>,
    /// Whether the run was broken off.
    pub interrupted: bool,
    /// What was tested.
    pub backend: Backend,
    /// How many cases came to what.
    pub summary: Summary,
    /// What is wrong with the run as a whole; it is not green with any.
    pub problems: Vec<String>,
    /// What cases that passed should have met and have not, in a run of the whole suite: with
    /// any, the run is weak, which is not green.
    #[serde(default)]
    pub weak: Vec<Missed>,
    /// What the run shows the backend to be fit for.
    pub levels: Vec<Level>,
    /// What the histories of the run showed; absent where there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Every clause that was run, in the order of the suite.
    pub clauses: Vec<ClauseReport>,
    /// The histories to be written beside the report. They are not part of it.
    #[serde(skip)]
    pub(crate) saved: Vec<Saved>,
}

/// What was tested.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// The version of its crate, where the plug says it.
    pub version: Option<String>,
    /// Where the store is, for people.
    pub location: Option<String>,
    /// The version of the store's format or schema.
    pub format: Option<u32>,
    /// What the store says of itself and of its server.
    pub server: BTreeMap<String, String>,
    /// How it was configured; secrets are hidden.
    pub configuration: BTreeMap<String, String>,
    /// What it declares to be able to do, by name.
    pub capabilities: Map<String, Value>,
}

/// How many cases came to what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// Cases of clauses on the store that ran, to whatever end. With none, nothing is shown.
    pub executed: usize,
    /// Those that passed.
    pub pass: usize,
    /// Those that broke their clause.
    pub fail: usize,
    /// Those that gave no answer in time.
    pub hang: usize,
    /// Those that the suite or its plug could not run.
    pub harness_error: usize,
    /// Those with nothing to run.
    pub skipped: usize,
    /// Those whose failure is accepted for a while.
    pub waived: usize,
}

/// A clause with what became of its cases.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClauseReport {
    /// Its id.
    pub id: String,
    /// What is promised.
    pub title: String,
    /// What goes wrong for users where it is broken; a clause about records and pins may
    /// give a reason for each.
    pub why: Vec<String>,
    /// Its cases, in the order in which they ran.
    pub cases: Vec<CaseReport>,
}

/// What became of one case.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CaseReport {
    /// Its name.
    pub case: String,
    /// The leg on which it ran.
    pub leg: String,
    /// The seed with which it ran.
    pub seed: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The capability that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// What became of it.
    #[serde(flatten)]
    pub status: Status,
    /// What there is to say of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The fewest operations found that break the clause, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
    /// What clients did at the same time, as far as it is wrong by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Timeline>,
    /// The files of the histories that were kept, in the folder of the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histories: Vec<String>,
}

/// What became of a case, or of several of them: then it is the worst.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Status {
    /// The clause holds as far as the case looked.
    Pass,
    /// It did not run; the message says why.
    Skipped {
        /// The capability whose lack is the reason, where one is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lacks: Option<String>,
    },
    /// It failed, and that is accepted for a while.
    Waived {
        /// Why.
        reason: String,
        /// The last day, `YYYY-MM-DD`.
        until: String,
    },
    /// The suite or its plug could not run it.
    HarnessError,
    /// It gave no answer in time.
    Hang {
        /// How long it had been running, in seconds.
        age: f64,
        /// The calls on the store that had not come back, each with its own age.
        pending: Vec<String>,
    },
    /// The clause is broken.
    Fail,
}

impl Status {
    /// Its name, as it stands in the JSON report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Skipped { .. } => "skipped",
            Self::Waived { .. } => "waived",
            Self::HarnessError => "harness-error",
            Self::Hang { .. } => "hang",
            Self::Fail => "fail",
        }
    }

    /// Whether a run with it has failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::HarnessError | Self::Hang { .. } | Self::Fail)
    }

    /// The worst of several.
    pub fn worst<S: Borrow<Self>>(statuses: impl IntoIterator<Item = S>) -> Option<S> {
        statuses.into_iter().max_by_key(|status| status.borrow().weight())
    }

    /// How bad it is beside others. A skipped case beside one that passed leaves the clause
    /// shown in part, which is a pass.
    fn weight(&self) -> u8 {
        match self {
            Self::Skipped { .. } => 0,
            Self::Pass => 1,
            Self::Waived { .. } => 2,
            Self::HarnessError => 3,
            Self::Hang { .. } => 4,
            Self::Fail => 5,
        }
    }

    /// What a report says of a verdict.
    #[must_use]
    pub fn of(verdict: &Verdict) -> Self {
        match &verdict.outcome {
            Outcome::Passed => Self::Pass,
            Outcome::Failed(_) => Self::Fail,
            Outcome::Hung { age, pending, .. } => Self::Hang {
                age: age.as_secs_f64(),
                pending: pending.iter().map(ToString::to_string).collect(),
            },
            Outcome::Harness(_) => Self::HarnessError,
            Outcome::Skipped(reason) => {
                let lacks = verdict.capability.filter(|name| *reason == undeclared(name));
                Self::Skipped { lacks: lacks.map(str::to_owned) }
            }
            Outcome::Waived { reason, until, .. } => {
                Self::Waived { reason: reason.clone(), until: until.clone() }
            }
        }
    }
}

impl ClauseReport {
    fn new(clause: &Clause) -> Self {
        let mut why = Vec::new();
        for same in clauses().iter().filter(|same| same.id == clause.id) {
            if !why.iter().any(|known| known == same.why) {
                why.push(same.why.to_owned());
            }
        }
        Self { id: clause.id.to_owned(), title: clause.title.to_owned(), why, cases: Vec::new() }
    }

    /// The worst of its cases on one leg, or `None` where it has none there.
    #[must_use]
    pub fn status(&self, leg: &str) -> Option<&Status> {
        let on_leg = self.cases.iter().filter(|case| case.leg == leg);
        Status::worst(on_leg.map(|case| &case.status))
    }

    /// Its cases on one leg.
    pub fn on<'a>(&'a self, leg: &'a str) -> impl Iterator<Item = &'a CaseReport> {
        self.cases.iter().filter(move |case| case.leg == leg)
    }

    /// The letter of its group.
    #[must_use]
    pub fn group(&self) -> &str {
        self.id.trim_end_matches(|c: char| c.is_ascii_digit())
    }
}

impl Report {
    /// The report of a run.
    pub(crate) fn new(setup: Setup, verdicts: Vec<Verdict>) -> Self {
        let mut clauses: Vec<ClauseReport> = Vec::new();
        let mut summary = Summary::default();
        let (mut saved, mut observed) = (Vec::new(), Vec::new());
        let about_run = |id: &str| safety::CLAUSES.iter().any(|declared| declared.clause.id == id);
        for verdict in verdicts {
            let id = verdict.clause.id;
            if verdict.outcome.is_executed() && !about_run(id) {
                summary.executed += 1;
            }
            let status = Status::of(&verdict);
            *match status {
                Status::Pass => &mut summary.pass,
                Status::Fail => &mut summary.fail,
                Status::Hang { .. } => &mut summary.hang,
                Status::HarnessError => &mut summary.harness_error,
                Status::Skipped { .. } => &mut summary.skipped,
                Status::Waived { .. } => &mut summary.waived,
            } += 1;
            let case = CaseReport {
                case: verdict.case.to_owned(),
                leg: verdict.leg.to_owned(),
                seed: verdict.seed,
                seconds: verdict.took.as_secs_f64(),
                capability: verdict.capability.map(str::to_owned),
                message: verdict.outcome.message(),
                status,
                operations: verdict.evidence.operations,
                timeline: verdict.evidence.timeline,
                histories: verdict.evidence.histories.iter().map(Saved::file).collect(),
            };
            saved.extend(verdict.evidence.histories);
            observed.extend(verdict.evidence.observed);
            match clauses.iter_mut().find(|clause| clause.id == id) {
                Some(clause) => clause.cases.push(case),
                None => {
                    let mut clause = ClauseReport::new(verdict.clause);
                    clause.cases.push(case);
                    clauses.push(clause);
                }
            }
        }
        // In the suite's order, whatever was done first.
        let order = self::clauses::all();
        let place = |id: &str| order.iter().position(|declared| declared.clause.id == id);
        clauses.sort_by_key(|clause| place(&clause.id));

        let mut problems = Vec::new();
        if summary.executed == 0 {
            problems.push("no case was executed, which proves nothing".to_owned());
        }
        if setup.interrupted {
            problems.push("the run was broken off".to_owned());
        }
        for waiver in &setup.unknown_waivers {
            problems.push(format!("a waiver names no case of the suite: {waiver}"));
        }
        let mut report = setup.into_report(summary, problems, clauses);
        report.levels = level::levels(&report);
        report.measured = Measured::of(observed);
        report.saved = saved;
        report
    }

    /// Whether everything that ran is as it must be, anything ran at all, and what ran met
    /// what it is there for.
    #[must_use]
    pub fn is_green(&self) -> bool {
        let Summary { executed, fail, hang, harness_error, .. } = self.summary;
        let holds = self.problems.is_empty() && fail + hang + harness_error == 0;
        holds && executed > 0 && self.weak.is_empty()
    }

    /// Whether nothing is wrong but that cases have not met what they are there for.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        let strong = Self { weak: Vec::new(), ..self.clone() };
        !self.weak.is_empty() && strong.is_green()
    }

    /// The JSON report.
    ///
    /// # Errors
    /// Never in practice: everything in it is text or a number.
    pub fn to_json(&self) -> io::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads a JSON report.
    ///
    /// # Errors
    /// `InvalidData` where it is none, or one of another version.
    pub fn from_json(text: &str) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Form {
            schema: String,
        }
        let refuse = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let form: Form = serde_json::from_str(text)
            .map_err(|error| refuse(format!("this is no report of a conformance run: {error}")))?;
        if form.schema != SCHEMA {
            return Err(refuse(format!(
                "this is a report of the form '{}', and this program reads '{SCHEMA}'",
                form.schema.escape_debug()
            )));
        }
        serde_json::from_str(text)
            .map_err(|error| refuse(format!("the report is damaged: {error}")))
    }

    /// The report as JUnit XML: a test suite for each leg.
    ///
    /// # Errors
    /// Never in practice.
    pub fn to_junit(&self) -> io::Result<String> {
        junit::junit(self)
    }

    /// Writes `result.json`, `junit.xml` and `report.html` into a folder, which is made if
    /// need be, and the histories that were kept into `histories` in it.
    ///
    /// # Errors
    /// What kept one of them from being written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        for saved in &self.saved {
            saved.write(folder)?;
        }
        std::fs::write(folder.join("result.json"), self.to_json()?)?;
        std::fs::write(folder.join("junit.xml"), self.to_junit()?)?;
        std::fs::write(folder.join("report.html"), html(&[self]))
    }
}
