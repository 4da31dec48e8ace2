//! The cases of one leg, in their order, some of them at the same time.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::{ATTEMPTS, Suite, chosen, program};
use crate::clause::{Case, Clause};
use crate::run::{Ran, Run};
use crate::verdict::Verdict;
use crate::waive;

impl Suite {
    /// Runs the cases of one leg, and tells of each in their order, as soon as it and all
    /// before it are done.
    pub(super) fn leg(
        &self,
        run: &Run,
        only: &[&str],
        seed: u64,
        tell: &mut dyn FnMut(Verdict),
    ) -> io::Result<()> {
        let cases: Vec<(&'static Clause, &'static Case)> = chosen(only)
            .flat_map(|declared| declared.cases.iter().map(|case| (declared.clause, case)))
            .collect();
        let next = AtomicUsize::new(0);
        let work = |done: mpsc::Sender<(usize, Verdict)>| {
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some((clause, case)) = cases.get(place) else { return };
                let Some(verdict) = self.verdict(run, clause, case, seed) else { return };
                if done.send((place, verdict)).is_err() {
                    return;
                }
            }
        };
        let (done, verdicts) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..self.at_once.unwrap_or(1).min(cases.len()) {
                let (work, done) = (&work, done.clone());
                let name = "conformance-case".to_owned();
                let started = thread::Builder::new().name(name);
                if let Err(error) = started.spawn_scoped(scope, move || work(done)) {
                    // Those that run take no further case.
                    next.store(cases.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
            drop(done);
            let (mut early, mut told) = (BTreeMap::new(), 0);
            for (place, verdict) in verdicts {
                early.insert(place, verdict);
                while let Some(verdict) = early.remove(&told) {
                    tell(verdict);
                    told += 1;
                }
            }
            // A run that was stopped has no verdict on some of those before.
            early.into_values().for_each(tell);
            Ok(())
        })
    }

    /// Runs one case, and says what became of it; `None` where the run was stopped.
    pub(super) fn verdict(
        &self,
        run: &Run,
        clause: &'static Clause,
        case: &'static Case,
        seed: u64,
    ) -> Option<Verdict> {
        let mut attempt = 1;
        let Ran { outcome, took, evidence, .. } = loop {
            let ran = run.execute(clause, case, seed)?;
            if !(self.amid_failures && ran.interrupted && attempt < ATTEMPTS) {
                break ran;
            }
            attempt += 1;
            program::note(&format!("begun anew: {}", ran.outcome.message().unwrap_or_default()));
        };
        let place = (run.leg(), clause, case.name);
        let outcome = waive::judge(&self.waivers, waive::today(), place, outcome);
        let capability = case.gate.map(|gate| gate.name);
        let (leg, case) = (run.leg(), case.name);
        Some(Verdict { leg, clause, case, capability, outcome, seed, took, evidence })
    }
}
