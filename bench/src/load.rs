//! Gives a store operations at their times, or as fast as clients can.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Error, ErrorKind, Result};

use crate::operations::Operations;
use crate::outcome::Mode;
use crate::pace::{Paced, pace};
use crate::resources::Stand;
use crate::schedule::{Arrivals, Schedule};
use crate::warmup::Warmup;
use crate::work::{Work, cancelled};

/// How operations are given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loop {
    /// So many a second, whatever becomes of those before.
    Open {
        /// Operations a second.
        rate: f64,
        /// How their times are spread.
        arrivals: Arrivals,
    },
    /// By so many clients, each of which waits for its answer.
    Closed {
        /// How many.
        clients: usize,
    },
}

impl Loop {
    /// The same, as reports have it.
    #[must_use]
    pub fn mode(self) -> Mode {
        match self {
            Self::Open { rate, arrivals } => {
                Mode::Open { rate, arrivals: arrivals.name().to_owned() }
            }
            Self::Closed { clients } => Mode::Closed { clients },
        }
    }
}

/// How much is done in one run.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Load {
    /// How operations are given.
    pub how: Loop,
    /// Most operations under way at the same time in an open loop.
    pub in_flight: usize,
    /// Longest time before it is measured.
    pub warmup: Duration,
    /// How long it is measured.
    pub measured: Duration,
    /// The length of a window.
    pub window: Duration,
    /// Most operations, warm-up included. A run that ends by it is measured for as long as it
    /// went.
    pub operations: u64,
}

impl Load {
    /// With half a minute of measuring, in windows of half a second, and at most ten seconds
    /// before.
    #[must_use]
    pub fn new(how: Loop) -> Self {
        Self {
            how,
            in_flight: 10_000,
            warmup: Duration::from_secs(10),
            measured: Duration::from_secs(30),
            window: Duration::from_millis(500),
            operations: u64::MAX,
        }
    }
}

/// What those who give operations are told, and tell.
#[derive(Debug)]
pub(crate) struct Control {
    /// Nanoseconds since the beginning: when counting begins, and when giving ends.
    pub(crate) from: AtomicU64,
    until: AtomicU64,
    pub(crate) under_way: AtomicUsize,
    pub(crate) begun: AtomicU64,
    most: u64,
    pub(crate) stop: StopFlag,
}

