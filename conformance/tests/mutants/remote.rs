//! A store whose server can be taken away, and what can be wrong with that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use pinstate_conformance::Server;
use pinstate_core::layer::{Call, Policy, wrap};
use pinstate_core::{
    CheckedScan, Delete, Error, ErrorKind, Outcome, Result, RetryClass, ScanOptions, Store,
    WriteOptions,
};

use crate::Bug;
use crate::racing::pause;

/// A server that is away or not.
#[derive(Debug, Default)]
pub(crate) struct Remote {
    away: AtomicBool,
    was_away: AtomicBool,
    /// What it forgets something of when it stops.
    forgets: Mutex<Option<Arc<dyn Store>>>,
}

/// The server of a store that has one.
pub(crate) fn server(bug: Bug) -> Option<Arc<Remote>> {
    let ours = [
        Bug::Remote,
        Bug::ServerStaysLost,
        Bug::ServerStrandsCalls,
        Bug::ReadyWithoutServer,
        Bug::MissingWithoutServer,
        Bug::ServerForgets,
    ];
    ours.contains(&bug).then(Arc::default)
}

/// The store, reached through this server.
pub(crate) fn through(store: Arc<dyn Store>, server: Arc<Remote>, bug: Bug) -> Arc<dyn Store> {
    if bug == Bug::ServerForgets {
        *server.forgets.lock().unwrap() = Some(Arc::clone(&store));
    }
    wrap(store, Wire { server, bug })
}

#[async_trait]
impl Server for Remote {
    async fn stop(&self) -> Result<()> {
        self.was_away.store(true, Ordering::SeqCst);
        self.away.store(true, Ordering::SeqCst);
        let forgets = self.forgets.lock().unwrap().clone();
        if let Some(store) = forgets {
            for info in store.list_namespaces().await? {
                let namespace = store.open_namespace(&info.name).await?;
                let rows = CheckedScan::new(namespace.scan(ScanOptions::new()).await?);
                for record in rows.collect().await?.into_iter().flatten().take(1) {
                    let delete = Delete::new(record.key, record.version);
                    namespace.delete(delete, WriteOptions::new()).await?;
                }
            }
        }
        Ok(())
    }

    async fn start(&self) -> Result<()> {
        self.away.store(false, Ordering::SeqCst);
        Ok(())
    }
}

#[derive(Debug)]
struct Wire {
    server: Arc<Remote>,
    bug: Bug,
}

impl Wire {
    fn is_cut(&self) -> bool {
        let server = &self.server;
        let stays = self.bug == Bug::ServerStaysLost && server.was_away.load(Ordering::SeqCst);
        stays || server.away.load(Ordering::SeqCst)
    }
}

impl Policy for Wire {
    async fn run<T, F, Fut>(&self, call: Call<'_>, attempt: F) -> Result<T>
    where
        T: Send,
        F: Fn() -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let unreachable = |outcome| {
            Error::new(ErrorKind::Unavailable, call.operation, "the server is away")
                .with_backend(call.backend)
                .with_retry(RetryClass::Backoff)
                .with_outcome(outcome)
        };
        if self.is_cut() {
            return Err(unreachable(Outcome::NotApplied));
        }
        // On its way there, and back.
        pause(2).await;
        if self.is_cut() {
            if self.bug == Bug::ServerStrandsCalls {
                return std::future::pending().await;
            }
            return Err(unreachable(Outcome::NotApplied));
        }
        let result = attempt().await;
        pause(2).await;
        if self.is_cut() && result.is_ok() {
            return Err(unreachable(Outcome::Unknown));
        }
        result
    }
}
