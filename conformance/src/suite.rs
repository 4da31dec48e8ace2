//! The suite, set up for one backend, for programs that run it; `program.rs` is the one that
//! a backend's tests are.

mod leg;
mod program;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pinstate_core::Store;
use pinstate_core::transfer::StopFlag;
use tokio::sync::RwLock;

use crate::clause::{Clause, Declared};
use crate::clauses;
use crate::disk::Disks;
use crate::evidence::Keep;
use crate::fixture;
use crate::kill::is_child;
use crate::marks::Missed;
use crate::meter::Meter;
use crate::plug::{Leg, Plug};
use crate::profile::{Profile, UnknownProfile};
use crate::report::{Facts, Report, Setup};
use crate::run::Run;
use crate::safety;
use crate::session::{Session, Tools};
use crate::settle::UNBOUNDED;
use crate::verdict::{Outcome, Verdict};
use crate::waive::Waiver;

/// How long a case may take before it counts as hanging.
const HANG: Duration = Duration::from_secs(120);

/// How often a case is begun at most where calls may fail.
const ATTEMPTS: u32 = 5;

/// The variable that sets the seed.
const SEED: &str = "PINSTATE_CONFORMANCE_SEED";
/// The variable that names a folder for the reports of a test program.
const REPORT: &str = "PINSTATE_CONFORMANCE_REPORT";
/// The variable that names a folder for a store of the present format.
const FIXTURE: &str = "PINSTATE_CONFORMANCE_FIXTURE";
/// The variable that says how much is done.
const PROFILE: &str = "PINSTATE_CONFORMANCE_PROFILE";

/// The suite, set up for one backend.
pub struct Suite {
    plug: Arc<dyn Plug>,
    legs: Vec<Leg>,
    /// An error where the variable names one that there is not.
    profile: Result<Profile, UnknownProfile>,
    hang: Duration,
    seed: u64,
    repeat: u32,
    waivers: Vec<Waiver>,
    keep: Keep,
    alone: bool,
    at_once: Option<usize>,
    amid_failures: bool,
    settle: Duration,
    tools: Tools,
    /// What keeps others out while a case runs alone, of whatever leg.
    quiet: Arc<RwLock<()>>,
    only: Vec<String>,
    stop: StopFlag,
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("backend", &self.plug.name())
            .field("legs", &self.legs)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Suite {
    /// All clauses over a backend, raw and under the standard layers. The seed is that of
    /// `PINSTATE_CONFORMANCE_SEED`, or random; the profile that of
    /// `PINSTATE_CONFORMANCE_PROFILE`, or [`Profile::Quick`].
    #[must_use]
    pub fn new(plug: impl Plug) -> Self {
        let profile = std::env::var(PROFILE).map_or(Ok(Profile::Quick), |text| text.parse());
        let seed = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
        Self {
            plug: Arc::new(plug),
            legs: vec![Leg::raw(), Leg::layered()],
            profile,
            hang: HANG,
            // Programs that read reports take numbers for doubles: these stay whole.
            seed: seed.unwrap_or_else(|| fastrand::u64(..1 << 53)),
            repeat: 1,
            waivers: Vec::new(),
            keep: Keep::Failing,
            alone: false,
            at_once: None,
            amid_failures: false,
            settle: UNBOUNDED,
            tools: Tools::default(),
            quiet: Arc::default(),
            only: Vec::new(),
            stop: StopFlag::new(),
        }
    }

    /// Sets the legs.
    #[must_use]
    pub fn legs(mut self, legs: Vec<Leg>) -> Self {
        self.legs = legs;
        self
    }

    /// Sets how much is done.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = Ok(profile);
        self
    }

    /// Sets how long a case may take before it counts as hanging: 120 s unless set. A case of many
    /// random sequences may take as long for each of them. The time that a case lets an eventual
    /// store settle comes on top, up to ten times as long.
    #[must_use]
    pub fn hang(mut self, hang: Duration) -> Self {
        self.hang = hang;
        self
    }

    /// Sets the seed of everything random in the cases.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets how often [`report`](Self::report) runs everything at least: each time with a
    /// seed one higher.
    #[must_use]
    pub fn repeat(mut self, times: u32) -> Self {
        self.repeat = times.max(1);
        self
    }

    /// Accepts the failure of one case for a while.
    #[must_use]
    pub fn waive(mut self, waiver: Waiver) -> Self {
        self.waivers.push(waiver);
        self
    }

    /// Sets which histories of the first round are kept for the report; of later ones it is
    /// those that broke a promise.
    #[must_use]
    pub fn histories(mut self, keep: Keep) -> Self {
        self.keep = keep;
        self
    }

    /// Says that nobody else writes to a [standing](Plug::standing) store meanwhile, so that
    /// what changed in it while the run went on was changed by the run. A store that only
    /// one process can open needs no saying.
    #[must_use]
    pub fn alone(mut self, alone: bool) -> Self {
        self.alone = alone;
        self
    }

