//! One leg under way: running cases, each in a time of its own.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{self, Either};
use pinstate_core::transfer::StopFlag;
use tokio::runtime::Runtime;
use tokio::sync::RwLock;

use crate::case::Cx;
use crate::check::{Checked, Sort, Violation};
use crate::clause::{Case, CaseFn, Clause, Turn};
use crate::evidence::{Desk, Evidence, Keep};
use crate::gate::{Negative, undeclared};
use crate::history::Origin;
use crate::marks::Missed;
use crate::report::Facts;
use crate::session::Session;
use crate::verdict::Outcome;
use crate::watch::Calls;

/// How often the longest time of a case it may wait for a store to settle.
const MOST_SETTLING: u32 = 10;

/// One leg under way.
pub(crate) struct Run {
    /// There until the run is dropped.
    runtime: Option<Runtime>,
    session: Arc<Session>,
    /// Held for reading by every case of every leg, and for writing by one that must run alone.
    quiet: Arc<RwLock<()>>,
    hang: Duration,
    keep: Keep,
    stop: StopFlag,
}

/// What became of a case.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) took: Duration,
    pub(crate) evidence: Evidence,
    /// Whether it failed by a call that may be made again, and by nothing else.
    pub(crate) interrupted: bool,
}

impl Drop for Run {
    fn drop(&mut self) {
        // Waiting for ever for a case that hangs would make the whole program hang. A moment
        // lets one that was broken off take down what it has set up, as a mounted disk.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

impl Run {
    pub(crate) fn new(
        session: Session,
        quiet: Arc<RwLock<()>>,
        (hang, keep): (Duration, Keep),
        stop: StopFlag,
    ) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("conformance")
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime), session: Arc::new(session), quiet, hang, keep, stop })
    }

    pub(crate) fn leg(&self) -> &'static str {
        self.session.leg()
    }

    /// Whether nobody else can write to the store meanwhile.
    pub(crate) fn is_alone(&self) -> bool {
        let session = Arc::clone(&self.session);
        self.within(async move {
            session.store().await.is_ok_and(|store| {
                let capabilities = store.capabilities();
                capabilities.exclusive_open || !capabilities.persistent
            })
        })
        .unwrap_or(false)
    }

    /// Opens the store that cases share, looks at what else is in it where it is
    /// somebody's, and gives what a report says of it. A store that does not open is told
    /// by every case.
    pub(crate) fn prepare(&self) -> Option<Facts> {
        let session = Arc::clone(&self.session);
        let facts = self.within(async move {
            let store = session.store().await.ok()?;
            Some(Facts::of(&*store).await)
        })?;
        let session = Arc::clone(&self.session);
        // As long as it takes: a large store is read whole.
        self.block_on(async move { session.look().await });
        facts
    }

    /// Removes what the leg has made in a store that is somebody's; gives what remains.
    pub(crate) fn sweep(&self) -> Option<Vec<String>> {
        let session = Arc::clone(&self.session);
        match self.within(async move { session.sweep().await }) {
            Some(remains) => remains,
            None => Some(vec!["the store does not answer any more".to_owned()]),
        }
    }

    /// What else was in a store that is somebody's, and has changed.
    pub(crate) fn changes(&self) -> Option<Checked<Vec<String>>> {
        let session = Arc::clone(&self.session);
        self.block_on(async move { session.changes().await }).flatten()
    }

    /// What the cases that passed should have met and have not.
    pub(crate) fn missed(&self) -> Vec<Missed> {
        self.session.marks().missed(self.leg(), self.session.profile())
    }

    /// Closes the store that the cases shared.
    pub(crate) fn close(&self) -> Checked {
        let session = Arc::clone(&self.session);
        self.within(async move { session.close().await }).unwrap_or_else(|| {
            Err(Violation::new(format!("hangs: expected an end, got none in {:?}", self.hang)))
        })
    }

    /// Work on the run's own threads, for as long as a case may take.
    fn within<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let task = self.runtime.as_ref()?.spawn(work);
        let abort = task.abort_handle();
        let done =
            self.runtime.as_ref()?.block_on(async { tokio::time::timeout(self.hang, task).await });
        if done.is_err() {
            abort.abort();
        }
        done.ok()?.ok()
    }

    /// Work on the run's own threads, until it is done or the run is stopped.
    fn block_on<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let runtime = self.runtime.as_ref()?;
        let task = runtime.spawn(work);
        let abort = task.abort_handle();
        let (stop, task) = (Box::pin(self.stop.stopped()), task);
        match runtime.block_on(future::select(stop, task)) {
            Either::Right((done, _)) => done.ok(),
            Either::Left(_) => {
                abort.abort();
                None
            }
        }
    }

    /// Runs one case on the run's own threads, so that one that blocks its thread is seen.
    /// `None` where the run was stopped before it had an end.
    pub(crate) fn execute(
        &self,
        clause: &'static Clause,
        case: &'static Case,
        seed: u64,
    ) -> Option<Ran> {
        if self.stop.is_set() {
            return None;
        }
        // Held here, and not by the case: waiting is no part of its time, and one that hangs
        // does not keep others out for good.
        let quiet = Arc::clone(&self.quiet);
        let _quiet = self.block_on(async move {
            if case.turn == Turn::Alone {
                Either::Left(quiet.write_owned().await)
            } else {
                Either::Right(quiet.read_owned().await)
            }
        })?;
        let began = Instant::now();
        let (answer, answered) = mpsc::channel();
        let calls = Calls::default();
        let desk = Desk::new(
            self.keep,
            Origin {
                leg: self.leg().to_owned(),
                clause: clause.id.to_owned(),
                case: case.name.to_owned(),
                seed,
                number: 0,
            },
        );
        let work = run_case(
            Arc::clone(&self.session),
            self.stop.clone(),
            (clause, case, seed),
            (calls.clone(), desk.clone()),
        );
        let task = self.runtime.as_ref().map(|runtime| {
            runtime.spawn(async move {
                let result = std::panic::AssertUnwindSafe(work).catch_unwind().await;
                let _ = answer.send(result);
            })
        });
        let broken = |what: &str| format!("{clause} is broken: {}: {what}; seed {seed}", case.name);
        let mut interrupted = false;
        let answered = loop {
            // What it gave an eventual store to settle is not the store's time, and is asked for
            // again, since it may have grown.
            let settling = calls.settling.waited().min(self.hang * MOST_SETTLING);
            let began = calls.part_began().unwrap_or(began);
            let left = (self.hang + settling).saturating_sub(began.elapsed());
            match answered.recv_timeout(left) {
                Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
                answered => break answered,
            }
        };
        let outcome = match answered {
            Ok(Ok(Ended::Stopped)) => return None,
            Ok(Ok(Ended::Skipped(reason))) => Outcome::Skipped(reason),
            Ok(Ok(Ended::Done(Ok(())))) => Outcome::Passed,
            Ok(Ok(Ended::Done(Err(violation)))) => match violation.sort() {
                Sort::Broken => Outcome::Failed(broken(&violation.to_string())),
                Sort::Interrupted => {
                    interrupted = true;
                    Outcome::Failed(broken(&violation.to_string()))
                }
                Sort::Harness => Outcome::Harness(format!(
                    "{clause} cannot be tested: {}: {}",
                    case.name,
                    violation.message()
                )),
                Sort::NotHere => Outcome::Skipped(violation.message().to_owned()),
            },
            Ok(Err(panic)) => Outcome::Failed(broken(&format!("panicked: {}", text_of(&*panic)))),
            Err(RecvTimeoutError::Timeout) => {
                let pending = calls.pending();
                if let Some(task) = task {
                    task.abort();
                }
                let message = broken(&format!(
                    "hangs: expected an end, got none in {:.0} s",
                    self.hang.as_secs_f64()
                ));
                Outcome::Hung { message, age: began.elapsed(), pending }
            }
            Err(RecvTimeoutError::Disconnected) => Outcome::Failed(broken("was cut off")),
        };
        Some(Ran { outcome, took: began.elapsed(), evidence: desk.take(), interrupted })
    }
}

