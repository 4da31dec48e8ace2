//! A file system that loses power.
//!
//! [`LossyFs`] is a file system in memory, mounted through FUSE, that has everything twice:
//! as it is, and as it is durable. `fsync` of a file makes its bytes and its length durable,
//! `fsync` of a folder the names in it, and nothing else does: not closing, not waiting, and
//! not `sync_file_range`. [`Platter::after`] writes what would be left if the power
//! went now.
//!
//! The attribute of files that makes every write synchronous (`chattr +S`) is honoured, or
//! unknown as on simpler file systems. It can fill up, and it can fail a sync in the way of
//! kernels that forget what they could not write.
//!
//! It needs `/dev/fuse` and the right to mount; no library. It is a tool for tests: nothing
//! that was ever on it is forgotten before it is dropped.
//!
//! `tree.rs` is the file system, `image.rs` what is left of it, `mount.rs` the kernel's side.

mod image;
mod mount;
mod tree;

#[cfg(doc)]
use pinstate_conformance::Platter;
use pinstate_conformance::{Disk, Disks};

pub use mount::LossyFs;

/// Makes disks for the conformance suite.
#[derive(Clone, Copy, Debug)]
pub struct LossyDisks {
    attributes: bool,
}

impl LossyDisks {
    /// Disks whose files may be made synchronous, as those of ext4, XFS and Btrfs.
    #[must_use]
    pub fn new() -> Self {
        Self { attributes: true }
    }

    /// Disks whose files have no attributes.
    #[must_use]
    pub fn without_attributes() -> Self {
        Self { attributes: false }
    }
}

impl Default for LossyDisks {
    fn default() -> Self {
        Self::new()
    }
}

impl Disks for LossyDisks {
    fn disk(&self) -> Result<Box<dyn Disk>, String> {
        match LossyFs::mount(self.attributes) {
            Ok(disk) => Ok(Box::new(disk)),
            Err(error) => Err(format!(
                "needs a file system that can lose power, which takes /dev/fuse and the right to \
                 mount: {error}"
            )),
        }
    }
}
