//! How fast a job works: what it was told, and what the target can bear.
//!
//! A limit holds for all workers together. Each is a debt: whoever takes from it may go on at
//! once, and the next one waits until what was taken before is paid off at the limit's rate.
//! What the target can bear is found by additive increase and multiplicative decrease: when it
//! asks for less, or is slower than it may be, it gets 0.7 times what it got in the last
//! second, and each second afterwards a twentieth more.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Operation, Result};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::orders::Orders;
use crate::pass::not_stopped;

/// Pages whose slowest one counts.
const PAGES: usize = 100;
/// The least time between two changes of what the target gets.
const SECOND: Duration = Duration::from_secs(1);
/// The least that a target is given: records a second.
const LEAST: f64 = 10.0;
/// How long somebody who may not work waits before asking again whether it is time.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Makes workers wait.
#[derive(Debug)]
pub(super) struct Throttle {
    state: Mutex<State>,
    changed: Notify,
    stop: StopFlag,
    /// Seconds since the Unix epoch.
    now: fn() -> i64,
}

#[derive(Debug)]
struct State {
    orders: Orders,
    debts: BTreeMap<&'static str, Instant>,
    bearable: Bearable,
    /// Why somebody waits now.
    reason: Option<String>,
    waited: BTreeMap<&'static str, Duration>,
}

/// What the target can bear.
#[derive(Debug)]
struct Bearable {
    /// Records a second; nothing while it has never asked for less.
    rate: Option<f64>,
    /// What it got when it asked for less first.
    before: f64,
    changed: Instant,
    /// Records since then.
    written: u64,
    latencies: VecDeque<Duration>,
    why: String,
}

impl Throttle {
    pub(super) fn new(orders: Orders, stop: StopFlag, now: fn() -> i64) -> Self {
        let bearable = Bearable {
            rate: None,
            before: 0.0,
            changed: Instant::now(),
            written: 0,
            latencies: VecDeque::new(),
            why: String::new(),
        };
        let state = State {
            orders,
            debts: BTreeMap::new(),
            bearable,
            reason: None,
            waited: BTreeMap::new(),
        };
        Self { state: Mutex::new(state), changed: Notify::new(), stop, now }
    }

    /// Follows other orders from now on; says whether they are others.
    pub(super) fn follow(&self, orders: Orders) -> bool {
        let mut state = self.state.lock();
        let others = state.orders != orders;
        if others {
            // What was taken under another limit is forgotten.
            state.debts.clear();
            state.orders = orders;
            self.changed.notify_waiters();
        }
        others
    }

    /// Waits until work may be done at all.
    pub(super) async fn gate(&self) -> Result<()> {
        loop {
            not_stopped(&self.stop, Operation::Migrate)?;
            let changed = self.changed.notified();
            let reason = {
                let mut state = self.state.lock();
                let reason = if state.orders.paused {
                    Some(("paused", "paused".to_owned()))
                } else if !state.orders.open_at((self.now)()) {
                    Some(("window", "not within its times of the day".to_owned()))
                } else {
                    None
                };
                state.reason = reason.as_ref().map(|(_, text)| text.clone());
                reason
            };
            let Some((kind, _)) = reason else { return Ok(()) };
            let began = Instant::now();
            tokio::select! {
                () = changed => {}
                () = self.stop.stopped() => {}
                () = tokio::time::sleep(ASK_AGAIN) => {}
            }
            *self.state.lock().waited.entry(kind).or_default() += began.elapsed();
        }
    }

    /// Takes what was read, and waits until more may be.
    pub(super) async fn read(&self, rows: u64, bytes: u64) -> Result<()> {
        let (row_limit, byte_limit) = {
            let state = self.state.lock();
            (state.orders.read_rows, state.orders.read_bytes)
        };
        self.take("read rows", rows, row_limit.map(|rate| rate as f64)).await?;
        self.take("read bytes", bytes, byte_limit.map(|rate| rate as f64)).await
    }

    /// Takes what is to be written, once it may be.
    pub(super) async fn write(&self, rows: u64, bytes: u64) -> Result<()> {
        let (row_limit, byte_limit, bearable) = {
            let state = self.state.lock();
            (state.orders.write_rows, state.orders.write_bytes, state.bearable.rate)
        };
        self.take("write rows", rows, row_limit.map(|rate| rate as f64)).await?;
        self.take("write bytes", bytes, byte_limit.map(|rate| rate as f64)).await?;
        self.take("target", rows, bearable).await
    }

