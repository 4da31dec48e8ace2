//! A file that only grows: what a job or a journal must remember after a crash.
//!
//! # Layout
//! Eight bytes that say what the file is, then frames without anything between them, all
//! numbers little-endian:
//!
//! > CRC-32 of all that follows (4 bytes), length of the payload (4), how many bytes of the file
//! > were certainly on the disk when the frame was written (8), kind (1), payload
//!
//! A crash can leave what was written since the last sync in any state. Opening cuts the file
//! before the first frame that is not whole, unless a later frame says that this place was on
//! the disk already: then the file is damaged, and nothing is cut. Damage in what was synced
//! last, with nothing written since, looks like a write that a crash cut short.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pinstate_core::{Error, ErrorKind, Operation, Outcome, Result};

use crate::files::{failed, private, sync_folder};

/// What says of which kind a file is.
pub(crate) type Magic = [u8; 8];

/// Bytes before the payload.
const HEAD: usize = 17;
/// Longest payload. What is longer is damage.
const MAX_PAYLOAD: usize = 64 << 20;

/// A file of frames, opened to grow. Its calls block.
#[derive(Debug)]
pub(crate) struct Frames {
    path: PathBuf,
    file: File,
    magic: Magic,
    /// What is on the disk.
    synced: u64,
    /// Frames that are not written yet.
    waiting: Vec<u8>,
    /// Whether a write has failed: nobody knows what the file has then.
    failed: bool,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frames {
    /// Makes a new file, which nobody else may read.
    ///
    /// # Errors
    /// `Conflict` where there is one; what keeps it from being made.
    pub(crate) fn create(path: &Path, magic: Magic) -> Result<Self> {
        let file = match private().write(true).create_new(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let message = format!("{} is there already", path.display());
                return Err(Error::new(ErrorKind::Conflict, Operation::Open, message));
            }
            opened => opened.map_err(|error| failed(path, "cannot be created", error))?,
        };
        let mut frames = Self::of(path, file, magic, 0);
        frames.waiting.extend_from_slice(&magic);
        frames.sync()?;
        sync_folder(path).map_err(|error| failed(path, "cannot be created", error))?;
        Ok(frames)
    }

    /// Opens a file to append to it, and gives every frame it has.
    ///
    /// # Errors
    /// `Incompatible` for a file of another kind, `Corrupt` for one that is damaged, what keeps
    /// it from being read, and the first error of `take`.
    pub(crate) fn open(
        path: &Path,
        magic: Magic,
        take: impl FnMut(Frame) -> Result<()>,
    ) -> Result<Self> {
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let mut file = opened.map_err(|error| failed(path, "cannot be opened", error))?;
        let whole = read(path, &mut file, magic, take)?;
        let cut = file
            .set_len(whole)
            .and_then(|()| file.seek(SeekFrom::Start(whole)))
            .and_then(|_| file.sync_all());
        cut.map_err(|error| failed(path, "cannot be cut after its last whole frame", error))?;
        let mut frames = Self::of(path, file, magic, whole);
        if whole == 0 {
            // The crash came before its first bytes were on the disk.
            frames.waiting.extend_from_slice(&magic);
            frames.sync()?;
        }
        Ok(frames)
    }

