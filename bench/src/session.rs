//! One store, from empty to the last run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Error, ErrorKind, Operation, Result};

use crate::load::{self, Load};
use crate::measure::Measure;
use crate::model::Model;
use crate::operations::Operations;
use crate::outcome::Run;
use crate::pins::Pins;
use crate::subject::Subject;
use crate::work::{Work, cancelled};
use crate::workload::Workload;

/// Pins of a batch of those that are there before.
const BATCH: u64 = 1_000;
/// Batches of them at the same time.
const AT_ONCE: usize = 4;

/// Adds the first pins, so many of them, in their first writing, and makes them durable.
///
/// # Errors
/// `Cancelled` when it is told to stop; what the store says.
pub async fn fill(subject: &dyn Subject, pins: &Pins, count: u64, stop: &StopFlag) -> Result<()> {
    let batches = (0..count).step_by(usize::try_from(BATCH).unwrap_or(1_000)).map(|first| {
        let numbers = first..(first + BATCH).min(count);
        async move {
            if stop.is_set() {
                return Err(cancelled());
            }
            let batch: Vec<_> = numbers.map(|n| pins.pin(n, 0)).collect();
            subject.add_all(&batch).await
        }
    });
    stream::iter(batches).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    subject.sync().await
}

/// A store under a workload: what was done to it, and so what it should hold.
#[derive(Debug)]
pub struct Session {
    subject: Arc<dyn Subject>,
    pins: Pins,
    model: Arc<Model>,
    /// Absent while they are being given.
    operations: Option<Operations>,
    seed: u64,
    runs: u64,
}

impl Session {
    /// Fills an empty store with what the workload wants to be there.
    ///
    /// # Errors
    /// `Conflict` for one that is not empty, with nothing written; `Cancelled` when it is told
    /// to stop; what else the store says.
    pub async fn begin(
        subject: Arc<dyn Subject>,
        workload: &Workload,
        seed: u64,
        stop: &StopFlag,
    ) -> Result<Self> {
        let bad = |what| Error::new(ErrorKind::InvalidInput, Operation::Bench, what);
        let operations = Operations::new(workload, seed).map_err(bad)?;
        if !subject.is_empty().await? {
            let what = format!(
                "{} has pins already, and a benchmark writes and removes: name an empty namespace",
                subject.setup().name
            );
            return Err(Error::new(ErrorKind::Conflict, Operation::Bench, what));
        }
        let pins = Pins::new(seed, workload.pins);
        fill(&*subject, &pins, workload.preload, stop).await?;
        let model = Arc::new(Model::new(workload.preload));
        Ok(Self { subject, pins, model, operations: Some(operations), seed, runs: 0 })
    }

    /// What is under load.
    #[must_use]
    pub fn subject(&self) -> &Arc<dyn Subject> {
        &self.subject
    }

    /// Runs the operations that come next; `subject` and `round` (counted from 1) are what the run is told
    /// apart by.
    ///
    /// # Errors
    /// `Cancelled` when it is told to stop; `InvalidInput` for a load that makes no sense.
    /// Errors of the store are counted and end nothing.
    pub async fn run(
        &mut self,
        load: &Load,
        subject: usize,
        round: usize,
        stop: &StopFlag,
    ) -> Result<Run> {
        let Some(operations) = self.operations.take() else {
            let what = "a run before this one was broken off: what is stored is not known";
            return Err(Error::new(ErrorKind::Internal, Operation::Bench, what));
        };
        let work = Arc::new(Work {
            subject: Arc::clone(&self.subject),
            pins: self.pins.clone(),
            model: Arc::clone(&self.model),
            measure: Measure::new(load.window),
            // The first ones are not late already.
            begin: Instant::now() + Duration::from_millis(20),
            wrong: Default::default(),
            written: Default::default(),
            removals: Default::default(),
        });
        self.runs += 1;
        let seed = self.seed.wrapping_add(self.runs);
        let ran = load::run(&work, operations, load, seed, stop).await?;
        self.operations = Some(ran.operations);
        let (kinds, windows) = work.measure.finish(ran.counting);
        let operations = windows.iter().map(|window| window.operations).sum();
        let errors: u64 = windows.iter().map(|window| window.errors).sum();
        let seconds: f64 = windows.iter().map(|window| window.seconds).sum();
        let (wrong_count, wrong) = work.wrong.all();
        let folder = self.subject.folder();
        let (began, ended) = &ran.stands;
        Ok(Run {
            subject,
            round,
            mode: load.how.mode(),
            warmup_seconds: ran.warmup.as_secs_f64(),
            warm: ran.warm,
            seconds,
            operations,
            throughput: operations as f64 / seconds.max(1e-9),
            saturated: ran.paced.and_then(|paced| paced.saturated(operations + errors)),
            kinds,
            windows,
            resources: began.until(ended, operations, ran.written, folder.as_deref()),
            wrong,
            wrong_count,
        })
    }
}
