//! The runner.

use std::fmt;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use futures::FutureExt;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::RwLock;

use crate::case::{Cx, Session};
use crate::check::{Checked, Violation};
use crate::clause::{Case, CaseFn, Clause};
use crate::clauses;
use crate::gate::Negative;
use crate::plug::{Leg, Plug};

/// How long a case may take before it counts as hanging.
const HANG: Duration = Duration::from_secs(120);

/// The suite, set up for one backend.
pub struct Suite {
    plug: Arc<dyn Plug>,
    legs: Vec<Leg>,
    hang: Duration,
    seed: u64,
}

/// What became of one case.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It ran, and the clause holds as far as it looked.
    Passed,
    /// The clause is broken: what was expected, what came, where, and the seed.
    Failed(String),
    /// It did not run, for this reason.
    Skipped(String),
}

/// One case with what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// The leg.
    pub leg: &'static str,
    /// The clause.
    pub clause: &'static Clause,
    /// The case.
    pub case: &'static str,
    /// What became of it.
    pub outcome: Outcome,
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
    /// `PINSTATE_CONFORMANCE_SEED`, or random.
    #[must_use]
    pub fn new(plug: impl Plug) -> Self {
        let seed = std::env::var("PINSTATE_CONFORMANCE_SEED").ok();
        let seed = seed.and_then(|text| text.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
        let legs = vec![Leg::raw(), Leg::layered()];
        Self { plug: Arc::new(plug), legs, hang: HANG, seed }
    }

    /// Sets the legs.
    #[must_use]
    pub fn legs(mut self, legs: Vec<Leg>) -> Self {
        self.legs = legs;
        self
    }

    /// Sets how long a case may take before it counts as hanging: 120 s unless set.
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

    /// Runs the suite as a test program: the whole `main` of a backend's conformance test.
    #[must_use]
    pub fn main(self) -> ExitCode {
        let arguments = Arguments::from_args();
        let runs = match self.runs() {
            Ok(runs) => runs,
            Err(error) => return complain(&format!("the suite cannot start: {error}")),
        };
        if !arguments.list {
            note(&format!("conformance of {}, seed {}", self.plug.name(), self.seed));
        }
        let trials = runs.iter().flat_map(Run::trials).collect();
        let conclusion = libtest_mimic::run(&arguments, trials);
        for run in &runs {
            if let Err(violation) = run.close() {
                return complain(&format!("the {} leg's store: {violation}", run.session.leg()));
            }
        }
        let executed = conclusion.num_passed + conclusion.num_failed;
        if executed == 0 && !arguments.list && arguments.filter.is_none() {
            return complain("no case was executed, which proves nothing: a failure");
        }
        conclusion.exit_code()
    }

    /// Runs the cases of these clauses, or of all where none is named, one after the other,
    /// and says what became of each: for programs that judge the results themselves.
    ///
    /// # Errors
    /// Where threads cannot be started.
    pub fn verdicts(&self, only: &[&str]) -> std::io::Result<Vec<Verdict>> {
        let mut verdicts = Vec::new();
        for run in self.runs()? {
            for declared in clauses::all() {
                if !only.is_empty() && !only.contains(&declared.clause.id) {
                    continue;
                }
                for case in declared.cases {
                    verdicts.push(Verdict {
                        leg: run.session.leg(),
                        clause: declared.clause,
                        case: case.name,
                        outcome: run.execute(declared.clause, case),
                    });
                }
            }
            // A store that will not close is a matter of the clauses on closing.
            let _ = run.close();
        }
        Ok(verdicts)
    }

    fn runs(&self) -> std::io::Result<Vec<Arc<Run>>> {
        let new = |leg: &Leg| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("conformance")
                .enable_all()
                .build()?;
            Ok(Arc::new(Run {
                runtime: Some(runtime),
                session: Arc::new(Session::new(Arc::clone(&self.plug), leg.clone())),
                quiet: Arc::default(),
                hang: self.hang,
                seed: self.seed,
            }))
        };
        self.legs.iter().map(new).collect()
    }
}

