//! Long-lived worker threads with one bounded queue.
//!
//! Engine calls block: they read files, and a write may wait for a flush. Handing each to
//! the runtime's own blocking pool costs about 29 µs a call and 62,000 calls/s at most; a
//! thread that lives as long as the store and answers through a oneshot costs about 5 µs.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Why a job gave no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// The pool takes no jobs any more.
    Closed,
    /// The job panicked.
    Panicked,
}

/// A job's share of the queue, given back when it is dropped.
pub(crate) type Permit = OwnedSemaphorePermit;

type Job = Box<dyn FnOnce(Permit) + Send>;

struct Queue {
    jobs: Mutex<Jobs>,
    ready: Condvar,
}

struct Jobs {
    waiting: VecDeque<(Permit, Job)>,
    open: bool,
}

/// Threads that take jobs from one queue in the order of arrival.
pub(crate) struct Pool {
    queue: Arc<Queue>,
    space: Arc<Semaphore>,
    capacity: u32,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// Starts `threads` threads. Jobs wait for room once those queued and at work add up
    /// to `capacity`.
    pub(crate) fn start(name: &str, threads: usize, capacity: u32) -> std::io::Result<Self> {
        let queue = Arc::new(Queue {
            jobs: Mutex::new(Jobs { waiting: VecDeque::new(), open: true }),
            ready: Condvar::new(),
        });
        let pool = Self {
            queue,
            space: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
            threads: Mutex::new(Vec::with_capacity(threads)),
        };
        for _ in 0..threads {
            let queue = Arc::clone(&pool.queue);
            let thread =
                std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&queue))?;
            pool.threads.lock().push(thread);
        }
        Ok(pool)
    }

    /// Waits for room of this size; one that is larger than the whole queue gets all of it.
    pub(crate) async fn reserve(&self, size: u32) -> Result<Permit, Lost> {
        let size = size.clamp(1, self.capacity);
        Arc::clone(&self.space).acquire_many_owned(size).await.map_err(|_| Lost::Closed)
    }

    /// Room of size 1, if there is some now.
    pub(crate) fn try_reserve(&self) -> Option<Permit> {
        Arc::clone(&self.space).try_acquire_owned().ok()
    }

    /// Queues a job. It gets its permit, and may pass it on to whatever it starts.
    pub(crate) fn push(
        &self,
        permit: Permit,
        job: impl FnOnce(Permit) + Send + 'static,
    ) -> Result<(), Lost> {
        let mut jobs = self.queue.jobs.lock();
        if !jobs.open {
            return Err(Lost::Closed);
        }
        jobs.waiting.push_back((permit, Box::new(job)));
        drop(jobs);
        self.queue.ready.notify_one();
        Ok(())
    }

    /// Queues a job without waiting for it; its answer comes through the receiver, whose
    /// sender is dropped when the job panics.
    pub(crate) fn start_job<T: Send + 'static>(
        &self,
        permit: Permit,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Lost> {
        let (answer, answered) = oneshot::channel();
        self.push(permit, move |permit| {
            let result = job();
            drop(permit);
            // Nobody waits any more where the caller gave up.
            drop(answer.send(result));
        })?;
        Ok(answered)
    }

    /// Runs a job and waits for its answer.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let permit = self.reserve(1).await?;
        self.start_job(permit, job)?.await.map_err(|_| Lost::Panicked)
    }

    /// Takes no more jobs, works off those that wait, and ends the threads. Blocks.
    pub(crate) fn close(&self) {
        self.space.close();
        self.queue.jobs.lock().open = false;
        self.queue.ready.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // A worker catches every panic of a job, so there is nothing to learn here.
            drop(thread.join());
        }
    }
}

fn work(queue: &Queue) {
    loop {
        let (permit, job) = {
            let mut jobs = queue.jobs.lock();
            loop {
                if let Some(job) = jobs.waiting.pop_front() {
                    break job;
                }
                if !jobs.open {
                    return;
                }
                queue.ready.wait(&mut jobs);
            }
        };
        // The engine asserts much of what it reads. A panic drops the answer's sender,
        // which tells the caller; the thread must live on for the others.
        drop(catch_unwind(AssertUnwindSafe(|| job(permit))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panicking_job_answers_and_the_worker_lives_on() {
        let pool = Pool::start("test", 1, 4).unwrap();
        assert_eq!(pool.run(|| -> u8 { panic!("on purpose") }).await, Err(Lost::Panicked));
        for _ in 0..8 {
            assert_eq!(pool.run(|| 7).await, Ok(7));
        }
        pool.close();
        assert_eq!(pool.run(|| 7).await, Err(Lost::Closed));
    }

    #[tokio::test]
    async fn a_full_queue_makes_callers_wait() {
        let pool = Arc::new(Pool::start("test", 1, 2).unwrap());
        let (open, gate) = std::sync::mpsc::channel::<()>();
        let busy = pool.reserve(1).await.unwrap();
        let blocked = pool.start_job(busy, move || gate.recv()).unwrap();
        let queued = pool.reserve(1).await.unwrap();
        assert_eq!(pool.space.available_permits(), 0);
        drop(queued);
        let whole = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { pool.reserve(u32::MAX).await.map(drop) }
        });
        open.send(()).unwrap();
        blocked.await.unwrap().unwrap();
        whole.await.unwrap().unwrap();
        pool.close();
    }

    #[tokio::test]
    async fn closing_works_off_what_is_queued() {
        let pool = Pool::start("test", 2, 64).unwrap();
        let mut answers = Vec::new();
        for i in 0..64u32 {
            let permit = pool.reserve(1).await.unwrap();
            answers.push(pool.start_job(permit, move || i).unwrap());
        }
        pool.close();
        for (i, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.await.unwrap() as usize, i);
        }
    }
}