    /// Gives every whole frame of a file that somebody else may be appending to.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn peek(
        path: &Path,
        magic: Magic,
        take: impl FnMut(Frame) -> Result<()>,
    ) -> Result<()> {
        let opened = File::open(path);
        let mut file = opened.map_err(|error| failed(path, "cannot be opened", error))?;
        read(path, &mut file, magic, take).map(drop)
    }

    fn of(path: &Path, file: File, magic: Magic, synced: u64) -> Self {
        Self { path: path.to_path_buf(), file, magic, synced, waiting: Vec::new(), failed: false }
    }

    /// Adds a frame, which is not written before the next [`sync`](Self::sync).
    pub(crate) fn append(&mut self, kind: u8, payload: &[u8]) {
        let start = self.waiting.len();
        self.waiting.extend_from_slice(&[0; 4]);
        // What does not fit is refused when it is read; no caller comes near it.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        self.waiting.extend_from_slice(&length.to_le_bytes());
        self.waiting.extend_from_slice(&self.synced.to_le_bytes());
        self.waiting.push(kind);
        self.waiting.extend_from_slice(payload);
        let crc = crc32fast::hash(self.waiting.get(start + 4..).unwrap_or_default());
        if let Some(place) = self.waiting.get_mut(start..start + 4) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
    }

    /// Writes what was added, and waits until it is on the disk.
    ///
    /// # Errors
    /// What keeps it from being written; it may be there nonetheless. `Closed` ever after.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if self.failed {
            let message = format!("a write to {} has failed before", self.path.display());
            return Err(Error::new(ErrorKind::Closed, Operation::Sync, message)
                .with_outcome(Outcome::NotApplied));
        }
        let written = self.file.write_all(&self.waiting).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.failed = true;
            return Err(failed(&self.path, "cannot be written", error));
        }
        self.synced += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Gives the file its name, durably.
    ///
    /// # Errors
    /// What keeps it from being renamed.
    pub(crate) fn rename(&mut self, path: &Path) -> Result<()> {
        let moved = std::fs::rename(&self.path, path).and_then(|()| sync_folder(path));
        moved.map_err(|error| failed(path, "cannot be put in place", error))?;
        self.path = path.to_path_buf();
        Ok(())
    }

    /// How long the file is, with what is not written yet.
    pub(crate) fn len(&self) -> u64 {
        self.synced + self.waiting.len() as u64
    }

    /// Puts a new file with these frames in the place of this one: whoever opens it after a
    /// crash finds the one or the other.
    ///
    /// # Errors
    /// What keeps it from being written; the old one is then still in place.
    pub(crate) fn rewrite(&mut self, frames: impl IntoIterator<Item = Frame>) -> Result<()> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let wrong = |error| failed(&beside, "cannot be written", error);
        let file = private().write(true).create(true).truncate(true).open(&beside);
        let mut new = Self::of(&beside, file.map_err(wrong)?, self.magic, 0);
        new.waiting.extend_from_slice(&self.magic);
        for frame in frames {
            new.append(frame.kind, &frame.payload);
            if new.waiting.len() > 1 << 20 {
                new.sync()?;
            }
        }
        new.sync()?;
        new.rename(&self.path)?;
        *self = new;
        Ok(())
    }
}

/// Gives the frames of a file, and says where the last whole one ends; 0 where not even the
/// file's first bytes are whole.
fn read(
    path: &Path,
    file: &mut File,
    magic: Magic,
    mut take: impl FnMut(Frame) -> Result<()>,
) -> Result<u64> {
    let wrong = |error| failed(path, "cannot be read", error);
    let length = file.metadata().map_err(wrong)?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut found = Magic::default();
    if length < magic.len() as u64 {
        return Ok(0);
    }
    reader.read_exact(&mut found).map_err(wrong)?;
    if found != magic {
        let [found, ours] = [found, magic].map(name);
        // A name ends with the number of the format.
        let kind = |name: &str| name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
        let message = if kind(&found) == kind(&ours) {
            format!(
                "{} is of the format '{found}', and this version of pinstate reads '{ours}': go on \
                 with the version that has written it",
                path.display()
            )
        } else {
            format!("{} is no file of the format '{ours}'", path.display())
        };
        return Err(Error::new(ErrorKind::Incompatible, Operation::Open, message));
    }
    let mut at = magic.len() as u64;
    while let Some((frame, size)) = next(&mut reader, length - at).map_err(wrong)? {
        take(frame)?;
        at += size;
    }
    if at < length {
        reader.seek(SeekFrom::Start(at)).map_err(wrong)?;
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).map_err(wrong)?;
        if (1..rest.len()).any(|place| vouches(rest.get(place..).unwrap_or_default(), at)) {
            let message = format!(
                "{} is damaged at byte {at}, in what was on the disk already: bring it back \
                 from a copy, or begin anew",
                path.display()
            );
            return Err(Error::new(ErrorKind::Corrupt, Operation::Open, message));
        }
    }
    Ok(at)
}

fn name(magic: Magic) -> String {
    String::from_utf8_lossy(&magic).trim_end().to_owned()
}

