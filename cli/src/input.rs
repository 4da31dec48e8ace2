//! What an import reads: a file, a stream or a raft folder, and its format.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pinstate_core::format::Leniency;
use pinstate_core::format::manifest::{FileHasher, Format, Manifest};
use pinstate_core::format::raft::{RaftError, RaftSnapshot};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Error, ErrorKind, Operation};
use pinstate_migrate::{OpenFile, Peer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::exit::{Failure, Outcome};
use crate::formats::ReadFormat;
use crate::output::Output;

/// A reader of the whole input.
pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// How much of an input is looked at to tell its format.
const GLANCE_BYTES: u64 = 4 << 10;
/// Bytes of a stream that are put aside at a time.
const SPOOL_BYTES: usize = 1 << 20;
/// What is left free where a stream is put aside: others have their files there, too.
const KEPT_FREE_BYTES: u64 = 64 << 20;

/// An input whose format is known.
pub(crate) struct Input {
    pub(crate) format: Format,
    /// Its name, for people.
    pub(crate) name: String,
    /// How many pins its manifest says it has.
    pub(crate) promised: Option<u64>,
    content: Content,
}

enum Content {
    /// Can be read again.
    File { file: File, stamp: Stamp },
    /// What was looked at, and the rest.
    Stream(io::Cursor<Vec<u8>>, Reader),
}

/// What changes when a file is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let about = file.metadata()?;
        Ok(Self { bytes: about.len(), modified: about.modified().ok() })
    }
}

