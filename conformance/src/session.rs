//! What the cases of one leg have in common: a store, names and versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::lock::Mutex;
use pinstate_core::{
    Capabilities, Consistency, Error, ErrorKind, NamespaceName, Operation, Store, Version,
};

use crate::check::{Checked, Violation};
use crate::disk::Disks;
use crate::marks::Marks;
use crate::meter::Meter;
use crate::plug::{Leg, Plug, Site};
use crate::profile::Profile;
use crate::safety::{self, Guard, Neighbours};

/// What a program lends to the suite, where it can.
#[derive(Clone, Default)]
pub(crate) struct Tools {
    pub(crate) disks: Option<Arc<dyn Disks>>,
    pub(crate) meter: Option<Meter>,
}

/// What all cases of one leg share: one store, and what no two cases may have in common.
pub(crate) struct Session {
    plug: Arc<dyn Plug>,
    leg: Leg,
    tools: Tools,
    profile: Profile,
    /// Whether calls may fail, since the store is disturbed from outside.
    amid_failures: bool,
    /// In what time a store is taken to settle that is eventual and does not say.
    assumed: Duration,
    marks: Marks,
    shared: Mutex<Shared>,
    /// What every namespace's name begins with, so that runs on one server keep apart.
    prefix: String,
    namespaces: AtomicU64,
    versions: AtomicI64,
}

/// The store that cases share, which is opened when the first one wants it.
#[derive(Default)]
enum Shared {
    #[default]
    Unopened,
    /// An attempt to open it is under way, or never came back.
    Opening,
    /// It could not be opened, and is not tried again for every case.
    Failed(Violation),
    Open(Opened),
}

/// The shared store.
struct Opened {
    store: Arc<dyn Store>,
    /// Where the store is somebody's.
    standing: Option<Standing>,
    // After the store, so that it is dropped after it.
    _site: Box<dyn Site>,
}

/// What a store that is somebody's needs beside.
struct Standing {
    /// The store without the guard.
    bare: Arc<dyn Store>,
    guard: Guard,
    /// What else is in it, where that was looked at.
    before: Option<Checked<Neighbours>>,
}

impl Session {
    pub(crate) fn new(
        plug: Arc<dyn Plug>,
        leg: Leg,
        profile: Profile,
        (tools, amid_failures, assumed): (Tools, bool, Duration),
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            plug,
            leg,
            tools,
            profile,
            amid_failures,
            assumed,
            marks: Marks::default(),
            shared: Mutex::default(),
            prefix: safety::prefix(&safety::draw_run()),
            namespaces: AtomicU64::new(0),
            versions: AtomicI64::new(i64::try_from(now.as_micros()).unwrap_or(i64::MAX / 2)),
        }
    }

    pub(crate) fn leg(&self) -> &'static str {
        self.leg.name
    }

    /// What cases have met on this leg.
    pub(crate) fn marks(&self) -> &Marks {
        &self.marks
    }

    pub(crate) fn profile(&self) -> Profile {
        self.profile
    }

    /// Whether calls may fail, since the store is disturbed from outside.
    pub(crate) fn is_amid_failures(&self) -> bool {
        self.amid_failures
    }

    /// How long readers of such a store may lag.
    pub(crate) fn lag(&self, capabilities: &Capabilities) -> Duration {
        match capabilities.consistency {
            Consistency::Eventual { settle } => settle.unwrap_or(self.assumed),
            _ => Duration::ZERO,
        }
    }

    /// The store that cases share.
    pub(crate) async fn store(&self) -> Checked<Arc<dyn Store>> {
        let mut shared = self.shared.lock().await;
        match &*shared {
            Shared::Open(opened) => return Ok(Arc::clone(&opened.store)),
            Shared::Failed(violation) => return Err(violation.clone()),
            Shared::Opening => {
                let error = Error::new(
                    ErrorKind::Unavailable,
                    Operation::Open,
                    "an earlier attempt did not come back",
                );
                return Err(Violation::harness("the store cannot be opened", &error));
            }
            Shared::Unopened => {}
        }
        *shared = Shared::Opening;
        match self.open().await {
            Ok(opened) => {
                let store = Arc::clone(&opened.store);
                *shared = Shared::Open(opened);
                Ok(store)
            }
            Err(error) => {
                let violation = Violation::harness("the store cannot be opened", &error);
                *shared = Shared::Failed(violation.clone());
                Err(violation)
            }
        }
    }

    async fn open(&self) -> pinstate_core::Result<Opened> {
        if let Some(site) = self.plug.standing().await? {
            let bare = self.layered(site.open().await?);
            let guard = Guard::new(Arc::clone(&bare), self.prefix.clone());
            let store = guard.store();
            let standing = Some(Standing { bare, guard, before: None });
            return Ok(Opened { store, standing, _site: site });
        }
        let site = self.plug.site().await?;
        let store = self.layered(site.open().await?);
        Ok(Opened { store, standing: None, _site: site })
    }

    /// Looks at what else is in a store that is somebody's.
    pub(crate) async fn look(&self) {
        if let Shared::Open(Opened { standing: Some(standing), .. }) =
            &mut *self.shared.lock().await
        {
            let before = Neighbours::of(&*standing.bare, &self.prefix).await;
            standing.before = Some(before.map_err(|error| {
                Violation::harness("what else is in the store cannot be read", &error)
            }));
        }
    }

    /// Removes what the leg has made in a store that is somebody's.
    pub(crate) async fn sweep(&self) -> Option<Vec<String>> {
        match &*self.shared.lock().await {
            Shared::Open(Opened { standing: Some(standing), .. }) => {
                Some(standing.guard.sweep().await)
            }
            _ => None,
        }
    }

    /// What else is in a store that is somebody's and is no longer as it was; `None` where
    /// that was not looked at before.
    pub(crate) async fn changes(&self) -> Option<Checked<Vec<String>>> {
        let shared = self.shared.lock().await;
        let Shared::Open(Opened { standing: Some(standing), .. }) = &*shared else { return None };
        let before = match standing.before.as_ref()? {
            Ok(before) => before,
            Err(violation) => return Some(Err(violation.clone())),
        };
        let now = Neighbours::of(&*standing.bare, &self.prefix).await;
        Some(now.map(|now| before.changes(&now)).map_err(Violation::from))
    }

    /// Closes the store that cases shared.
    pub(crate) async fn close(&self) -> Checked {
        let shared = std::mem::take(&mut *self.shared.lock().await);
        if let Shared::Open(opened) = shared {
            opened.store.close().await?;
        }
        Ok(())
    }

    pub(crate) fn plug(&self) -> &dyn Plug {
        &*self.plug
    }

    /// Where disks that lose power come from.
    pub(crate) fn disks(&self) -> Option<&dyn Disks> {
        self.tools.disks.as_deref()
    }

    /// What tells how much memory the process holds.
    pub(crate) fn meter(&self) -> Option<Meter> {
        self.tools.meter
    }

    /// A store under the layers of the leg.
    pub(crate) fn layered(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        self.leg.layers.apply(store)
    }

    /// A version later than every one drawn before in this leg.
    pub(crate) fn version(&self) -> Version {
        Version(self.versions.fetch_add(1, Ordering::Relaxed))
    }

    /// A name that nobody has used.
    pub(crate) fn name(&self) -> Checked<NamespaceName> {
        let number = self.namespaces.fetch_add(1, Ordering::Relaxed);
        Ok(safety::name(&self.prefix, number).parse()?)
    }
}
