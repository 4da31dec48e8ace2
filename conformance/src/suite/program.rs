//! The suite as a test program: the arguments of `cargo test`, and a trial for each case.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

use super::{FIXTURE, REPORT, Suite, chosen};
use crate::clause::{Case, Clause};
use crate::evidence::Keep;
use crate::kill::Child;
use crate::marks::Missed;
use crate::report::Report;
use crate::run::Run;
use crate::verdict::{Outcome, Verdict};

impl Suite {
    /// Runs the suite as a test program: the whole `main` of a backend's conformance test.
    #[must_use]
    pub fn main(self) -> ExitCode {
        if let Some(child) = Child::summoned() {
            return child.run(&self);
        }
        if let Some(folder) = std::env::var_os(FIXTURE) {
            return match self.fixture(Path::new(&folder)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => complain(&format!("the fixture cannot be written: {error}")),
            };
        }
        let mut arguments = Arguments::from_args();
        arguments.test_threads = arguments.test_threads.or(self.at_once);
        let mut runs = Vec::new();
        for leg in &self.legs {
            match self.run(leg, self.keep) {
                Ok(run) => runs.push(Arc::new(run)),
                Err(error) => return complain(&format!("the suite cannot start: {error}")),
            }
        }
        if !arguments.list {
            let profile = self.profile.as_ref().map_or("", |profile| profile.name());
            let (name, seed) = (self.plug.name(), self.seed);
            note(&format!("conformance of {name}, profile {profile}, seed {seed}"));
        }
        let (begun, clock) = (Timestamp::now(), Instant::now());
        let verdicts: Arc<Mutex<Vec<Verdict>>> = Arc::default();
        let suite = Arc::new(self);
        let trials = suite.trials(&runs, &verdicts);
        let conclusion = libtest_mimic::run(&arguments, trials);
        let mut verdicts =
            std::mem::take(&mut *verdicts.lock().unwrap_or_else(PoisonError::into_inner));
        let whole = arguments.filter.is_none()
            && arguments.skip.is_empty()
            && !arguments.list
            && suite.only.is_empty();
        let weakness: Vec<Missed> = runs.iter().flat_map(|run| run.missed()).collect();
        let soaked = if whole { suite.soak(clock, &mut verdicts) } else { Ok(true) };
        let folder = std::env::var_os(REPORT).filter(|_| !arguments.list).map(PathBuf::from);
        if let Some(folder) = folder {
            let facts = runs.first().and_then(|run| run.prepare());
            let weak = if whole { weakness.clone() } else { Vec::new() };
            let setup = suite.setup(facts, begun, clock.elapsed(), (&suite.wanted(), weak));
            if let Err(error) = Report::new(setup, verdicts).write(&folder) {
                return complain(&format!("the report cannot be written: {error}"));
            }
        }
        for run in &runs {
            if let Err(violation) = run.close() {
                return complain(&format!("the {} leg's store: {violation}", run.leg()));
            }
        }
        if let Some(waiver) = suite.unknown_waivers().first() {
            return complain(&format!("a waiver names no case: {waiver}"));
        }
        match soaked {
            Ok(true) => {}
            Ok(false) => return complain("a later round of the soak has failed"),
            Err(error) => return complain(&format!("the soak cannot go on: {error}")),
        }
        let executed = conclusion.num_passed + conclusion.num_failed;
        if executed == 0 && !arguments.list && arguments.filter.is_none() {
            return complain("no case was executed, which proves nothing: a failure");
        }
        if whole && !conclusion.has_failed() && !weakness.is_empty() {
            for missed in &weakness {
                note(&format!("  {missed}"));
            }
            return complain("the run is weak: what passed did not meet what it is there for");
        }
        conclusion.exit_code()
    }

    /// The clauses that the test program runs; none for all.
    fn wanted(&self) -> Vec<&str> {
        self.only.iter().map(String::as_str).collect()
    }

    /// The rounds of a soak that follow the first one, which the test program has run.
    fn soak(&self, began: Instant, verdicts: &mut Vec<Verdict>) -> io::Result<bool> {
        let (mut round, mut holds) = (0, true);
        while self.goes_on(began) {
            round += 1;
            let seed = self.seed.wrapping_add(round);
            for leg in &self.legs {
                let run = self.run(leg, Keep::Failing)?;
                self.leg(&run, &self.wanted(), seed, &mut |verdict| {
                    if verdict.outcome.is_failure() {
                        holds = false;
                        note(&verdict.outcome.message().unwrap_or_default());
                    }
                    verdicts.push(verdict);
                })?;
                let _ = run.close();
            }
        }
        if round > 0 {
            note(&format!("{round} more rounds, the last with the seed {}", self.seed + round));
        }
        Ok(holds)
    }

    /// A trial for each case on each leg, in the order of their turns. The legs take turns as
    /// well, so that cases at the same time share no store more often than they must.
    fn trials(self: &Arc<Self>, runs: &[Arc<Run>], book: &Arc<Mutex<Vec<Verdict>>>) -> Vec<Trial> {
        let wanted = self.wanted();
        let cases = chosen(&wanted)
            .flat_map(|declared| declared.cases.iter().map(|case| (declared.clause, case)));
        let mut cases: Vec<_> = cases.collect();
        cases.sort_by_key(|(_, case)| case.turn);
        let mut trials = Vec::new();
        for (clause, case) in cases {
            for run in runs {
                let (suite, run, book) = (Arc::clone(self), Arc::clone(run), Arc::clone(book));
                let name = format!("{}::{}::{}", run.leg(), clause.id, case.name);
                trials.push(Trial::ignorable_test(name, move || {
                    suite.trial(&run, clause, case, &book)
                }));
            }
        }
        trials
    }

    fn trial(
        &self,
        run: &Run,
        clause: &'static Clause,
        case: &'static Case,
        book: &Mutex<Vec<Verdict>>,
    ) -> Result<Completion, Failed> {
        let Some(verdict) = self.verdict(run, clause, case, self.seed) else {
            return Ok(Completion::ignored_with("stopped"));
        };
        let mut message = verdict.outcome.message().unwrap_or_default();
        for (place, operation) in verdict.evidence.operations.iter().enumerate() {
            message.push_str(&format!("\n  {:>2}. {operation}", place + 1));
        }
        let completion = match &verdict.outcome {
            Outcome::Passed => Ok(Completion::Completed),
            outcome if outcome.is_failure() => Err(Failed::from(message)),
            _ => Ok(Completion::ignored_with(message)),
        };
        book.lock().unwrap_or_else(PoisonError::into_inner).push(verdict);
        completion
    }
}

#[expect(clippy::print_stderr, reason = "the runner of a test program speaks to people")]
pub(super) fn note(text: &str) {
    eprintln!("{text}");
}

fn complain(text: &str) -> ExitCode {
    note(text);
    ExitCode::from(101)
}
