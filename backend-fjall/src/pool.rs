//! Threads that do what may block: reading from the engine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use pinstate_core::{Operation, Result};
use tokio::sync::oneshot;

use crate::error::{closed, file, no_answer};

type Work = Box<dyn FnOnce() + Send>;

/// A few threads with one queue. Work that was queued when it is stopped is dropped, and
/// whoever waits for it hears that the store was closed.
pub(crate) struct Pool {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    work: std::collections::VecDeque<Work>,
    stopped: bool,
}

impl Pool {
    /// A pool of so many threads.
    pub(crate) fn new(threads: usize) -> Result<Self> {
        let queue = Arc::<Queue>::default();
        let pool = Self { queue, threads: Mutex::default() };
        for _ in 0..threads {
            let queue = Arc::clone(&pool.queue);
            let thread = std::thread::Builder::new().name("pinstate-fjall".to_owned());
            let thread = thread.spawn(move || queue.serve());
            pool.threads.lock().push(thread.map_err(|error| file(error, Operation::Open))?);
        }
        Ok(pool)
    }

    /// Does `work` on a thread of the pool. A caller that goes away does not stop it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: Operation,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move || {
            // A panic of the engine, most likely over damaged files, is this call's alone.
            let result = catch_unwind(AssertUnwindSafe(work));
            let _gone = reply.send(result.unwrap_or_else(|_| Err(no_answer(operation))));
        });
        {
            let mut state = self.queue.state.lock();
            if state.stopped {
                return Err(closed(operation));
            }
            state.work.push_back(work);
        }
        self.queue.more.notify_one();
        answer.await.unwrap_or_else(|_| Err(closed(operation)))
    }

    /// Stops the threads and waits for what they are doing. May block.
    pub(crate) fn stop(&self) {
        let left = {
            let mut state = self.queue.state.lock();
            state.stopped = true;
            std::mem::take(&mut state.work)
        };
        self.queue.more.notify_all();
        drop(left);
        for thread in std::mem::take(&mut *self.threads.lock()) {
            let _panic_was_caught = thread.join();
        }
    }
}

impl Queue {
    fn serve(&self) {
        let mut state = self.state.lock();
        while !state.stopped {
            match state.work.pop_front() {
                Some(work) => parking_lot::MutexGuard::unlocked(&mut state, work),
                None => self.more.wait(&mut state),
            }
        }
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
