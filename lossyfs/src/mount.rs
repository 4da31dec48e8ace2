//! The kernel's side: requests of FUSE.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, IoctlFlags, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::Mutex;
use pinstate_conformance::{DISK_SOURCE, Disk, Fault, Look, Platter};

use crate::tree::{Body, Tree};

/// Nothing is kept by the kernel: it asks each time.
const TTL: Duration = Duration::ZERO;
/// `FS_IOC_GETFLAGS` and `FS_IOC_SETFLAGS`, as 64-bit kernels have them.
const GET_FLAGS: u32 = 0x8008_6601;
const SET_FLAGS: u32 = 0x4008_6602;
/// `FS_IOC_FSGETXATTR`, which the kernel asks before it sets flags: 28 bytes, of which the
/// first four are flags of their own.
const GET_XFLAGS: u32 = 0x801c_581f;
/// The synchronous attribute among each of them.
const SYNC: u32 = 0x8;
const X_SYNC: u32 = 0x20;

/// A mounted file system that can lose power.
pub struct LossyFs {
    shared: Arc<Shared>,
    // In this order: the mount point is removed after it is unmounted.
    _session: BackgroundSession,
    folder: tempfile::TempDir,
}

impl fmt::Debug for LossyFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LossyFs").field("path", &self.folder.path()).finish_non_exhaustive()
    }
}

struct Shared {
    tree: Mutex<Tree>,
    look: Mutex<Option<Look>>,
}

impl LossyFs {
    /// Mounts an empty one in a temporary folder; `attributes` says whether `chattr +S`
    /// works on it.
    ///
    /// # Errors
    /// There is no `/dev/fuse`, or no right to mount.
    pub fn mount(attributes: bool) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(&format!("{DISK_SOURCE}-")).tempdir()?;
        let shared =
            Arc::new(Shared { tree: Mutex::new(Tree::new(attributes)), look: Mutex::new(None) });
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName(DISK_SOURCE.to_owned())];
        let session = fuser::spawn_mount(Served(Arc::clone(&shared)), folder.path(), &config)?;
        Ok(Self { shared, _session: session, folder })
    }
}

impl Disk for LossyFs {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn look(&self, look: &mut dyn FnMut(&dyn Platter)) {
        look(&*self.shared.tree.lock());
    }

    fn before_each_sync(&self, look: Option<Look>) {
        *self.shared.look.lock() = look;
    }

    fn fail(&self, fault: Option<Fault>) {
        self.shared.tree.lock().fault = fault;
    }
}

struct Served(Arc<Shared>);

impl Served {
    fn with<T>(&self, work: impl FnOnce(&mut Tree) -> Result<T, Errno>) -> Result<T, Errno> {
        work(&mut self.0.tree.lock())
    }

    fn sync(&self, id: INodeNo, reply: ReplyEmpty) {
        let mut tree = self.0.tree.lock();
        if let Some(look) = &mut *self.0.look.lock() {
            look(&*tree);
        }
        empty(tree.sync(id.0), reply);
    }

