//! One operation: done, timed, and its answer held against the model.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures::FutureExt;
use parking_lot::Mutex;
use pinstate_core::pin::{Pin, encode};
use pinstate_core::{Error, Outcome, Result};

use crate::measure::{Ended, Measure};
use crate::model::{Done, Found, Model};
use crate::operations::Operation;
use crate::pins::Pins;
use crate::subject::Subject;

/// So many wrong answers are kept as texts.
const KEPT: usize = 20;

/// What all operations of a load share.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) subject: Arc<dyn Subject>,
    pub(crate) pins: Pins,
    pub(crate) model: Arc<Model>,
    pub(crate) measure: Measure,
    /// When the load begins.
    pub(crate) begin: Instant,
    pub(crate) wrong: Wrong,
    /// Bytes of keys and values that were written.
    pub(crate) written: AtomicU64,
    /// Removals that have begun.
    pub(crate) removals: AtomicU64,
}

/// Answers that no right store gives.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    count: AtomicU64,
    texts: Mutex<Vec<String>>,
}

impl Wrong {
    fn add(&self, text: String) {
        if self.count.fetch_add(1, Ordering::Relaxed) < KEPT as u64 {
            self.texts.lock().push(text);
        }
    }

    /// How many there were, and some of them.
    pub(crate) fn all(&self) -> (u64, Vec<String>) {
        (self.count.load(Ordering::Relaxed), self.texts.lock().clone())
    }
}

/// When an operation went to the store and came back.
struct Timed<T> {
    sent: Instant,
    done: Instant,
    result: Result<T>,
}

async fn timed<T>(work: impl Future<Output = Result<T>>) -> Timed<T> {
    let sent = Instant::now();
    let result = work.await;
    Timed { sent, done: Instant::now(), result }
}

/// The same, as what is measured of it.
impl<T> Timed<T> {
    fn spent(&self) -> Spent {
        let error = self.result.as_ref().err().map(|error| error.kind().as_str());
        Spent { sent: self.sent, done: self.done, error }
    }
}

struct Spent {
    sent: Instant,
    done: Instant,
    error: Option<&'static str>,
}

fn outcome<T>(result: &Result<T>) -> Done {
    match result {
        Ok(_) => Done::Applied,
        Err(error) if error.outcome() == Outcome::NotApplied => Done::NotApplied,
        Err(_) => Done::Unknown,
    }
}

impl Work {
    /// Does one, which was to begin at `due`; in a closed loop it begins when it does. `number`
    /// is that of the operation. A store that panics has answered wrongly.
    pub(crate) async fn one(&self, number: u64, operation: Operation, due: Option<Instant>) {
        let done = AssertUnwindSafe(self.timed_one(number, operation, due)).catch_unwind().await;
        if done.is_err() {
            self.wrong.add(format!("{} panicked", operation.kind()));
        }
    }

    async fn timed_one(&self, number: u64, operation: Operation, due: Option<Instant>) {
        let Spent { sent, done, error } = match operation {
            Operation::Add(n) => self.write(n, 0).await,
            Operation::Replace(n, writing) => self.write(n, writing).await,
            Operation::AddBatch(first, count) => self.add_batch(first, count).await,
            Operation::Modify(n, writing) => {
                let read = self.get(n).await;
                if read.error.is_some() {
                    // Without its reading there is no replacing: the next writing comes later.
                    read
                } else {
                    Spent { sent: read.sent, ..self.write(n, writing).await }
                }
            }
            Operation::Rm(n, _) => self.rm(n).await,
            Operation::Get(n) => self.get(n).await,
            Operation::Has(n) => self.has(n).await,
            Operation::Page(n, limit) => self.page(n, u64::from(limit)).await,
            Operation::List => self.list().await,
        };
        let ended = Ended {
            kind: operation.kind(),
            latency: done - due.unwrap_or(sent),
            service: done - sent,
            at: done.saturating_duration_since(self.begin),
            error,
        };
        self.measure.record(number, &ended);
    }

    fn pin(&self, n: u64, writing: u32) -> Pin {
        let pin = self.pins.pin(n, writing);
        let mut value = Vec::new();
        encode(&pin, &mut value);
        let bytes = pin.cid.as_bytes().len() + value.len();
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        pin
    }

