//! Long-lived worker threads with one bounded queue.
//!
//! Engine calls block: they read files, and a write may wait for a flush. Handing each to
//! the runtime's own blocking pool costs about 29 µs a call and 62,000 calls/s at most; a
//! thread that lives as long as the store and answers through a oneshot costs about 5 µs.
//!
//! Of the threads that wait, the one that worked last gets the next job, and it counts as
//! waiting before it gives its answer: whoever then sends the next job at once finds the
//! same thread, still awake. Common allocators keep memory by thread, and the engine's cache
//! is made of small pieces: were all threads to take turns at a scan, each would come to
//! hold about as much as the cache.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Why a job gave no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The pool takes no jobs any more.
    Closed,
    /// The job panicked.
    Panicked,
}

/// A job's share of the queue, given back when it is dropped.
pub type Permit = OwnedSemaphorePermit;

/// What a job leaves to be done once its thread is free again: giving its answer.
pub type Answer = Box<dyn FnOnce() + Send>;

type Job = Box<dyn FnOnce(Permit) -> Option<Answer> + Send>;

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("threads", &self.wake.len()).finish_non_exhaustive()
    }
}

struct Queue {
    jobs: Mutex<Jobs>,
    /// One for each thread.
    wake: Vec<Condvar>,
}

struct Jobs {
    waiting: VecDeque<(Permit, Job)>,
    /// The threads that have nothing to do, the one that worked last at the end.
    idle: Vec<usize>,
    open: bool,
}

/// Threads that take jobs from one queue in the order of arrival.
#[derive(Debug)]
pub struct Pool {
    queue: Arc<Queue>,
    space: Arc<Semaphore>,
    capacity: u32,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pool {
    /// How many threads suit this machine: one for each processor, at least 2 and at most 8.
    #[must_use]
    pub fn fitting() -> usize {
        std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8)
    }

    /// Starts `threads` threads. Jobs wait for room once those queued and at work add up
    /// to `capacity`.
    ///
    /// # Errors
    /// What the system says where it gives no more threads.
    pub fn start(name: &str, threads: usize, capacity: u32) -> std::io::Result<Self> {
        let queue = Arc::new(Queue {
            jobs: Mutex::new(Jobs { waiting: VecDeque::new(), idle: Vec::new(), open: true }),
            wake: (0..threads).map(|_| Condvar::new()).collect(),
        });
        let pool = Self {
            queue,
            space: Arc::new(Semaphore::new(capacity as usize)),
            capacity,
            threads: Mutex::new(Vec::with_capacity(threads)),
        };
        for me in 0..threads {
            let queue = Arc::clone(&pool.queue);
            let thread =
                std::thread::Builder::new().name(name.to_owned()).spawn(move || queue.work(me))?;
            pool.threads.lock().push(thread);
        }
        Ok(pool)
    }

    /// Waits for room of this size; one that is larger than the whole queue gets all of it.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn reserve(&self, size: u32) -> Result<Permit, Lost> {
        let size = size.clamp(1, self.capacity);
        Arc::clone(&self.space).acquire_many_owned(size).await.map_err(|_| Lost::Closed)
    }

    /// Room of size 1, if there is some now.
    pub fn try_reserve(&self) -> Option<Permit> {
        Arc::clone(&self.space).try_acquire_owned().ok()
    }

    /// Queues a job. It gets its permit, and may pass it on to whatever it starts.
    ///
    /// # Errors
    /// `Closed`.
    pub fn push(
        &self,
        permit: Permit,
        job: impl FnOnce(Permit) -> Option<Answer> + Send + 'static,
    ) -> Result<(), Lost> {
        let mut jobs = self.queue.jobs.lock();
        if !jobs.open {
            return Err(Lost::Closed);
        }
        jobs.waiting.push_back((permit, Box::new(job)));
        let idle = jobs.idle.pop();
        drop(jobs);
        if let Some(wake) = idle.and_then(|thread| self.queue.wake.get(thread)) {
            wake.notify_one();
        }
        Ok(())
    }

    /// Queues a job without waiting for it; its answer comes through the receiver, whose
    /// sender is dropped when the job panics.
    ///
    /// # Errors
    /// `Closed`.
    pub fn start_job<T: Send + 'static>(
        &self,
        permit: Permit,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, Lost> {
        let (answer, answered) = oneshot::channel();
        self.push(permit, move |permit| {
            let result = job();
            drop(permit);
            // Nobody waits any more where the caller gave up.
            Some(Box::new(move || drop(answer.send(result))))
        })?;
        Ok(answered)
    }

    /// Runs a job and waits for its answer. A caller that goes away does not stop it.
    ///
    /// # Errors
    /// `Closed`; `Panicked`.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let permit = self.reserve(1).await?;
        self.start_job(permit, job)?.await.map_err(|_| Lost::Panicked)
    }

    /// Runs a job at once and blocks until it answers.
    ///
    /// # Errors
    /// `Closed`, also where the queue is full; `Panicked`.
    pub fn run_blocking<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let permit = self.try_reserve().ok_or(Lost::Closed)?;
        let (answer, answered) = std::sync::mpsc::channel();
        self.push(permit, move |permit| {
            let result = job();
            drop(permit);
            Some(Box::new(move || drop(answer.send(result))))
        })?;
        answered.recv().map_err(|_| Lost::Panicked)
    }

    /// Takes no more jobs, works off those that wait, and ends the threads. Blocks.
    pub fn close(&self) {
        self.space.close();
        self.queue.jobs.lock().open = false;
        for wake in &self.queue.wake {
            wake.notify_one();
        }
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // A worker catches every panic of a job, so there is nothing to learn here.
            drop(thread.join());
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Queue {
    fn work(&self, me: usize) {
        let mut answer = None;
        while let Some((permit, job)) = self.next_job(me, answer.take()) {
            // The engine asserts much of what it reads. A panic drops the answer's sender,
            // which tells the caller; the thread must live on for the others.
            answer = catch_unwind(AssertUnwindSafe(|| job(permit))).ok().flatten();
        }
    }

    /// Gives the answer of the last job and waits for the next; none comes once the pool is
    /// closed and all is worked off.
    fn next_job(&self, me: usize, answer: Option<Answer>) -> Option<(Permit, Job)> {
        let wake = self.wake.get(me)?;
        let mut jobs = self.jobs.lock();
        if let Some(answer) = answer {
            jobs.idle.push(me);
            MutexGuard::unlocked(&mut jobs, answer);
        }
        loop {
            if let Some(job) = jobs.waiting.pop_front() {
                jobs.idle.retain(|&thread| thread != me);
                return Some(job);
            }
            if !jobs.open {
                return None;
            }
            // Woken for a job that another thread took, it stands there no more.
            if !jobs.idle.contains(&me) {
                jobs.idle.push(me);
            }
            wake.wait(&mut jobs);
        }
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
