//! Which keys may differ between the two stores: a file of keys alone, ahead of every write.
//!
//! A key is on the disk before the first store is touched, and is taken back once both have
//! answered. So whatever a crash leaves different is named here, and what is to be done about
//! it is always the same: look at what the primary holds, and copy that. Neither the order of
//! the entries nor their number matters, and no value can be stale.
//!
//! All writers that wait at the same time share one wait for the disk, on a thread of the
//! journal's own. Taking a key back waits for nothing: a crash that loses it costs one copy.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use pinstate_core::{Error, ErrorKind, Key, Operation, Outcome, Result};
use tokio::sync::oneshot;

use crate::frames::{Frame, Frames, Magic};

const MAGIC: Magic = *b"pinjrnl1";
/// A key that may differ from now on.
const DIRTY: u8 = 1;
/// A key that no longer does.
const CLEAN: u8 = 2;

/// The mark of keys that were in the journal when it was opened.
pub(super) const OF_BEFORE: u64 = 0;

/// Bytes beyond which the file is written anew, if most of it says nothing any more.
const COMPACT: u64 = 4 << 20;

/// The journal, with its thread.
#[derive(Debug)]
pub(super) struct Journal {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<Key, Entry>,
    /// Frames that are not in the file yet, in order.
    pending: Vec<(u8, Key)>,
    waiting: Vec<oneshot::Sender<Result<()>>>,
    /// Counts what was left unresolved, so that a repair knows what it has seen.
    marks: u64,
    unresolved: usize,
    bytes: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Entry {
    /// Writes of the key that are under way.
    under_way: u32,
    /// The last of them whose end leaves it open what the stores hold.
    unresolved: Option<u64>,
}

impl State {
    fn end(&mut self, key: &Key, resolved: bool) {
        if !resolved {
            self.marks += 1;
        }
        let Some(entry) = self.keys.get_mut(key) else { return };
        entry.under_way = entry.under_way.saturating_sub(1);
        if !resolved && entry.unresolved.replace(self.marks).is_none() {
            self.unresolved += 1;
        }
        self.forget_if_clean(key);
    }

    fn forget_if_clean(&mut self, key: &Key) {
        let clean = |entry: &Entry| entry.under_way == 0 && entry.unresolved.is_none();
        if self.keys.get(key).is_some_and(clean) {
            self.keys.remove(key);
            self.pending.push((CLEAN, key.clone()));
        }
    }
}

/// Keys that are being written. Dropped without an end, they are unresolved.
#[derive(Debug)]
pub(super) struct Ticket {
    shared: Arc<Shared>,
    keys: Vec<Key>,
}

impl Ticket {
    /// Says for each key whether both stores certainly hold the same again.
    pub(super) fn end(mut self, resolved: impl IntoIterator<Item = bool>) {
        let mut resolved = resolved.into_iter();
        let mut state = self.shared.state.lock();
        for key in self.keys.drain(..) {
            state.end(&key, resolved.next().unwrap_or(false));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        for key in self.keys.drain(..) {
            state.end(&key, false);
        }
    }
}

impl Journal {
    /// Opens the journal, or makes one. The keys it holds are unresolved.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut keys = HashSet::new();
        let take = |frame| read(&mut keys, frame);
        let frames = if path.exists() {
            Frames::open(path, MAGIC, take)?
        } else {
            Frames::create(path, MAGIC)?
        };
        let unresolved = keys.len();
        let entry = |key| (key, Entry { under_way: 0, unresolved: Some(OF_BEFORE) });
        let keys = keys.into_iter().map(entry).collect();
        let state = State { keys, unresolved, bytes: frames.len(), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), work: Condvar::new() });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("mirror-journal".to_owned())
            .spawn(move || run(&of_thread, frames))
            .map_err(|error| {
                Error::new(ErrorKind::Internal, Operation::Open, "no thread can be started")
                    .with_source(error)
            })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Puts keys into the journal and waits until they are on the disk.
    ///
    /// # Errors
    /// What keeps them from it; nothing may be written then, and nothing was.
    pub(super) async fn begin(&self, keys: Vec<Key>) -> Result<Ticket> {
        let (done, waits) = oneshot::channel();
        {
            let mut state = self.shared.state.lock();
            for key in &keys {
                state.keys.entry(key.clone()).or_default().under_way += 1;
                state.pending.push((DIRTY, key.clone()));
            }
            state.waiting.push(done);
        }
        self.shared.work.notify_one();
        // Made before the wait: who gives up meanwhile leaves the keys to be looked at.
        let ticket = Ticket { shared: Arc::clone(&self.shared), keys };
        match answer(waits.await) {
            Ok(()) => Ok(ticket),
            Err(error) => {
                // No store was touched.
                ticket.end(std::iter::repeat(true));
                Err(error)
            }
        }
    }

    /// Puts keys into the journal that look different.
    pub(super) async fn suspect(&self, keys: Vec<Key>) -> Result<()> {
        drop(self.begin(keys).await?);
        Ok(())
    }

    /// Waits until all that the journal knows is on the disk.
    pub(super) async fn flush(&self) -> Result<()> {
        self.begin(Vec::new()).await.map(drop)
    }

    /// The keys that may differ, with what tells whether that is still the same later.
    pub(super) fn unresolved(&self) -> Vec<(Key, u64)> {
        let state = self.shared.state.lock();
        let of = |(key, entry): (&Key, &Entry)| Some((key.clone(), entry.unresolved?));
        state.keys.iter().filter_map(of).collect()
    }

