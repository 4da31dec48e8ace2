//! The file: one frame after another, each with its lengths and a checksum.
//!
//! A frame is `header length, body length, CRC-32 of both parts` (each a little-endian `u32`),
//! then the header, which is JSON, and the body, which is the values. What a crash leaves of
//! the last frame is cut off when the file is opened; a damaged frame that others follow is
//! damage, and the store does not open.
//!
//! Where most of what is in the file is no longer needed it is written anew, beside the old
//! one, and takes its place by a rename.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pinstate_core::{ErrorKind, NamespaceName, Operation, Outcome, Result, Version};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{error, fail};

const HEAD: usize = 12;

/// What a frame says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// The first one.
    Store {
        uuid: Uuid,
        format: u32,
    },
    Create {
        namespace: NamespaceName,
    },
    Drop {
        namespace: NamespaceName,
    },
    Replace {
        namespace: NamespaceName,
        staged: NamespaceName,
    },
    /// Rows of one write or batch: all of them or none.
    Rows {
        namespace: NamespaceName,
        rows: Vec<RowEntry>,
    },
    Purge {
        namespace: NamespaceName,
        before: Version,
    },
    /// A control record, or that there is none any more.
    Control {
        key: String,
        there: bool,
        revision: u64,
    },
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RowEntry {
    /// In hex.
    pub(crate) key: String,
    pub(crate) version: Version,
    pub(crate) holds: Holds,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Holds {
    /// A value of so many bytes, the next ones of the body.
    Value(usize),
    /// The marker of a conditional delete.
    Marker,
    Nothing,
}

/// The file, locked for this process.
pub(crate) struct Log {
    file: File,
    end: u64,
    /// A sync has failed: what was written before it may be lost though it is read back, so
    /// nothing may be promised any more.
    failed: bool,
}

impl Drop for Log {
    fn drop(&mut self) {
        // Closing the file would do, were there no process being started that has a copy of it.
        let _ = self.file.unlock();
    }
}

impl Log {
    /// Opens the file in this folder, and gives each frame to `replay`.
    pub(crate) fn open(
        folder: &Path,
        create: bool,
        mut replay: impl FnMut(Entry, &[u8]) -> Result<()>,
    ) -> Result<Self> {
        let wrong = |source| error(source, Operation::Open);
        let path = folder.join("store.log");
        if !create && !path.is_file() {
            let message = format!("there is no store in {}", folder.display());
            return Err(fail(ErrorKind::NoStore, Operation::Open, message));
        }
        std::fs::create_dir_all(folder).map_err(wrong)?;
        let file = loop {
            let file = OpenOptions::new().read(true).append(true).create(create).open(&path);
            let file = file.map_err(wrong)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let message = format!("{} is open elsewhere", path.display());
                    return Err(fail(ErrorKind::Locked, Operation::Open, message));
                }
                Err(TryLockError::Error(source)) => return Err(wrong(source)),
            }
            // Who held it may have put another file in its place meanwhile.
            let there = std::fs::metadata(&path).map_err(wrong)?;
            if file.metadata().map_err(wrong)?.ino() == there.ino() {
                break file;
            }
        };
        let mut bytes = Vec::new();
        (&file).read_to_end(&mut bytes).map_err(wrong)?;
        let mut end = 0;
        while let Some(rest) = bytes.get(end..).filter(|rest| !rest.is_empty()) {
            let Some((entry, body, size)) = frame(rest) else {
                // Each frame is synced before the next one, so only the last can be torn.
                if (1..rest.len()).any(|at| rest.get(at..).and_then(frame).is_some()) {
                    let message = format!("the frame at byte {end} of the file is damaged");
                    return Err(fail(ErrorKind::Corrupt, Operation::Open, message));
                }
                break;
            };
            replay(entry, body)?;
            end += size;
        }
        let end = end as u64;
        // What a crash has left of the last frame.
        file.set_len(end).map_err(wrong)?;
        file.sync_all().map_err(wrong)?;
        // The file's name must survive as well, and so must the folder's.
        for folder in [Some(folder), folder.parent()].into_iter().flatten() {
            sync_folder(folder).map_err(wrong)?;
        }
        Ok(Self { file, end, failed: false })
    }

    /// How many bytes the file has.
    pub(crate) fn size(&self) -> u64 {
        self.end
    }

    /// Puts a file with these frames in the place of the one that there is.
    pub(crate) fn rewrite(
        &mut self,
        folder: &Path,
        frames: impl IntoIterator<Item = (Entry, Vec<u8>)>,
    ) -> Result<()> {
        let wrong = |source| error(source, Operation::Open);
        let (path, new) = (folder.join("store.log"), folder.join("store.log.new"));
        match std::fs::remove_file(&new) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(wrong(source)),
            _ => {}
        }
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(&new);
        let file = file.map_err(wrong)?;
        // Locked before anybody can open it as the store.
        file.try_lock().map_err(|refused| wrong(refused.into()))?;
        let mut end = 0;
        for (entry, body) in frames {
            let frame = framed(&entry, &body, Operation::Open)?;
            (&file).write_all(&frame).map_err(wrong)?;
            end += frame.len() as u64;
        }
        file.sync_all().map_err(wrong)?;
        std::fs::rename(&new, &path).and_then(|()| sync_folder(folder)).map_err(wrong)?;
        (self.file, self.end) = (file, end);
        Ok(())
    }

    /// Appends a frame, and returns when it is on the disk.
    pub(crate) fn append(
        &mut self,
        operation: Operation,
        entry: &Entry,
        body: &[u8],
    ) -> Result<()> {
        self.check(operation)?;
        let frame = framed(entry, body, operation)?;
        if let Err(source) = self.file.write_all(&frame) {
            // Half a frame must not stand before the next one.
            self.failed = self.file.set_len(self.end).is_err();
            return Err(error(source, operation).with_outcome(Outcome::NotApplied));
        }
        self.sync(operation)?;
        self.end += frame.len() as u64;
        Ok(())
    }

    /// Waits until all that was written is on the disk.
    pub(crate) fn sync(&mut self, operation: Operation) -> Result<()> {
        self.check(operation)?;
        self.file.sync_data().map_err(|source| {
            self.failed = true;
            error(source, operation).with_outcome(Outcome::Unknown)
        })
    }

    fn check(&self, operation: Operation) -> Result<()> {
        if self.failed {
            let message = "an earlier write to the file failed: close the store and open it anew";
            return Err(fail(ErrorKind::Io, operation, message).with_outcome(Outcome::NotApplied));
        }
        Ok(())
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    // The parent of a relative path of one part is the empty one.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// An entry as it stands in the file.
fn framed(entry: &Entry, body: &[u8], operation: Operation) -> Result<Vec<u8>> {
    let header =
        serde_json::to_vec(entry).map_err(|source| error(io::Error::other(source), operation))?;
    let mut frame = Vec::with_capacity(HEAD + header.len() + body.len());
    for number in [header.len() as u32, body.len() as u32, checksum(&header, body)] {
        frame.extend(number.to_le_bytes());
    }
    frame.extend(&header);
    frame.extend(body);
    Ok(frame)
}

fn checksum(header: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(body);
    hasher.finalize()
}

/// The frame that the bytes begin with, with its body and its size, where it is whole.
fn frame(bytes: &[u8]) -> Option<(Entry, &[u8], usize)> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let mut numbers =
        head.chunks_exact(4).filter_map(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let (header, body, crc) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let (header, rest) = rest.split_at_checked(header as usize)?;
    let (body, _) = rest.split_at_checked(body as usize)?;
    // The checksum of bytes that begin like none would be dear where a whole file is searched.
    if header.first() != Some(&b'{') || checksum(header, body) != crc {
        return None;
    }
    let entry = serde_json::from_slice(header).ok()?;
    Some((entry, body, HEAD + header.len() + body.len()))
}
