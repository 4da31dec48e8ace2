//! What a store that is eventual has to be given: time.
//!
//! Such a store promises that a read sees what was acknowledged a while before it began. So
//! where a case reads what it has written, its read begins that while after the last write
//! that had ended, and what it then gives is judged as on every other store. Cases about
//! clients at the same time read without waiting.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a store is given that is eventual and names no time: see
/// [`Suite::settle`](crate::Suite::settle).
pub(crate) const UNBOUNDED: Duration = Duration::from_millis(500);

/// When a case wrote last, to whichever of its stores, and how long it has waited.
#[derive(Clone, Default)]
pub(crate) struct Settling(Arc<Mutex<Times>>);

#[derive(Default)]
struct Times {
    written: Option<Instant>,
    /// Reads that are waiting, and since when there has been one.
    waiting: usize,
    since: Option<Instant>,
    waited: Duration,
}

/// A read that waits, until it is dropped.
struct Waiting<'a>(&'a Settling);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut times = self.0.times();
        times.waiting -= 1;
        if times.waiting == 0
            && let Some(since) = times.since.take()
        {
            times.waited += since.elapsed();
        }
    }
}

impl Settling {
    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write has ended, however; or a store was opened, which others may have written to.
    pub(crate) fn written(&self) {
        self.times().written = Some(Instant::now());
    }

    /// Waits until so long after the last write that has ended by now. Writes that end
    /// meanwhile are not waited for: nobody would ever read beside writers that go on.
    pub(crate) async fn settled(&self, lag: Duration) {
        let until = match self.times().written {
            Some(written) if !lag.is_zero() => written + lag,
            _ => return,
        };
        if until.checked_duration_since(Instant::now()).is_none() {
            return;
        }
        let _waiting = {
            let mut times = self.times();
            times.waiting += 1;
            times.since.get_or_insert_with(Instant::now);
            Waiting(self)
        };
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// How long there was a read that waited.
    pub(crate) fn waited(&self) -> Duration {
        let times = self.times();
        times.waited + times.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::{Duration, Instant, Settling};

    const LAG: Duration = Duration::from_millis(5);

    #[tokio::test]
    async fn a_read_waits_for_the_writes_that_came_before_it_and_for_no_others() {
        let settling = Settling::default();
        assert!(settling.settled(LAG).now_or_never().is_some(), "nothing was written");
        settling.written();
        assert!(settling.settled(Duration::ZERO).now_or_never().is_some(), "nothing lags");
        let written = Instant::now();
        settling.written();
        let read = settling.settled(LAG);
        tokio::pin!(read);
        assert!(futures::poll!(&mut read).is_pending());
        // A writer that goes on.
        let writer = settling.clone();
        let writes = tokio::spawn(async move {
            loop {
                writer.written();
                tokio::task::yield_now().await;
            }
        });
        read.await;
        writes.abort();
        assert!(written.elapsed() >= LAG);
        assert!(settling.waited() > Duration::ZERO);
    }

    #[tokio::test]
    async fn what_is_waited_at_the_same_time_is_one_time() {
        let settling = Settling::default();
        let began = Instant::now();
        settling.written();
        futures::future::join_all((0..20).map(|_| settling.settled(LAG))).await;
        assert!(settling.waited() <= began.elapsed());
        let waited = settling.waited();
        assert_eq!(settling.waited(), waited, "nobody waits any more");
    }
}
