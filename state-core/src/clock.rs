//! The one clock: where every version comes from.
//!
//! Hybrid logical: wall-clock microseconds, strictly increasing within the process, one
//! draw for each logical operation above every retry. Its high-water mark is a control
//! record of the store, one for each writer, always ahead of every version drawn: the clock
//! reserves a stretch of time before it gives out versions of it. After a restart it goes
//! on from max(now, mark), so a wall clock that was set back cannot make a new write older
//! than an old one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::control::{ControlRecord, ControlWritten, Expect};
use crate::error::{Error, ErrorKind, Operation, Result};
use crate::record::Version;
use crate::store::Store;

/// How far the stored mark may be ahead of the wall clock before the clock refuses to run.
pub const DEFAULT_MAX_LAG: Duration = Duration::from_secs(60);

/// How much time the clock reserves at once: the most that a crash can push it ahead.
const RESERVE: Duration = Duration::from_secs(2);

/// What the control records of marks begin with; the writer's name follows.
const MARKS: &str = "clock/";

/// The writer's name unless configured.
pub const DEFAULT_WRITER: &str = "default";

/// Where the wall clock's microseconds since the Unix epoch come from.
pub type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Options of [`Clock::open`].
#[derive(Clone)]
#[non_exhaustive]
pub struct ClockOptions {
    /// Name of this writer. Processes that write to one store at the same time want names
    /// of their own.
    pub writer: String,
    /// How far the mark may be ahead of the wall clock.
    pub max_lag: Duration,
    /// The wall clock; another than the system's is for tests.
    pub wall: WallClock,
}

impl Default for ClockOptions {
    fn default() -> Self {
        Self {
            writer: DEFAULT_WRITER.to_owned(),
            max_lag: DEFAULT_MAX_LAG,
            wall: Arc::new(wall_micros),
        }
    }
}

impl ClockOptions {
    /// The default writer and lag.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the writer.
    #[must_use]
    pub fn with_writer(mut self, writer: impl Into<String>) -> Self {
        self.writer = writer.into();
        self
    }

    /// Sets how far the mark may be ahead of the wall clock.
    #[must_use]
    pub fn with_max_lag(mut self, max_lag: Duration) -> Self {
        self.max_lag = max_lag;
        self
    }

    /// Sets the wall clock.
    #[must_use]
    pub fn with_wall(mut self, wall: WallClock) -> Self {
        self.wall = wall;
        self
    }
}

impl fmt::Debug for ClockOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClockOptions")
            .field("writer", &self.writer)
            .field("max_lag", &self.max_lag)
            .finish_non_exhaustive()
    }
}

/// The clock of one process for one store.
pub struct Clock {
    wall: WallClock,
    /// The last version given out.
    last: AtomicI64,
    /// Versions up to here may be given out.
    reserved: AtomicI64,
    mark: tokio::sync::Mutex<Option<Mark>>,
}

struct Mark {
    store: Arc<dyn Store>,
    key: String,
    expect: Expect,
}

