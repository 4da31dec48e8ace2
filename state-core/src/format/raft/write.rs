//! Writing a fresh snapshot, which is there as a whole or not at all.

use std::fs::{self, DirBuilder, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::read::snapshots;
use super::{LOG, META, RaftError, RaftMeta, RaftServer, SNAPSHOTS, STATE, Suffrage, UNFINISHED};

/// What stands in the `meta.json` of a new snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RaftSnapshotOptions {
    /// Term of the last log entry in the state.
    pub term: u64,
    /// Index of the last log entry in the state.
    pub index: u64,
    /// Index of the log entry that set the peers.
    pub configuration_index: u64,
    /// The members of the raft cluster.
    pub servers: Vec<RaftServer>,
}

impl RaftSnapshotOptions {
    /// What ipfs-cluster itself gives the first snapshot of a cluster of these peers (by
    /// their IDs): term 1, and an index just after that of a fresh start. A peer named twice
    /// counts once.
    ///
    /// Without peers, `ipfs-cluster-service state export` reads the snapshot all the same, but
    /// a peer that starts on it finds nobody to elect: a running cluster needs all of them.
    pub fn for_peers<P: Into<String>>(peers: impl IntoIterator<Item = P>) -> Self {
        let mut servers: Vec<RaftServer> = Vec::new();
        for id in peers.into_iter().map(P::into) {
            if servers.iter().all(|server| server.id != id) {
                servers.push(RaftServer { suffrage: Suffrage::VOTER, address: id.clone(), id });
            }
        }
        Self { term: 1, index: 2, configuration_index: 1, servers }
    }
}

/// Takes the bytes of a `state.bin`, and puts the snapshot in its place at the end.
///
/// Until [`finish`](Self::finish) there is only a folder that ends in `.tmp`, which every
/// reader passes over. Dropping the writer removes it; a crash leaves it there, and it may
/// be deleted.
#[derive(Debug)]
pub struct RaftSnapshotWriter {
    meta: RaftMeta,
    folder: PathBuf,
    unfinished: PathBuf,
    state: BufWriter<File>,
    crc: Checksum,
    broken: bool,
    finished: bool,
}

struct Checksum(crc64fast::Digest);

impl std::fmt::Debug for Checksum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0.sum64())
    }
}

impl RaftSnapshotWriter {
    /// Begins a snapshot in the raft folder `raft`, which is made if it is not there; what
    /// ipfs-cluster looks for is a folder of the name `raft` in its own.
    ///
    /// # Errors
    /// If the folder holds a finished snapshot or a log, since what is in them would stand
    /// above or come after the new one; or if the file system refuses.
    pub fn create(raft: &Path, options: RaftSnapshotOptions) -> Result<Self, RaftError> {
        make_folder(raft, 0o700)?;
        let log = raft.join(LOG);
        if log.symlink_metadata().is_ok() {
            return Err(RaftError::Occupied { path: log });
        }
        let folder = raft.join(SNAPSHOTS);
        make_folder(&folder, 0o755)?;
        if let Some(path) = snapshots(&folder)?.pop() {
            return Err(RaftError::Occupied { path });
        }
        let RaftSnapshotOptions { term, index, configuration_index, servers } = options;
        let (id, unfinished) = make_unfinished(&folder, term, index)?;
        let path = unfinished.join(STATE);
        let state = File::create_new(&path).map_err(RaftError::io("create", &path))?;
        Ok(Self {
            meta: RaftMeta::new(id, term, index, configuration_index, servers),
            folder,
            unfinished,
            state: BufWriter::new(state),
            crc: Checksum(crc64fast::Digest::new()),
            broken: false,
            finished: false,
        })
    }

    /// Sends what is written from now on to a device that is always full.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn refuse_writes(&mut self) {
        let full = File::options().write(true).open("/dev/full").expect("Linux has it");
        self.state = BufWriter::new(full);
    }

    /// Makes the snapshot durable and puts it in its place; returns its folder. When this
    /// returns, the snapshot survives a loss of power.
    ///
    /// # Errors
    /// If a write had failed, or the file system refuses. The snapshot is then not there,
    /// unless only the last step failed, which makes the renaming durable.
    pub fn finish(mut self) -> Result<PathBuf, RaftError> {
        if self.broken {
            return Err(RaftError::Broken { path: self.unfinished.clone() });
        }
        let path = self.unfinished.join(STATE);
        self.state.flush().map_err(RaftError::io("write", &path))?;
        self.state.get_ref().sync_all().map_err(RaftError::io("sync", &path))?;
        self.meta.crc = Some(self.crc.0.sum64().to_be_bytes().to_vec());

        let path = self.unfinished.join(META);
        let mut text = serde_json::to_vec(&self.meta)
            .map_err(|error| RaftError::io("write", &path)(error.into()))?;
        text.push(b'\n');
        let mut file = File::create_new(&path).map_err(RaftError::io("create", &path))?;
        file.write_all(&text).map_err(RaftError::io("write", &path))?;
        file.sync_all().map_err(RaftError::io("sync", &path))?;

        sync_folder(&self.unfinished)?;
        let place = self.folder.join(&self.meta.id);
        fs::rename(&self.unfinished, &place).map_err(RaftError::io("move into place", &place))?;
        self.finished = true;
        sync_folder(&self.folder)?;
        Ok(place)
    }
}

impl Write for RaftSnapshotWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.state.write(bytes);
        match &written {
            Ok(written) => {
                self.crc.0.write(bytes.get(..*written).unwrap_or(bytes));
                self.meta.size = self.meta.size.saturating_add_unsigned(*written as u64);
            }
            Err(error) => self.broken |= error.kind() != io::ErrorKind::Interrupted,
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.state.flush();
        self.broken |= flushed.is_err();
        flushed
    }
}

impl Drop for RaftSnapshotWriter {
    fn drop(&mut self) {
        if !self.finished {
            // Nobody reads it, so nothing is lost if it stays.
            let _ = fs::remove_dir_all(&self.unfinished);
        }
    }
}

/// Makes the folder of an unfinished snapshot, and gives the ID that is to be its name.
fn make_unfinished(folder: &Path, term: u64, index: u64) -> Result<(String, PathBuf), RaftError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut millis = now.as_millis();
    loop {
        let id = format!("{term}-{index}-{millis}");
        let path = folder.join(format!("{id}{UNFINISHED}"));
        match fs::create_dir(&path) {
            Ok(()) => return Ok((id, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => millis += 1,
            Err(error) => return Err(RaftError::io("create", &path)(error)),
        }
    }
}

/// Makes a folder and those above it, so that they survive a loss of power.
fn make_folder(path: &Path, mode: u32) -> Result<(), RaftError> {
    if path.is_dir() {
        return Ok(());
    }
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    make_folder(above, 0o755)?;
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
    #[cfg(not(unix))]
    let _ = mode;
    builder.create(path).map_err(RaftError::io("create", path))?;
    sync_folder(above)
}

/// Makes the names in a folder durable; where folders cannot be opened the system does so.
fn sync_folder(path: &Path) -> Result<(), RaftError> {
    if cfg!(unix) {
        let folder = File::open(path).map_err(RaftError::io("open", path))?;
        folder.sync_all().map_err(RaftError::io("sync", path))?;
    }
    Ok(())
}