    async fn write(&self, n: u64, writing: u32) -> Spent {
        let pin = self.pin(n, writing);
        let write = self.model.write(n, Found::Writing(writing));
        let done = timed(self.subject.add(&pin)).await;
        self.model.written(&write, outcome(&done.result));
        done.spent()
    }

    async fn add_batch(&self, first: u64, count: u32) -> Spent {
        let numbers = first..first + u64::from(count);
        let pins: Vec<Pin> = numbers.clone().map(|n| self.pin(n, 0)).collect();
        let writes: Vec<_> = numbers.map(|n| self.model.write(n, Found::Writing(0))).collect();
        let done = timed(self.subject.add_all(&pins)).await;
        for write in &writes {
            self.model.written(write, outcome(&done.result));
        }
        done.spent()
    }

    async fn rm(&self, n: u64) -> Spent {
        let cid = self.pins.cid(n);
        self.removals.fetch_add(1, Ordering::SeqCst);
        let write = self.model.write(n, Found::Nothing);
        let done = timed(self.subject.rm(&cid)).await;
        self.model.written(&write, outcome(&done.result));
        done.spent()
    }

    async fn get(&self, n: u64) -> Spent {
        let cid = self.pins.cid(n);
        let read = self.model.read(n);
        let done = timed(self.subject.get(&cid)).await;
        let possible = self.model.possible(&read);
        let spent = done.spent();
        if let Ok(found) = done.result {
            match self.found(n, found.as_ref()) {
                Ok(found) if possible.contains(&found) => {}
                Ok(found) => self.wrong.add(format!(
                    "get of pin {n} ({cid}): {found:?}, and only {possible:?} can be"
                )),
                Err(what) => self.wrong.add(format!("get of pin {n} ({cid}): {what}")),
            }
        }
        spent
    }

    /// Which writing a pin is; what is wrong with one that is none.
    fn found(&self, n: u64, pin: Option<&Pin>) -> Result<Found, String> {
        let Some(pin) = pin else { return Ok(Found::Nothing) };
        let writing = Pins::writing(pin).ok_or_else(|| format!("no pin of ours: {pin:?}"))?;
        let expected = self.pins.pin(n, writing);
        if *pin != expected {
            return Err(format!("expected {expected:?}, got {pin:?}"));
        }
        Ok(Found::Writing(writing))
    }

    async fn has(&self, n: u64) -> Spent {
        let cid = self.pins.cid(n);
        let read = self.model.read(n);
        let done = timed(self.subject.has(&cid)).await;
        let possible = self.model.possible(&read);
        let spent = done.spent();
        if let Ok(there) = done.result {
            let can_be = possible.iter().any(|found| (*found != Found::Nothing) == there);
            if !can_be {
                let what = format!("has of pin {n} ({cid}): {there}, and only {possible:?} can be");
                self.wrong.add(what);
            }
        }
        spent
    }

    async fn page(&self, n: u64, limit: u64) -> Spent {
        let cid = self.pins.cid(n);
        let done = timed(self.subject.list(Some(&cid), Some(limit))).await;
        let spent = done.spent();
        if let Ok(count) = done.result
            && count > limit
        {
            self.wrong.add(format!("a page of {limit} pins at most has {count}"));
        }
        spent
    }

    async fn list(&self) -> Spent {
        let before = self.removals.load(Ordering::SeqCst);
        let certain = self.model.certain();
        let done = timed(self.subject.list(None, None)).await;
        let removed = self.removals.load(Ordering::SeqCst) - before;
        let spent = done.spent();
        if let Ok(count) = done.result
            && count < certain.saturating_sub(removed)
        {
            self.wrong.add(format!(
                "a list has {count} pins, and {certain} were there, of which {removed} can be gone"
            ));
        }
        spent
    }
}

/// An error of a run that was asked to stop.
pub(crate) fn cancelled() -> Error {
    let what = "stopped before the end";
    Error::new(pinstate_core::ErrorKind::Cancelled, pinstate_core::Operation::Bench, what)
}
