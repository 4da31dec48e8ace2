//! The file system proves itself: a small log store that syncs as it should loses nothing,
//! and each one that leaves something out is found out.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use lossyfs::LossyFs;
use pinstate_conformance::{Disk, Fault, Loss};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

/// What a store leaves out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaves {
    Nothing,
    FileSync,
    FolderSync,
    /// It acknowledges before it writes.
    WaitingForTheWrite,
}

/// Numbers, a line each: the smallest store that there is.
struct Numbers {
    file: File,
    leaves: Leaves,
}

impl Numbers {
    fn create(folder: &Path, leaves: Leaves) -> io::Result<Self> {
        let path = folder.join("numbers");
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        if leaves != Leaves::FolderSync {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { file, leaves })
    }

    fn push(&mut self, number: u32, acknowledge: impl FnOnce()) -> io::Result<()> {
        let line = format!("{number}\n");
        if self.leaves == Leaves::WaitingForTheWrite {
            acknowledge();
            self.file.write_all(line.as_bytes())?;
            return self.file.sync_data();
        }
        self.file.write_all(line.as_bytes())?;
        if self.leaves != Leaves::FileSync {
            self.file.sync_data()?;
        }
        acknowledge();
        Ok(())
    }

    fn read(folder: &Path) -> Vec<u32> {
        let text = fs::read_to_string(folder.join("numbers")).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        whole.map_while(|line| line.parse().ok()).collect()
    }
}

/// A disk, or a loud word that there can be none here.
fn disk(attributes: bool) -> Option<LossyFs> {
    match LossyFs::mount(attributes) {
        Ok(disk) => Some(disk),
        Err(error) => {
            println!("SKIPPED: /dev/fuse and the right to mount are missing here: {error}");
            None
        }
    }
}

/// What is left when the power goes right now.
fn left(disk: &LossyFs, loss: Loss) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    disk.look(&mut |platter| platter.after(loss, folder.path()).unwrap());
    folder
}

/// Runs a store and loses the power before each sync and at the end, in each way; the first
/// loss of something acknowledged, if there is one.
fn first_loss(leaves: Leaves) -> Option<String> {
    let disk = disk(false)?;
    let acked: Arc<Mutex<Vec<u32>>> = Arc::default();
    let lost: Arc<Mutex<Option<String>>> = Arc::default();
    let judge = {
        let (acked, lost) = (Arc::clone(&acked), Arc::clone(&lost));
        move |platter: &dyn pinstate_conformance::Platter| {
            let acked = acked.lock().unwrap().clone();
            let losses = (0..4).flat_map(|seed| [Loss::Some { seed }, Loss::Torn { seed }]);
            for loss in losses.chain([Loss::Unsynced]) {
                let folder = tempfile::tempdir().unwrap();
                platter.after(loss, folder.path()).unwrap();
                let read = Numbers::read(folder.path());
                if !read.starts_with(&acked) {
                    let what = format!("{loss:?}: {acked:?} were acknowledged, {read:?} are left");
                    lost.lock().unwrap().get_or_insert(what);
                }
            }
        }
    };
    disk.before_each_sync(Some(Box::new(judge.clone())));
    let mut store = Numbers::create(disk.path(), leaves).unwrap();
    for number in 0..6 {
        store.push(number * 1_000_003, || acked.lock().unwrap().push(number * 1_000_003)).unwrap();
    }
    disk.look(&mut |platter| judge(platter));
    lost.lock().unwrap().take()
}

#[test]
fn a_store_that_syncs_loses_nothing_and_others_do() {
    if disk(false).is_none() {
        return;
    }
    assert_eq!(first_loss(Leaves::Nothing), None);
    for leaves in [Leaves::FileSync, Leaves::FolderSync, Leaves::WaitingForTheWrite] {
        let lost = first_loss(leaves);
        println!("{leaves:?}: {lost:?}");
        assert!(lost.is_some(), "{leaves:?} loses nothing");
    }
}

