//! What whoever works on a job is told while it does: a small file, read again when it changes.

use std::fmt;
use std::time::Duration;

use pinstate_core::{Error, ErrorKind, Operation, Result};
use serde::{Deserialize, Serialize};

use super::folder::JobFolder;

const FILE: &str = "orders.json";
/// Who changes the orders has this file locked.
const LOCK: &str = "orders.lock";

/// How fast a job may work, and whether it may at all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Orders {
    /// Nothing is read or written until it is taken back.
    pub paused: bool,
    /// The job is to be given up.
    pub abort: bool,
    /// Records that may be read in a second, by all workers together.
    pub read_rows: Option<u64>,
    /// Bytes of keys and values that may be read in a second.
    pub read_bytes: Option<u64>,
    /// Records that may be written in a second.
    pub write_rows: Option<u64>,
    /// Bytes of keys and values that may be written in a second.
    pub write_bytes: Option<u64>,
    /// How long writing a page may take, in milliseconds, before fewer records are written:
    /// the slowest of the last hundred pages counts.
    pub target_latency: Option<u64>,
    /// Times of the day, in UTC, in which work may be done; empty for any.
    pub windows: Vec<Window>,
}

impl Orders {
    /// Those that were given to a job last.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn of(folder: &JobFolder) -> Result<Self> {
        let Some(bytes) = folder.read(FILE)? else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes).map_err(|error| {
            let path = folder.path().join(FILE);
            let message = format!("{} cannot be understood", path.display());
            Error::new(ErrorKind::InvalidInput, Operation::Migrate, message).with_source(error)
        })
    }

    /// Changes those of a job, and gives what they are then: whoever works on it, or will,
    /// follows them. Of several processes that do so one waits for the other, so that no
    /// order is lost.
    ///
    /// # Errors
    /// If they cannot be read or written.
    pub fn change(folder: &JobFolder, change: impl FnOnce(&mut Self)) -> Result<Self> {
        let _alone = folder.alone(LOCK)?;
        let mut orders = Self::of(folder)?;
        change(&mut orders);
        let json = serde_json::to_vec_pretty(&orders).unwrap_or_default();
        folder.write(FILE, &json, true)?;
        Ok(orders)
    }

    /// Whether this is a time to work, by seconds since the Unix epoch.
    pub(super) fn open_at(&self, seconds: i64) -> bool {
        let minute = u16::try_from(seconds.div_euclid(60).rem_euclid(24 * 60)).unwrap_or(0);
        self.windows.is_empty() || self.windows.iter().any(|window| window.holds(minute))
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        self.target_latency.map(Duration::from_millis)
    }
}

impl fmt::Display for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = [
            ("read rows", self.read_rows),
            ("read bytes", self.read_bytes),
            ("written rows", self.write_rows),
            ("written bytes", self.write_bytes),
        ];
        let mut all: Vec<String> = Vec::new();
        all.extend(self.abort.then(|| "to be given up".to_owned()));
        all.extend(self.paused.then(|| "paused".to_owned()));
        for (what, limit) in limits {
            all.extend(limit.map(|limit| format!("at most {limit} {what} a second")));
        }
        all.extend(self.target_latency.map(|millis| format!("a page within {millis} ms")));
        let windows: Vec<String> = self.windows.iter().copied().map(String::from).collect();
        all.extend((!windows.is_empty()).then(|| format!("at {} UTC", windows.join(", "))));
        f.write_str(if all.is_empty() { "as fast as it can" } else { "" })?;
        f.write_str(&all.join(", "))
    }
}

/// A time of the day in UTC, in minutes from midnight. One that ends before it begins goes
/// over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    from: u16,
    to: u16,
}

impl Window {
    fn holds(self, minute: u16) -> bool {
        if self.from <= self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl std::str::FromStr for Window {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let minutes = |text: &str| {
            let (hours, minutes) = text.split_once(':')?;
            let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
            let legal = hours <= 24 && minutes < 60;
            legal.then(|| hours * 60 + minutes).filter(|minutes| *minutes <= 24 * 60)
        };
        let both = text.split_once('-').and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
        match both {
            Some((from, to)) if from != to => Ok(Self { from, to }),
            _ => {
                let message = format!(
                    "'{}' is no time of the day: one looks like 22:00-06:00, in UTC",
                    text.escape_debug()
                );
                Err(Error::new(ErrorKind::InvalidInput, Operation::Configure, message))
            }
        }
    }
}

impl TryFrom<String> for Window {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        let Window { from, to } = window;
        format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_order_is_lost_where_several_give_some() {
        let jobs = tempfile::tempdir().unwrap();
        let folder = &JobFolder::create(jobs.path(), uuid::Uuid::new_v4()).unwrap();
        let one_more = |orders: &mut Orders| *orders.read_rows.get_or_insert(0) += 1;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        Orders::change(folder, one_more).unwrap();
                    }
                });
            }
        });
        assert_eq!(Orders::of(folder).unwrap().read_rows, Some(100));
    }

    #[test]
    fn times_of_the_day_go_over_midnight() {
        let orders =
            |text: &str| Orders { windows: vec![text.parse().unwrap()], ..Orders::default() };
        let at = |hour: i64, minute: i64| (400 * 24 + hour) * 3_600 + minute * 60;
        let night = orders("22:00-06:00");
        assert!(night.open_at(at(23, 0)) && night.open_at(at(22, 0)) && night.open_at(at(5, 59)));
        assert!(!night.open_at(at(6, 0)) && !night.open_at(at(21, 59)));
        let day = orders("06:30-24:00");
        assert!(day.open_at(at(6, 30)) && day.open_at(at(23, 59)) && !day.open_at(at(0, 0)));
        assert!(Orders::default().open_at(at(3, 0)));
        assert_eq!(Orders::default().to_string(), "as fast as it can");
        let told = Orders { paused: true, write_rows: Some(5), ..night };
        assert_eq!(told.to_string(), "paused, at most 5 written rows a second, at 22:00-06:00 UTC");
        for bad in ["", "6-7", "25:00-26:00", "10:00-10:00", "10:60-11:00"] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
        assert_eq!(String::from("6:30-24:00".parse::<Window>().unwrap()), "06:30-24:00");
    }
}