/// The next frame and its size, or nothing where none is whole.
fn next(reader: &mut impl Read, left: u64) -> io::Result<Option<(Frame, u64)>> {
    let mut head = [0; HEAD];
    if left < HEAD as u64 {
        return Ok(None);
    }
    reader.read_exact(&mut head)?;
    let Some(Head { crc, length, kind, .. }) = Head::read(&head) else { return Ok(None) };
    if left - (HEAD as u64) < length as u64 {
        return Ok(None);
    }
    let mut payload = vec![0; length];
    reader.read_exact(&mut payload)?;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head.get(4..).unwrap_or_default());
    hasher.update(&payload);
    let whole = hasher.finalize() == crc;
    Ok(whole.then_some((Frame { kind, payload }, (HEAD + length) as u64)))
}

/// Whether these bytes begin with a whole frame that was written when the file was longer than
/// `at` on the disk.
fn vouches(bytes: &[u8], at: u64) -> bool {
    let Some(head) = Head::read(bytes) else { return false };
    let Some(covered) = bytes.get(4..HEAD + head.length) else { return false };
    head.synced > at && crc32fast::hash(covered) == head.crc
}

struct Head {
    crc: u32,
    length: usize,
    synced: u64,
    kind: u8,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (crc, rest) = bytes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (synced, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let head = Self {
            crc: u32::from_le_bytes(*crc),
            length,
            synced: u64::from_le_bytes(*synced),
            kind: *rest.first()?,
        };
        (length <= MAX_PAYLOAD).then_some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: Magic = *b"test 1\n\0";

    fn frame(kind: u8, payload: &[u8]) -> Frame {
        Frame { kind, payload: payload.to_vec() }
    }

    fn open(path: &Path) -> Result<(Frames, Vec<Frame>)> {
        let mut found = Vec::new();
        let frames = Frames::open(path, MAGIC, |frame| {
            found.push(frame);
            Ok(())
        })?;
        Ok((frames, found))
    }

    /// A file with one frame on the disk, then three that are written in one go.
    fn written(path: &Path) -> (u64, Vec<u8>) {
        let mut frames = Frames::create(path, MAGIC).unwrap();
        frames.append(1, b"first");
        frames.sync().unwrap();
        let first = frames.len();
        frames.append(2, b"");
        frames.append(3, &[0; 100]);
        frames.append(4, b"last");
        frames.sync().unwrap();
        (first, std::fs::read(path).unwrap())
    }

    #[test]
    fn what_is_written_is_read_and_a_cut_file_is_read_up_to_the_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (_, bytes) = written(&path);
        assert_eq!(Frames::create(&path, MAGIC).unwrap_err().kind(), ErrorKind::Conflict);
        let all = [frame(1, b"first"), frame(2, b""), frame(3, &[0; 100]), frame(4, b"last")];
        for cut in 0..=bytes.len() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let (mut frames, found) = open(&path).unwrap();
            assert_eq!(found, all[..found.len()]);
            assert!(cut < bytes.len() || found.len() == 4);
            frames.append(5, b"next");
            frames.sync().unwrap();
            assert_eq!(open(&path).unwrap().1.last(), Some(&frame(5, b"next")));
        }
    }

    #[test]
    fn damage_is_cut_only_where_nothing_was_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (first, bytes) = written(&path);
        for place in MAGIC.len()..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            std::fs::write(&path, &damaged).unwrap();
            let opened = open(&path);
            if place < usize::try_from(first).unwrap() {
                assert_eq!(opened.unwrap_err().kind(), ErrorKind::Corrupt, "{place}");
                assert_eq!(std::fs::read(&path).unwrap(), damaged, "nothing is cut");
            } else {
                assert!(!opened.unwrap().1.is_empty(), "{place}");
            }
        }
        std::fs::write(&path, b"another").unwrap();
        assert_eq!(open(&path).unwrap().1, []);
        std::fs::write(&path, b"another kind").unwrap();
        assert_eq!(open(&path).unwrap_err().kind(), ErrorKind::Incompatible);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        written(&path);
        let (mut frames, found) = open(&path).unwrap();
        frames.rewrite(found.into_iter().skip(2)).unwrap();
        frames.append(6, b"after");
        frames.sync().unwrap();
        let mut seen = Vec::new();
        Frames::peek(&path, MAGIC, |frame| {
            seen.push(frame.kind);
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [3, 4, 6]);
    }
}
