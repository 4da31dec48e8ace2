//! Files and folders, as they are and as they are durable.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::time::SystemTime;

use fuser::Errno;
use pinstate_conformance::Fault;

/// What is made durable at once or not at all.
pub(crate) const PAGE: usize = 4096;
/// The number of the topmost folder.
pub(crate) const ROOT: u64 = 1;

pub(crate) type Names = BTreeMap<OsString, u64>;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) body: Body,
    pub(crate) mode: u16,
    pub(crate) modified: SystemTime,
    /// Attributes as `chattr` sets them.
    pub(crate) flags: u32,
}

#[derive(Debug)]
pub(crate) enum Body {
    File(File),
    Folder { live: Names, durable: Names },
}

#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) live: Vec<u8>,
    pub(crate) durable: Vec<u8>,
    /// Pages that the next sync makes durable.
    pub(crate) dirty: BTreeSet<usize>,
    /// Pages that are part of the length alone: writing to one takes room on the disk.
    pub(crate) holes: BTreeSet<usize>,
}

/// A change of folders that is not durable yet: what each name is from then on. It is made
/// as a whole.
pub(crate) type Change = Vec<(u64, OsString, Option<u64>)>;

/// The last write, for tearing it.
#[derive(Debug)]
pub(crate) struct LastWrite {
    pub(crate) node: u64,
    pub(crate) at: usize,
    pub(crate) bytes: Vec<u8>,
    /// What was there before, as far as the file went.
    pub(crate) before: Vec<u8>,
    pub(crate) old_len: usize,
}

#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: BTreeMap<u64, Node>,
    /// Changes of folders that are not durable, in their order.
    pub(crate) changes: Vec<Change>,
    pub(crate) last_write: Option<LastWrite>,
    pub(crate) fault: Option<Fault>,
    /// Whether files have attributes.
    attributes: bool,
}

/// The attribute that makes writes synchronous.
const SYNC: u32 = 0x8;

impl Tree {
    pub(crate) fn new(attributes: bool) -> Self {
        let root = Node {
            body: Body::Folder { live: Names::new(), durable: Names::new() },
            mode: 0o755,
            modified: SystemTime::now(),
            flags: 0,
        };
        Self {
            nodes: [(ROOT, root)].into(),
            changes: Vec::new(),
            last_write: None,
            fault: None,
            attributes,
        }
    }

    pub(crate) fn node(&self, id: u64) -> Result<&Node, Errno> {
        self.nodes.get(&id).ok_or(Errno::ENOENT)
    }

