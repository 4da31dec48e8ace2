//! What is left of a tree when the power goes.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use pinstate_conformance::{Loss, Platter};

use crate::tree::{Body, File, Names, ROOT, Tree, copy_page, set};

/// How sharp a write is torn: what a device writes at once.
const SECTOR: usize = 512;

impl Platter for Tree {
    fn after(&self, loss: Loss, into: &Path) -> io::Result<()> {
        let mut random = match loss {
            Loss::Some { seed } | Loss::Torn { seed } => fastrand::Rng::with_seed(seed),
            _ => fastrand::Rng::with_seed(0),
        };
        // Of a tear: whether what came before it is there.
        let kept = matches!(loss, Loss::Torn { .. }) && random.bool();
        let folders = self.folders(loss, kept, &mut random);
        self.write_folder(ROOT, &folders, into, &mut |id, file| match loss {
            Loss::Some { .. } => some(file, &mut random),
            Loss::Torn { .. } => self.torn(id, file, kept, &mut random),
            _ => file.durable.clone(),
        })
    }
}

impl Tree {
    /// The names in every folder.
    fn folders(&self, loss: Loss, kept: bool, random: &mut fastrand::Rng) -> BTreeMap<u64, Names> {
        let names = |(id, node): (&u64, &crate::tree::Node)| match &node.body {
            Body::Folder { durable, .. } => Some((*id, durable.clone())),
            Body::File(_) => None,
        };
        let mut folders: BTreeMap<u64, Names> = self.nodes.iter().filter_map(names).collect();
        for change in &self.changes {
            let there = match loss {
                Loss::Some { .. } => random.bool(),
                Loss::Torn { .. } => kept,
                _ => false,
            };
            for (folder, name, id) in change.iter().filter(|_| there) {
                if let Some(names) = folders.get_mut(folder) {
                    set(names, name, *id);
                }
            }
        }
        folders
    }

    fn write_folder(
        &self,
        folder: u64,
        folders: &BTreeMap<u64, Names>,
        into: &Path,
        bytes: &mut dyn FnMut(u64, &File) -> Vec<u8>,
    ) -> io::Result<()> {
        std::fs::create_dir_all(into)?;
        for (name, id) in folders.get(&folder).into_iter().flatten() {
            let path = into.join(name);
            match self.nodes.get(id).map(|node| &node.body) {
                Some(Body::File(file)) => std::fs::write(path, bytes(*id, file))?,
                Some(Body::Folder { .. }) => self.write_folder(*id, folders, &path, bytes)?,
                None => {}
            }
        }
        Ok(())
    }

    /// A file after the last write was torn.
    fn torn(&self, id: u64, file: &File, kept: bool, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = file.durable.clone();
        if kept {
            bytes.resize(file.live.len(), 0);
            file.dirty.iter().for_each(|page| copy_page(&file.live, &mut bytes, *page));
        }
        let Some(last) = self.last_write.as_ref().filter(|last| last.node == id) else {
            return bytes;
        };
        // What was synced is not torn any more.
        if file.dirty.is_empty() || last.at + last.bytes.len() > file.live.len() {
            return bytes;
        }
        // The device's sectors are those of the file.
        let sectors = (last.at + last.bytes.len()) / SECTOR - last.at / SECTOR;
        let cut = match random.usize(..=sectors) {
            0 => 0,
            sector => ((last.at / SECTOR + sector) * SECTOR - last.at).min(last.bytes.len()),
        };
        if kept {
            // Take back what comes after the cut.
            let from = last.at + cut;
            let old = last.before.get(cut..).unwrap_or_default();
            if let Some(there) = bytes.get_mut(from..from + old.len()) {
                there.copy_from_slice(old);
            }
            let len = last.old_len.max(from);
            if last.at + last.bytes.len() > last.old_len {
                // The length may have come further than the bytes.
                let full = bytes.len();
                bytes.truncate(len);
                if random.bool() {
                    bytes.resize(full, 0);
                }
            }
        } else {
            let end = last.at + cut;
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            if let (Some(there), Some(new)) = (bytes.get_mut(last.at..end), last.bytes.get(..cut)) {
                there.copy_from_slice(new);
            }
        }
        bytes
    }
}

/// A file of which some pages came out, and perhaps the length.
fn some(file: &File, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = file.durable.clone();
    if random.bool() {
        bytes.resize(file.live.len(), 0);
    }
    for page in &file.dirty {
        if random.bool() {
            copy_page(&file.live, &mut bytes, *page);
        }
    }
    bytes
}
