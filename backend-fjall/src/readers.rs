//! Where reads are made: in place while they are quick, or else on threads of the store's own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pinstate_core::{Error, Operation, Result};
use pinstate_embedded::{Lost, Pace, Pool};
use tokio::sync::oneshot;

use crate::error::{closed, file, no_answer};

/// Calls that wait or are at work; more make their callers wait.
const QUEUE: u32 = 1_024;

/// The threads that read.
#[derive(Debug)]
pub(crate) struct Readers {
    pace: Pace,
    /// For calls of a few rows.
    points: Pool,
    /// For passes over many, so that they do not stand in the way of the others.
    passes: Arc<Pool>,
}

impl Readers {
    pub(crate) fn start() -> Result<Self> {
        let pool = |name| {
            let pool = Pool::start(name, Pool::fitting(), QUEUE);
            pool.map_err(|error| file(error, Operation::Open))
        };
        let (points, passes) = (pool("pinstate-fjall-read")?, pool("pinstate-fjall-scan")?);
        Ok(Self { pace: Pace::default(), points, passes: Arc::new(passes) })
    }

    /// Reads on the caller's thread, if that is likely to be quick and `work` can begin at once.
    pub(crate) fn here<T>(
        &self,
        operation: Operation,
        work: impl FnOnce() -> Option<Result<T>>,
    ) -> Option<Result<T>> {
        self.pace.here(|| {
            // A panic of the engine, most likely over damaged files, is this call's alone.
            catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Some(Err(no_answer(operation))))
        })
    }

    /// Reads a few rows.
    pub(crate) async fn point<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        run(&self.points, operation, work).await
    }

    /// Reads many rows.
    pub(crate) async fn pass<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        run(&self.passes, operation, work).await
    }

    /// The threads for passes over many rows.
    pub(crate) fn passes(&self) -> &Arc<Pool> {
        &self.passes
    }

    /// Works off what is queued, and ends the threads. Blocks.
    pub(crate) fn stop(&self) {
        self.points.close();
        self.passes.close();
    }
}

async fn run<T: Send + 'static>(
    pool: &Pool,
    operation: Operation,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    pool.run(work).await.unwrap_or_else(|gone| Err(lost(gone, operation)))
}

/// The error of a call that got no answer.
pub(crate) fn lost(gone: Lost, operation: Operation) -> Error {
    match gone {
        Lost::Closed => closed(operation),
        Lost::Panicked => no_answer(operation),
    }
}

/// Does something long on a thread of its own: opening, closing. A caller that goes away does
/// not stop it.
pub(crate) async fn aside<T: Send + 'static>(
    operation: Operation,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    let thread = std::thread::Builder::new().name("pinstate-fjall-aside".to_owned());
    let work = move || {
        let _gone = reply.send(work());
    };
    thread.spawn(work).map_err(|error| file(error, operation))?;
    answer.await.unwrap_or_else(|_| Err(no_answer(operation)))
}
