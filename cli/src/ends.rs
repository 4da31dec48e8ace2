//! One end of a comparison or a migration, opened: a store, a file or a peer.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use pinstate_core::config::StoreUri;
use pinstate_core::format::manifest::Format;
use pinstate_core::format::{Decoder, Leniency};
use pinstate_core::transfer::StopFlag;
use pinstate_core::{Namespace, NamespaceName, Result};
use pinstate_migrate::{OpenFile, Peer, PinFile, Pinset, StoredPins};
use tokio::io::AsyncRead;

use crate::args::Global;
use crate::exit::{Failure, Outcome};
use crate::formats::{Overrides, ReadFormat, decoder};
use crate::input::Input;
use crate::output::Output;
use crate::redact;
use crate::session::{Access, Choice, Session};

/// A store, a file or a peer that was named, opened.
pub(crate) struct End {
    /// What it is called in reports.
    pub(crate) name: String,
    pub(crate) what: What,
}

/// What an end is.
pub(crate) enum What {
    /// A namespace of a store, which other ends may have open, too.
    Store(Arc<Session>, NamespaceName),
    /// A file: where it is, what changes when it is written to, and how it is read.
    File { path: String, stamp: String, file: Arc<dyn OpenFile> },
    /// A peer of ipfs-cluster, which is called by its address and asked for its pins each time
    /// that it is read.
    Peer(Arc<dyn OpenFile>),
}

/// What the command line says about every end.
pub(crate) struct Ends<'a> {
    pub(crate) global: &'a Global,
    pub(crate) format: ReadFormat,
    pub(crate) out: Output,
    pub(crate) stop: &'a StopFlag,
}

impl Ends<'_> {
    /// Opens the store or file that `what` names.
    pub(crate) async fn open(
        &self,
        what: &str,
        namespace: &NamespaceName,
        access: Access,
    ) -> Outcome<End> {
        if Peer::looks_like(what) {
            let peer = Peer::new(what)?;
            let name = peer.location().to_owned();
            return Ok(End { name, what: What::Peer(Arc::new(peer)) });
        }
        let mut choice = Choice::new(self.global)?;
        let path = Path::new(what);
        let is_store = StoreUri::looks_like(what)
            || choice.config.stores.contains_key(what)
            || choice.registry.recognise(path).is_some();
        if !is_store && (what == "-" || path.exists()) {
            return self.file(path).await;
        }
        if !is_store && !what.contains(':') {
            return Err(Failure::usage(format!(
                "'{}' is neither a file nor a store of the configuration",
                redact::store(what)
            ))
            .with_hint(
                "name a store as sled:PATH, or by its name in the configuration, and a peer of \
                 ipfs-cluster as http://HOST",
            ));
        }
        choice.named = Some(what.to_owned());
        let session = Session::open_choice(choice, self.global, self.out, access).await?;
        Ok(End::in_store(Arc::new(session), what, namespace))
    }

    async fn file(&self, path: &Path) -> Outcome<End> {
        let format = self.format;
        let input = Input::open(Some(path), format, Leniency::Strict, self.out, self.stop);
        let mut input = input.await?;
        // It may have to be read again.
        input.spool(None, self.stop).await?;
        let name = input.name.clone();
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let stamp = input.stamp();
        let file = Arc::new(Readable { format: input.format, input: Mutex::new(input) });
        Ok(End { name, what: What::File { path: whole.display().to_string(), stamp, file } })
    }
}

impl End {
    /// A namespace of a store that is open.
    pub(crate) fn in_store(session: Arc<Session>, what: &str, namespace: &NamespaceName) -> Self {
        Self { name: name(what, namespace), what: What::Store(session, namespace.clone()) }
    }

    /// Its pins, and the namespace that they are in.
    pub(crate) async fn pins(&self) -> Outcome<(Arc<dyn Pinset>, Option<Arc<dyn Namespace>>)> {
        Ok(match &self.what {
            What::Store(session, name) => {
                let namespace = session.namespace_of(name).await?;
                let pins = StoredPins::new(self.name.clone(), Arc::clone(&namespace));
                (Arc::new(pins), Some(namespace))
            }
            What::File { file, .. } | What::Peer(file) => {
                (Arc::new(PinFile::shared(self.name.clone(), Arc::clone(file))), None)
            }
        })
    }

    /// The store, where it is one.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        match &self.what {
            What::Store(session, _) => Some(session),
            What::File { .. } | What::Peer(_) => None,
        }
    }

    /// Closes it, unless another end still has its store, and gives the command's result.
    pub(crate) async fn close<T>(self, result: Outcome<T>) -> Outcome<T> {
        match self.what {
            What::Store(session, _) => match Arc::try_unwrap(session) {
                Ok(session) => session.close(result).await,
                Err(_) => result,
            },
            What::File { .. } | What::Peer(_) => result,
        }
    }
}

/// What a namespace of a store is called.
fn name(what: &str, namespace: &NamespaceName) -> String {
    format!("{} ({namespace})", redact::store(what))
}

/// A file that is read from its beginning as often as needed.
struct Readable {
    format: Format,
    input: Mutex<Input>,
}

impl OpenFile for Readable {
    fn open(&self) -> Result<(Box<dyn AsyncRead + Send + Unpin>, Box<dyn Decoder>)> {
        let reader = self.input.lock().reader().map_err(Failure::into_error)?;
        Ok((reader, decoder(self.format, Leniency::Strict, &Overrides::default())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_no_part_of_a_name() {
        let name = name("scylla://me:hunter2@h/ks", &NamespaceName::default());
        assert!(name.contains("(default)") && !name.contains("hunter2"), "{name}");
    }
}
