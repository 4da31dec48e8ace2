//! What a store may answer, whatever is under way.
//!
//! Each pin is a register that some write and some read at the same time. Its rules are those of
//! the field: a read may give what a write has written that began before the read ended, unless
//! another write began after that one had ended, and ended before the read began. What is kept
//! of a pin that nobody is about is one number.
//!
//! A write that failed, and may have been done all the same, counts as under way for ever.

use std::collections::HashMap;

use parking_lot::Mutex;

/// What a pin was written as: its writing's number, or that it was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It is there, as this writing left it.
    Writing(u32),
    /// It is not there.
    Nothing,
}

/// A pin that somebody is about.
#[derive(Debug, Default)]
struct Busy {
    /// What reads may find, newest last.
    writes: Vec<Write>,
    /// Where the clock stood when the last of those writes began that have ended.
    floor: u64,
    readers: u32,
}

#[derive(Debug)]
struct Write {
    found: Found,
    began: u64,
    ended: Option<u64>,
}

#[derive(Debug, Default)]
struct Shard {
    clock: u64,
    /// By the pin's number, over the number of shards. 0: never written.
    settled: Vec<u32>,
    busy: HashMap<u64, Busy>,
}

/// Not in the numbers of writings, which count from 0: never there, and removed.
const NEVER: u32 = 0;
const REMOVED: u32 = 1;
/// What is added to the number of a writing.
const WRITING: u32 = 2;

impl Shard {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn settled(&self, place: usize) -> Found {
        match self.settled.get(place).copied().unwrap_or(NEVER) {
            NEVER | REMOVED => Found::Nothing,
            writing => Found::Writing(writing - WRITING),
        }
    }

    fn settle(&mut self, place: usize, found: Found) {
        if self.settled.len() <= place {
            self.settled.resize(place + 1, NEVER);
        }
        if let Some(settled) = self.settled.get_mut(place) {
            *settled = match found {
                Found::Writing(writing) => writing + WRITING,
                Found::Nothing => REMOVED,
            };
        }
    }

    fn busy(&mut self, n: u64, place: usize) -> &mut Busy {
        let before = self.settled(place);
        self.busy.entry(n).or_insert_with(|| Busy {
            writes: vec![Write { found: before, began: 0, ended: Some(0) }],
            ..Busy::default()
        })
    }

    /// Forgets what no read can find any more.
    fn tidy(&mut self, n: u64, place: usize) {
        let Some(busy) = self.busy.get_mut(&n) else { return };
        if busy.readers > 0 {
            return;
        }
        let floor = busy.floor;
        busy.writes.retain(|write| write.ended.is_none_or(|ended| ended >= floor));
        if let [Write { found, ended: Some(_), .. }] = *busy.writes.as_slice() {
            self.busy.remove(&n);
            self.settle(place, found);
        }
    }
}

/// How many locks there are.
const SHARDS: u64 = 64;

/// What is known of all pins.
#[derive(Debug)]
pub(crate) struct Model {
    shards: Vec<Mutex<Shard>>,
}

/// A write that has begun.
#[derive(Debug)]
#[must_use]
pub(crate) struct Writing {
    n: u64,
    began: u64,
}

/// A read that has begun.
#[derive(Debug)]
#[must_use]
pub(crate) struct Reading {
    n: u64,
    floor: u64,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It was done.
    Applied,
    /// It certainly was not.
    NotApplied,
    /// Nobody knows.
    Unknown,
}

impl Model {
    /// Pins 0 to `preload - 1` are there, in their first writing.
    #[must_use]
    pub(crate) fn new(preload: u64) -> Self {
        let shard = |shard| {
            let count = (preload + SHARDS - 1 - shard) / SHARDS;
            let settled = vec![WRITING; usize::try_from(count).unwrap_or(0)];
            Mutex::new(Shard { settled, ..Shard::default() })
        };
        Self { shards: (0..SHARDS).map(shard).collect() }
    }

    fn with<T>(&self, n: u64, work: impl FnOnce(&mut Shard, usize) -> T) -> T {
        let shard = usize::try_from(n % SHARDS).unwrap_or(0);
        let place = usize::try_from(n / SHARDS).unwrap_or(usize::MAX);
        // There are as many as the remainder can be.
        let shard = self.shards.get(shard).unwrap_or_else(|| unreachable!("a shard of its own"));
        work(&mut shard.lock(), place)
    }

    /// A write of a pin begins.
    pub(crate) fn write(&self, n: u64, found: Found) -> Writing {
        self.with(n, |shard, place| {
            let began = shard.tick();
            let write = Write { found, began, ended: None };
            shard.busy(n, place).writes.push(write);
            Writing { n, began }
        })
    }