/// One leg under way.
struct Run {
    /// There until the run is dropped.
    runtime: Option<Runtime>,
    session: Arc<Session>,
    /// Held for reading by every case, and for writing by one that must run alone.
    quiet: Arc<RwLock<()>>,
    hang: Duration,
    seed: u64,
}

impl Drop for Run {
    fn drop(&mut self) {
        // Waiting for a case that hangs would make the whole program hang.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Run {
    fn trials(self: &Arc<Self>) -> Vec<Trial> {
        let mut trials = Vec::new();
        for declared in clauses::all() {
            for case in declared.cases {
                let run = Arc::clone(self);
                let name = format!("{}::{}::{}", self.session.leg(), declared.clause.id, case.name);
                trials.push(Trial::ignorable_test(name, move || {
                    match run.execute(declared.clause, case) {
                        Outcome::Passed => Ok(Completion::Completed),
                        Outcome::Failed(message) => Err(Failed::from(message)),
                        Outcome::Skipped(reason) => Ok(Completion::ignored_with(reason)),
                    }
                }));
            }
        }
        trials
    }

    fn close(&self) -> Checked {
        self.runtime.as_ref().map_or(Ok(()), |runtime| runtime.block_on(self.session.close()))
    }

    /// Runs one case on the run's own threads, so that one that blocks its thread is seen.
    fn execute(&self, clause: &'static Clause, case: &'static Case) -> Outcome {
        let (answer, answered) = mpsc::channel();
        let seed = self.seed;
        let work = run_case(Arc::clone(&self.session), Arc::clone(&self.quiet), case, seed);
        let task = self.runtime.as_ref().map(|runtime| {
            runtime.spawn(async move {
                let result = std::panic::AssertUnwindSafe(work).catch_unwind().await;
                let _ = answer.send(result);
            })
        });
        let failed = |what: String| {
            Outcome::Failed(format!("{clause} is broken: {}: {what}; seed {seed}", case.name))
        };
        match answered.recv_timeout(self.hang) {
            Ok(Ok(Ok(None))) => Outcome::Passed,
            Ok(Ok(Ok(Some(reason)))) => Outcome::Skipped(reason),
            Ok(Ok(Err(violation))) => failed(violation.to_string()),
            Ok(Err(panic)) => failed(format!("panicked: {}", text_of(&*panic))),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(task) = task {
                    task.abort();
                }
                failed(format!("hangs: expected an end, got none in {} s", self.hang.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => failed("was cut off".to_owned()),
        }
    }
}

/// Runs a case, or what stands in its place, and cleans up after it. Gives the reason where
/// there was nothing to run.
async fn run_case(
    session: Arc<Session>,
    quiet: Arc<RwLock<()>>,
    case: &'static Case,
    seed: u64,
) -> Checked<Option<String>> {
    let (_beside, _alone);
    if case.alone {
        _alone = quiet.write().await;
    } else {
        _beside = quiet.read().await;
    }
    let cx = Cx::new(session, seed).await?;
    let run: CaseFn = match case.gate {
        Some(gate) if !(gate.declared)(cx.capabilities()) => match gate.negative {
            Negative::Refuses(negative) => negative,
            Negative::Nothing => return Ok(Some(format!("'{}' is not declared", gate.name))),
        },
        _ => case.run,
    };
    // A case that panics is cleaned up after as well.
    let result = std::panic::AssertUnwindSafe(run(cx.clone())).catch_unwind().await;
    let cleaned = cx.clean_up().await;
    match result {
        Ok(result) => result?,
        Err(panic) => {
            return Err(Violation::new(format!("panicked: {}", text_of(&*panic))));
        }
    }
    cleaned.map(|()| None)
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}

#[expect(clippy::print_stderr, reason = "the runner of a test program speaks to people")]
fn note(text: &str) {
    eprintln!("{text}");
}

fn complain(text: &str) -> ExitCode {
    note(text);
    ExitCode::from(101)
}