    fn node_mut(&mut self, id: u64) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&id).ok_or(Errno::ENOENT)
    }

    fn file(&mut self, id: u64) -> Result<&mut File, Errno> {
        match &mut self.node_mut(id)?.body {
            Body::File(file) => Ok(file),
            Body::Folder { .. } => Err(Errno::EISDIR),
        }
    }

    pub(crate) fn names(&self, folder: u64) -> Result<&Names, Errno> {
        match &self.node(folder)?.body {
            Body::Folder { live, .. } => Ok(live),
            Body::File(_) => Err(Errno::ENOTDIR),
        }
    }

    pub(crate) fn look_up(&self, folder: u64, name: &OsStr) -> Result<u64, Errno> {
        self.names(folder)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    pub(crate) fn create(
        &mut self,
        folder: u64,
        name: &OsStr,
        mode: u16,
        is_folder: bool,
    ) -> Result<u64, Errno> {
        if self.names(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let id = self.nodes.keys().next_back().map_or(ROOT, |last| *last) + 1;
        let body = if is_folder {
            Body::Folder { live: Names::new(), durable: Names::new() }
        } else {
            Body::File(File::default())
        };
        // As ext4 does, a new one takes the attribute over.
        let flags = self.node(folder)?.flags & SYNC;
        self.nodes.insert(id, Node { body, mode, modified: SystemTime::now(), flags });
        self.change(vec![(folder, name.to_owned(), Some(id))])?;
        Ok(id)
    }

    pub(crate) fn remove(
        &mut self,
        folder: u64,
        name: &OsStr,
        is_folder: bool,
    ) -> Result<(), Errno> {
        let id = self.look_up(folder, name)?;
        match (&self.node(id)?.body, is_folder) {
            (Body::Folder { live, .. }, true) if !live.is_empty() => return Err(Errno::ENOTEMPTY),
            (Body::Folder { .. }, false) => return Err(Errno::EISDIR),
            (Body::File(_), true) => return Err(Errno::ENOTDIR),
            _ => {}
        }
        self.change(vec![(folder, name.to_owned(), None)])
    }

    pub(crate) fn rename(
        &mut self,
        (folder, name): (u64, &OsStr),
        (new_folder, new_name): (u64, &OsStr),
        replace: bool,
    ) -> Result<(), Errno> {
        let id = self.look_up(folder, name)?;
        match self.look_up(new_folder, new_name) {
            Ok(_) if !replace => return Err(Errno::EEXIST),
            Ok(there) if there == id => return Ok(()),
            Ok(there) => {
                let is_full = matches!(&self.node(there)?.body, Body::Folder { live, .. } if !live.is_empty());
                if is_full {
                    return Err(Errno::ENOTEMPTY);
                }
            }
            Err(_) => {}
        }
        self.change(vec![
            (folder, name.to_owned(), None),
            (new_folder, new_name.to_owned(), Some(id)),
        ])
    }

    /// Changes folders, durably at once where one of them is synchronous.
    fn change(&mut self, change: Change) -> Result<(), Errno> {
        let mut synchronous = false;
        for (folder, name, id) in &change {
            let node = self.node_mut(*folder)?;
            node.modified = SystemTime::now();
            synchronous |= node.flags & SYNC != 0;
            let Body::Folder { live, .. } = &mut node.body else { return Err(Errno::ENOTDIR) };
            set(live, name, *id);
        }
        if synchronous {
            self.settle(&change);
        } else {
            self.changes.push(change);
        }
        Ok(())
    }

    /// Makes a change of folders durable.
    fn settle(&mut self, change: &Change) {
        for (folder, name, id) in change {
            if let Some(Node { body: Body::Folder { durable, .. }, .. }) =
                self.nodes.get_mut(folder)
            {
                set(durable, name, *id);
            }
        }
    }

    pub(crate) fn read(&self, id: u64, at: usize, len: usize) -> Result<&[u8], Errno> {
        match &self.node(id)?.body {
            Body::File(file) => {
                let from = at.min(file.live.len());
                let to = at.saturating_add(len).min(file.live.len());
                Ok(file.live.get(from..to).unwrap_or_default())
            }
            Body::Folder { .. } => Err(Errno::EISDIR),
        }
    }

    pub(crate) fn write(&mut self, id: u64, at: usize, bytes: &[u8]) -> Result<(), Errno> {
        let fault = self.fault;
        let file = self.file(id)?;
        let end = at + bytes.len();
        let holes = pages(at, end).filter(|page| file.holes.contains(page)).count();
        let growth = (end.saturating_sub(file.live.len()) + holes * PAGE) as u64;
        match fault {
            Some(Fault::WritesFail) => return Err(Errno::EIO),
            Some(Fault::Full { room }) if growth > room => return Err(Errno::ENOSPC),
            Some(Fault::Full { room }) => self.fault = Some(Fault::Full { room: room - growth }),
            _ => {}
        }
        let file = self.file(id)?;
        let old_len = file.live.len();
        let before = file.live.get(at..end.min(old_len)).unwrap_or_default().to_vec();
        file.grow(end);
        for page in pages(at, end) {
            file.holes.remove(&page);
        }
        if let Some(there) = file.live.get_mut(at..end) {
            there.copy_from_slice(bytes);
        }
        file.dirty.extend(pages(at, end));
        self.last_write = Some(LastWrite { node: id, at, bytes: bytes.to_vec(), before, old_len });
        self.touched(id)
    }

    pub(crate) fn set_len(&mut self, id: u64, len: usize) -> Result<(), Errno> {
        let file = self.file(id)?;
        if len < file.live.len() {
            // What is cut off now and read as zeros later is as good as written.
            file.dirty.extend(pages(len, file.live.len()));
            file.live.truncate(len);
            drop(file.holes.split_off(&len.div_ceil(PAGE)));
        } else {
            file.holes.extend(file.live.len().div_ceil(PAGE)..len.div_ceil(PAGE));
            file.grow(len);
        }
        self.touched(id)
    }

    /// After a change of a file: durable at once where it is synchronous.
    fn touched(&mut self, id: u64) -> Result<(), Errno> {
        let node = self.node_mut(id)?;
        node.modified = SystemTime::now();
        if let (true, Body::File(file)) = (node.flags & SYNC != 0, &mut node.body) {
            file.sync();
        }
        Ok(())
    }

    /// Makes a file's bytes and length durable, or the names in a folder.
    pub(crate) fn sync(&mut self, id: u64) -> Result<(), Errno> {
        match &mut self.fault {
            Some(Fault::SyncFails { after: 0 }) => {
                self.fault = None;
                if let Ok(file) = self.file(id) {
                    // Later syncs find nothing left to do.
                    file.dirty.clear();
                }
                return Err(Errno::EIO);
            }
            Some(Fault::SyncFails { after }) => *after -= 1,
            _ => {}
        }
        if let Body::File(file) = &mut self.node_mut(id)?.body {
            file.sync();
            return Ok(());
        }
        let (settled, open) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition(|change: &Change| change.iter().any(|(folder, ..)| *folder == id));
        self.changes = open;
        settled.iter().for_each(|change| self.settle(change));
        Ok(())
    }

    pub(crate) fn flags(&self, id: u64) -> Result<u32, Errno> {
        if self.attributes { Ok(self.node(id)?.flags) } else { Err(Errno::ENOTTY) }
    }

    pub(crate) fn set_flags(&mut self, id: u64, flags: u32) -> Result<(), Errno> {
        if !self.attributes {
            return Err(Errno::ENOTTY);
        }
        self.node_mut(id)?.flags = flags;
        Ok(())
    }

    pub(crate) fn set_mode(&mut self, id: u64, mode: u16) -> Result<(), Errno> {
        self.node_mut(id)?.mode = mode;
        Ok(())
    }
}

impl File {
    fn grow(&mut self, len: usize) {
        if len > self.live.len() {
            self.live.resize(len, 0);
        }
    }

    /// Makes what is dirty durable, and the length.
    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            copy_page(&self.live, &mut self.durable, page);
        }
    }
}

/// Copies a page, as far as both go.
pub(crate) fn copy_page(from: &[u8], to: &mut [u8], page: usize) {
    let start = page * PAGE;
    let end = (start + PAGE).min(from.len()).min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(start..end), from.get(start..end)) {
        to.copy_from_slice(from);
    }
}

/// The pages that these bytes lie in.
fn pages(from: usize, to: usize) -> std::ops::Range<usize> {
    from / PAGE..to.div_ceil(PAGE)
}

/// What a name is from now on.
pub(crate) fn set(names: &mut Names, name: &OsStr, id: Option<u64>) {
    match id {
        Some(id) => drop(names.insert(name.to_owned(), id)),
        None => drop(names.remove(name)),
    }
}
