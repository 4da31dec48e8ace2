//! The store's folder: who it is, in which format, and who has it open.
//!
//! ```text
//! PATH/lock     locked while the store is open
//! PATH/format   the version of the format and the store's UUID; written last when it is created
//! PATH/creating while it is not: what is there may go
//! PATH/db/      the engine's own files
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use pinstate_core::{Error, ErrorKind, Operation, Result};
use pinstate_embedded::{Lock, Refused};
use uuid::Uuid;

use crate::BACKEND;
use crate::error::{corrupt, file, locked};

/// The format that this version writes, and the only one that it reads.
pub(crate) const FORMAT: u32 = 1;

const TITLE: &str = "pinstate-fjall store";

/// A store's folder, locked.
pub(crate) struct Folder {
    path: PathBuf,
    /// Locked until this is dropped, also when the process is killed.
    _lock: Lock,
}

impl Folder {
    /// Locks the folder of a store, which is created if that was asked for.
    pub(crate) fn lock(path: &Path, create: bool) -> Result<Self> {
        let at = |error: Error| error.with_context("path", path.display());
        let is_there = path.join("format").try_exists().map_err(|e| at(io_error(e)))?;
        if !is_there && !create {
            return Err(no_store(path));
        }
        if !is_there {
            refuse_foreign(path).map_err(at)?;
            fs::create_dir_all(path).map_err(|e| at(io_error(e)))?;
        }
        match Lock::take(&path.join("lock")) {
            Ok(lock) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(Refused::Held(None)) => Err(at(locked(Operation::Open))),
            Err(Refused::Held(Some(process))) => {
                Err(at(locked(Operation::Open)).with_context("process", process))
            }
            Err(Refused::Io(error)) => Err(at(io_error(error))),
        }
    }

    /// Where the engine's files are.
    pub(crate) fn engine(&self) -> PathBuf {
        self.path.join("db")
    }

    /// Reads who the store is; `None` for one that is yet to be created.
    ///
    /// # Errors
    /// `Incompatible` for another format; `Corrupt` for a damaged file.
    pub(crate) fn identity(&self) -> Result<Option<Uuid>> {
        let path = self.path.join("format");
        let at = |error: Error| error.with_context("path", path.display());
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(io_error(error))),
        };
        let parsed = parse(&text);
        let (format, uuid) = parsed.ok_or_else(|| {
            at(corrupt(Operation::Open, "the file that says who the store is, is damaged"))
        })?;
        if format != FORMAT {
            return Err(at(Error::new(
                ErrorKind::Incompatible,
                Operation::Open,
                format!(
                    "the store has format version {format}, and this program knows version \
                     {FORMAT}: use a program that knows it"
                ),
            )
            .with_backend(BACKEND)));
        }
        Ok(Some(uuid))
    }

    /// Writes who the store is, durably: from then on it is there.
    pub(crate) fn name(&self, uuid: Uuid) -> Result<()> {
        // The engine's folder stands beside the name, and neither order is promised: without
        // this a loss of power could leave a name of nothing.
        let engine = sync_folder(&self.engine()).and_then(|()| sync_folder(&self.path));
        engine.map_err(io_error)?;
        write(&self.path, FORMAT, uuid).map_err(io_error)?;
        // It says nothing any more, so it may as well stay.
        let _stays = fs::remove_file(self.path.join("creating"));
        Ok(())
    }

    /// Makes room for a new store, and removes what an attempt that was broken off has left.
    ///
    /// # Errors
    /// `Corrupt` where the engine has files and no such attempt is known of: records must not
    /// go because a file is missing.
    pub(crate) fn clear(&self) -> Result<()> {
        let (engine, mark) = (self.engine(), self.path.join("creating"));
        let is_there = |path: &Path| path.try_exists().map_err(io_error);
        if is_there(&engine)? && !is_there(&mark)? {
            return Err(corrupt(
                Operation::Open,
                "the file that says who the store is, is missing beside its records",
            )
            .with_context("path", self.path.join("format").display()));
        }
        let begun = File::create(mark).and_then(|mark| mark.sync_all());
        begun.and_then(|()| sync_folder(&self.path)).map_err(io_error)?;
        match fs::remove_dir_all(&engine) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(error)),
            _ => Ok(()),
        }
    }
}

/// Whether the folder holds a store of this backend, in whatever format.
pub(crate) fn is_at(folder: &Path) -> bool {
    let mut title = [0; TITLE.len()];
    let read = File::open(folder.join("format")).and_then(|mut file| file.read_exact(&mut title));
    read.is_ok() && title == *TITLE.as_bytes()
}

/// The error for a store that is not there.
pub(crate) fn no_store(path: &Path) -> Error {
    let message = "nothing is here: check the path, or open it with create=true";
    Error::new(ErrorKind::NoStore, Operation::Open, message)
        .with_backend(BACKEND)
        .with_context("path", path.display())
}

fn io_error(error: io::Error) -> Error {
    file(error, Operation::Open)
}

const OWN: [&str; 4] = ["lock", "db", "format.new", "creating"];

/// Refuses to make a store among somebody's files.
fn refuse_foreign(path: &Path) -> Result<()> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(error)),
    };
    for entry in entries {
        let name = entry.map_err(io_error)?.file_name();
        if !OWN.iter().any(|own| name == *own) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                Operation::Open,
                "the folder holds other files and no store: name an empty one, or none",
            )
            .with_backend(BACKEND)
            .with_context("file", name.display()));
        }
    }
    Ok(())
}

fn write(folder: &Path, format: u32, uuid: Uuid) -> io::Result<()> {
    let text = format!("{TITLE}\nformat {format}\nuuid {uuid}\n");
    let text = format!("{text}crc32 {:08x}\n", crc32fast::hash(text.as_bytes()));
    let new = folder.join("format.new");
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(new, folder.join("format"))?;
    sync_folder(folder)?;
    // The folder itself stands in the one above it.
    folder.canonicalize()?.parent().map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn parse(text: &[u8]) -> Option<(u32, Uuid)> {
    let text = std::str::from_utf8(text).ok()?;
    let (body, sum) = text.strip_suffix('\n')?.rsplit_once("crc32 ")?;
    if sum != format!("{:08x}", crc32fast::hash(body.as_bytes())) {
        return None;
    }
    let rest = body.strip_prefix(TITLE)?.strip_prefix("\nformat ")?;
    let (format, rest) = rest.split_once("\nuuid ")?;
    Some((format.parse().ok()?, rest.lines().next()?.parse().ok()?))
}