    async fn take(&self, kind: &'static str, amount: u64, rate: Option<f64>) -> Result<()> {
        let Some(rate) = rate else { return Ok(()) };
        let paid = Duration::try_from_secs_f64(amount as f64 / rate.max(f64::MIN_POSITIVE))
            .unwrap_or(Duration::from_secs(3_600));
        let now = Instant::now();
        let until = {
            let mut state = self.state.lock();
            let debt = state.debts.entry(kind).or_insert(now);
            let until = (*debt).max(now);
            *debt = until + paid;
            if until > now {
                let reason = match kind {
                    "target" => state.bearable.why.clone(),
                    kind => format!("at most {rate:.0} {kind} a second"),
                };
                state.reason = Some(reason);
            }
            until
        };
        if until > now {
            let changed = self.changed.notified();
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = changed => {}
                () = self.stop.stopped() => {}
            }
            let mut state = self.state.lock();
            *state.waited.entry(kind).or_default() += now.elapsed();
            state.reason = None;
        }
        not_stopped(&self.stop, Operation::Migrate)
    }

    /// Tells how a page was written: how long it took, and whether the target asked for less.
    pub(super) fn wrote(&self, rows: u64, took: Duration, overloaded: bool) {
        let mut state = self.state.lock();
        let limit = state.orders.latency();
        let bearable = &mut state.bearable;
        bearable.written += rows;
        if bearable.latencies.len() == PAGES {
            bearable.latencies.pop_front();
        }
        bearable.latencies.push_back(took);
        let since = bearable.changed.elapsed();
        if since < SECOND && !(overloaded && bearable.rate.is_none()) {
            return;
        }
        let slowest = bearable.latencies.iter().max().copied().unwrap_or_default();
        let slow = limit.is_some_and(|limit| slowest > limit);
        let got = bearable.written as f64 / since.as_secs_f64().max(0.001);
        if overloaded || slow {
            bearable.why = match limit {
                Some(limit) if slow && !overloaded => {
                    format!("the target took {slowest:.0?} for a page and may take {limit:.0?}")
                }
                _ => "the target asked for less".to_owned(),
            };
            if bearable.rate.is_none() {
                bearable.before = got;
            }
            let now = bearable.rate.map_or(got, |rate| rate.min(got));
            bearable.rate = Some((now * 0.7).max(LEAST));
            bearable.latencies.clear();
        } else if let Some(rate) = bearable.rate {
            let more = rate + (bearable.before / 20.0).max(LEAST);
            bearable.rate = Some(more).filter(|rate| *rate < bearable.before * 2.0);
        }
        bearable.changed = Instant::now();
        bearable.written = 0;
    }

    /// Why somebody waits now.
    pub(super) fn reason(&self) -> Option<String> {
        self.state.lock().reason.clone()
    }

    /// How long workers have waited, all together, in milliseconds by the reason.
    pub(super) fn waited(&self) -> BTreeMap<String, u64> {
        let state = self.state.lock();
        let millis = |waited: &Duration| u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        state.waited.iter().map(|(why, waited)| ((*why).to_owned(), millis(waited))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn throttle(orders: Orders) -> Arc<Throttle> {
        Arc::new(Throttle::new(orders, StopFlag::new(), || 0))
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_holds_for_all_workers_together() {
        let throttle = throttle(Orders { write_rows: Some(1_000), ..Orders::default() });
        let began = Instant::now();
        let work = (0..4).map(|_| {
            let throttle = Arc::clone(&throttle);
            tokio::spawn(async move {
                for _ in 0..5 {
                    throttle.write(500, 0).await.unwrap();
                }
            })
        });
        for worker in work.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        // The last of 10,000 rows went once the other 9,500 were paid for.
        assert_eq!(began.elapsed().as_millis(), 9_500);
        assert!(throttle.waited()["write rows"] > 9_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_until_it_is_taken_back() {
        let throttle = throttle(Orders { paused: true, ..Orders::default() });
        let waiting = tokio::spawn({
            let throttle = Arc::clone(&throttle);
            async move { throttle.gate().await }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!waiting.is_finished());
        assert_eq!(throttle.reason().as_deref(), Some("paused"));
        assert!(throttle.follow(Orders::default()) && !throttle.follow(Orders::default()));
        waiting.await.unwrap().unwrap();
        assert_eq!(throttle.reason(), None);
        throttle.stop.stop();
        assert!(throttle.gate().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_asks_for_less_gets_less_and_then_more_again() {
        let throttle = throttle(Orders::default());
        let second = |rows, took, overloaded| {
            let throttle = Arc::clone(&throttle);
            async move {
                tokio::time::sleep(SECOND).await;
                throttle.wrote(rows, Duration::from_millis(took), overloaded);
                throttle.state.lock().bearable.rate
            }
        };
        assert_eq!(second(10_000, 5, false).await, None);
        let rate = second(10_000, 5, true).await.unwrap();
        assert!((6_900.0..7_100.0).contains(&rate), "{rate}");
        let more = second(7_000, 5, false).await.unwrap();
        assert!(more > rate && more < rate + 600.0, "{more}");
        throttle.follow(Orders { target_latency: Some(20), ..Orders::default() });
        let less = second(7_000, 30, false).await.unwrap();
        assert!(less < rate, "{less}");
        assert!(throttle.state.lock().bearable.why.contains("30ms"));
        let mut last = less;
        while let Some(rate) = second(7_000, 5, false).await {
            assert!(rate > last);
            last = rate;
        }
        assert!(last > 18_000.0, "{last}");
    }
}