    /// It has ended so.
    pub(crate) fn written(&self, writing: &Writing, done: Done) {
        let Writing { n, began } = *writing;
        self.with(n, |shard, place| {
            let now = shard.tick();
            let busy = shard.busy(n, place);
            match done {
                Done::NotApplied => busy.writes.retain(|write| write.began != began),
                Done::Unknown => {}
                Done::Applied => {
                    let ours = busy.writes.iter_mut().filter(|write| write.began == began);
                    ours.for_each(|write| write.ended = Some(now));
                    busy.floor = busy.floor.max(began);
                }
            }
            shard.tidy(n, place);
        });
    }

    /// A read of a pin begins.
    pub(crate) fn read(&self, n: u64) -> Reading {
        self.with(n, |shard, place| {
            let busy = shard.busy(n, place);
            busy.readers += 1;
            Reading { n, floor: busy.floor }
        })
    }

    /// It has ended: what it may have found, if it did not fail.
    pub(crate) fn possible(&self, reading: &Reading) -> Vec<Found> {
        let Reading { n, floor } = *reading;
        self.with(n, |shard, place| {
            let busy = shard.busy(n, place);
            let possible =
                busy.writes.iter().filter(|write| write.ended.is_none_or(|at| at >= floor));
            let possible = possible.map(|write| write.found).collect();
            busy.readers = busy.readers.saturating_sub(1);
            shard.tidy(n, place);
            possible
        })
    }

    /// How many pins are certainly there, with nobody being about them.
    #[must_use]
    pub(crate) fn certain(&self) -> u64 {
        let of = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            let there = shard.settled.iter().filter(|settled| **settled >= WRITING).count();
            let there = u64::try_from(there).unwrap_or(0);
            // Of those, some may be about to be removed.
            let busy = shard.busy.keys().filter(|n| {
                let place = usize::try_from(**n / SHARDS).unwrap_or(usize::MAX);
                matches!(shard.settled(place), Found::Writing(_))
            });
            there - busy.count() as u64
        };
        self.shards.iter().map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Found = Found::Writing(0);
    const NEW: Found = Found::Writing(1);
    const NEWER: Found = Found::Writing(2);

    fn find(model: &Model, n: u64) -> Vec<Found> {
        model.possible(&model.read(n))
    }

    #[test]
    fn what_was_there_before_is_found_and_nothing_else() {
        let model = Model::new(130);
        assert_eq!(find(&model, 0), [OLD]);
        assert_eq!(find(&model, 129), [OLD]);
        assert_eq!(find(&model, 130), [Found::Nothing]);
        assert_eq!(model.certain(), 130);
        assert!(model.shards.iter().all(|shard| shard.lock().busy.is_empty()));
    }

    #[test]
    fn a_write_under_way_may_be_found_and_one_that_ended_must() {
        let model = Model::new(1);
        let write = model.write(0, NEW);
        assert_eq!(find(&model, 0), [OLD, NEW]);
        assert_eq!(model.certain(), 0, "somebody is about it");
        model.written(&write, Done::Applied);
        assert_eq!(find(&model, 0), [NEW]);
        let write = model.write(0, Found::Nothing);
        model.written(&write, Done::Applied);
        assert_eq!(find(&model, 0), [Found::Nothing]);
        assert_eq!(model.certain(), 0);
        assert!(model.shards[0].lock().busy.is_empty());
    }

    #[test]
    fn a_read_may_find_what_was_there_when_it_began_or_came_since() {
        let model = Model::new(1);
        let read = model.read(0);
        let write = model.write(0, NEW);
        model.written(&write, Done::Applied);
        let write = model.write(0, NEWER);
        model.written(&write, Done::Applied);
        assert_eq!(model.possible(&read), [OLD, NEW, NEWER]);
        assert_eq!(find(&model, 0), [NEWER]);
    }

    #[test]
    fn of_two_writes_at_once_either_may_stay() {
        let model = Model::new(1);
        let (one, two) = (model.write(0, NEW), model.write(0, NEWER));
        model.written(&two, Done::Applied);
        model.written(&one, Done::Applied);
        assert_eq!(find(&model, 0), [NEW, NEWER]);
        let last = model.write(0, Found::Nothing);
        model.written(&last, Done::Applied);
        assert_eq!(find(&model, 0), [Found::Nothing]);
    }

    #[test]
    fn a_write_of_which_nobody_knows_may_be_found_for_ever() {
        let model = Model::new(1);
        model.written(&model.write(0, NEW), Done::Unknown);
        model.written(&model.write(0, NEWER), Done::Applied);
        assert_eq!(find(&model, 0), [NEW, NEWER]);
        model.written(&model.write(0, OLD), Done::NotApplied);
        assert_eq!(find(&model, 0), [NEW, NEWER]);
    }
}