impl Input {
    /// Opens what the command line names and finds out its format; compares a file with its
    /// manifest, if there is one.
    pub(crate) async fn open(
        path: Option<&Path>,
        format: ReadFormat,
        leniency: Leniency,
        out: Output,
        stop: &StopFlag,
    ) -> Outcome<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            if io::stdin().is_terminal() {
                out.note("reading pins from the terminal; Ctrl-D ends them");
            }
            return Self::stream("stdin".into(), Box::new(tokio::io::stdin()), format, stop).await;
        };
        let name = path.display().to_string();
        if Peer::looks_like(&name) {
            return Self::peer(&name, format, stop).await;
        }
        let about = std::fs::metadata(path).map_err(|error| cannot("read", &name, error))?;
        if about.is_dir() || format == ReadFormat::Raft {
            return Self::raft(path, name, format, leniency, out).await;
        }
        if !about.is_file() {
            let file = tokio::fs::File::open(path).await;
            let file = file.map_err(|error| cannot("open", &name, error))?;
            return Self::stream(name, Box::new(file), format, stop).await;
        }
        let mut file = File::open(path).map_err(|error| cannot("open", &name, error))?;
        let stamp = Stamp::of(&file).map_err(|error| cannot("read", &name, error))?;
        let manifest = Beside::of(path)?;
        let format = match (format.named(), &manifest) {
            (Some(format), _) => format,
            (None, Some(manifest)) => manifest.said.format,
            (None, None) => {
                let mut begin = Vec::new();
                (&mut file)
                    .take(GLANCE_BYTES)
                    .read_to_end(&mut begin)
                    .map_err(|error| cannot("read", &name, error))?;
                detect(&begin, &name)?
            }
        };
        let content = Content::File { file, stamp };
        let mut input = Self { format, name, promised: None, content };
        if let Some(manifest) = manifest {
            input.compare(manifest, out).await?;
        }
        Ok(input)
    }

    /// A peer of ipfs-cluster, read as a stream.
    async fn peer(address: &str, format: ReadFormat, stop: &StopFlag) -> Outcome<Self> {
        if !matches!(format.named(), None | Some(Format::Ndjson)) {
            return Err(Failure::usage("a peer gives its pins as JSON: leave --format out"));
        }
        let peer = Peer::new(address)?;
        let (reader, _) = peer.open()?;
        Self::stream(peer.location().to_owned(), reader, ReadFormat::Ndjson, stop).await
    }

    async fn stream(
        name: String,
        mut from: Reader,
        format: ReadFormat,
        stop: &StopFlag,
    ) -> Outcome<Self> {
        let mut begin = Vec::new();
        while begin.iter().all(u8::is_ascii_whitespace) && (begin.len() as u64) < GLANCE_BYTES {
            let read = tokio::select! {
                read = from.read_buf(&mut begin) => read,
                () = stop.stopped() => return Err(stopped()),
            };
            if read.map_err(|error| cannot("read", &name, error))? == 0 {
                break;
            }
        }
        let format = match format.named() {
            Some(Format::Raft) => {
                return Err(Failure::usage("a raft snapshot is a folder: name it, not a stream"));
            }
            Some(format) => format,
            None => detect(&begin, &name)?,
        };
        let content = Content::Stream(io::Cursor::new(begin), from);
        Ok(Self { format, name, promised: None, content })
    }

    async fn raft(
        path: &Path,
        name: String,
        format: ReadFormat,
        leniency: Leniency,
        out: Output,
    ) -> Outcome<Self> {
        if !matches!(format.named(), None | Some(Format::Raft)) {
            return Err(Failure::usage(format!(
                "{name} is a folder: only a raft snapshot is one; leave --format out"
            )));
        }
        let snapshot = RaftSnapshot::open(path, leniency).map_err(refused_raft)?;
        for skipped in snapshot.skipped() {
            out.note(format_args!("passed over {}: {}", skipped.path.display(), skipped.reason));
        }
        let state = snapshot.path().join("state.bin").display().to_string();
        let verified = tokio::task::spawn_blocking(move || snapshot.verify()).await;
        let file = verified.map_err(died)?.map_err(refused_raft)?;
        let stamp = Stamp::of(&file).map_err(|error| cannot("read", &state, error))?;
        let content = Content::File { file, stamp };
        let mut input = Self { format: Format::Raft, name, promised: None, content };
        if let Some(manifest) = Beside::of(path)? {
            input.compare(manifest, out).await?;
        }
        Ok(input)
    }

    /// Refuses a file that is not what its manifest says.
    async fn compare(&mut self, manifest: Beside, out: Output) -> Outcome<()> {
        let Content::File { file, .. } = &self.content else { return Ok(()) };
        let mut from = again(file).map_err(|error| cannot("read", &self.name, error))?;
        let hashing = tokio::task::spawn_blocking(move || {
            let mut hasher = FileHasher::new();
            let mut block = vec![0; SPOOL_BYTES];
            loop {
                match from.read(&mut block) {
                    Ok(0) => return Ok(hasher.finish()),
                    Ok(read) => hasher.update(block.get(..read).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        });
        let found = hashing.await.map_err(died)?;
        let found = found.map_err(|error| cannot("read", &self.name, error))?;
        let said = manifest.said;
        // The pins are compared when they are read.
        let found = Manifest::new(self.format, said.count, found, said.digest);
        let differences = said.differences(&found);
        if differences.is_empty() {
            out.note(format_args!("{} is what its manifest says: {} pins", self.name, said.count));
            self.promised = Some(said.count);
            return Ok(());
        }
        let differences: Vec<String> = differences.iter().map(ToString::to_string).collect();
        Err(refused(format!(
            "{} is not what its manifest says: {}",
            self.name,
            differences.join("; ")
        ))
        .with_hint(format!(
            "it was cut or changed after the export: take another copy, or remove {} to \
                 import it unchecked",
            manifest.path.display()
        )))
    }

    /// Whether the input can be read more than once.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.content, Content::File { .. })
    }

    /// What changes when it is written to, as text.
    pub(crate) fn stamp(&self) -> String {
        match &self.content {
            Content::File { stamp, .. } => {
                let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
                let modified = stamp.modified.and_then(since).unwrap_or_default();
                format!("{} bytes of {}", stamp.bytes, modified.as_nanos())
            }
            Content::Stream(..) => "a stream".to_owned(),
        }
    }

    /// Its size in bytes, where that is known beforehand.
    pub(crate) fn bytes(&self) -> Option<u64> {
        match &self.content {
            Content::File { stamp, .. } => Some(stamp.bytes),
            Content::Stream(..) => None,
        }
    }

    /// A reader from the beginning: of a file as often as needed, of a stream once.
    ///
    /// # Errors
    /// If the file has changed since it was opened.
    pub(crate) fn reader(&mut self) -> Outcome<Reader> {
        match &mut self.content {
            Content::File { file, stamp } => {
                let now = Stamp::of(file).map_err(|error| cannot("read", &self.name, error))?;
                if now != *stamp {
                    return Err(refused(format!(
                        "{} was changed while it was being read: try again when nobody writes \
                         to it",
                        self.name
                    )));
                }
                let file = again(file).map_err(|error| cannot("read", &self.name, error))?;
                Ok(Box::new(tokio::fs::File::from_std(file)))
            }
            Content::Stream(begin, rest) => {
                let rest = std::mem::replace(rest, Box::new(tokio::io::empty()));
                Ok(Box::new(AsyncReadExt::chain(std::mem::take(begin), rest)))
            }
        }
    }

    /// Puts a stream aside in a folder, so that it can be read more than once. The file has
    /// no name there: it is gone with the process, whatever that dies of.
    pub(crate) async fn spool(&mut self, dir: Option<PathBuf>, stop: &StopFlag) -> Outcome<()> {
        if self.is_file() {
            return Ok(());
        }
        let dir = dir.unwrap_or_else(std::env::temp_dir);
        let file = tempfile::tempfile_in(&dir).map_err(|error| {
            cannot("put the input aside in", &dir.display().to_string(), error)
                .with_hint("name another folder with --spool DIR")
        })?;
        let no_room = |written: u64| {
            let message = format!(
                "no room to put the input aside: {} has less than {} MiB left after {written} bytes",
                dir.display(),
                KEPT_FREE_BYTES >> 20
            );
            Failure::from(Error::new(ErrorKind::Full, Operation::ReadPins, message))
                .with_hint("name another folder with --spool DIR; nothing was changed")
        };
        let mut from = self.reader()?;
        let duplicate =
            file.try_clone().map_err(|error| cannot("use", &dir.display().to_string(), error))?;
        let mut to = tokio::fs::File::from_std(duplicate);
        let mut written = 0;
        let mut chunk = Vec::with_capacity(SPOOL_BYTES);
        loop {
            if free_bytes(&file).is_some_and(|free| free < KEPT_FREE_BYTES) {
                return Err(no_room(written));
            }
            chunk.clear();
            // One check of the free space for each full chunk, not for each piece of a pipe.
            while chunk.len() < SPOOL_BYTES {
                let read = tokio::select! {
                    read = from.read_buf(&mut chunk) => read,
                    () = stop.stopped() => return Err(stopped()),
                };
                if read.map_err(|error| cannot("read", &self.name, error))? == 0 {
                    break;
                }
            }
            if chunk.is_empty() {
                break;
            }
            to.write_all(&chunk).await.map_err(|error| match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => no_room(written),
                _ => cannot("put the input aside in", &dir.display().to_string(), error),
            })?;
            written += chunk.len() as u64;
        }
        to.flush().await.map_err(|error| cannot("write in", &dir.display().to_string(), error))?;
        let stamp = Stamp::of(&file).map_err(|error| cannot("read", &self.name, error))?;
        self.content = Content::File { file, stamp };
        Ok(())
    }
}

