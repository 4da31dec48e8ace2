//! The files of the store: a log of operations, the values that it points to, a marker.
//!
//! An entry of the log is a line: a checksum and JSON. It is acknowledged when its values
//! and then the line are synced; then a note beside the log says how many lines there are, so
//! that a damaged line is told from one that a crash has cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use pinstate_core::{Error, ErrorKind, Operation, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Bug;
use crate::marker::Marker;
use crate::reclaim::needed;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Op {
    Create(String),
    Drop(String),
    Replace(String, String),
    Write { namespace: String, items: Vec<Item>, condition: Condition, atomic: bool },
    Purge(String, i64),
    Control { key: String, revision: Option<u64>, value: Option<Vec<u8>> },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) key: Vec<u8>,
    pub(crate) version: i64,
    /// None for a delete.
    pub(crate) value: Option<Value>,
}

/// A value: given, or in the file of values.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Value {
    #[serde(skip)]
    Given(Vec<u8>),
    At {
        offset: u64,
        len: usize,
        sum: String,
    },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Condition {
    None,
    IfNewer,
    IfAbsent,
    IfVersion(i64),
}

impl Op {
    pub(crate) fn is_delete(&self) -> bool {
        matches!(self, Self::Write { items, .. } if items.iter().all(|item| item.value.is_none()))
    }
}

#[derive(Debug)]
pub(crate) struct Log {
    bug: Bug,
    folder: PathBuf,
    marker: Marker,
    files: Files,
    lines: u64,
    /// Operations that were acknowledged and not written, where that is declared, or a bug.
    pending: Vec<Op>,
    /// The rest of a line that the disk had no room for.
    lock: Option<File>,
}

/// The files of one generation.
#[derive(Debug)]
struct Files {
    log: File,
    values: File,
    end: File,
}

impl Files {
    fn open(folder: &Path, generation: u64, anew: bool) -> io::Result<Self> {
        let file = |name: &str| {
            let mut options = OpenOptions::new();
            let path = Self::path(folder, name, generation);
            options.read(true).write(true).create(true).truncate(anew).open(path)
        };
        Ok(Self { log: file("log")?, values: file("values")?, end: file("end")? })
    }

    fn remove(folder: &Path, generation: u64) -> io::Result<()> {
        for name in ["log", "values", "end"] {
            fs::remove_file(Self::path(folder, name, generation))?;
        }
        Ok(())
    }

    fn path(folder: &Path, name: &str, generation: u64) -> PathBuf {
        folder.join(format!("{name}.{generation}"))
    }
}

/// Bytes from which on it is looked whether the log can be shorter.
const WORTH_IT: u64 = 1 << 20;

/// A checksum.
pub(crate) fn sum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().as_str().chars().take(16).collect()
}

pub(crate) fn failed(error: io::Error, operation: Operation) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull => ErrorKind::Full,
        _ => ErrorKind::Io,
    };
    Error::new(kind, operation, "a file of the store failed").with_source(error)
}

/// What stands in the place of a value that is damaged, where that is no reason not to open.
pub(crate) const DAMAGED: &[u8] = b"\0damaged";

pub(crate) fn corrupt(what: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, Operation::Open, what)
}

pub(crate) fn sync_folder(path: &Path, bug: Bug) -> io::Result<()> {
    if matches!(bug, Bug::FolderNotSynced | Bug::NothingSynced) {
        return Ok(());
    }
    File::open(path)?.sync_all()
}

/// Takes the lock that keeps other processes out.
fn lock(folder: &Path, bug: Bug) -> Result<Option<File>> {
    let path = folder.join("lock");
    let locked = || Error::new(ErrorKind::Locked, Operation::Open, "the store is open elsewhere");
    let io = |error| failed(error, Operation::Open);
    match bug {
        Bug::NoLock => Ok(None),
        Bug::LockStays => match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(locked()),
            Err(error) => Err(io(error)),
        },
        _ => {
            let mut options = OpenOptions::new();
            let file = options.write(true).create(true).truncate(false).open(&path).map_err(io)?;
            file.try_lock().map_err(|_| locked())?;
            Ok(Some(file))
        }
    }
}

