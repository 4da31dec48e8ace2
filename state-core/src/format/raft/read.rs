//! Finding the newest snapshot and checking it.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use super::{META, NEWEST_VERSION, RAFT, RaftError, RaftMeta, SNAPSHOTS, STATE, UNFINISHED};
use crate::format::Leniency;

/// The longest `meta.json` that is read: enough for thousands of peers.
const LONGEST_META: u64 = 1 << 20;
/// How much of `state.bin` is read at once to take its checksum.
const BLOCK: usize = 256 << 10;

/// A snapshot in a raft folder, whose state has not been looked at yet.
#[derive(Clone, Debug)]
pub struct RaftSnapshot {
    dir: PathBuf,
    meta: RaftMeta,
    leniency: Leniency,
    skipped: Vec<SkippedSnapshot>,
}

/// A snapshot that ipfs-cluster passes over with a line in its log.
#[derive(Clone, Debug)]
pub struct SkippedSnapshot {
    /// Its folder.
    pub path: PathBuf,
    /// Why it cannot be used, in one line.
    pub reason: String,
}

impl RaftSnapshot {
    /// Opens the snapshot at `path`: ipfs-cluster's folder, its raft folder, or the folder of
    /// one snapshot.
    ///
    /// Of several it takes the newest, which is the one with the highest term, then the
    /// highest index, then the greatest ID in byte order. Unfinished ones do not count.
    ///
    /// A damaged `meta.json` is an error for a strict reader, since the newest state might be
    /// the one it belongs to. With [`Leniency::Compat`] its snapshot is
    /// [skipped](Self::skipped), as ipfs-cluster does.
    ///
    /// # Errors
    /// If there is no such folder, no finished snapshot in it, or one that cannot be read.
    pub fn open(path: &Path, leniency: Leniency) -> Result<Self, RaftError> {
        if path.join(META).is_file() {
            let name = path.canonicalize().map_err(RaftError::io("find", path))?;
            if is_unfinished(&name) {
                return Err(RaftError::Unfinished { path: path.to_path_buf() });
            }
            let (dir, meta) = (path.to_path_buf(), read_meta(path)?);
            return Ok(Self { dir, meta, leniency, skipped: Vec::new() });
        }
        fs::metadata(path).map_err(RaftError::io("read", path))?;
        let folders = [path.join(SNAPSHOTS), path.join(RAFT).join(SNAPSHOTS)];
        let Some(folder) = folders.into_iter().find(|folder| folder.is_dir()) else {
            return Err(RaftError::NotRaft { path: path.to_path_buf() });
        };
        newest(&folder, leniency)?.ok_or(RaftError::Empty { path: folder })
    }

    /// The snapshot's own folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// What its `meta.json` says.
    #[must_use]
    pub const fn meta(&self) -> &RaftMeta {
        &self.meta
    }

    /// Snapshots beside it that could not be read, in the order of their names.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedSnapshot] {
        &self.skipped
    }

    /// Reads the whole state once and compares its size and checksum with `meta.json`.
    ///
    /// Returns the very file that was checked, at its start. ipfs-cluster does not look at
    /// the size, and neither does a lenient reader.
    ///
    /// # Errors
    /// If the file cannot be read or is not what `meta.json` says.
    pub fn verify(&self) -> Result<File, RaftError> {
        let path = self.dir.join(STATE);
        // A pipe in its place would block the opening.
        let about = fs::metadata(&path).map_err(RaftError::io("read", &path))?;
        if !about.is_file() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is no file");
            return Err(RaftError::Io { action: "read", path, source });
        }
        let mut file = File::open(&path).map_err(RaftError::io("open", &path))?;
        let (found, crc) = checksum(&mut file).map_err(RaftError::io("read", &path))?;
        let expected = self.meta.size;
        if self.leniency == Leniency::Strict && i64::try_from(found) != Ok(expected) {
            return Err(RaftError::Size { path, expected, found });
        }
        let expected = self.meta.crc.as_deref().unwrap_or_default();
        if expected != crc.to_be_bytes() {
            let expected = match expected {
                [] => "nothing".to_owned(),
                bytes => data_encoding::HEXLOWER.encode(bytes),
            };
            return Err(RaftError::Checksum { path, expected, found: crc });
        }
        file.rewind().map_err(RaftError::io("read", &path))?;
        Ok(file)
    }
}

/// The number of bytes in `file` from here on, and their CRC-64.
fn checksum(file: &mut File) -> io::Result<(u64, u64)> {
    let mut crc = crc64fast::Digest::new();
    let mut block = vec![0; BLOCK];
    let mut size = 0;
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok((size, crc.sum64())),
            Ok(read) => {
                crc.write(block.get(..read).unwrap_or_default());
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn newest(folder: &Path, leniency: Leniency) -> Result<Option<RaftSnapshot>, RaftError> {
    let mut newest: Option<(PathBuf, RaftMeta)> = None;
    let mut skipped = Vec::new();
    for path in snapshots(folder)? {
        match (read_meta(&path), leniency) {
            (Ok(meta), _) => {
                let older = newest.as_ref().is_none_or(|(_, known)| age(known) < age(&meta));
                if older {
                    newest = Some((path, meta));
                }
            }
            (Err(error), Leniency::Strict) => return Err(error),
            (Err(error), Leniency::Compat) => {
                skipped.push(SkippedSnapshot { path, reason: error.to_string() });
            }
        }
    }
    Ok(newest.map(|(dir, meta)| RaftSnapshot { dir, meta, leniency, skipped }))
}

fn age(meta: &RaftMeta) -> (u64, u64, &str) {
    (meta.term, meta.index, &meta.id)
}

/// The folders of all finished snapshots in `folder`, sorted by name.
pub(super) fn snapshots(folder: &Path) -> Result<Vec<PathBuf>, RaftError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(RaftError::io("list", folder))? {
        let entry = entry.map_err(RaftError::io("list", folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(RaftError::io("read", &path))?;
        if kind.is_dir() && !is_unfinished(&path) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(UNFINISHED.as_bytes()))
}

fn read_meta(dir: &Path) -> Result<RaftMeta, RaftError> {
    let path = dir.join(META);
    let mut text = Vec::new();
    let file = File::open(&path).map_err(RaftError::io("open", &path))?;
    file.take(LONGEST_META).read_to_end(&mut text).map_err(RaftError::io("read", &path))?;
    let meta: RaftMeta = match serde_json::from_slice(&text) {
        Ok(meta) => meta,
        Err(error) => {
            return Err(RaftError::Meta { path, reason: error.to_string() });
        }
    };
    if !(0..=NEWEST_VERSION).contains(&meta.version) {
        let reason = format!("version {} is not known, only 0 and 1 are", meta.version);
        return Err(RaftError::Meta { path, reason });
    }
    Ok(meta)
}