/// Free bytes of the file system that a file is on, where it tells.
fn free_bytes(file: &File) -> Option<u64> {
    let about = rustix::fs::fstatvfs(file).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}

/// The same file, from its beginning.
fn again(file: &File) -> io::Result<File> {
    let mut file = file.try_clone()?;
    file.rewind()?;
    Ok(file)
}

/// A manifest and where it stands.
struct Beside {
    said: Manifest,
    path: PathBuf,
}

impl Beside {
    /// The manifest of the export at `path`, if it has one.
    fn of(path: &Path) -> Outcome<Option<Self>> {
        let path = Manifest::path_for(path);
        let text = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| cannot("read", &path.display().to_string(), error))?,
        };
        let said = Manifest::parse(&text)
            .map_err(|error| refused(format!("{}: {error}", path.display())))?;
        Ok(Some(Self { said, path }))
    }
}

/// Tells a format by what an input begins with.
fn detect(begin: &[u8], name: &str) -> Outcome<Format> {
    let Some(first) = begin.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        // Nothing at all is an empty pinset in either format.
        return Ok(Format::Ndjson);
    };
    match first {
        // Whatever looks like JSON; its reader says better what is wrong with it.
        b'{' | b'[' | b'"' | b'n' | 0xef => Ok(Format::Ndjson),
        // A map or an array in msgpack, or nil.
        0x80..=0x9f | 0xc0 | 0xdc..=0xdf => Ok(Format::Snapshot),
        _ => {
            let packed = match begin {
                [0x1f, 0x8b, ..] => "; it is compressed with gzip: unpack it first",
                [0x28, 0xb5, 0x2f, 0xfd, ..] => "; it is compressed with zstd: unpack it first",
                _ => "; if it is one, name its format with --format",
            };
            let shown = begin.get(..begin.len().min(8)).unwrap_or_default();
            Err(refused(format!(
                "{name} begins with {}, as no export does{packed}",
                data_encoding::HEXLOWER.encode(shown)
            )))
        }
    }
}

fn cannot(action: &str, name: &str, error: io::Error) -> Failure {
    Failure::file(Operation::ReadPins, format_args!("cannot {action} {name}"), error)
}

fn refused(message: String) -> Failure {
    Error::new(ErrorKind::InvalidInput, Operation::ReadPins, message).into()
}

fn refused_raft(error: RaftError) -> Failure {
    let kind = match error {
        RaftError::Io { .. } => ErrorKind::Io,
        _ => ErrorKind::InvalidInput,
    };
    Error::new(kind, Operation::ReadPins, error.to_string()).into()
}

fn died(error: tokio::task::JoinError) -> Failure {
    Error::new(ErrorKind::Internal, Operation::ReadPins, "a thread died").with_source(error).into()
}

fn stopped() -> Failure {
    Error::new(ErrorKind::Cancelled, Operation::Import, "stopped before anything was stored").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_byte() {
        for (begin, format) in [
            (&b""[..], Some(Format::Ndjson)),
            (b" \n", Some(Format::Ndjson)),
            (b" \n{\"cid\"", Some(Format::Ndjson)),
            (b"[", Some(Format::Ndjson)),
            (&[0xef, 0xbb, 0xbf, b'{'], Some(Format::Ndjson)),
            (&[0x82, 0xa1, b'k'], Some(Format::Snapshot)),
            (&[0x92], Some(Format::Snapshot)),
            (&[0xc0], Some(Format::Snapshot)),
            (&[0xde, 0, 2], Some(Format::Snapshot)),
            (&[0x1f, 0x8b, 8], None),
            (b"PK", None),
            (b"1", None),
        ] {
            assert_eq!(detect(begin, "x").ok(), format, "{begin:?}");
        }
    }
}
