//! The store that was named, as the suite wants it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use pinstate_conformance::{About, Plug, Site};
use pinstate_core::config::{BackendFactory, OpenOptions, Settings};
use pinstate_core::{Error, ErrorKind, Operation, Result, Store};

/// What stands between a store's name and the random end of a folder's beside it.
const BESIDE: &str = ".conformance-";
/// The file that says whose such a folder is.
const OWNER: &str = "made-by-pinstate-conformance";

/// A store of any backend that this program has.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    factory: Arc<dyn BackendFactory>,
    settings: Settings,
    places: Places,
}

/// Where the suite may have stores of its own.
#[derive(Clone, Debug)]
enum Places {
    /// Each opening makes one that is gone when it is closed.
    Anywhere,
    /// In folders beside the store's.
    Beside(PathBuf),
    /// Nowhere, for this reason.
    Nowhere(&'static str),
}

/// The folder of a store that is configured by one, where only one process can open it.
pub(super) fn folder(factory: &dyn BackendFactory, settings: &Settings) -> Option<PathBuf> {
    let embedded =
        factory.capabilities().exclusive_open && factory.description().names().contains(&"path");
    settings.text("path").filter(|_| embedded).map(PathBuf::from)
}

impl Stand {
    pub(super) fn new(
        factory: Arc<dyn BackendFactory>,
        settings: Settings,
        destructive: bool,
    ) -> Self {
        let places = if !factory.capabilities().persistent {
            Places::Anywhere
        } else if let Some(path) = folder(&*factory, &settings) {
            if destructive {
                Places::Beside(path)
            } else {
                Places::Nowhere("needs a store of its own: --allow-destructive")
            }
        } else {
            Places::Nowhere("needs a store of its own, and this backend has no place for one")
        };
        Self { factory, settings, places }
    }

    /// Whether the store is on servers: it keeps its records, and in no folder of this machine.
    pub(super) fn is_far(&self) -> bool {
        self.factory.capabilities().persistent && folder(&*self.factory, &self.settings).is_none()
    }

    /// Opens the store and closes it again.
    pub(super) async fn try_open(&self) -> Result<()> {
        self.open().await?.close().await
    }
}

/// The store that was named. It is never made, and dropping this leaves it.
#[async_trait]
impl Site for Stand {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        self.factory.open(&self.settings, OpenOptions::new()).await
    }
}

#[async_trait]
impl Plug for Stand {
    fn name(&self) -> &str {
        self.factory.name()
    }

    async fn standing(&self) -> Result<Option<Box<dyn Site>>> {
        Ok(Some(Box::new(self.clone())))
    }

    async fn site(&self) -> Result<Box<dyn Site>> {
        match &self.places {
            Places::Anywhere => Ok(Box::new(self.clone())),
            Places::Beside(path) => Ok(Box::new(Beside::new(self, path)?)),
            Places::Nowhere(why) => Err(Error::new(ErrorKind::Unsupported, Operation::Open, *why)),
        }
    }

    fn site_in(&self, folder: &Path) -> Option<Box<dyn Site>> {
        match &self.places {
            Places::Beside(_) => Some(Box::new(Beside::in_folder(self, folder).ok()?)),
            _ => None,
        }
    }

    fn without_sites(&self) -> Option<String> {
        match &self.places {
            Places::Nowhere(why) => Some((*why).to_owned()),
            _ => None,
        }
    }

    fn about(&self) -> About {
        // Backends are released with this program, under its number.
        let about = About::version(env!("CARGO_PKG_VERSION"));
        self.settings.shown().fold(about, |about, (key, value)| about.with_setting(key, value))
    }
}

/// A store of the same kind in a folder of its own beside the one that was named: on the
/// same file system, which is part of what is tested.
struct Beside {
    factory: Arc<dyn BackendFactory>,
    settings: Settings,
    // There where it is removed at the end.
    _folder: Option<tempfile::TempDir>,
}

impl Beside {
    fn new(stand: &Stand, path: &Path) -> Result<Self> {
        let (parent, prefix) = beside(path);
        let failed = |error| {
            let message = format!("no folder can be made in {}", parent.display());
            Error::new(ErrorKind::Io, Operation::Open, message).with_source(error)
        };
        let folder =
            tempfile::Builder::new().prefix(&prefix).tempdir_in(&parent).map_err(failed)?;
        std::fs::write(folder.path().join(OWNER), []).map_err(failed)?;
        let beside = Self::in_folder(stand, folder.path())?;
        Ok(Self { _folder: Some(folder), ..beside })
    }

    fn in_folder(stand: &Stand, folder: &Path) -> Result<Self> {
        let store = folder.join("store");
        let store = store.to_str().ok_or_else(|| {
            let message = format!("the path {} is no text", store.display());
            Error::new(ErrorKind::Config, Operation::Open, message)
        })?;
        // Whether it is made is for each case to say.
        let settings = stand.settings.clone().with("path", store).without("create");
        Ok(Self { factory: Arc::clone(&stand.factory), settings, _folder: None })
    }
}

#[async_trait]
impl Site for Beside {
    async fn open(&self) -> Result<Arc<dyn Store>> {
        self.factory.open(&self.settings, OpenOptions::create()).await
    }

    async fn open_existing(&self) -> Option<Result<Arc<dyn Store>>> {
        Some(self.factory.open(&self.settings, OpenOptions::new()).await)
    }
}

/// Where the folders beside a store's are, and what their names begin with.
fn beside(path: &Path) -> (PathBuf, String) {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (parent, format!(".{name}{BESIDE}"))
}

/// The folders that runs of the suite have left beside a store's.
pub(super) fn left_beside(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let (parent, prefix) = beside(path);
    let mut left = Vec::new();
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        let named = entry.file_name().to_string_lossy().starts_with(&prefix);
        if named && entry.file_type()?.is_dir() && entry.path().join(OWNER).is_file() {
            left.push(entry.path());
        }
    }
    left.sort();
    Ok(left)
}
