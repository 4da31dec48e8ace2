//! The engine of the embedded default alone: keys and values are there as bytes, and nothing
//! is encoded or decoded.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use pinstate_core::config::ByteSize;

use crate::pins::Pins;
use crate::raw::{Raw, until_free};
use crate::subject::{BATCH, CALLERS, Op, SINGLES, Spent, Subject, look_at, measured, share};

pub(crate) struct RawSled {
    pins: Arc<Pins>,
    folder: PathBuf,
    cache: ByteSize,
    filled: bool,
}

impl RawSled {
    pub(crate) fn new(pins: Arc<Pins>, folder: PathBuf, cache: ByteSize) -> Self {
        Self { pins, folder, cache, filled: false }
    }

    fn add(&self, raw: &Raw) -> usize {
        for rows in self.pins.records.chunks(BATCH) {
            raw.put(rows.iter().map(|(key, value)| (&key[..], &value[..])));
        }
        self.pins.len()
    }

    /// Each caller writes a row, waits for the disk, and takes the next one.
    fn add_singly(&self, raw: &Raw) -> usize {
        each(self.pins.len().min(SINGLES), |i| {
            let (key, value) = &self.pins.records[i];
            raw.tree.insert(key, &value[..]).unwrap();
            raw.barrier();
        })
    }

    fn get(&self, raw: &Raw) -> usize {
        each(self.pins.len(), |i| {
            black_box(look_at(&raw.tree.get(&self.pins.asked_keys[i]).unwrap().unwrap()));
        })
    }

    fn get_many(&self, raw: &Raw) -> usize {
        let mut sum = 0;
        for key in &self.pins.asked_keys {
            sum += look_at(&raw.tree.get(key).unwrap().unwrap());
        }
        black_box(sum);
        self.pins.len()
    }

    fn scan(&self, raw: &Raw) -> usize {
        let (mut sum, mut seen) = (0, 0);
        for row in raw.tree.iter() {
            let (key, value) = row.unwrap();
            sum += look_at(&value) + key.len() as u64;
            seen += 1;
        }
        black_box(sum);
        seen
    }
}

/// Does something for each number, from 64 threads.
fn each(count: usize, work: impl Fn(usize) + Sync) -> usize {
    std::thread::scope(|scope| {
        for caller in 0..CALLERS {
            let work = &work;
            scope.spawn(move || share(count, caller).for_each(work));
        }
    });
    count
}

impl Subject for RawSled {
    fn name(&self) -> &'static str {
        "raw sled"
    }

    fn can(&self, op: Op) -> bool {
        matches!(op, Op::Add | Op::Add64 | Op::Get64 | Op::GetMany | Op::Scan)
    }

    fn run(&mut self, op: Op) -> Spent {
        let filled = self.folder.join("raw-filled");
        if !op.writes() && !self.filled {
            let raw = Raw::open(&filled, self.cache);
            self.add(&raw);
            drop(raw);
            until_free(&filled);
            self.filled = true;
        }
        let path = if op.writes() { self.folder.join("raw-fresh") } else { filled };
        let raw = Raw::open(&path, self.cache);
        let spent = measured(|| match op {
            Op::Add => self.add(&raw),
            Op::Add64 => self.add_singly(&raw),
            Op::Get64 => self.get(&raw),
            Op::GetMany => self.get_many(&raw),
            _ => self.scan(&raw),
        });
        drop(raw);
        until_free(&path);
        if op.writes() {
            std::fs::remove_dir_all(&path).unwrap();
        }
        spent
    }
}
