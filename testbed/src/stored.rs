//! Clusters that stay after the process that started them, by name.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::access::Access;
use crate::cassandra::Cassandra;
use crate::cluster::{Cluster, Hold};
use crate::error::{Error, Result};
use crate::fleet::{Fleet, FleetRecord, Node};
use crate::options::Options;
use crate::paths;
use crate::range::Range;
use crate::source::Source;

const RECORD: &str = "cluster.json";

/// What a later run needs to find a cluster.
#[derive(Serialize, Deserialize)]
struct Stored {
    options: Options,
    source: String,
    access: Access,
    nodes: Vec<Node>,
    range: Range,
    fleet: FleetRecord,
}

impl Cluster {
    /// Starts a cluster that stays until [`Cluster::down`], also after this process.
    ///
    /// # Errors
    /// As [`Cluster::start`], and `Usage` if there is one of that name.
    pub fn up(name: &str, options: &Options) -> Result<Self> {
        let folder = stored_folder(name)?;
        if folder.join(RECORD).exists() {
            return Err(Error::usage(format!(
                "there is a cluster \"{name}\" in {}; take it down first",
                folder.display()
            )));
        }
        // What an attempt left that was killed together with its keeper.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(Error::io("cannot create", &folder))?;
        let mut cluster = Self::start_in(folder.clone(), options, &Source::local()?)?;
        cluster.store()?;
        if let Hold::Guard { keeper, mut reservation, folder } =
            std::mem::replace(&mut cluster.hold, Hold::Nobody)
        {
            reservation.leave_to(&folder)?;
            keeper.release()?;
            cluster.hold = Hold::Record { range: reservation.range, folder };
        }
        Ok(cluster)
    }

    /// Finds the cluster that was started with that name.
    ///
    /// # Errors
    /// `Usage` if there is none.
    pub fn attach(name: &str) -> Result<Self> {
        let folder = stored_folder(name)?;
        let path = folder.join(RECORD);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                return Err(Error::usage(format!(
                    "there is no cluster \"{name}\"; start it with up"
                )));
            }
            Err(e) => return Err(Error::io("cannot read", &path)(e)),
        };
        let Stored { options, source, access, nodes, range, fleet } =
            serde_json::from_str(&text)
                .map_err(|e| Error::failed(format!("{} is no cluster's: {e}", path.display())))?;
        let fleet: Box<dyn Fleet> = match fleet {
            FleetRecord::Cassandra(record) => Box::new(Cassandra::attach(&folder, &record)?),
            FleetRecord::Docker(containers) => Box::new(containers),
        };
        Ok(Self { options, source, access, nodes, fleet, hold: Hold::Record { range, folder } })
    }

    /// Writes down which processes the nodes are, for later runs: after every start of a
    /// node of a cluster that stays.
    ///
    /// # Errors
    /// `Io` if the file cannot be written, `Unsupported` for a cluster of the user's.
    pub fn store(&self) -> Result<()> {
        let (range, folder) = match &self.hold {
            Hold::Guard { reservation, folder, .. } => (reservation.range, folder),
            Hold::Record { range, folder } => (*range, folder),
            Hold::Nobody => return Err(not_ours()),
        };
        let stored = Stored {
            options: self.options.clone(),
            source: self.source.clone(),
            access: self.access.clone(),
            nodes: self.nodes.clone(),
            range,
            fleet: self.fleet.record().ok_or_else(not_ours)?,
        };
        write_whole(&folder.join(RECORD), &stored)
    }

    /// Ends a cluster that stays and removes its files.
    ///
    /// # Errors
    /// `Io` if its files cannot be removed.
    pub fn down(self) -> Result<()> {
        self.fleet.stop();
        match &self.hold {
            Hold::Record { folder, .. } => {
                fs::remove_dir_all(folder).map_err(Error::io("cannot remove", folder))
            }
            Hold::Guard { .. } | Hold::Nobody => Ok(()),
        }
    }
}

fn not_ours() -> Error {
    Error::Unsupported("a cluster of the user's is not the test bed's to keep".to_owned())
}

fn write_whole(path: &Path, stored: &Stored) -> Result<()> {
    let text = serde_json::to_string_pretty(stored)
        .map_err(|e| Error::failed(format!("the cluster cannot be written down: {e}")))?;
    let part = path.with_extension("part");
    fs::write(&part, text).map_err(Error::io("cannot write", &part))?;
    fs::rename(&part, path).map_err(Error::io("cannot write", path))
}

fn stored_folder(name: &str) -> Result<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Error::usage(format!("\"{name}\" is no name: use letters, digits, - and _")));
    }
    Ok(paths::state()?.join(name))
}
