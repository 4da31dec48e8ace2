//! What a key may hold after all that was written to it, by what was told of each write.
//!
//! All writes of one key come one after the other, each with a higher version than the one
//! before. So what may be seen is the last acknowledged write, or one after it whose outcome
//! is unknown; never an older one, and never one that is said not to have been applied.

use std::collections::BTreeMap;
use std::fmt;

/// A write: a value, or `None` for a delete.
pub(crate) type Write = Option<String>;

/// What was told of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Acknowledged,
    Unknown,
    NotApplied,
}

/// A promise that was broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    /// An acknowledged put is not there any more.
    Lost { version: i64 },
    /// What an acknowledged delete had removed is there again.
    Resurrected { version: i64 },
    /// A write was said not to have been applied, and is there.
    FalselyDenied { version: i64 },
    /// What is there was never written like that.
    Foreign { version: i64, value: String },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The writes of one key, by version.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(BTreeMap<i64, (Write, Told)>);

impl History {
    pub(crate) fn wrote(&mut self, version: i64, write: Write, told: Told) {
        self.0.insert(version, (write, told));
    }

    /// Judges what a read has found: a version and a value, or nothing.
    pub(crate) fn judge(&self, seen: Option<(i64, &str)>) -> Result<(), Broken> {
        let acknowledged = self.0.iter().rev().find(|(_, (_, told))| *told == Told::Acknowledged);
        let floor = acknowledged.map_or(i64::MIN, |(version, _)| *version);
        let Some((version, value)) = seen else {
            let removed = self
                .0
                .range(floor.saturating_add(1)..)
                .any(|(_, (write, told))| write.is_none() && *told == Told::Unknown);
            return match acknowledged {
                Some((version, (Some(_), _))) if !removed => {
                    Err(Broken::Lost { version: *version })
                }
                _ => Ok(()),
            };
        };
        match self.0.get(&version) {
            Some((Some(written), told)) if written == value => match told {
                Told::NotApplied => Err(Broken::FalselyDenied { version }),
                _ if version >= floor => Ok(()),
                _ => match acknowledged {
                    Some((_, (None, _))) => Err(Broken::Resurrected { version }),
                    _ => Err(Broken::Lost { version: floor }),
                },
            },
            _ => Err(Broken::Foreign { version, value: value.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(writes: &[(Option<&str>, Told)]) -> History {
        let mut history = History::default();
        for (i, (write, told)) in writes.iter().enumerate() {
            history.wrote(i as i64 + 1, write.map(str::to_owned), *told);
        }
        history
    }

    #[test]
    fn what_may_be_is_believed() {
        use Told::{Acknowledged, NotApplied, Unknown};
        let history = history(&[
            (Some("a"), Acknowledged),
            (Some("b"), Unknown),
            (None, Unknown),
            (Some("c"), NotApplied),
        ]);
        for seen in [Some((1, "a")), Some((2, "b")), None] {
            assert_eq!(history.judge(seen), Ok(()), "{seen:?}");
        }
        assert_eq!(History::default().judge(None), Ok(()));
    }

    #[test]
    fn each_kind_of_lie_is_caught() {
        use Told::{Acknowledged, NotApplied, Unknown};
        let kept = history(&[(Some("a"), Acknowledged), (Some("b"), Acknowledged)]);
        assert_eq!(kept.judge(None), Err(Broken::Lost { version: 2 }));
        assert_eq!(kept.judge(Some((1, "a"))), Err(Broken::Lost { version: 2 }));
        let foreign = Broken::Foreign { version: 2, value: "x".into() };
        assert_eq!(kept.judge(Some((2, "x"))), Err(foreign));
        let gone = history(&[(Some("a"), Unknown), (None, Acknowledged)]);
        assert_eq!(gone.judge(None), Ok(()));
        assert_eq!(gone.judge(Some((1, "a"))), Err(Broken::Resurrected { version: 1 }));
        let denied = history(&[(Some("a"), Acknowledged), (Some("b"), NotApplied)]);
        assert_eq!(denied.judge(Some((2, "b"))), Err(Broken::FalselyDenied { version: 2 }));
        let removed = history(&[(Some("a"), Acknowledged), (None, NotApplied)]);
        assert_eq!(removed.judge(None), Err(Broken::Lost { version: 1 }));
    }
}
