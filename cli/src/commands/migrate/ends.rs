//! The source and the target of a job, opened.

use std::sync::Arc;

use pinstate_core::transfer::StopFlag;
use pinstate_core::{ErrorKind, NamespaceName};
use pinstate_migrate::job::{FileSource, Source, StoreSource, Target};

use crate::args::Global;
use crate::ends::{End, Ends, What};
use crate::exit::{Failure, Outcome};
use crate::formats::ReadFormat;
use crate::output::Output;
use crate::session::{Access, Choice};

/// Which ends are to be opened.
pub(super) struct Wanted {
    pub(super) from: String,
    pub(super) from_namespace: NamespaceName,
    pub(super) to: String,
    pub(super) to_namespace: NamespaceName,
    pub(super) format: ReadFormat,
    pub(super) exclusive: bool,
}

/// Both ends.
pub(super) struct Opened {
    source: End,
    /// Nothing where the store is not there yet, and is not to be made.
    target: Option<End>,
    exclusive: bool,
}

impl Opened {
    /// Opens both, the target for what is to be done with it.
    pub(super) async fn open(
        global: &Global,
        wanted: &Wanted,
        access: Access,
        out: Output,
        stop: &StopFlag,
    ) -> Outcome<Self> {
        let ends = Ends { global, format: wanted.format, out, stop };
        let same = wanted.from == wanted.to;
        if same && wanted.from_namespace == wanted.to_namespace {
            return Err(Failure::usage("source and target are the same")
                .with_hint("--from-namespace and --to-namespace name two of one store"));
        }
        // Of one store for both, it is the target that says what is done with it.
        let first = if same && access != Access::Create { access } else { Access::Read };
        let first = if same && access == Access::Create { Access::Modify } else { first };
        let source = ends.open(&wanted.from, &wanted.from_namespace, first).await?;
        let target = match source.session() {
            Some(session) if same => {
                Ok(End::in_store(Arc::clone(session), &wanted.to, &wanted.to_namespace))
            }
            _ => ends.open(&wanted.to, &wanted.to_namespace, access).await,
        };
        let target = match target {
            Ok(target) if target.session().is_none() => {
                let failure = Failure::usage(format!("{} is no store", target.name))
                    .with_hint("--to-format says that a file is to be written");
                return source.close(Err(failure)).await;
            }
            Ok(target) => Some(target),
            Err(Failure::Error(told))
                if access == Access::Read
                    && told.error.kind() == ErrorKind::NoStore
                    && Choice::new(global)?.can_be_made(&wanted.to)? =>
            {
                None
            }
            Err(failure) => return source.close(Err(failure)).await,
        };
        Ok(Self { source, target, exclusive: wanted.exclusive })
    }

    pub(super) async fn source(&self) -> Outcome<Arc<dyn Source>> {
        source(&self.source).await
    }

    /// The target, where its store is there.
    pub(super) fn target(&self) -> Option<Target> {
        Some(target(self.target.as_ref()?)?.exclusive(self.exclusive))
    }

    /// Closes both and gives the command's result.
    pub(super) async fn close<T>(self, result: Outcome<T>) -> Outcome<T> {
        let result = match self.target {
            Some(target) => target.close(result).await,
            None => result,
        };
        self.source.close(result).await
    }
}

/// Where is written to, where that is a store.
pub(super) fn target(end: &End) -> Option<Target> {
    let What::Store(session, name) = &end.what else { return None };
    Some(Target::new(Arc::clone(&session.store), name.clone(), end.name.clone()))
}

/// What is read.
pub(super) async fn source(end: &End) -> Outcome<Arc<dyn Source>> {
    Ok(match &end.what {
        What::Store(session, name) => {
            let namespace = session.namespace_of(name).await?;
            let store = Arc::clone(&session.store);
            Arc::new(StoreSource::new(store, namespace, end.name.clone()))
        }
        What::File { path, stamp, file } => Arc::new(FileSource::new(
            end.name.clone(),
            path.clone(),
            stamp.clone(),
            Arc::clone(file),
        )),
        What::Peer(peer) => {
            Arc::new(FileSource::of_stream(end.name.clone(), end.name.clone(), Arc::clone(peer)))
        }
    })
}