#[test]
fn names_are_durable_when_their_folder_is_synced_and_a_rename_is_one_change() {
    let Some(disk) = disk(false) else { return };
    let path = disk.path();
    fs::create_dir(path.join("sub")).unwrap();
    let file = File::create(path.join("sub/a")).unwrap();
    file.sync_all().unwrap();
    assert!(!left(&disk, Loss::Unsynced).path().join("sub").exists());
    File::open(path).unwrap().sync_all().unwrap();
    assert!(!left(&disk, Loss::Unsynced).path().join("sub/a").exists());
    File::open(path.join("sub")).unwrap().sync_all().unwrap();
    assert!(left(&disk, Loss::Unsynced).path().join("sub/a").exists());
    fs::rename(path.join("sub/a"), path.join("b")).unwrap();
    let mut seen = [0, 0];
    for seed in 0..20 {
        let folder = left(&disk, Loss::Some { seed });
        let (old, new) = (folder.path().join("sub/a").exists(), folder.path().join("b").exists());
        assert!(old != new, "both names, or none");
        seen[usize::from(new)] += 1;
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
    File::open(path).unwrap().sync_all().unwrap();
    assert!(left(&disk, Loss::Unsynced).path().join("b").exists());
    fs::remove_file(path.join("b")).unwrap();
    assert!(left(&disk, Loss::Unsynced).path().join("b").exists());
    assert!(!path.join("b").exists());
}

#[test]
fn pages_come_in_no_order_and_a_torn_write_is_there_up_to_a_point() {
    let Some(disk) = disk(false) else { return };
    let mut file = File::create(disk.path().join("f")).unwrap();
    File::open(disk.path()).unwrap().sync_all().unwrap();
    file.write_all(&[1; 40_000]).unwrap();
    file.sync_all().unwrap();
    file.write_all(&[2; 40_000]).unwrap();
    assert_eq!(fs::read(left(&disk, Loss::Unsynced).path().join("f")).unwrap(), [1; 40_000]);
    let mut holes = false;
    for seed in 0..20 {
        let bytes = fs::read(left(&disk, Loss::Some { seed }).path().join("f")).unwrap();
        assert!(bytes.starts_with(&[1; 40_000]));
        holes |= bytes.windows(2).any(|pair| pair == [0, 2]);
    }
    assert!(holes);
    let cuts: std::collections::BTreeSet<usize> = (0..20)
        .map(|seed| {
            let bytes = fs::read(left(&disk, Loss::Torn { seed }).path().join("f")).unwrap();
            assert!(bytes.starts_with(&[1; 40_000]));
            bytes.iter().filter(|byte| **byte == 2).count()
        })
        .collect();
    assert!(cuts.len() > 3, "{cuts:?}");
}

#[test]
fn synchronous_files_are_durable_at_once_where_there_are_attributes() {
    for attributes in [true, false] {
        let Some(disk) = disk(attributes) else { return };
        let folder = File::open(disk.path()).unwrap();
        let set =
            ioctl_getflags(&folder).and_then(|flags| ioctl_setflags(&folder, flags | IFlags::SYNC));
        assert_eq!(set.is_ok(), attributes, "{set:?}");
        fs::write(disk.path().join("f"), b"durable").unwrap();
        let left = left(&disk, Loss::Unsynced);
        assert_eq!(left.path().join("f").exists(), attributes);
        if attributes {
            assert_eq!(fs::read(left.path().join("f")).unwrap(), b"durable");
        }
    }
}

#[test]
fn a_sync_that_failed_has_lost_what_it_was_for() {
    let Some(disk) = disk(false) else { return };
    let mut file = File::create(disk.path().join("f")).unwrap();
    File::open(disk.path()).unwrap().sync_all().unwrap();
    file.write_all(&[1; 4096]).unwrap();
    disk.fail(Some(Fault::SyncFails { after: 0 }));
    assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(5));
    file.write_all(&[2; 4096]).unwrap();
    file.sync_all().unwrap();
    let bytes = fs::read(left(&disk, Loss::Unsynced).path().join("f")).unwrap();
    assert!(bytes.starts_with(&[0; 4096]) && bytes.ends_with(&[2; 4096]));
    // Whoever reads it now still sees it.
    assert!(fs::read(disk.path().join("f")).unwrap().starts_with(&[1; 4096]));
}

/// As journals do that are given their length when they are made.
#[test]
fn a_file_that_is_longer_than_what_was_written_to_it_has_no_room_of_its_own() {
    let Some(disk) = disk(false) else { return };
    let file = OpenOptions::new().write(true).create_new(true).open(disk.path().join("f")).unwrap();
    file.set_len(1 << 20).unwrap();
    file.write_all_at(&[1; 100], 0).unwrap();
    disk.fail(Some(Fault::Full { room: 10_000 }));
    // A page that is there already takes no more room; two others do, and there is no third.
    file.write_all_at(&[1; 4_096], 0).unwrap();
    file.write_all_at(&[1; 8_192], 4_096).unwrap();
    file.write_all_at(&[2; 8_192], 4_096).unwrap();
    let full = file.write_all_at(&[1; 10], 500_000).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    // What was cut off is a hole when the length comes back.
    file.set_len(4_096).unwrap();
    file.set_len(1 << 20).unwrap();
    assert!(file.write_all_at(&[1; 8_192], 4_096).is_err());
}

#[test]
fn a_full_disk_says_so_and_has_room_again() {
    let Some(disk) = disk(false) else { return };
    disk.fail(Some(Fault::Full { room: 10_000 }));
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).open(disk.path().join("f"));
    let file = file.as_mut().unwrap();
    file.write_all(&[1; 8_000]).unwrap();
    let full = file.write_all(&[1; 8_000]).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    disk.fail(None);
    file.write_all(&[2; 8_000]).unwrap();
    let mut bytes = Vec::new();
    File::open(disk.path().join("f")).unwrap().read_to_end(&mut bytes).unwrap();
    assert!(bytes.len() >= 16_000);
    file.set_len(3).unwrap();
    assert_eq!(fs::read(disk.path().join("f")).unwrap(), [1; 3]);
}
