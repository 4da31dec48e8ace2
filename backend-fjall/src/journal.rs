//! What of the engine's journal may be believed, looked at before the engine opens it.
//!
//! fjall 3 replays its journal up to the first place that makes no sense, and cuts off the
//! rest as an unfinished write, whatever follows; and it refuses to open where a last,
//! unfinished batch looks whole but for its checksum, as it does when a disk wrote some of its
//! pages before the power went. Here the journal is read first. What follows its last good
//! batch is an unfinished write, and is cut off, only if no good batch comes after it: else
//! acknowledged writes stand behind damage, and the store is refused.
//!
//! The form is that of fjall 3's `journal/entry.rs`: a batch is a start (tag 1, number of
//! items, sequence number), its items (tag 2; or 4, a keyspace that was cleared) and an end
//! (tag 3, XXH3 of the items, four fixed bytes); integers are little-endian.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use pinstate_core::{Operation, Result};
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{corrupt, file};

const TRAILER: &[u8] = b"FJL\x03";

/// Looks at the journals of an engine that is not open, and cuts off what was never finished.
/// With `only_tail` acknowledged writes were durable, so that no more than one batch can
/// have been lost with the power.
///
/// # Errors
/// `Corrupt` where good batches follow damage, with the file and the place.
pub(crate) fn check(engine: &Path, only_tail: bool) -> Result<()> {
    let io = |error| file(error, Operation::Open);
    let mut journals = journals(engine).map_err(io)?;
    journals.sort();
    let Some((_, active)) = journals.pop() else { return Ok(()) };
    for (_, sealed) in journals {
        let bytes = read(&sealed).map_err(io)?;
        let good = good_until(&bytes);
        // It was synced as a whole before the next one was begun.
        if good < bytes.len() {
            return Err(damaged(&sealed, good));
        }
    }
    let bytes = read(&active).map_err(io)?;
    let good = good_until(&bytes);
    if only_tail && good_after(&bytes, good) {
        return Err(damaged(&active, good));
    }
    if good < bytes.len() {
        let cut = OpenOptions::new().write(true).open(&active).and_then(|file| {
            file.set_len(good as u64)?;
            file.sync_all()
        });
        cut.map_err(io)?;
    }
    Ok(())
}

fn damaged(path: &Path, place: usize) -> pinstate_core::Error {
    corrupt(
        Operation::Open,
        "the journal is damaged in its middle: restore from a copy; if the store was last open \
         with durability 'process' and the power was lost since, open it once so, which gives \
         up what follows",
    )
    .with_context("path", path.display())
    .with_context("byte", place)
}

fn journals(engine: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(engine)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let (Some(number), true) = (number, path.extension().is_some_and(|e| e == "jnl")) {
            found.push((number, path));
        }
    }
    Ok(found)
}

/// A journal without the zeros that it was made with room of.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mut bytes = vec![0; usize::try_from(used(&file)?).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The length without the zeros at the end. No batch ends in one.
fn used(file: &File) -> io::Result<u64> {
    static ZEROS: [u8; 65_536] = [0; 65_536];
    let mut len = file.metadata()?.len();
    let mut chunk = ZEROS;
    while len > 0 {
        let from = (len - 1) / ZEROS.len() as u64 * ZEROS.len() as u64;
        let part = usize::try_from(len - from).map_err(io::Error::other)?;
        let part = chunk.get_mut(..part).unwrap_or_default();
        file.read_exact_at(part, from)?;
        if !ZEROS.starts_with(part) {
            let last = part.iter().rposition(|byte| *byte != 0).unwrap_or_default();
            return Ok(from + last as u64 + 1);
        }
        len = from;
    }
    Ok(0)
}

/// Takes the room at the end of the last journal away, once the engine is closed: 64 MB that
/// whoever copies the store would copy.
pub(crate) fn trim(engine: &Path) -> io::Result<()> {
    let last = journals(engine)?.into_iter().max();
    last.map_or(Ok(()), |(_, path)| {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        file.set_len(used(&file)?)
    })
}

/// Where the good batches from the beginning end.
fn good_until(bytes: &[u8]) -> usize {
    let mut good = 0;
    while let Some(len) = bytes.get(good..).and_then(batch) {
        good += len;
    }
    good
}

/// Whether a good batch begins anywhere behind the place: each follows another's trailer.
fn good_after(bytes: &[u8], place: usize) -> bool {
    let rest = bytes.get(place..).unwrap_or_default();
    let trailers = rest.windows(TRAILER.len()).enumerate().filter(|(_, four)| *four == TRAILER);
    trailers.filter_map(|(at, _)| rest.get(at + TRAILER.len()..)).any(|rest| batch(rest).is_some())
}

/// The length of the good batch that the bytes begin with.
fn batch(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let [1, count @ ..] = take::<5>(&mut rest)? else { return None };
    take::<8>(&mut rest)?;
    let items = rest;
    for _ in 0..u32::from_le_bytes(count) {
        match take::<1>(&mut rest)? {
            [2] => {
                take::<10>(&mut rest)?;
                let key = u16::from_le_bytes(take(&mut rest)?);
                take::<4>(&mut rest)?;
                let value = u32::from_le_bytes(take(&mut rest)?);
                let len = usize::try_from(value).ok()?.checked_add(usize::from(key))?;
                rest = rest.get(len..)?;
            }
            [4] => drop(take::<8>(&mut rest)?),
            _ => return None,
        }
    }
    let items = items.get(..items.len() - rest.len())?;
    let [3, sum @ ..] = take::<9>(&mut rest)? else { return None };
    let fits = take::<4>(&mut rest)? == TRAILER && xxh3_64(items) == u64::from_le_bytes(sum);
    fits.then_some(bytes.len() - rest.len())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}
