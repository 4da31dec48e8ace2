//! What may be there after a crash, by what the writers told before it.
//!
//! Of each key the ledger has the writes since the last one that is promised. What is found
//! must be that one or a later one: a write that was begun and not acknowledged may be there
//! or not. Each key has one writer, so that its writes are told in their order.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Event;

/// What is promised to outlive the crash that is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Promise {
    /// Writes that were acknowledged.
    pub(crate) acked: bool,
    /// Writes that were acknowledged before a barrier began that was acknowledged too.
    pub(crate) synced: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    n: u64,
    token: Option<String>,
    acked: bool,
}

/// What may be there of each key.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    promise: Promise,
    /// The first entry of each key is what is promised.
    keys: BTreeMap<String, Vec<Entry>>,
    /// The keys of writes that have no answer.
    pending: BTreeMap<u64, Vec<String>>,
    /// For barriers that are under way the last acknowledged write of each key.
    barriers: BTreeMap<u64, Vec<(String, u64)>>,
    acks: u64,
}

impl Ledger {
    pub(crate) fn new(promise: Promise) -> Self {
        Self {
            promise,
            keys: BTreeMap::new(),
            pending: BTreeMap::new(),
            barriers: BTreeMap::new(),
            acks: 0,
        }
    }

    /// How many writes and barriers were acknowledged.
    pub(crate) fn acks(&self) -> u64 {
        self.acks
    }

    /// Whether anything must be there.
    pub(crate) fn promises_something(&self) -> bool {
        self.keys.values().any(|entries| entries.first().is_some_and(|e| e.token.is_some()))
    }

    /// Takes in what a writer told.
    pub(crate) fn hear(&mut self, event: &Event) {
        match event {
            Event::Intent { n, changes } => {
                for (key, token) in changes {
                    let entry = Entry { n: *n, token: token.clone(), acked: false };
                    self.of(key).push(entry);
                }
                let keys = changes.iter().map(|(key, _)| key.clone()).collect();
                self.pending.insert(*n, keys);
            }
            Event::Ack { n, firm } => {
                self.acks += 1;
                let promised = self.promise.acked || *firm && self.promise.synced;
                for key in self.pending.remove(n).unwrap_or_default() {
                    for entry in self.of(&key).iter_mut().filter(|entry| entry.n == *n) {
                        entry.acked = true;
                    }
                    if promised {
                        self.promise_from(&key, *n);
                    }
                }
            }
            Event::NotApplied(n) => {
                for key in self.pending.remove(n).unwrap_or_default() {
                    self.of(&key).retain(|entry| entry.n != *n);
                }
            }
            Event::Syncing(id) => {
                let last = |(key, entries): (&String, &Vec<Entry>)| {
                    let last = entries.iter().rfind(|entry| entry.acked)?;
                    Some((key.clone(), last.n))
                };
                let covered = self.keys.iter().filter_map(last).collect();
                self.barriers.insert(*id, covered);
            }
            Event::Synced(id) => {
                self.acks += 1;
                let covered = self.barriers.remove(id).unwrap_or_default();
                if self.promise.synced {
                    for (key, n) in covered {
                        self.promise_from(&key, n);
                    }
                }
            }
            _ => {}
        }
    }

    /// The entries of a key, which begin with its absence.
    fn of(&mut self, key: &str) -> &mut Vec<Entry> {
        let absent = || vec![Entry { n: 0, token: None, acked: true }];
        self.keys.entry(key.to_owned()).or_insert_with(absent)
    }

    /// Everything of a key before write number `n` must not be there any more.
    fn promise_from(&mut self, key: &str, n: u64) {
        let entries = self.of(key);
        if let Some(at) = entries.iter().position(|entry| entry.n == n) {
            entries.drain(..at);
        }
    }

