//! Operations at their times, whatever became of those before: an open loop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::load::{Control, UnderWay, nanos};
use crate::measure::{histogram, record};
use crate::operations::Operations;
use crate::schedule::Schedule;
use crate::work::Work;

/// What can be said of the giving of operations in an open loop, over what counts.
#[derive(Debug)]
pub(crate) struct Paced {
    given: u64,
    /// Had to wait since too many were under way.
    waited: u64,
    /// How late operations were given that had not to wait.
    late: Histogram<u64>,
    /// How late the last one was given.
    behind: Duration,
}

/// The longest sleep between looks at whether to stop.
const NAP: Duration = Duration::from_millis(50);
/// How long to wait for a place among those under way.
const FULL: Duration = Duration::from_micros(100);

/// Begins each operation when it is its time. Blocks.
pub(crate) fn pace(
    work: &Arc<Work>,
    mut operations: Operations,
    schedule: Schedule,
    control: &Arc<Control>,
    cap: usize,
) -> (Operations, Paced) {
    let runtime = tokio::runtime::Handle::current();
    // The kernel lets sleepers sleep fifty microseconds longer unless it is told not to.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    let late = histogram();
    let mut paced = Paced { given: 0, waited: 0, late, behind: Duration::ZERO };
    for at in schedule {
        if control.is_over(at) {
            break;
        }
        let due = work.begin + at;
        while let Some(left) = due.checked_duration_since(Instant::now()).filter(|d| !d.is_zero()) {
            std::thread::sleep(left.min(NAP));
            if control.is_over(at) {
                break;
            }
        }
        if control.is_over(at) {
            break;
        }
        let mut waited = false;
        while control.under_way.load(Ordering::Acquire) >= cap && !control.stop.is_set() {
            waited = true;
            std::thread::sleep(FULL);
        }
        let Some(operation) = operations.next() else { break };
        if nanos(work.begin.elapsed()) >= control.from.load(Ordering::Acquire) {
            paced.given += 1;
            paced.behind = due.elapsed();
            if waited {
                paced.waited += 1;
            } else {
                record(&mut paced.late, paced.behind);
            }
        }
        let number = control.begun.fetch_add(1, Ordering::Relaxed);
        let (work, under_way) = (Arc::clone(work), UnderWay::new(control));
        runtime.spawn(async move {
            work.one(number, operation, Some(due)).await;
            drop(under_way);
        });
    }
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(None);
    (operations, paced)
}

impl Paced {
    /// Why the rate was not kept, where it was not, though so many were answered.
    pub(crate) fn saturated(&self, answered: u64) -> Option<String> {
        /// So many of all may have to wait for a place.
        const WAITED: f64 = 0.01;
        /// So many of all must be answered before the end.
        const ANSWERED: f64 = 0.98;
        /// So late may the ninety-ninth of a hundred be given.
        const LATE: Duration = Duration::from_millis(10);
        /// So late may the last one be given.
        const BEHIND: Duration = Duration::from_millis(200);
        if self.behind > BEHIND {
            return Some(format!(
                "at its end the load was {:.1} s behind: {} of the last {} operations had to wait \
                 since too many were under way",
                self.behind.as_secs_f64(),
                self.waited,
                self.given
            ));
        }
        let given = self.given as f64;
        if self.waited as f64 > WAITED * given {
            return Some(format!(
                "{} of {} operations had to wait since too many were under way: the store does \
                 not do so many a second",
                self.waited, self.given
            ));
        }
        // Some that began before are answered within it, and some that began within it after.
        let missing = given - answered as f64;
        if missing > ((1.0 - ANSWERED) * given).max(3.0 * given.sqrt()) {
            return Some(format!(
                "{answered} of {} operations were answered: the store does not do so many a second",
                self.given
            ));
        }
        let late = Duration::from_nanos(self.late.value_at_quantile(0.99));
        (!self.late.is_empty() && late > LATE).then(|| {
            format!(
                "one in a hundred operations was given {late:?} late or more: this machine does \
                 not give so many a second"
            )
        })
    }
}