    fn entry(&self, id: Result<u64, Errno>, reply: ReplyEntry) {
        match id.and_then(|id| self.with(|tree| attributes(tree, id))) {
            Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }
}

fn empty(result: Result<(), Errno>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn attributes(tree: &Tree, id: u64) -> Result<FileAttr, Errno> {
    let node = tree.node(id)?;
    let (kind, size) = match &node.body {
        Body::File(file) => (FileType::RegularFile, file.live.len() as u64),
        Body::Folder { .. } => (FileType::Directory, 0),
    };
    Ok(FileAttr {
        ino: INodeNo(id),
        size,
        blocks: size.div_ceil(512),
        atime: node.modified,
        mtime: node.modified,
        ctime: node.modified,
        crtime: UNIX_EPOCH,
        kind,
        perm: node.mode,
        nlink: 1,
        // Whoever mounts it is the one who may use it.
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

/// A number of the kernel's that is an index here.
fn index(number: u64) -> Result<usize, Errno> {
    // A file of more than that is not kept in memory.
    usize::try_from(number).ok().filter(|n| *n < 1 << 32).ok_or(Errno::EFBIG)
}

/// The bits of a mode that say who may do what.
fn permissions(mode: u32, umask: u32) -> u16 {
    u16::try_from(mode & !umask & 0o7777).unwrap_or(0o600)
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let id = self.with(|tree| tree.look_up(parent.0, name));
        self.entry(id, reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.with(|tree| attributes(tree, ino.0)) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let done = self.with(|tree| {
            if let Some(mode) = mode {
                tree.set_mode(ino.0, permissions(mode, 0))?;
            }
            if let Some(size) = size {
                tree.set_len(ino.0, index(size)?)?;
            }
            attributes(tree, ino.0)
        });
        match done {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let id = self.with(|tree| tree.create(parent.0, name, permissions(mode, umask), true));
        self.entry(id, reply);
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let created = self.with(|tree| {
            let id = tree.create(parent.0, name, permissions(mode, umask), false)?;
            attributes(tree, id)
        });
        match created {
            Ok(attributes) => {
                reply.created(&TTL, &attributes, Generation(0), FileHandle(0), FopenFlags::empty())
            }
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.with(|tree| tree.remove(parent.0, name, false)), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(self.with(|tree| tree.remove(parent.0, name, true)), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let replace = match flags {
            flags if flags.is_empty() => true,
            RenameFlags::RENAME_NOREPLACE => false,
            _ => return reply.error(Errno::EINVAL),
        };
        let (from, to) = ((parent.0, name), (newparent.0, newname));
        empty(self.with(|tree| tree.rename(from, to, replace)), reply);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let tree = self.0.tree.lock();
        match index(offset).and_then(|at| tree.read(ino.0, at, size as usize)) {
            Ok(bytes) => reply.data(bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.with(|tree| tree.write(ino.0, index(offset)?, data)) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(ino, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(ino, reply);
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let tree = self.0.tree.lock();
        let names = match tree.names(ino.0) {
            Ok(names) => names,
            Err(error) => return reply.error(error),
        };
        let own = [(OsStr::new("."), ino.0), (OsStr::new(".."), ino.0)].into_iter();
        let all = own.chain(names.iter().map(|(name, id)| (name.as_os_str(), *id)));
        for ((name, id), next) in all.zip(1..).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            let kind = match tree.node(id).map(|node| &node.body) {
                Ok(Body::File(_)) => FileType::RegularFile,
                _ => FileType::Directory,
            };
            if reply.add(INodeNo(id), next, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let free = match self.0.tree.lock().fault {
            Some(Fault::Full { room }) => room / 4096,
            _ => 1 << 20,
        };
        reply.statfs(1 << 21, free, free, 1 << 20, 1 << 20, 4096, 255, 4096);
    }

    fn ioctl(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        _: IoctlFlags,
        cmd: u32,
        in_data: &[u8],
        _: u32,
        reply: ReplyIoctl,
    ) {
        let done = match cmd {
            GET_FLAGS => {
                self.with(|tree| tree.flags(ino.0)).map(|flags| flags.to_ne_bytes().to_vec())
            }
            GET_XFLAGS => self.with(|tree| tree.flags(ino.0)).map(|flags| {
                let flags = if flags & SYNC == 0 { 0 } else { X_SYNC };
                let mut bytes = flags.to_ne_bytes().to_vec();
                bytes.resize(28, 0);
                bytes
            }),
            SET_FLAGS => match in_data.first_chunk() {
                Some(flags) => self
                    .with(|tree| tree.set_flags(ino.0, u32::from_ne_bytes(*flags)))
                    .map(|()| Vec::new()),
                None => Err(Errno::EINVAL),
            },
            _ => Err(Errno::ENOTTY),
        };
        match done {
            Ok(data) => reply.ioctl(0, &data),
            Err(error) => reply.error(error),
        }
    }
}