    /// Compares with what was found. From here on exactly that is promised: it was read from
    /// the store after the crash.
    ///
    /// # Errors
    /// The first key that has what it may not have, in words.
    pub(crate) fn check(&mut self, found: &BTreeMap<String, String>) -> Result<(), String> {
        let keys: BTreeSet<String> = self.keys.keys().chain(found.keys()).cloned().collect();
        for key in keys {
            let token = found.get(&key);
            let entries = self.of(&key);
            let Some(seen) = entries.iter().rfind(|entry| entry.token.as_ref() == token) else {
                let say = |token: Option<&String>| match token {
                    Some(token) => format!("write {token}"),
                    None => "absent".to_owned(),
                };
                let legal: Vec<String> = entries
                    .iter()
                    .map(|entry| {
                        let what = say(entry.token.as_ref());
                        if entry.acked { what } else { format!("{what} (not acknowledged)") }
                    })
                    .collect();
                return Err(format!(
                    "the key '{key}': expected one of [{}], got {}",
                    legal.join(", "),
                    say(token)
                ));
            };
            *entries = vec![Entry { acked: true, ..seen.clone() }];
        }
        self.pending.clear();
        self.barriers.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACKED: Promise = Promise { acked: true, synced: true };
    const SYNCED: Promise = Promise { acked: false, synced: true };

    fn put(n: u64, key: &str) -> Event {
        Event::Intent { n, changes: vec![(key.to_owned(), Some(n.to_string()))] }
    }

    fn ack(n: u64) -> Event {
        Event::Ack { n, firm: false }
    }

    fn ledger(promise: Promise, events: &[Event]) -> Ledger {
        let mut ledger = Ledger::new(promise);
        events.iter().for_each(|event| ledger.hear(event));
        ledger
    }

    fn legal(ledger: &Ledger, token: Option<&str>) -> bool {
        let found = token.map(|token| ("k".to_owned(), token.to_owned()));
        ledger.clone().check(&found.into_iter().collect()).is_ok()
    }

    #[test]
    fn what_was_acknowledged_must_be_there_and_what_was_begun_may() {
        let delete = Event::Intent { n: 3, changes: vec![("k".to_owned(), None)] };
        let ledger = ledger(ACKED, &[put(1, "k"), ack(1), put(2, "k"), ack(2), delete]);
        assert!(legal(&ledger, Some("2")) && legal(&ledger, None));
        assert!(!legal(&ledger, Some("1")) && !legal(&ledger, Some("3")));
        let mut gone = ledger.clone();
        gone.hear(&ack(3));
        assert!(legal(&gone, None) && !legal(&gone, Some("2")));
    }

    #[test]
    fn a_barrier_covers_what_was_acknowledged_before_it_began() {
        let events = [put(1, "k"), ack(1), Event::Syncing(1), put(2, "k"), ack(2)];
        let mut ledger = ledger(SYNCED, &events);
        assert!(legal(&ledger, None) && legal(&ledger, Some("1")) && legal(&ledger, Some("2")));
        ledger.hear(&Event::Synced(1));
        assert!(!legal(&ledger, None) && legal(&ledger, Some("1")) && legal(&ledger, Some("2")));
    }

    #[test]
    fn what_was_not_applied_must_not_be_there() {
        let mut ledger = ledger(ACKED, &[put(1, "k"), Event::NotApplied(1)]);
        assert!(legal(&ledger, None) && !legal(&ledger, Some("1")));
        assert!(!ledger.promises_something());
        ledger.hear(&put(2, "k"));
        ledger.hear(&ack(2));
        assert!(ledger.promises_something());
    }

    #[test]
    fn what_was_found_is_what_there_is_from_then_on() {
        let mut ledger = ledger(SYNCED, &[put(1, "k"), put(2, "k")]);
        ledger.check(&[("k".to_owned(), "1".to_owned())].into()).unwrap();
        assert!(legal(&ledger, Some("1")) && !legal(&ledger, Some("2")) && !legal(&ledger, None));
        let phantom =
            [("k".to_owned(), "1".to_owned()), ("other".to_owned(), "1".to_owned())].into();
        assert!(ledger.check(&phantom).unwrap_err().contains("'other'"));
    }
}
