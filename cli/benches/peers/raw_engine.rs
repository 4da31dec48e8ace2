//! The engines of the embedded backends alone: keys and values are there as bytes, and nothing
//! is encoded or decoded.

use std::hint::black_box;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinstate_core::config::ByteSize;

use crate::engine::{Engine, look_at};
use crate::pins::Pins;
use crate::subject::{BATCH, CALLERS, Op, SINGLES, Spent, Subject, measured, share};

/// An engine as a subject.
pub(crate) struct Raw<E> {
    name: &'static str,
    pins: Arc<Pins>,
    folder: PathBuf,
    cache: ByteSize,
    filled: bool,
    engine: PhantomData<fn() -> E>,
}

impl<E: Engine> Raw<E> {
    pub(crate) fn new(
        name: &'static str,
        pins: &Arc<Pins>,
        folder: &Path,
        cache: ByteSize,
    ) -> Self {
        let folder = folder.join(name.replace(' ', "-"));
        let (pins, engine) = (Arc::clone(pins), PhantomData);
        Self { name, pins, folder, cache, filled: false, engine }
    }

    fn add(&self, raw: &E) -> usize {
        for rows in self.pins.records.chunks(BATCH) {
            raw.put(rows.iter().map(|(key, value)| (&key[..], &value[..])));
        }
        self.pins.len()
    }

    /// Each caller writes a row, waits for the disk, and takes the next one.
    fn add_singly(&self, raw: &E) -> usize {
        each(self.pins.len().min(SINGLES), |i| {
            let (key, value) = &self.pins.records[i];
            raw.put(std::iter::once((&key[..], &value[..])));
        })
    }

    fn get(&self, raw: &E) -> usize {
        each(self.pins.len(), |i| _ = black_box(raw.get(self.pins.asked_keys[i].as_bytes())))
    }

    fn get_many(&self, raw: &E) -> usize {
        black_box(self.pins.asked_keys.iter().map(|key| raw.get(key.as_bytes())).sum::<u64>());
        self.pins.len()
    }

    fn scan(raw: &E) -> usize {
        let (mut sum, mut seen) = (0, 0);
        raw.scan(|key, value| {
            sum += look_at(value) + key.len() as u64;
            seen += 1;
        });
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

impl<E: Engine> Subject for Raw<E> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn can(&self, op: Op) -> bool {
        matches!(op, Op::Add | Op::Add64 | Op::Get64 | Op::GetMany | Op::Scan)
    }

    fn run(&mut self, op: Op) -> Spent {
        let filled = self.folder.join("filled");
        std::fs::create_dir_all(&self.folder).unwrap();
        if !op.writes() && !self.filled {
            let raw = E::open(&filled, self.cache);
            self.add(&raw);
            drop(raw);
            E::until_free(&filled);
            self.filled = true;
        }
        let path = if op.writes() { self.folder.join("fresh") } else { filled };
        let raw = E::open(&path, self.cache);
        let spent = measured(|| match op {
            Op::Add => self.add(&raw),
            Op::Add64 => self.add_singly(&raw),
            Op::Get64 => self.get(&raw),
            Op::GetMany => self.get_many(&raw),
            _ => Self::scan(&raw),
        });
        drop(raw);
        E::until_free(&path);
        if op.writes() {
            std::fs::remove_dir_all(&path).unwrap();
        }
        spent
    }
}