    /// Sets how many cases are run at the same time. Unless it is set a test program runs as
    /// many as there are processors, or as its arguments say, and [`report`](Self::report) one
    /// after the other. More are for stores that are far away, where most of a case is waiting.
    #[must_use]
    pub fn at_once(mut self, cases: usize) -> Self {
        self.at_once = Some(cases.max(1));
        self
    }

    /// Says that the store is disturbed while the suite runs, as by nodes that die: calls may
    /// fail, and must say so. A case that was interrupted by a failure that may be tried
    /// again is begun anew, up to five times in all, in namespaces of its own; whatever else
    /// is wrong fails at once, as ever.
    #[must_use]
    pub fn amid_failures(mut self) -> Self {
        self.amid_failures = true;
        self
    }

    /// Sets how long a store is given to settle that is [eventual] and names no time: half a
    /// second unless set. A case that reads what it wrote waits so long first. That is the
    /// suite's measure and nothing that such a store has promised: where a read comes too early,
    /// give it longer.
    ///
    /// [eventual]: pinstate_core::Consistency::Eventual
    #[must_use]
    pub fn settle(mut self, settle: Duration) -> Self {
        self.settle = settle;
        self
    }

    /// Gives the suite disks that lose power, fill up and fail. Without them the cases that
    /// need one are skipped.
    #[must_use]
    pub fn disks(mut self, disks: impl Disks) -> Self {
        self.tools.disks = Some(Arc::new(disks));
        self
    }

    /// Tells the suite how much memory the process holds. Without it the cases that measure
    /// that are skipped.
    #[must_use]
    pub fn memory(mut self, meter: Meter) -> Self {
        self.tools.meter = Some(meter);
        self
    }

    /// Limits a test program to these clauses, by id or by the letter of a group: for a
    /// second one that differs in one matter from the first.
    #[must_use]
    pub fn only(mut self, clauses: &[&str]) -> Self {
        self.only = clauses.iter().map(|id| (*id).to_owned()).collect();
        self
    }

    /// Sets the flag that makes [`report`](Self::report) break off, clean up, and give what
    /// it has.
    #[must_use]
    pub fn stop(mut self, stop: StopFlag) -> Self {
        self.stop = stop;
        self
    }

    /// Runs the cases of these clauses, or of all where none is named, and says what became of
    /// each: for programs that judge the results themselves.
    ///
    /// # Errors
    /// Where threads cannot be started.
    pub fn verdicts(&self, only: &[&str]) -> io::Result<Vec<Verdict>> {
        let mut verdicts = Vec::new();
        for leg in &self.legs {
            let run = self.run(leg, self.keep)?;
            self.leg(&run, only, self.seed, &mut |verdict| verdicts.push(verdict))?;
            self.leave(&run, &mut |verdict| verdicts.push(verdict));
            // A store that will not close is a matter of the clauses on closing.
            let _ = run.close();
        }
        Ok(verdicts)
    }

    /// Runs the cases of these clauses, or of all where none is named, tells of each in their
    /// order as soon as it is done, and gives the whole as a report. A clause is named by its
    /// id, and a group of them by its letter.
    ///
    /// # Errors
    /// Where threads cannot be started.
    pub fn report(&self, only: &[&str], told: &mut dyn FnMut(&Verdict)) -> io::Result<Report> {
        let (begun, clock) = (Timestamp::now(), Instant::now());
        let (mut verdicts, mut facts) = (Vec::new(), None);
        let mut tell = |verdict: Verdict| {
            told(&verdict);
            verdicts.push(verdict);
        };
        let mut weak: BTreeMap<&str, Vec<Missed>> = BTreeMap::new();
        let mut round = 0;
        while round < u64::from(self.repeat) || self.goes_on(clock) {
            for leg in &self.legs {
                if self.stop.is_set() {
                    break;
                }
                let keep = if round == 0 { self.keep } else { Keep::Failing };
                let run = self.run(leg, keep)?;
                facts = run.prepare().or(facts);
                self.leg(&run, only, self.seed.wrapping_add(round), &mut tell)?;
                self.leave(&run, &mut tell);
                // What one round has met, all have.
                let missed = run.missed();
                weak.entry(leg.name)
                    .and_modify(|weak| weak.retain(|mark| missed.contains(mark)))
                    .or_insert(missed);
                let _ = run.close();
            }
            round += 1;
        }
        // Whoever asks for some clauses only, or breaks off, does not ask for all there is to meet.
        let part = !only.is_empty() || self.stop.is_set();
        let weak = if part { Vec::new() } else { weak.into_values().flatten().collect() };
        Ok(Report::new(self.setup(facts, begun, clock.elapsed(), (only, weak)), verdicts))
    }