/// How a case came to its end.
enum Ended {
    Done(Checked),
    Skipped(String),
    Stopped,
}

/// Runs a case, or what stands in its place, and cleans up after it.
async fn run_case(
    session: Arc<Session>,
    stop: StopFlag,
    (clause, case, seed): (&'static Clause, &'static Case, u64),
    (calls, desk): (Calls, Desk),
) -> Ended {
    let cx = match stopped_or(&stop, Cx::new(Arc::clone(&session), calls, desk, seed)).await {
        None => return Ended::Stopped,
        Some(Ok(cx)) => cx,
        Some(Err(violation)) => return Ended::Done(Err(violation)),
    };
    let mut itself = true;
    let run: CaseFn = match case.gate {
        Some(gate) if !(gate.declared)(cx.capabilities()) => match gate.negative {
            Negative::Refuses(negative) => {
                itself = false;
                negative
            }
            Negative::Nothing => {
                return Ended::Skipped(undeclared(gate.name));
            }
        },
        _ => case.run,
    };
    // A case that panics, and one that is stopped, is cleaned up after as well.
    let work = std::panic::AssertUnwindSafe(run(cx.clone())).catch_unwind();
    let result = stopped_or(&stop, work).await;
    let cleaned = cx.clean_up().await;
    match result {
        None => Ended::Stopped,
        Some(Ok(result)) => {
            if itself && result.is_ok() {
                session.marks().passed(clause.id, case.name);
            }
            Ended::Done(result.and(cleaned))
        }
        Some(Err(panic)) => {
            Ended::Done(Err(Violation::new(format!("panicked: {}", text_of(&*panic)))))
        }
    }
}

/// What some work comes to, or `None` as soon as the run is stopped; the work is then
/// dropped.
async fn stopped_or<T>(stop: &StopFlag, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.stopped() => None,
        done = work => Some(done),
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}