impl Control {
    pub(crate) fn is_over(&self, at: Duration) -> bool {
        nanos(at) >= self.until.load(Ordering::Acquire)
            || self.begun.load(Ordering::Relaxed) >= self.most
            || self.stop.is_set()
    }
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// One more that is under way, until it is dropped.
pub(crate) struct UnderWay(Arc<Control>);

impl UnderWay {
    pub(crate) fn new(control: &Arc<Control>) -> Self {
        control.under_way.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(control))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a run came to, as far as the load knows.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Those that were not given.
    pub(crate) operations: Operations,
    /// The windows that count.
    pub(crate) counting: Range<u64>,
    /// Seconds of load before it was measured.
    pub(crate) warmup: Duration,
    pub(crate) warm: bool,
    /// What can be said of the giving, in an open loop.
    pub(crate) paced: Option<Paced>,
    /// Where the process stood when measuring began, and when it ended.
    pub(crate) stands: (Stand, Stand),
    /// Bytes of keys and values that were written meanwhile.
    pub(crate) written: u64,
}

/// Gives all operations of a run.
pub(crate) async fn run(
    work: &Arc<Work>,
    operations: Operations,
    load: &Load,
    seed: u64,
    stop: &StopFlag,
) -> Result<Ran> {
    let control = Arc::new(Control {
        from: AtomicU64::new(u64::MAX),
        until: AtomicU64::new(u64::MAX),
        under_way: AtomicUsize::new(0),
        begun: AtomicU64::new(0),
        most: load.operations,
        stop: stop.clone(),
    });
    let given = match load.how {
        Loop::Open { rate, arrivals } => {
            let schedule = Schedule::new(rate, arrivals, seed).map_err(bad)?;
            let (work, control, cap) = (Arc::clone(work), Arc::clone(&control), load.in_flight);
            tokio::task::spawn_blocking(move || {
                let (operations, paced) = pace(&work, operations, schedule, &control, cap);
                (operations, Some(paced))
            })
        }
        Loop::Closed { clients } => {
            let (work, control) = (Arc::clone(work), Arc::clone(&control));
            tokio::spawn(async move { (closed(&work, operations, &control, clients).await, None) })
        }
    };
    let watched = watch(work, load, &control).await;
    control.until.store(0, Ordering::Release);
    let (operations, paced) = given.await.map_err(|error| {
        Error::new(ErrorKind::Internal, pinstate_core::Operation::Bench, "the load died")
            .with_source(error)
    })?;
    while control.under_way.load(Ordering::Acquire) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if stop.is_set() {
        return Err(cancelled());
    }
    if watched.counting.is_empty() {
        return Err(bad("all operations were given before any was measured: take more of them, \
                        or a shorter warm-up"
            .into()));
    }
    let Watched { counting, warm, stands, written } = watched;
    let warmup = load.window * u32::try_from(counting.start).unwrap_or(u32::MAX);
    Ok(Ran { operations, counting, warmup, warm, paced, stands, written })
}

fn bad(what: String) -> Error {
    Error::new(ErrorKind::InvalidInput, pinstate_core::Operation::Bench, what)
}

/// What was seen of a load from beside it.
struct Watched {
    counting: Range<u64>,
    warm: bool,
    stands: (Stand, Stand),
    written: u64,
}

/// Looks at windows until they are alike, and then lets so many count.
async fn watch(work: &Work, load: &Load, control: &Control) -> Watched {
    let window = |number: u64| load.window * u32::try_from(number).unwrap_or(u32::MAX);
    let until = async |number: u64| {
        let at = tokio::time::Instant::from_std(work.begin + window(number));
        tokio::select! {
            () = tokio::time::sleep_until(at) => {}
            () = control.stop.stopped() => {}
            () = all_given(control) => {}
        }
    };
    let mut warmup = Warmup::default();
    let mut number = 0;
    let (warm, first) = loop {
        if window(number) >= load.warmup {
            // The window that is under way began without counting.
            break (false, if number == 0 { 0 } else { number + 1 });
        }
        until(number + 1).await;
        let (operations, median) = work.measure.look(number);
        // In an open loop how many there are says nothing about the store.
        let operations = if matches!(load.how, Loop::Open { .. }) { 1 } else { operations };
        if warmup.saw(if median == 0 { 0 } else { operations }, median) {
            break (true, number + 2);
        }
        if control.is_over(Duration::ZERO) {
            break (false, number + 2);
        }
        number += 1;
    };
    let count = load.measured.as_nanos().div_ceil(load.window.as_nanos().max(1)).max(1);
    let counting = work.measure.count(first, u64::try_from(count).unwrap_or(u64::MAX));
    control.from.store(nanos(window(counting.start)), Ordering::Release);
    control.until.store(nanos(window(counting.end)), Ordering::Release);
    until(counting.start).await;
    let stand = || Stand::now(work.subject.barriers());
    let (began, before) = (stand(), work.written.load(Ordering::Relaxed));
    until(counting.end).await;
    let stands = (began, stand());
    // Whole windows, where all operations were given before the end.
    let over = work.begin.elapsed().as_nanos() / load.window.as_nanos().max(1);
    let end = counting.end.min(u64::try_from(over).unwrap_or(u64::MAX));
    let counting = counting.start..end;
    Watched { counting, warm, stands, written: work.written.load(Ordering::Relaxed) - before }
}

/// Returns once as many operations were given as there may be.
async fn all_given(control: &Control) {
    while control.begun.load(Ordering::Relaxed) < control.most {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// So many clients, each with one operation at a time.
async fn closed(
    work: &Arc<Work>,
    operations: Operations,
    control: &Arc<Control>,
    clients: usize,
) -> Operations {
    let operations = Arc::new(Mutex::new(operations));
    let client = |_| {
        let (work, control) = (Arc::clone(work), Arc::clone(control));
        let operations = Arc::clone(&operations);
        tokio::spawn(async move {
            while !control.is_over(work.begin.elapsed()) {
                let Some(operation) = operations.lock().next() else { return };
                let number = control.begun.fetch_add(1, Ordering::Relaxed);
                let _under_way = UnderWay::new(&control);
                work.one(number, operation, None).await;
                // A store that never waits would keep timers from being looked at.
                tokio::task::coop::consume_budget().await;
            }
        })
    };
    let clients: Vec<_> = (0..clients.max(1)).map(client).collect();
    for client in clients {
        // A store that panics is caught at its operation.
        let _ = client.await;
    }
    // Clients are gone, and with them all other owners.
    Arc::into_inner(operations).map_or_else(|| unreachable!("the only owner"), Mutex::into_inner)
}
