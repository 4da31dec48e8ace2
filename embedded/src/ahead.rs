//! Pages that are read before they are asked for.
//!
//! One job at a time reads pages, one after the other on one thread, until enough of them wait
//! for the consumer. Whoever takes a page starts it again. A consumer that is as quick as the
//! reader therefore finds it at work, and neither waits for a thread to wake up once a page.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Lost, Permit, Pool};

/// Pages that wait for their consumer.
const PAGES: usize = 2;
/// Pages that a job reads before others get their turn on its thread.
const TURN: usize = 8;

/// Reads the next page; `None` where there is none. After an error it is asked for the same page
/// again.
pub type ReadPage<T, E> = Box<dyn FnMut() -> Result<Option<T>, E> + Send>;

struct State<T, E> {
    ready: VecDeque<Result<T, E>>,
    /// There are no more pages.
    ended: bool,
    /// A job is at work or about to be.
    at_work: bool,
    /// The consumer is gone.
    dropped: bool,
}

struct Shared<T, E> {
    state: Mutex<State<T, E>>,
    /// Used by the job that is at work.
    read: Mutex<ReadPage<T, E>>,
    /// What becomes of a reader that was lost.
    lost: fn(Lost) -> E,
    /// Told of each page.
    arrived: Notify,
}

/// The consumer's side of a reader that is a few pages ahead.
pub struct Ahead<T, E> {
    pool: Arc<Pool>,
    shared: Arc<Shared<T, E>>,
}

impl<T, E> std::fmt::Debug for Ahead<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ahead").finish_non_exhaustive()
    }
}

impl<T: Send + 'static, E: Send + 'static> Ahead<T, E> {
    /// Pages that `read` gives, on threads of the pool. Nothing is read before the first is
    /// asked for; `lost` says what a closed pool or a panic is to the consumer.
    #[must_use]
    pub fn new(pool: Arc<Pool>, read: ReadPage<T, E>, lost: fn(Lost) -> E) -> Self {
        let state = State {
            ready: VecDeque::with_capacity(PAGES),
            ended: false,
            at_work: false,
            dropped: false,
        };
        let (state, read) = (Mutex::new(state), Mutex::new(read));
        Self { pool, shared: Arc::new(Shared { state, read, lost, arrived: Notify::new() }) }
    }

    /// The next page, or `None` when all were given. Cancel safe: a page that nobody waits for
    /// any more is the next one.
    ///
    /// # Errors
    /// Those of reading, and what is lost.
    pub async fn next(&mut self) -> Result<Option<T>, E> {
        loop {
            let (page, at_work) = {
                let mut state = self.shared.state.lock();
                let page = state.ready.pop_front();
                if page.is_none() && state.ended {
                    return Ok(None);
                }
                (page, state.at_work)
            };
            if let Some(page) = page {
                // What keeps this from working is told by the next call.
                if let Some(permit) = self.pool.try_reserve() {
                    let _told_later = self.start(permit);
                }
                return page.map(Some);
            }
            if at_work {
                self.shared.arrived.notified().await;
            } else {
                let permit = self.pool.reserve(1).await.map_err(self.shared.lost)?;
                self.start(permit).map_err(self.shared.lost)?;
            }
        }
    }

    /// Starts the job, unless it is at work or has nothing to do.
    fn start(&self, permit: Permit) -> Result<(), Lost> {
        {
            let mut state = self.shared.state.lock();
            if state.at_work || state.ended {
                return Ok(());
            }
            state.at_work = true;
        }
        let shared = Arc::clone(&self.shared);
        let started = self.pool.push(permit, move |permit| {
            shared.work();
            drop(permit);
            Some(Box::new(move || shared.rest()))
        });
        if started.is_err() {
            self.shared.state.lock().at_work = false;
        }
        started
    }
}

impl<T, E> Drop for Ahead<T, E> {
    fn drop(&mut self) {
        self.shared.state.lock().dropped = true;
    }
}

impl<T, E> Shared<T, E> {
    fn work(&self) {
        let mut read = self.read.lock();
        for _ in 0..TURN {
            {
                let state = self.state.lock();
                if state.ended || state.dropped || state.ready.len() >= PAGES {
                    break;
                }
            }
            // An engine may panic over files that are damaged.
            let page = catch_unwind(AssertUnwindSafe(&mut *read))
                .unwrap_or_else(|_| Err((self.lost)(Lost::Panicked)));
            let failed = page.is_err();
            let mut state = self.state.lock();
            match page.transpose() {
                // What could not be read stays the next page: the consumer may ask again.
                Some(page) => state.ready.push_back(page),
                None => state.ended = true,
            }
            drop(state);
            self.arrived.notify_one();
            if failed {
                break;
            }
        }
    }

    fn rest(&self) {
        self.state.lock().at_work = false;
        // The consumer may have come to wait since the last page.
        self.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(
        mut read: impl FnMut(u32) -> Result<Option<u32>, String> + Send + 'static,
    ) -> Ahead<u32, String> {
        let mut at = 0;
        let read = move || {
            at += 1;
            read(at)
        };
        let pool = Pool::start("ahead", 1, 4).unwrap();
        Ahead::new(Arc::new(pool), Box::new(read), |lost| format!("{lost:?}"))
    }

    #[tokio::test]
    async fn all_pages_come_in_their_order_and_then_the_end() {
        let mut pages = pages(|at| Ok((at <= 50).then_some(at)));
        for at in 1..=50 {
            assert_eq!(pages.next().await, Ok(Some(at)));
        }
        assert_eq!(pages.next().await, Ok(None));
        assert_eq!(pages.next().await, Ok(None));
    }

    #[tokio::test]
    async fn an_error_and_a_panic_come_in_their_place_and_do_not_end_it() {
        let mut pages = pages(|at| match at {
            2 => Err("failed".to_owned()),
            3 => panic!("as asked"),
            at => Ok((at < 5).then_some(at)),
        });
        assert_eq!(pages.next().await, Ok(Some(1)));
        assert_eq!(pages.next().await, Err("failed".to_owned()));
        assert_eq!(pages.next().await, Err("Panicked".to_owned()));
        assert_eq!(pages.next().await, Ok(Some(4)));
        assert_eq!(pages.next().await, Ok(None));
    }

    #[tokio::test]
    async fn a_closed_pool_is_told_after_what_was_read() {
        let mut pages = pages(|at| Ok(Some(at)));
        assert_eq!(pages.next().await, Ok(Some(1)));
        pages.pool.close();
        while let Ok(page) = pages.next().await {
            assert!(page.is_some_and(|at| at <= 1 + PAGES as u32 + TURN as u32));
        }
        assert_eq!(pages.next().await, Err("Closed".to_owned()));
    }
}