impl Log {
    /// Opens the files; gives who the store is, and what was logged.
    pub(crate) fn open(folder: &Path, create: bool, bug: Bug) -> Result<(Self, Uuid, Vec<Op>)> {
        let io = |error| failed(error, Operation::Open);
        let there = folder.join("marker").exists();
        if !create && !there && bug != Bug::MissingIsMade {
            return Err(Error::new(ErrorKind::NoStore, Operation::Open, "there is no store"));
        }
        fs::create_dir_all(folder).map_err(io)?;
        let lock = lock(folder, bug)?;
        let marker = if there { Marker::known(folder, bug)? } else { Marker::new() };
        let files = Files::open(folder, marker.generation, !there).map_err(io)?;
        if !there {
            marker.write(folder, bug).map_err(io)?;
            if let Some(parent) = folder.parent() {
                sync_folder(parent, bug).map_err(io)?;
            }
        }
        let folder = folder.to_owned();
        let mut this = Self { bug, folder, marker, files, lines: 0, pending: Vec::new(), lock };
        let ops = this.recover()?;
        let ops = this.reclaim(ops).map_err(io)?;
        Ok((this, marker.uuid, ops))
    }

    /// Writes the log anew where most of it is no longer needed.
    fn reclaim(&mut self, ops: Vec<Op>) -> io::Result<Vec<Op>> {
        let old = self.marker.generation;
        let size = self.files.log.metadata()?.len() + self.files.values.metadata()?.len();
        if size < WORTH_IT || self.bug == Bug::NeverReclaims {
            return Ok(ops);
        }
        let logged = ops.len();
        let ops = needed(ops);
        if ops.len() > logged / 2 {
            return Ok(ops);
        }
        self.marker.generation += 1;
        self.files = Files::open(&self.folder, self.marker.generation, true)?;
        self.lines = 0;
        if !ops.is_empty() {
            self.write_out(ops.clone())?;
        }
        self.files.end.sync_all()?;
        sync_folder(&self.folder, self.bug)?;
        self.marker.write(&self.folder, self.bug)?;
        Files::remove(&self.folder, old)?;
        Ok(ops)
    }

