//! The marker: what makes a folder a store, of which format, and which files are in use.
//!
//! Its text is a checksum, the format version, the generation of the files, and who the
//! store is. It appears whole, by a rename, once what it speaks of is durable.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use pinstate_core::{Error, ErrorKind, Operation, Result};
use uuid::Uuid;

use crate::Bug;
use crate::log::{corrupt, failed, sum, sync_folder};

/// The format version of what is described here and in the room of the log.
pub(crate) const FORMAT: u32 = 1;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Marker {
    pub(crate) format: u32,
    /// The files of the log are named by it: one higher each time they are written anew.
    pub(crate) generation: u64,
    pub(crate) uuid: Uuid,
}

impl Marker {
    pub(crate) fn new() -> Self {
        Self { format: FORMAT, generation: 0, uuid: Uuid::new_v4() }
    }

    fn parse(text: &str) -> Option<Self> {
        let (check, rest) = text.split_once(' ')?;
        let mut words = rest.split(' ');
        let marker = Self {
            format: words.next()?.parse().ok()?,
            generation: words.next()?.parse().ok()?,
            uuid: words.next()?.parse().ok()?,
        };
        (check == sum(rest.as_bytes())).then_some(marker)
    }

    /// Reads the marker of a store that there is, without judging its format.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let text = fs::read(folder.join("marker")).map_err(|e| failed(e, Operation::Open))?;
        let text = String::from_utf8(text).map_err(|_| corrupt("the marker is damaged"))?;
        Self::parse(&text).ok_or_else(|| corrupt("the marker is damaged"))
    }

    /// Reads the marker of a store that this program can read.
    pub(crate) fn known(folder: &Path, bug: Bug) -> Result<Self> {
        let marker = Self::read(folder)?;
        if marker.format <= FORMAT || bug == Bug::NewerIsOpened {
            return Ok(marker);
        }
        if bug == Bug::NewerIsRewritten {
            let written = Self { format: FORMAT, ..marker }.write(folder, bug);
            written.map_err(|error| failed(error, Operation::Open))?;
        }
        let message = match bug {
            Bug::NewerIsNotNamed => "the store was written by another version".to_owned(),
            _ => format!("the format of the store is {}, and {FORMAT} is known", marker.format),
        };
        Err(Error::new(ErrorKind::Incompatible, Operation::Open, message))
    }

    /// Makes this the marker, once what it speaks of is durable.
    pub(crate) fn write(&self, folder: &Path, bug: Bug) -> io::Result<()> {
        let new = folder.join("marker.new");
        let text = format!("{} {} {}", self.format, self.generation, self.uuid);
        let mut file = File::create(&new)?;
        file.write_all(format!("{} {text}", sum(text.as_bytes())).as_bytes())?;
        if bug != Bug::NothingSynced {
            file.sync_all()?;
        }
        sync_folder(folder, bug)?;
        fs::rename(&new, folder.join("marker"))?;
        sync_folder(folder, bug)
    }
}
