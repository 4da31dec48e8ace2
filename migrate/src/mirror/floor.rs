//! Versions that repairs have drawn, below which a key takes no write.
//!
//! A repair that cannot say since when the primary holds what it does writes it as of now. A
//! write whose version was drawn before that, and which comes after it, would be hidden on the
//! store that was repaired, and seen on the other: it is refused instead. Versions of an
//! earlier process need no floor, since nothing of it is still to come.

use std::collections::HashMap;

use parking_lot::Mutex;
use pinstate_core::Version;
use pinstate_core::{BatchItem, Error, ErrorKind, Key, Operation, Outcome, Result, RetryClass};

/// Keys that have a floor of their own, before one is made for all.
const MOST: usize = 100_000;

#[derive(Debug)]
pub(super) struct Floors(Mutex<State>);

#[derive(Debug)]
struct State {
    of_all: Version,
    of: HashMap<Key, Version>,
}

impl Floors {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { of_all: Version::MIN, of: HashMap::new() }))
    }

    /// A repair is about to write a key, whose lock it holds, as of `version`.
    pub(super) fn raise(&self, key: &Key, version: Version) {
        let mut state = self.0.lock();
        if state.of.len() >= MOST {
            let highest = state.of.drain().map(|(_, version)| version).max();
            state.of_all = state.of_all.max(highest.unwrap_or(Version::MIN));
        }
        state.of.insert(key.clone(), version);
    }

    /// Both stores hold a write of the key that is above its floor: older ones lose on both.
    pub(super) fn passed(&self, key: &Key) {
        self.0.lock().of.remove(key);
    }

    /// Refuses a batch one of whose writes is older than a repair of its key.
    pub(super) fn check<'a>(&self, items: impl IntoIterator<Item = &'a BatchItem>) -> Result<()> {
        let state = self.0.lock();
        for item in items {
            let version = match item {
                BatchItem::Put(put) => put.version,
                BatchItem::Delete(delete) => delete.version,
            };
            let floor = state.of.get(item.key()).copied().unwrap_or(Version::MIN);
            if version <= floor.max(state.of_all) {
                let what =
                    "a repair of this key came in between: write it again with a new version";
                return Err(Error::new(ErrorKind::Unavailable, Operation::Mirror, what)
                    .with_key(item.key().clone())
                    .with_retry(RetryClass::Never)
                    .with_outcome(Outcome::NotApplied));
            }
        }
        Ok(())
    }
}