    /// Writes a store of the present format into a folder, which must not be there, for
    /// [`Plug::fixtures`] of later versions.
    ///
    /// # Errors
    /// Of the file system and of the store, and where the plug keeps none in folders.
    pub fn fixture(&self, folder: &Path) -> io::Result<()> {
        fixture::write(&*self.plug, folder)
    }

    fn run(&self, leg: &Leg, keep: Keep) -> io::Result<Run> {
        if is_child() {
            return Err(io::Error::other(
                "this process was started by the suite to be killed: ask Child::summoned first",
            ));
        }
        let profile = self.profile.clone();
        let profile =
            profile.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (plug, tools) = (Arc::clone(&self.plug), self.tools.clone());
        let conditions = (tools, self.amid_failures, self.settle);
        let session = Session::new(plug, leg.clone(), profile, conditions);
        Run::new(session, Arc::clone(&self.quiet), (self.hang, keep), self.stop.clone())
    }

    /// Whether a soak that began then has time for another round.
    fn goes_on(&self, began: Instant) -> bool {
        let budget = self.profile.as_ref().ok().and_then(|profile| profile.budget());
        !self.stop.is_set() && budget.is_some_and(|budget| began.elapsed() < budget)
    }

    pub(crate) fn plug(&self) -> &dyn Plug {
        &*self.plug
    }

    /// A store under the layers of the leg of this name.
    pub(crate) fn layered(&self, leg: &str, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match self.legs.iter().find(|known| known.name == leg) {
            Some(leg) => leg.layers.apply(store),
            None => store,
        }
    }

    /// Leaves a store that is somebody's, and tells whether it was left as it was found.
    fn leave(&self, run: &Run, tell: &mut dyn FnMut(Verdict)) {
        let began = Instant::now();
        let Some(remains) = run.sweep() else { return };
        let mut tell_of = |id: &str, case: &'static str, outcome: Outcome| {
            let declared = safety::CLAUSES.iter().find(|declared| declared.clause.id == id);
            if let Some(Declared { clause, .. }) = declared {
                tell(Verdict {
                    leg: run.leg(),
                    clause,
                    case,
                    capability: None,
                    outcome: match outcome {
                        Outcome::Failed(what) => {
                            Outcome::Failed(format!("{clause} is broken: {case}: {what}"))
                        }
                        other => other,
                    },
                    seed: self.seed,
                    took: began.elapsed(),
                    evidence: Default::default(),
                });
            }
        };
        tell_of(
            "Y3",
            "nothing_is_left",
            match remains.as_slice() {
                [] => Outcome::Passed,
                left => Outcome::Failed(format!("still there: {}", left.join("; "))),
            },
        );
        // Whoever stops a run does not want to wait for all of a large store to be read.
        if self.stop.is_set() {
            return;
        }
        let outcome = match run.changes() {
            None => return,
            Some(Err(violation)) => Outcome::Harness(violation.message().to_owned()),
            Some(Ok(changes)) if changes.is_empty() => Outcome::Passed,
            Some(Ok(changes)) if self.alone || run.is_alone() => {
                Outcome::Failed(changes.join("; "))
            }
            Some(Ok(changes)) => Outcome::Skipped(format!(
                "others can write to this store, so this is not judged: {}",
                changes.join("; ")
            )),
        };
        tell_of("Y2", "others_are_as_before", outcome);
    }

    fn setup(
        &self,
        facts: Option<Facts>,
        begun: Timestamp,
        took: Duration,
        (only, weak): (&[&str], Vec<Missed>),
    ) -> Setup {
        Setup {
            backend: self.plug.name().to_owned(),
            about: self.plug.about(),
            facts,
            begun,
            took,
            seed: self.seed,
            profile: self.profile.as_ref().map_or("", |profile| profile.name()).to_owned(),
            repeat: self.repeat,
            legs: self.legs.iter().map(|leg| leg.name.to_owned()).collect(),
            only: only.iter().map(|id| (*id).to_owned()).collect(),
            interrupted: self.stop.is_set(),
            unknown_waivers: self.unknown_waivers(),
            weak,
        }
    }

    /// The waivers that speak of no case of the suite.
    fn unknown_waivers(&self) -> Vec<String> {
        let known = |waiver: &Waiver| {
            clauses::all().iter().any(|declared| {
                declared.cases.iter().any(|case| waiver.names(declared.clause, case.name))
            })
        };
        self.waivers.iter().filter(|waiver| !known(waiver)).map(Waiver::name).collect()
    }
}

/// The clauses of these names, or all where none is named.
fn chosen(only: &[&str]) -> impl Iterator<Item = &'static Declared> {
    let named = |declared: &&Declared| {
        only.is_empty() || only.iter().any(|named| selects(named, declared.clause))
    };
    clauses::all().into_iter().filter(named)
}

/// Whether a name, an id or the letter of a group, means a clause.
pub(crate) fn selects(named: &str, clause: &Clause) -> bool {
    named.eq_ignore_ascii_case(clause.id) || named.eq_ignore_ascii_case(clause.group())
}