impl Clock {
    /// The clock of a store: reads the writer's mark. Writes nothing until the first draw.
    ///
    /// # Errors
    /// `InvalidInput` where the mark is more than `max_lag` ahead of the wall clock: one of
    /// the two is wrong, and versions drawn now would be older than what is stored or far
    /// in the future. `Corrupt` for a mark that is no number.
    pub async fn open(store: Arc<dyn Store>, options: ClockOptions) -> Result<Self> {
        let wall = options.wall;
        let key = format!("{MARKS}{}", options.writer);
        let (last, expect) = match store.control_get(&key).await? {
            None => (0, Expect::Absent),
            Some(record) => (parse_mark(&key, &record)?, Expect::Revision(record.revision)),
        };
        let ahead = last.saturating_sub(wall());
        let max_lag = micros(options.max_lag);
        if ahead > max_lag {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                Operation::Clock,
                format!(
                    "this store was written {} s in the future of this machine's clock: set the \
                     clock right, or wait",
                    ahead / 1_000_000
                ),
            )
            .with_context("control record", key)
            .with_context("allowed seconds", max_lag / 1_000_000));
        }
        Ok(Self {
            wall,
            last: AtomicI64::new(last),
            reserved: AtomicI64::new(last),
            mark: tokio::sync::Mutex::new(Some(Mark { store, key, expect })),
        })
    }

    /// A clock without a mark: for stores that do not outlive the process.
    #[must_use]
    pub fn volatile() -> Self {
        Self {
            wall: Arc::new(wall_micros),
            last: AtomicI64::new(0),
            reserved: AtomicI64::new(i64::MAX),
            mark: tokio::sync::Mutex::new(None),
        }
    }

    /// Draws a version: greater than every one drawn before.
    ///
    /// # Errors
    /// Those of writing the mark; nothing is given out then.
    pub async fn draw(&self) -> Result<Version> {
        self.draw_many(1).await
    }

    /// Draws `count` consecutive versions and gives the first.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub async fn draw_many(&self, count: usize) -> Result<Version> {
        let span = i64::try_from(count.max(1)).unwrap_or(i64::MAX);
        loop {
            if let Some(first) = self.try_draw(span) {
                return Ok(Version(first));
            }
            self.reserve(span).await?;
        }
    }

    fn try_draw(&self, span: i64) -> Option<i64> {
        let mut last = self.last.load(Ordering::Acquire);
        loop {
            let first = (self.wall)().max(last.saturating_add(1));
            let end = first.saturating_add(span - 1);
            if end > self.reserved.load(Ordering::Acquire) {
                return None;
            }
            match self.last.compare_exchange_weak(last, end, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(first),
                Err(now) => last = now,
            }
        }
    }

    async fn reserve(&self, span: i64) -> Result<()> {
        let mut guard = self.mark.lock().await;
        let Some(mark) = guard.as_mut() else { return Ok(()) };
        loop {
            let start = (self.wall)().max(self.last.load(Ordering::Acquire).saturating_add(1));
            let end = start.saturating_add(span).saturating_add(micros(RESERVE));
            if self.reserved.load(Ordering::Acquire) >= start.saturating_add(span) {
                return Ok(());
            }
            let value = end.to_string();
            match mark.store.control_set(&mark.key, mark.expect, value.as_bytes()).await? {
                ControlWritten::Applied { revision } => {
                    mark.expect = Expect::Revision(revision);
                    self.reserved.store(end, Ordering::Release);
                    return Ok(());
                }
                ControlWritten::Conflict { current } => {
                    // Another process of the same name, or this call's own earlier attempt:
                    // go on above whatever stands there.
                    let other = current.as_ref().and_then(|record| {
                        std::str::from_utf8(&record.value).ok()?.parse::<i64>().ok()
                    });
                    if let Some(other) = other {
                        self.last.fetch_max(other, Ordering::AcqRel);
                    }
                    mark.expect =
                        current.map_or(Expect::Absent, |record| Expect::Revision(record.revision));
                }
            }
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("last", &self.last).finish_non_exhaustive()
    }
}

/// The highest mark that any writer has in a store: no version that was drawn for it is above.
///
/// # Errors
/// The store's; `Corrupt` for a mark that is no number.
pub async fn highest_mark(store: &dyn Store) -> Result<Option<Version>> {
    let marks = store.control_list(MARKS).await?;
    let marks = marks.iter().map(|(key, record)| parse_mark(key, record).map(Version));
    marks.collect::<Result<Vec<_>>>().map(|marks| marks.into_iter().max())
}

/// Sees to it that a writer's mark in a store is not below `version`, which was drawn
/// elsewhere and is about to be written to it. Returns the mark that stands; where it had to
/// be raised, some time ahead, so that the next versions find it high enough.
///
/// # Errors
/// The store's; `Corrupt` for a mark that is no number.
pub async fn raise_mark(store: &dyn Store, writer: &str, version: Version) -> Result<Version> {
    let key = format!("{MARKS}{writer}");
    let mut current = store.control_get(&key).await?;
    loop {
        let expect = match &current {
            None => Expect::Absent,
            Some(record) => {
                let mark = Version(parse_mark(&key, record)?);
                if mark >= version {
                    return Ok(mark);
                }
                Expect::Revision(record.revision)
            }
        };
        let mark = Version(version.0.saturating_add(micros(RESERVE)));
        match store.control_set(&key, expect, mark.to_string().as_bytes()).await? {
            ControlWritten::Applied { .. } => return Ok(mark),
            ControlWritten::Conflict { current: found } => current = found,
        }
    }
}

fn parse_mark(key: &str, record: &ControlRecord) -> Result<i64> {
    let text = std::str::from_utf8(&record.value).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Error::new(ErrorKind::Corrupt, Operation::Clock, "the clock's mark is no number")
            .with_context("control record", key)
    })
}

fn wall_micros() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN + 1, |m| -m),
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