    /// Whether a key is unresolved for the reason that was seen, and no later one.
    pub(super) fn is_still(&self, key: &Key, mark: u64) -> bool {
        let state = self.shared.state.lock();
        state.keys.get(key).is_some_and(|entry| entry.unresolved == Some(mark))
    }

    /// Takes back a key that both stores hold alike, unless there is a later reason.
    pub(super) fn resolve(&self, key: &Key, mark: u64) {
        let mut state = self.shared.state.lock();
        if let Some(entry) = state.keys.get_mut(key)
            && entry.unresolved == Some(mark)
        {
            entry.unresolved = None;
            state.unresolved -= 1;
            state.forget_if_clean(key);
        }
    }

    /// How many keys may differ for longer than a write takes.
    pub(super) fn depth(&self) -> usize {
        self.shared.state.lock().unresolved
    }

    /// Length of the file in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.shared.state.lock().bytes
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing left to say but to those who wait, and they have their answer.
            drop(thread.join());
        }
    }
}

/// How many keys a journal has that nobody has open.
pub(super) fn left(path: &Path) -> Result<usize> {
    let mut keys = HashSet::new();
    Frames::peek(path, MAGIC, |frame| read(&mut keys, frame))?;
    Ok(keys.len())
}

fn read(keys: &mut HashSet<Key>, frame: Frame) -> Result<()> {
    let key = Key::new(frame.payload);
    match frame.kind {
        DIRTY => drop(keys.insert(key)),
        CLEAN => drop(keys.remove(&key)),
        other => {
            let what = format!("the journal has an entry of a kind {other} from elsewhere");
            return Err(Error::new(ErrorKind::Incompatible, Operation::Open, what));
        }
    }
    Ok(())
}

fn answer(got: Result<Result<()>, oneshot::error::RecvError>) -> Result<()> {
    let closed = |_| Error::new(ErrorKind::Closed, Operation::Mirror, "the journal was closed");
    got.map_err(closed)
        .flatten()
        .map_err(|error| error.with_operation(Operation::Mirror).with_outcome(Outcome::NotApplied))
}

/// The journal's thread: one write and one wait for all who wait.
fn run(shared: &Shared, mut frames: Frames) {
    let mut failed = false;
    loop {
        let mut state = shared.state.lock();
        while state.waiting.is_empty() && !state.closed {
            shared.work.wait(&mut state);
        }
        let closed = state.closed;
        let pending = std::mem::take(&mut state.pending);
        let waiting = std::mem::take(&mut state.waiting);
        // After a failure nobody knows what the file holds: a new one takes its place. The keys
        // are those that the pending frames lead to.
        let large = frames.len() > COMPACT && frames.len() / 256 > state.keys.len() as u64;
        let anew: Option<Vec<Key>> =
            (failed || large).then(|| state.keys.keys().cloned().collect());
        drop(state);
        let written = match anew {
            Some(keys) => frames.rewrite(
                keys.into_iter().map(|key| Frame { kind: DIRTY, payload: key.as_bytes().to_vec() }),
            ),
            None => {
                for (kind, key) in pending {
                    frames.append(kind, key.as_bytes());
                }
                frames.sync()
            }
        };
        failed = written.is_err();
        shared.state.lock().bytes = frames.len();
        for one in waiting {
            // Who does not wait any more does not mind.
            drop(one.send(written.clone()));
        }
        if closed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key::copy_from(name.as_bytes())
    }

    fn names(journal: &Journal) -> Vec<String> {
        let mut names: Vec<String> = journal
            .unresolved()
            .iter()
            .map(|(key, _)| String::from_utf8_lossy(key.as_bytes()).into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_journal_of_the_first_format_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        // Two keys that were written, one of which was taken back.
        std::fs::write(&path, include_bytes!("../../tests/fixtures/mirror-1/journal")).unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!(names(&journal), ["\u{1}U\u{12}\u{1}b"]);
    }

    #[tokio::test]
    async fn keys_that_were_not_taken_back_are_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(key);
        let first = journal.begin(vec![a.clone(), b.clone()]).await.unwrap();
        let second = journal.begin(vec![b.clone()]).await.unwrap();
        first.end([true, false]);
        // A later write that went well does not make the earlier one known.
        second.end([true]);
        drop(journal.begin(vec![c.clone()]).await.unwrap());
        assert_eq!(names(&journal), ["b", "c"]);
        drop(journal);
        let journal = Journal::open(&path).unwrap();
        assert_eq!(names(&journal), ["b", "c"]);
        let (_, mark) = journal.unresolved().into_iter().find(|(key, _)| *key == b).unwrap();
        let again = journal.begin(vec![b.clone()]).await.unwrap();
        drop(again);
        journal.resolve(&b, mark);
        assert_eq!(names(&journal), ["b", "c"], "there is a later reason");
        for (key, mark) in journal.unresolved() {
            journal.resolve(&key, mark);
        }
        journal.flush().await.unwrap();
        drop(journal);
        assert!(Journal::open(&path).unwrap().unresolved().is_empty());
    }

    #[tokio::test]
    async fn a_large_file_is_written_anew_with_what_still_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let journal = Journal::open(&path).unwrap();
        drop(journal.begin(vec![key("open")]).await.unwrap());
        let long = Key::new(vec![7; 60_000]);
        for _ in 0..100 {
            journal.begin(vec![long.clone()]).await.unwrap().end([true]);
        }
        assert!(journal.bytes() < COMPACT + 200_000, "{}", journal.bytes());
        drop(journal);
        assert_eq!(names(&Journal::open(&path).unwrap()), ["open"]);
    }
}