    fn recover(&mut self) -> Result<Vec<Op>> {
        let io = |error| failed(error, Operation::Open);
        let mut text = Vec::new();
        self.files.log.read_to_end(&mut text).map_err(io)?;
        let mut note = Vec::new();
        self.files.end.read_to_end(&mut note).map_err(io)?;
        let promised = promised(&note);
        let (mut ops, mut good) = (Vec::new(), 0);
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match parse(line) {
                Some(op) => {
                    ops.push(op);
                    good += line.len();
                }
                None if self.bug == Bug::DamagedEntrySkipped => good += line.len(),
                None if self.bug == Bug::TornEntryRefused => {
                    return Err(corrupt("the log has a broken line"));
                }
                None => break,
            }
        }
        self.lines = ops.len() as u64;
        if promised > self.lines && self.bug != Bug::DamagedEntrySkipped {
            return Err(corrupt("acknowledged lines of the log are damaged or missing"));
        }
        if good < text.len() {
            self.files.log.set_len(good as u64).map_err(io)?;
            self.sync_file(&self.files.log).map_err(io)?;
        }
        for op in &mut ops {
            let Op::Write { items, .. } = op else { continue };
            for item in items {
                if let Some(value) = &mut item.value {
                    *value = self.read(value)?;
                }
            }
        }
        match self.bug {
            Bug::LastEntryDropped => drop(ops.pop()),
            Bug::DeletesReplayedFirst => ops.sort_by_key(|op| match op {
                Op::Write { .. } if op.is_delete() => 1,
                Op::Write { .. } => 2,
                Op::Control { .. } => 3,
                _ => 0,
            }),
            _ => {}
        }
        Ok(ops)
    }

    fn read(&self, value: &Value) -> Result<Value> {
        let Value::At { offset, len, sum: check } = value else { return Ok(value.clone()) };
        let mut bytes = vec![0; *len];
        self.files
            .values
            .read_exact_at(&mut bytes, *offset)
            .map_err(|_| corrupt("a value is missing"))?;
        match self.bug {
            _ if sum(&bytes) == *check => {}
            Bug::ValuesUnchecked => {}
            Bug::HasPassesOverDamage => return Ok(Value::Given(DAMAGED.to_vec())),
            _ => return Err(corrupt("a value is damaged")),
        }
        if self.bug == Bug::CodecChanged {
            bytes.reverse();
        }
        Ok(Value::Given(bytes))
    }

    /// Takes an operation in, durably unless that waits for a barrier.
    pub(crate) fn append(&mut self, op: Op) -> io::Result<()> {
        let lazy = match self.bug {
            Bug::WritesBehind | Bug::SyncDoesNothing => true,
            Bug::AcksBeforeLog => self.pending.len() < 7,
            Bug::DeletesLazily => op.is_delete(),
            Bug::ControlLazily => matches!(op, Op::Control { .. }),
            _ => false,
        };
        // What the contract has durable when acknowledged cannot wait, whatever is declared.
        let declared = self.bug == Bug::WritesBehind;
        let firm = declared && !matches!(op, Op::Write { .. });
        match (self.bug, op) {
            (Bug::BatchLoggedInParts, Op::Write { namespace, items, condition, atomic: true }) => {
                for item in items {
                    let items = vec![item];
                    let namespace = namespace.clone();
                    self.pending.push(Op::Write { namespace, items, condition, atomic: false });
                    self.flush()?;
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
            (Bug::ReplaceInTwoSteps, Op::Replace(name, staged)) => {
                self.pending.push(Op::Drop(name.clone()));
                self.flush()?;
                self.pending.push(Op::Replace(name, staged));
            }
            (_, op) => self.pending.push(op),
        }
        if lazy && !firm { Ok(()) } else { self.flush() }
    }

    /// Makes everything taken in durable.
    pub(crate) fn barrier(&mut self) -> io::Result<()> {
        if self.bug == Bug::SyncDoesNothing { Ok(()) } else { self.flush() }
    }

    /// Writes what is pending: values, then lines, then how many there are.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        let result = self.write_out(pending);
        match (self.bug, result) {
            (Bug::FullIsSwallowed, Err(error)) if error.kind() == io::ErrorKind::StorageFull => {
                Ok(())
            }
            (_, result) => result,
        }
    }

    fn write_out(&mut self, mut pending: Vec<Op>) -> io::Result<()> {
        let mut at = self.files.values.metadata()?.len();
        let mut values = Vec::new();
        for op in &mut pending {
            let Op::Write { items, .. } = op else { continue };
            for item in items {
                if let Some(value @ Value::Given(_)) = &mut item.value {
                    let Value::Given(bytes) = &mut *value else { continue };
                    if self.bug == Bug::CodecChanged {
                        bytes.reverse();
                    }
                    values.extend_from_slice(bytes);
                    let (offset, len) = (at, bytes.len());
                    at += len as u64;
                    *value = Value::At { offset, len, sum: sum(bytes) };
                }
            }
        }
        let mut lines = Vec::new();
        for op in &pending {
            let json = serde_json::to_vec(op)?;
            lines.extend_from_slice(sum(&json).as_bytes());
            lines.push(b' ');
            lines.extend_from_slice(&json);
            lines.push(b'\n');
        }
        let values_at = at - values.len() as u64;
        let lines_at = self.files.log.metadata()?.len();
        if self.bug == Bug::IndexBeforeValue {
            self.files.log.write_all_at(&lines, lines_at)?;
            self.sync_file(&self.files.log)?;
        }
        if !values.is_empty() {
            self.files.values.write_all_at(&values, values_at)?;
            self.sync_file(&self.files.values)?;
        }
        if self.bug != Bug::IndexBeforeValue {
            self.files.log.write_all_at(&lines, lines_at)?;
            self.sync_file(&self.files.log)?;
        }
        self.lines += pending.len() as u64;
        self.files.end.write_all_at(&note(self.lines), 0)
    }

    fn sync_file(&self, file: &File) -> io::Result<()> {
        match self.bug {
            Bug::NothingSynced => Ok(()),
            Bug::FailedSyncTriedAgain => file.sync_data().or_else(|_| file.sync_data()),
            _ => file.sync_data(),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.bug == Bug::LockStays {
            let _ = fs::remove_file(self.folder.join("lock"));
        }
        if self.bug != Bug::LockLeftToClosing
            && let Some(lock) = &self.lock
        {
            let _ = lock.unlock();
        }
    }
}

fn note(lines: u64) -> Vec<u8> {
    [lines.to_be_bytes(), (!lines).to_be_bytes()].concat()
}

/// How many lines were acknowledged; none where the note is torn or damaged.
fn promised(bytes: &[u8]) -> u64 {
    let lines = bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    if note(lines) == bytes { lines } else { 0 }
}

fn parse(line: &[u8]) -> Option<Op> {
    let line = line.strip_suffix(b"\n")?;
    let (check, json) = line.split_at_checked(16)?;
    let json = json.strip_prefix(b" ")?;
    if sum(json).as_bytes() != check {
        return None;
    }
    serde_json::from_slice(json).ok()
}
